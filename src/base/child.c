/*
 * posix_spawn with three socket pairs.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void close_number(int *number)
{
    if (*number >= 0)
        close(*number);
    *number = -1;
}

/* ends[0] is ours.  The child's end is kept off the numbers 0 to 2, onto which the child
 * will duplicate it. */
static bool open_channel(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        ends[0] = ends[1] = -1;
        return false;
    }
    int moved = fcntl(ends[1], F_DUPFD_CLOEXEC, S3R_CHILD_ENDS);
    if (moved < 0) {
        int reason = errno;
        close_number(&ends[0]);
        close_number(&ends[1]);
        errno = reason;
        return false;
    }
    close(ends[1]);
    ends[1] = moved;
    return true;
}

/* 0 or an errno.  Signals are as in a fresh program, whatever the caller has set. */
static int spawn(s3r_child *child, const char *const *arguments,
                 const int theirs[S3R_CHILD_ENDS])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, pipe_signal;
    pid_t pid = 0;
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
    for (int i = 0; i < S3R_CHILD_ENDS && reason == 0; i++)
        reason = posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
    if (reason == 0) {
        /* The interface takes them as mutable and does not change them. */
        char *const *mutable_arguments = (char *const *)(uintptr_t)arguments;
        reason = posix_spawnp(&pid, arguments[0], &actions, &attributes,
                              mutable_arguments, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    child->pid = reason == 0 ? (int)pid : 0;
    return reason;
}

int s3r_child_start(s3r_child *child, const char *const *arguments)
{
    int theirs[S3R_CHILD_ENDS] = {-1, -1, -1}, reason = 0;
    *child = (s3r_child){.ends = {-1, -1, -1}};
    for (int i = 0; i < S3R_CHILD_ENDS && reason == 0; i++) {
        int ends[2];
        if (!open_channel(ends))
            reason = errno;
        child->ends[i] = ends[0];
        theirs[i] = ends[1];
    }
    if (reason == 0)
        reason = spawn(child, arguments, theirs);
    for (int i = 0; i < S3R_CHILD_ENDS; i++) {
        close_number(&theirs[i]);
        if (reason != 0)
            close_number(&child->ends[i]);
    }
    return reason;
}

void s3r_child_close_end(s3r_child *child, int end)
{
    close_number(&child->ends[end]);
}

void s3r_child_listen(s3r_child *child)
{
    char text[512];
    ssize_t got = read(child->ends[S3R_CHILD_COMPLAINTS], text, sizeof text);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        close_number(&child->ends[S3R_CHILD_COMPLAINTS]);
        return;
    }
    size_t room = sizeof child->said - 1 - child->said_length;
    size_t kept = S3R_MIN((size_t)got, room);
    memcpy(child->said + child->said_length, text, kept);
    child->said_length += kept;
}

bool s3r_child_wait(s3r_child *child)
{
    int state = 0;
    pid_t waited;
    for (int i = 0; i < S3R_CHILD_ENDS; i++)
        close_number(&child->ends[i]);
    do {
        waited = waitpid(child->pid, &state, 0);
    } while (waited < 0 && errno == EINTR);
    child->pid = 0;
    return waited < 0 || (WIFEXITED(state) && WEXITSTATUS(state) == 0);
}

void s3r_child_stop(s3r_child *child)
{
    if (child->pid <= 0)
        return;
    kill(child->pid, SIGKILL);
    (void)s3r_child_wait(child);
}

const char *s3r_child_complaint(s3r_child *child)
{
    child->said[child->said_length] = '\0';
    child->said[strcspn(child->said, "\r\n")] = '\0';
    for (char *at = child->said; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    return child->said;
}
