/*
 * One loop that feeds the child, reads its output and keeps the start of its complaints.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/process.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/child.h"
#include "base/memory.h"

typedef struct conversation {
    const s3r_process *process;
    s3r_child child;
    size_t sent;
    char *output;
    size_t length, capacity;
    bool is_too_long, has_no_memory;
} conversation;

static s3r_status start(conversation *c, bool *is_missing, s3r_error *err)
{
    int reason = s3r_child_start(&c->child, c->process->arguments);
    if (is_missing)
        *is_missing = reason == ENOENT;
    if (reason == 0)
        return S3R_OK;
    return s3r_fail(
        err, reason == ENOMEM || reason == EAGAIN ? S3R_ERR_RESOURCE : S3R_ERR_RUNTIME,
        "cannot run %s: %s", c->process->arguments[0], strerror(reason));
}

/* A program that does not want its input is no failure. */
static void send_input(conversation *c)
{
    size_t left = c->process->input_bytes - c->sent;
    ssize_t sent = left > 0
                       ? send(c->child.ends[S3R_CHILD_INPUT], c->process->input + c->sent,
                              left, MSG_NOSIGNAL | MSG_DONTWAIT)
                       : 0;
    if (sent > 0)
        c->sent += (size_t)sent;
    bool may_go_on =
        sent >= 0 || errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
    if (!may_go_on || c->sent == c->process->input_bytes)
        s3r_child_close_end(&c->child, S3R_CHILD_INPUT);
}

static bool make_room(conversation *c)
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

static void read_output(conversation *c)
{
    if (!make_room(c)) {
        c->has_no_memory = true;
        s3r_child_close_end(&c->child, S3R_CHILD_OUTPUT);
        return;
    }
    ssize_t got = read(c->child.ends[S3R_CHILD_OUTPUT], c->output + c->length,
                       c->capacity - 1 - c->length);
    if (got > 0)
        c->length += (size_t)got;
    c->is_too_long = c->length > c->process->max_output_bytes;
    if (got == 0 || (got < 0 && errno != EINTR) || c->is_too_long)
        s3r_child_close_end(&c->child, S3R_CHILD_OUTPUT);
}

static void talk(conversation *c)
{
    while (c->child.ends[S3R_CHILD_OUTPUT] >= 0 ||
           c->child.ends[S3R_CHILD_COMPLAINTS] >= 0) {
        struct pollfd ends[S3R_CHILD_ENDS] = {
            {c->child.ends[S3R_CHILD_INPUT], POLLOUT, 0},
            {c->child.ends[S3R_CHILD_OUTPUT], POLLIN, 0},
            {c->child.ends[S3R_CHILD_COMPLAINTS], POLLIN, 0}};
        if (poll(ends, S3R_CHILD_ENDS, -1) < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        if (ends[S3R_CHILD_INPUT].revents)
            send_input(c);
        if (ends[S3R_CHILD_OUTPUT].revents)
            read_output(c);
        if (ends[S3R_CHILD_COMPLAINTS].revents)
            s3r_child_listen(&c->child);
        if (c->has_no_memory || c->is_too_long)
            break;
    }
}

s3r_status s3r_process_run(const s3r_process *process, char **output,
                           size_t *output_bytes, bool *is_missing, s3r_error *err)
{
    conversation c = {.process = process};
    const char *name = process->arguments[0];
    s3r_status status = start(&c, is_missing, err);
    if (status != S3R_OK)
        return status;
    talk(&c);
    bool is_cut = c.has_no_memory || c.is_too_long;
    if (is_cut)
        s3r_child_stop(&c.child);
    bool is_well = !is_cut && s3r_child_wait(&c.child);
    const char *complaint = s3r_child_complaint(&c.child);
    if (c.is_too_long)
        status =
            s3r_fail(err, S3R_ERR_RESOURCE, "%s: expected at most %zu bytes of output",
                     name, process->max_output_bytes);
    else if (c.has_no_memory || (is_well && !make_room(&c)))
        status = s3r_fail_memory(err, "the output of a program", c.length);
    else if (!is_well)
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s failed: %s", name,
                          complaint[0] ? complaint : "it gave no reason");
    if (status != S3R_OK) {
        s3r_free(c.output);
        return status;
    }
    c.output[c.length] = '\0';
    *output = c.output;
    *output_bytes = c.length;
    return S3R_OK;
}
