/*
 * Running ffmpeg without a shell, and reading what it decodes.
 *
 * The output is AU: a header of six big-endian words that needs no seeking and tells the
 * rate and the channels, then 32-bit floats up to the end of the stream.  Reading, the
 * child cannot block on its messages: both its outputs are polled, and only the start of
 * the messages is kept.
 */
#define _POSIX_C_SOURCE 200809L
#include "audio/audio_pipe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/memory.h"

static s3r_status start_ffmpeg(s3r_child *ffmpeg, const char *path, bool *is_missing,
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
    int reason = s3r_child_start(ffmpeg, arguments);
    s3r_free(url);
    s3r_child_close_end(ffmpeg, S3R_CHILD_INPUT);
    if (reason == 0)
        return S3R_OK;
    *is_missing = reason == ENOENT;
    return s3r_fail(
        err, reason == ENOMEM || reason == EAGAIN ? S3R_ERR_RESOURCE : S3R_ERR_DATA,
        "%s: cannot run ffmpeg: %s", path, strerror(reason));
}

/* Fills bytes unless the output ends before. */
static size_t read_output(s3r_child *ffmpeg, void *bytes, size_t size)
{
    size_t done = 0;
    int output;
    while (done < size && (output = ffmpeg->ends[S3R_CHILD_OUTPUT]) >= 0) {
        struct pollfd ends[2] = {{output, POLLIN, 0},
                                 {ffmpeg->ends[S3R_CHILD_COMPLAINTS], POLLIN, 0}};
        if (poll(ends, 2, -1) < 0) {
            if (errno != EINTR)
                s3r_child_close_end(ffmpeg, S3R_CHILD_OUTPUT);
            continue;
        }
        if (ends[1].revents)
            s3r_child_listen(ffmpeg);
        if (!ends[0].revents)
            continue;
        ssize_t got = read(output, (unsigned char *)bytes + done, size - done);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            s3r_child_close_end(ffmpeg, S3R_CHILD_OUTPUT);
    }
    return done;
}

/* Whether it ended well; all that it says is heard. */
static bool wait_for_end(s3r_child *ffmpeg)
{
    s3r_child_close_end(ffmpeg, S3R_CHILD_OUTPUT);
    while (ffmpeg->ends[S3R_CHILD_COMPLAINTS] >= 0)
        s3r_child_listen(ffmpeg);
    return s3r_child_wait(ffmpeg);
}

/* Its first line, without the "[decoder @ address] " before it. */
static const char *first_line(s3r_child *ffmpeg)
{
    const char *line = s3r_child_complaint(ffmpeg);
    const char *end = line[0] == '[' ? strstr(line, "] ") : NULL;
    line = end ? end + 2 : line;
    return line[0] ? line : "it gave no reason";
}

static uint32_t read_word(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           (uint32_t)bytes[3];
}

/* Reads the AU header and opens sink; *is_sound false when there is no such header. */
static s3r_status read_header(s3r_audio_sink *sink, s3r_child *ffmpeg, bool *is_sound,
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

static s3r_status read_frames(s3r_audio_sink *sink, s3r_child *ffmpeg, s3r_error *err)
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
    s3r_child ffmpeg = {.ends = {-1, -1, -1}};
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
    s3r_child_stop(&ffmpeg);
    return status;
}
