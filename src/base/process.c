/*
 * A child with three sockets instead of pipes: a socket can be born close-on-exec, so no
 * child of another thread inherits our ends, and it can be written without SIGPIPE.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

extern char **environ;

enum { INPUT, OUTPUT, COMPLAINTS, END_COUNT };

typedef struct child {
    const s3r_process *process;
    pid_t pid; /* 0 = none */
    int ends[END_COUNT];
    size_t sent;
    char *output;
    size_t length, capacity;
    bool is_too_long, has_no_memory;
    size_t said_length;
    char said[512]; /* start of its standard error */
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
static int spawn(child *c, const int theirs[END_COUNT])
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
    for (int i = 0; i < END_COUNT && reason == 0; i++)
        reason = posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
    if (reason == 0) {
        /* The interface takes them as mutable and does not change them. */
        char *const *arguments = (char *const *)(uintptr_t)c->process->arguments;
        reason = posix_spawnp(&c->pid, arguments[0], &actions, &attributes, arguments,
                              environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (reason != 0)
        c->pid = 0;
    return reason;
}

static s3r_status start(child *c, bool *is_missing, s3r_error *err)
{
    int theirs[END_COUNT] = {-1, -1, -1}, reason = 0;
    for (int i = 0; i < END_COUNT && reason == 0; i++) {
        int ends[2];
        if (!open_channel(ends))
            reason = errno;
        c->ends[i] = ends[0];
        theirs[i] = ends[1];
    }
    if (reason == 0)
        reason = spawn(c, theirs);
    for (int i = 0; i < END_COUNT; i++)
        close_end(&theirs[i]);
    if (reason == 0)
        return S3R_OK;
    if (is_missing)
        *is_missing = reason == ENOENT;
    return s3r_fail(
        err, reason == ENOMEM || reason == EAGAIN ? S3R_ERR_RESOURCE : S3R_ERR_RUNTIME,
        "cannot run %s: %s", c->process->arguments[0], strerror(reason));
}

/* A program that does not want its input is no failure. */
static void send_input(child *c)
{
    size_t left = c->process->input_bytes - c->sent;
    ssize_t sent = left > 0 ? send(c->ends[INPUT], c->process->input + c->sent, left,
                                   MSG_NOSIGNAL | MSG_DONTWAIT)
                            : 0;
    if (sent > 0)
        c->sent += (size_t)sent;
    bool may_go_on =
        sent >= 0 || errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
    if (!may_go_on || c->sent == c->process->input_bytes)
        close_end(&c->ends[INPUT]);
}

static bool make_room(child *c)
{
    if (c->length + 1 < c->capacity)
        return true;
    size_t larger = c->capacity ? 2 * c->capacity : 4096;
    char *grown = s3r_realloc(c->output, c->capacity, larger, 1);
    if (!grown)
        return false;
    c->output = grown;
    c->capacity = larger;
    return true;
}

static void read_output(child *c)
{
    if (!make_room(c)) {
        c->has_no_memory = true;
        close_end(&c->ends[OUTPUT]);
        return;
    }
    ssize_t got =
        read(c->ends[OUTPUT], c->output + c->length, c->capacity - 1 - c->length);
    if (got > 0)
        c->length += (size_t)got;
    c->is_too_long = c->length > c->process->max_output_bytes;
    if (got == 0 || (got < 0 && errno != EINTR) || c->is_too_long)
        close_end(&c->ends[OUTPUT]);
}

static void listen_to_complaints(child *c)
{
    char text[512];
    ssize_t got = read(c->ends[COMPLAINTS], text, sizeof text);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        close_end(&c->ends[COMPLAINTS]);
        return;
    }
    size_t room = sizeof c->said - 1 - c->said_length;
    size_t kept = S3R_MIN((size_t)got, room);
    memcpy(c->said + c->said_length, text, kept);
    c->said_length += kept;
}

static void talk(child *c)
{
    while (c->ends[OUTPUT] >= 0 || c->ends[COMPLAINTS] >= 0) {
        struct pollfd ends[END_COUNT] = {{c->ends[INPUT], POLLOUT, 0},
                                         {c->ends[OUTPUT], POLLIN, 0},
                                         {c->ends[COMPLAINTS], POLLIN, 0}};
        if (poll(ends, END_COUNT, -1) < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        if (ends[INPUT].revents)
            send_input(c);
        if (ends[OUTPUT].revents)
            read_output(c);
        if (ends[COMPLAINTS].revents)
            listen_to_complaints(c);
        if (c->has_no_memory || c->is_too_long)
            break;
    }
    if (c->has_no_memory || c->is_too_long)
        kill(c->pid, SIGKILL);
}

/* Whether it ended well.  A host that ignores SIGCHLD leaves no exit status to see. */
static bool wait_for_end(child *c)
{
    int state = 0;
    pid_t waited;
    for (int i = 0; i < END_COUNT; i++)
        close_end(&c->ends[i]);
    do {
        waited = waitpid(c->pid, &state, 0);
    } while (waited < 0 && errno == EINTR);
    return waited < 0 || (WIFEXITED(state) && WEXITSTATUS(state) == 0);
}

/* The first line of what it said, without what a terminal could take as a command. */
static const char *first_line(child *c)
{
    c->said[c->said_length] = '\0';
    c->said[strcspn(c->said, "\r\n")] = '\0';
    for (char *at = c->said; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    return c->said[0] ? c->said : "it gave no reason";
}

s3r_status s3r_process_run(const s3r_process *process, char **output,
                           size_t *output_bytes, bool *is_missing, s3r_error *err)
{
    child c = {.process = process, .ends = {-1, -1, -1}};
    const char *name = process->arguments[0];
    if (is_missing)
        *is_missing = false;
    s3r_status status = start(&c, is_missing, err);
    if (status != S3R_OK) {
        for (int i = 0; i < END_COUNT; i++)
            close_end(&c.ends[i]);
        return status;
    }
    talk(&c);
    bool is_well = wait_for_end(&c);
    if (c.is_too_long)
        status =
            s3r_fail(err, S3R_ERR_RESOURCE, "%s: expected at most %zu bytes of output",
                     name, process->max_output_bytes);
    else if (c.has_no_memory || (is_well && !make_room(&c)))
        status = s3r_fail_memory(err, "the output of a program", c.length);
    else if (!is_well)
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s failed: %s", name, first_line(&c));
    if (status != S3R_OK) {
        s3r_free(c.output);
        return status;
    }
    c.output[c.length] = '\0';
    *output = c.output;
    *output_bytes = c.length;
    return S3R_OK;
}
