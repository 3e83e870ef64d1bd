/*
 * Contexts: levels, threads, wrong options, faults; two contexts on one model at once.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cpu_level.h"
#include "base/memory.h"
#include "support_alloc_faults.h"
#include "support_api.h"

static s3r_error err;

static void test_every_level_of_this_machine(void **state)
{
    (void)state;
    for (int level = 0; level < S3R_CPU_LEVEL_COUNT; level++) {
        s3r_context *context = NULL;
        s3r_context_options options;
        s3r_context_options_init(&options);
        options.cpu_level = s3r_cpu_level_name((s3r_cpu_level)level);
        options.thread_count = (size_t)level + 1;
        s3r_status status = s3r_context_create(&context, &options, &err);
        if (level > (int)s3r_cpu_detect()) {
            test_expect_failure(status, &err, S3R_ERR_USAGE, "this machine has only");
            assert_null(context);
            continue;
        }
        assert_int_equal(status, S3R_OK);
        assert_string_equal(s3r_context_cpu_level(context), options.cpu_level);
        assert_int_equal(s3r_context_threads(context), level + 1);
        s3r_context_destroy(context);
    }
}

static void expect_level(const char *expected)
{
    s3r_context *context;
    assert_int_equal(s3r_context_create(&context, NULL, NULL), S3R_OK);
    assert_string_equal(s3r_context_cpu_level(context), expected);
    assert_true(s3r_context_threads(context) >= 1);
    s3r_context_destroy(context);
}

/* The best level, or what the environment says; that of the whole run is given back. */
static void test_defaults(void **state)
{
    (void)state;
    const char *outer = getenv("S3R_CPU");
    char kept[32] = "";
    if (outer)
        snprintf(kept, sizeof kept, "%s", outer);
    assert_int_equal(unsetenv("S3R_CPU"), 0);
    expect_level(s3r_cpu_level_name(s3r_cpu_detect()));
    assert_int_equal(setenv("S3R_CPU", "portable", 1), 0);
    expect_level("portable");
    if (outer)
        assert_int_equal(setenv("S3R_CPU", kept, 1), 0);
    else
        assert_int_equal(unsetenv("S3R_CPU"), 0);
    s3r_context_destroy(NULL);
}

static void test_wrong_options_are_named(void **state)
{
    (void)state;
    s3r_context *context = NULL;
    s3r_context_options options = {0};
    test_expect_failure(s3r_context_create(&context, &options, &err), &err, S3R_ERR_USAGE,
                        "found 0 (not initialised?)");
    s3r_context_options_init(&options);
    options.cpu_level = "sse9";
    test_expect_failure(s3r_context_create(&context, &options, &err), &err, S3R_ERR_USAGE,
                        "avx512bf16, found \"sse9\"");
    assert_int_equal(s3r_context_create(&context, &options, NULL), S3R_ERR_USAGE);
    assert_null(context);
}

static s3r_status attempt_create(void *unused, s3r_error *error)
{
    (void)unused;
    s3r_context *context;
    s3r_context_options options;
    s3r_context_options_init(&options);
    options.thread_count = 3;
    S3R_TRY(s3r_context_create(&context, &options, error));
    s3r_context_destroy(context);
    return S3R_OK;
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    test_survives_alloc_faults(attempt_create, NULL);
}

/* ---- two threads ---- */

#define SHARED_SAMPLES 24000u
#define SHARED_RUNS    4

typedef struct shared_run {
    const s3r_model *model;
    const float *samples;
    size_t threads, frames;
    float *log_probs[SHARED_RUNS];
    s3r_status status;
} shared_run;

static void *run_shared(void *argument)
{
    shared_run *run = argument;
    s3r_context *context;
    s3r_context_options options;
    s3r_context_options_init(&options);
    options.thread_count = run->threads;
    run->status = s3r_context_create(&context, &options, NULL);
    if (run->status != S3R_OK)
        return NULL;
    for (int i = 0; i < SHARED_RUNS && run->status == S3R_OK; i++)
        run->status = s3r_forward(context, run->model, run->samples, SHARED_SAMPLES,
                                  &run->frames, &run->log_probs[i], NULL, NULL);
    s3r_context_destroy(context);
    return NULL;
}

static void check_shared(const char *golden)
{
    static float samples[SHARED_SAMPLES];
    char path[256];
    test_api api;
    snprintf(path, sizeof path, TEST_GOLDEN "%s", golden);
    test_api_open(&api, path, 1, NULL);
    test_make_speech(samples, SHARED_SAMPLES, 3);
    shared_run runs[2] = {{.model = api.model, .samples = samples, .threads = 1},
                          {.model = api.model, .samples = samples, .threads = 2}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_shared, &runs[i]), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    s3r_model_info info;
    s3r_model_get_info(api.model, &info);
    assert_int_equal(runs[0].frames, s3r_model_frames(api.model, SHARED_SAMPLES));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(runs[i].status, S3R_OK);
        for (int k = 0; k < SHARED_RUNS; k++) {
            assert_memory_equal(runs[i].log_probs[k], runs[0].log_probs[0],
                                runs[0].frames * info.label_count * sizeof(float));
            if (i + (size_t)k > 0)
                s3r_buffer_free(runs[i].log_probs[k]);
        }
    }
    s3r_buffer_free(runs[0].log_probs[0]);
    test_api_close(&api);
}

static void test_two_contexts_share_a_model(void **state)
{
    (void)state;
    check_shared("w2v2_group_postln");
    check_shared("wavlm_base");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_level_of_this_machine),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_wrong_options_are_named),
        cmocka_unit_test(test_allocation_failures_are_survived),
        cmocka_unit_test(test_two_contexts_share_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
