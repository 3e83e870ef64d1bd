/*
 * Running ffmpeg without a shell, and reading what it decodes.
 *
 * The output is AU: a header of six big-endian words that needs no seeking and tells the
 * rate and the channels, then 32-bit floats up to the end of the stream.  Reading, the
 * child cannot block on its messages: both its outputs are polled, and only the start of
 * the messages is kept.  The ends are sockets because a socket can be born
 * close-on-exec; with pipe() a child of another thread could inherit ours and keep it
 * open.
 */
#define _POSIX_C_SOURCE 200809L
#include "audio/audio_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

extern char **environ;

typedef struct child {
    pid_t pid;      /* 0 = none */
    int output;     /* our end; -1 = closed */
    int complaints; /* our end of its stderr; -1 = closed */
    size_t said_length;
    char said[512]; /* start of its stderr */
} child;

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

/* ends[0] is ours.  The child's end is kept off the numbers 0 to 2, onto which the child
 * will duplicate it. */
static bool open_channel(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        ends[0] = ends[1] = -1;
        return false;
    }
    int moved = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    if (moved < 0) {
        int reason = errno;
        close_end(&ends[0]);
        close_end(&ends[1]);
        errno = reason;
        return false;
    }
    close(ends[1]);
    ends[1] = moved;
    return true;
}

/* 0 or an errno.  Signals are as in a fresh program, whatever the caller has set. */
static int spawn(pid_t *pid, char *const arguments[], int output, int complaints)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, pipe_signal;
    sigemptyset(&none);
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    int reason = posix_spawn_file_actions_init(&actions);
    if (reason != 0)
        return reason;
    reason = posix_spawnattr_init(&attributes);
    if (reason != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return reason;
    }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    reason = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (reason == 0)
        reason = posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (reason == 0)
        reason = posix_spawn_file_actions_adddup2(&actions, complaints, 2);
    if (reason == 0)
        reason =
            posix_spawnp(pid, arguments[0], &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return reason;
}

static s3r_status start_ffmpeg(child *ffmpeg, const char *path, bool *is_missing,
                               s3r_error *err)
{
    size_t bytes = strlen(path) + sizeof "file:";
    char *url = s3r_alloc(bytes, 1);
    if (!url)
        return s3r_fail_memory(err, "a path", bytes);
    snprintf(url, bytes, "file:%s", path);
    /* With -xerror a cut-off file fails and is not shortened.  The whitelist keeps a
     * playlist from making ffmpeg fetch addresses. */
    const char *const arguments[] = {
        "ffmpeg", "-nostdin", "-v",        "error",  "-xerror", "-protocol_whitelist",
        "file",   "-i",       url,         "-map",   "0:a:0",   "-f",
        "au",     "-c:a",     "pcm_f32be", "pipe:1", NULL};
    char *mutable_arguments[S3R_ARRAY_LEN(arguments)];
    memcpy(mutable_arguments, arguments, sizeof arguments);
    int output[2] = {-1, -1}, complaints[2] = {-1, -1};
    int reason = 0;
    if (!open_channel(output) || !open_channel(complaints))
        reason = errno;
    else
        reason = spawn(&ffmpeg->pid, mutable_arguments, output[1], complaints[1]);
    close_end(&output[1]);
    close_end(&complaints[1]);
    s3r_free(url);
    ffmpeg->output = output[0];
    ffmpeg->complaints = complaints[0];
    if (reason == 0)
        return S3R_OK;
    ffmpeg->pid = 0;
    *is_missing = reason == ENOENT;
    return s3r_fail(
        err, reason == ENOMEM || reason == EAGAIN ? S3R_ERR_RESOURCE : S3R_ERR_DATA,
        "%s: cannot run ffmpeg: %s", path, strerror(reason));
}

static void listen_to_complaints(child *ffmpeg)
{
    char text[512];
    ssize_t got = read(ffmpeg->complaints, text, sizeof text);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        close_end(&ffmpeg->complaints);
        return;
    }
    size_t room = sizeof ffmpeg->said - 1 - ffmpeg->said_length;
    size_t kept = S3R_MIN((size_t)got, room);
    memcpy(ffmpeg->said + ffmpeg->said_length, text, kept);
    ffmpeg->said_length += kept;
}

/* Fills bytes unless the output ends before. */
static size_t read_output(child *ffmpeg, void *bytes, size_t size)
{
    size_t done = 0;
    while (done < size && ffmpeg->output >= 0) {
        struct pollfd ends[2] = {{ffmpeg->output, POLLIN, 0},
                                 {ffmpeg->complaints, POLLIN, 0}};
        if (poll(ends, 2, -1) < 0) {
            if (errno != EINTR)
                close_end(&ffmpeg->output);
            continue;
        }
        if (ends[1].revents)
            listen_to_complaints(ffmpeg);
        if (!ends[0].revents)
            continue;
        ssize_t got = read(ffmpeg->output, (unsigned char *)bytes + done, size - done);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            close_end(&ffmpeg->output);
    }
    return done;
}

/* Whether it ended well.  A host that ignores SIGCHLD leaves no exit status to see. */
static bool wait_for_end(child *ffmpeg)
{
    int state = 0;
    pid_t waited;
    close_end(&ffmpeg->output);
    while (ffmpeg->complaints >= 0)
        listen_to_complaints(ffmpeg);
    do {
        waited = waitpid(ffmpeg->pid, &state, 0);
    } while (waited < 0 && errno == EINTR);
    ffmpeg->pid = 0;
    return waited < 0 || (WIFEXITED(state) && WEXITSTATUS(state) == 0);
}

static void stop(child *ffmpeg)
{
    if (ffmpeg->pid > 0) {
        kill(ffmpeg->pid, SIGKILL);
        (void)wait_for_end(ffmpeg);
    }
    close_end(&ffmpeg->output);
    close_end(&ffmpeg->complaints);
}

/* Its first line, without the "[decoder @ address] " before it and without what a
 * terminal could take as a command. */
static const char *first_line(child *ffmpeg)
{
    char *line = ffmpeg->said;
    line[ffmpeg->said_length] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    }
    char *end = line[0] == '[' ? strstr(line, "] ") : NULL;
    line = end ? end + 2 : line;
    return line[0] ? line : "it gave no reason";
}

static uint32_t read_word(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           (uint32_t)bytes[3];
}

/* Reads the AU header and opens sink; *is_sound false when there is no such header. */
static s3r_status read_header(s3r_audio_sink *sink, child *ffmpeg, bool *is_sound,
                              s3r_error *err)
{
    enum { FLOAT_ENCODING = 6, MAX_OFFSET = 1 << 20 };
    unsigned char head[24];
    *is_sound = false;
    if (read_output(ffmpeg, head, sizeof head) != sizeof head ||
        memcmp(head, ".snd", 4) != 0 || read_word(head + 12) != FLOAT_ENCODING)
        return S3R_OK;
    uint32_t offset = read_word(head + 4);
    if (offset < sizeof head || offset > MAX_OFFSET)
        return S3R_OK;
    for (size_t left = offset - sizeof head; left > 0;) {
        unsigned char skipped[256];
        size_t part = S3R_MIN(left, sizeof skipped);
        if (read_output(ffmpeg, skipped, part) != part)
            return S3R_OK;
        left -= part;
    }
    *is_sound = true;
    return s3r_audio_sink_open(sink, read_word(head + 16), read_word(head + 20), err);
}

static s3r_status read_frames(s3r_audio_sink *sink, child *ffmpeg, s3r_error *err)
{
    size_t frame_bytes = sink->channels * sizeof(float), got;
    do {
        got = read_output(ffmpeg, sink->block, sink->block_frames * frame_bytes);
        size_t frames = got / frame_bytes;
        for (size_t i = 0; i < frames * sink->channels; i++) {
            uint32_t word = read_word((const unsigned char *)(sink->block + i));
            memcpy(sink->block + i, &word, sizeof word);
        }
        S3R_TRY(s3r_audio_sink_write(sink, frames, err));
    } while (got == sink->block_frames * frame_bytes);
    return S3R_OK;
}

s3r_status s3r_audio_decode_pipe(s3r_audio_sink *sink, const char *path, bool *is_missing,
                                 s3r_error *err)
{
    child ffmpeg = {.output = -1, .complaints = -1};
    bool is_sound = false;
    *is_missing = false;
    s3r_status status = start_ffmpeg(&ffmpeg, path, is_missing, err);
    if (status == S3R_OK)
        status = read_header(sink, &ffmpeg, &is_sound, err);
    if (status == S3R_OK && is_sound)
        status = read_frames(sink, &ffmpeg, err);
    if (status == S3R_OK) {
        bool is_complete = wait_for_end(&ffmpeg);
        if (!is_complete || !is_sound)
            status = s3r_fail(err, S3R_ERR_DATA, "%s: ffmpeg cannot decode it: %s", path,
                              first_line(&ffmpeg));
    }
    stop(&ffmpeg);
    return status;
}
