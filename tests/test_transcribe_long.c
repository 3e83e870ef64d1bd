/*
 * Long files: memory stays bounded and time grows with the length.  With S3R_LONG_TESTS=1
 * an hour, else minutes.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <sndfile.h>
#include <cmocka.h>

#include "support_api.h"
#include "support_files.h"

#define MODEL           TEST_GOLDEN "w2v2_group_postln"
#define SECOND          16000u
#define LARGEST_RSS_MIB 300.0

/* Sanitizers have memory and time of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* Half a minute of speech over and over, streamed to the file. */
static const char *write_minutes(unsigned minutes)
{
    static float samples[30 * SECOND];
    char name[32];
    snprintf(name, sizeof name, "%u.wav", minutes);
    const char *path = test_path(test_folder(), name);
    SF_INFO info = {.samplerate = (int)SECOND,
                    .channels = 1,
                    .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    assert_non_null(file);
    test_make_speech(samples, 30 * SECOND, 41);
    for (unsigned i = 0; i < 2 * minutes; i++)
        assert_int_equal(sf_writef_float(file, samples, 30 * SECOND), 30 * SECOND);
    sf_close(file);
    return path;
}

typedef struct cost {
    double seconds, peak_mib;
    size_t frames;
    s3r_status status;
} cost;

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static s3r_status keep_frames(void *context, const s3r_result *result)
{
    *(size_t *)context = result->frame_count;
    return result->status;
}

static cost transcribe_in_child(const char *path)
{
    cost result = {.status = S3R_ERR_RUNTIME};
    s3r_context *context = NULL;
    s3r_model *model = NULL;
    struct rusage usage;
    double start = now_s();
    /* One thread: nobody waits for another, which would count as processor time. */
    s3r_context_options one_thread;
    s3r_context_options_init(&one_thread);
    one_thread.thread_count = 1;
    result.status = s3r_context_create(&context, &one_thread, NULL);
    if (result.status == S3R_OK)
        result.status = s3r_model_open(&model, context, MODEL, NULL, NULL);
    if (result.status == S3R_OK)
        result.status = s3r_transcribe(context, model, &path, 1, NULL, keep_frames,
                                       &result.frames, NULL);
    s3r_model_close(model);
    s3r_context_destroy(context);
    result.seconds = now_s() - start;
    getrusage(RUSAGE_SELF, &usage);
    result.peak_mib = (double)usage.ru_maxrss / 1024;
    return result;
}

/* In a process of its own: the peak is that of this one file. */
static cost measure(const char *path)
{
    cost result;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        result = transcribe_in_child(path);
        ssize_t written = write(ends[1], &result, sizeof result);
        _exit(written == (ssize_t)sizeof result ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &result, sizeof result), sizeof result);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    return result;
}

static void test_long_files_take_bounded_memory(void **state)
{
    (void)state;
    const char *wish = getenv("S3R_LONG_TESTS");
    bool is_long = wish && strcmp(wish, "1") == 0;
    const unsigned lengths[] = {is_long ? 20 : 3, is_long ? 60 : 6};
    cost costs[2];
    for (size_t i = 0; i < 2; i++) {
        costs[i] = measure(write_minutes(lengths[i]));
        print_message("%u min: %.1f s, peak %.0f MiB, %zu frames\n", lengths[i],
                      costs[i].seconds, costs[i].peak_mib, costs[i].frames);
        assert_int_equal(costs[i].status, S3R_OK);
        assert_int_equal(costs[i].frames, (lengths[i] * 60 * SECOND - 80) / 320);
        assert_true(IS_SANITIZED || costs[i].peak_mib < LARGEST_RSS_MIB);
    }
    double growth = (double)lengths[1] / (double)lengths[0];
    assert_true(IS_SANITIZED || costs[1].seconds < 2.0 * growth * costs[0].seconds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_files_take_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
