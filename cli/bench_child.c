/*
 * Measuring the network on noise.  The child runs once to warm up, then `rounds` times,
 * and sends its result through a pipe.
 */
#define _POSIX_C_SOURCE 200809L
#include "bench_child.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <s3r/transcribe.h>

/* What goes through the pipe. */
typedef struct report {
    s3r_status status;
    s3r_bench_times times;
    s3r_error err;
} report;

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static size_t peak_bytes(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoull(line + 6, NULL, 10);
    fclose(file);
    return (size_t)kib * 1024;
}

/* Uniform in [-0.1, 0.1], always the same. */
static float *make_noise(size_t count)
{
    float *noise =
        count < SIZE_MAX / sizeof *noise ? malloc(count * sizeof *noise) : NULL;
    uint64_t state = 1;
    for (size_t i = 0; noise && i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        noise[i] = 0.1f * ((float)(state >> 40) / (float)(1 << 23) - 1.0f);
    }
    return noise;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(s3r_bench_times *times, double *seconds, size_t count)
{
    qsort(seconds, count, sizeof *seconds, compare_doubles);
    times->min_s = seconds[0];
    times->median_s = count % 2 ? seconds[count / 2]
                                : (seconds[count / 2 - 1] + seconds[count / 2]) / 2;
}

static s3r_status run_once(const s3r_session *session, const float *noise, size_t count,
                           size_t *frames, s3r_error *err)
{
    s3r_model_info info;
    float *log_probs = NULL, *hidden = NULL;
    s3r_model_get_info(session->model, &info);
    s3r_status status = s3r_forward(session->context, session->model, noise, count,
                                    frames, info.has_head ? &log_probs : NULL,
                                    info.has_head ? NULL : &hidden, err);
    s3r_buffer_free(log_probs);
    s3r_buffer_free(hidden);
    return status;
}

static s3r_status run_rounds(s3r_bench_times *times, const s3r_session *session,
                             const s3r_bench_case *what, s3r_error *err)
{
    s3r_model_info info;
    s3r_model_get_info(session->model, &info);
    size_t count = (size_t)(what->seconds * info.sample_rate_hz);
    float *noise = make_noise(count);
    double *seconds = calloc(what->rounds, sizeof *seconds);
    s3r_status status = noise && seconds
                            ? S3R_OK
                            : s3r_cli_fail(err, S3R_ERR_RESOURCE, "bench: no memory");
    if (status == S3R_OK)
        status = run_once(session, noise, count, &times->frame_count, err);
    size_t prepared = info.prepared_bytes;
    s3r_model_get_info(session->model, &info);
    times->is_packed = info.prepared_bytes > prepared;
    for (size_t i = 0; i < what->rounds && status == S3R_OK; i++) {
        double start = now_s();
        status = run_once(session, noise, count, &times->frame_count, err);
        seconds[i] = now_s() - start;
    }
    if (status == S3R_OK)
        summarise(times, seconds, what->rounds);
    free(noise);
    free(seconds);
    return status;
}

static void run_child(report *out, const s3r_command *command, const s3r_bench_case *what)
{
    s3r_session session;
    s3r_command steady = *command; /* after the pass that warms up */
    if (steady.global.weights == S3R_WEIGHTS_AUTO)
        steady.global.weights = S3R_WEIGHTS_PACKED;
    double start = now_s();
    out->status = s3r_session_open(&session, &steady, &what->session, &out->err);
    out->times.open_s = now_s() - start;
    if (out->status == S3R_OK)
        out->status = run_rounds(&out->times, &session, what, &out->err);
    out->times.peak_bytes = peak_bytes();
    s3r_session_close(&session);
}

static bool write_all(int file, const void *data, size_t size)
{
    const char *from = data;
    while (size > 0) {
        ssize_t written = write(file, from, size);
        if (written < 0 && errno != EINTR)
            return false;
        from += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* True when all of data arrived. */
static bool read_all(int file, void *data, size_t size)
{
    char *to = data;
    while (size > 0) {
        ssize_t got = read(file, to, size);
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        to += got > 0 ? got : 0;
        size -= got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* Waits for the child; err when it sent no report. */
static s3r_status collect(report *in, pid_t child, int file, s3r_error *err)
{
    int state = 0;
    bool is_complete = read_all(file, in, sizeof *in);
    while (waitpid(child, &state, 0) < 0 && errno == EINTR)
        continue;
    if (is_complete)
        return S3R_OK;
    if (WIFSIGNALED(state))
        return s3r_cli_fail(
            err, S3R_ERR_RESOURCE, "bench: the measurement was ended by signal %d%s",
            WTERMSIG(state), WTERMSIG(state) == 9 ? " (out of memory?)" : "");
    return s3r_cli_fail(err, S3R_ERR_RUNTIME, "bench: the measurement ended early");
}

/* Only in the child: sends a report and ends the process. */
static void be_child(int file, const s3r_command *command, const s3r_bench_case *what)
{
    report *sent = calloc(1, sizeof *sent);
    bool is_sent = false;
    if (sent) {
        run_child(sent, command, what);
        is_sent = write_all(file, sent, sizeof *sent);
    }
    free(sent);
    _exit(is_sent ? 0 : 1);
}

s3r_status s3r_bench_measure(s3r_bench_times *out, const s3r_command *command,
                             const s3r_bench_case *what, s3r_error *err)
{
    int ends[2];
    report *received = calloc(1, sizeof *received);
    if (!received)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "bench: no memory");
    fflush(NULL); /* or the child would write what waits here once more */
    s3r_status status = S3R_OK;
    pid_t child = -1;
    if (pipe(ends) != 0) {
        status =
            s3r_cli_fail(err, S3R_ERR_RUNTIME, "bench: no pipe: %s", strerror(errno));
        free(received);
        return status;
    }
    child = fork();
    if (child == 0)
        be_child(ends[1], command, what);
    close(ends[1]);
    if (child < 0)
        status =
            s3r_cli_fail(err, S3R_ERR_RUNTIME, "bench: no process: %s", strerror(errno));
    else
        status = collect(received, child, ends[0], err);
    close(ends[0]);
    if (status == S3R_OK && received->status != S3R_OK) {
        *err = received->err;
        status = received->status;
    }
    if (status == S3R_OK)
        *out = received->times;
    free(received);
    return status;
}
