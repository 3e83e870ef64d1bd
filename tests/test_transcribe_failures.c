/*
 * What goes wrong while files are transcribed: bad audio among good, outputs that cannot
 * be written, wrong options, results that are not taken, no memory.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sndfile.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support_api.h"
#include "support_audio.h"
#include "support_files.h"

#define MODEL     TEST_GOLDEN "w2v2_group_postln"
#define WAV_FLOAT (SF_FORMAT_WAV | SF_FORMAT_FLOAT)
#define WAV_PCM16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)

static s3r_error err;
static test_results results;

static s3r_status transcribe(const test_api *api, const char *const *paths, size_t count,
                             const s3r_transcribe_options *options)
{
    test_results_release(&results);
    err.message[0] = '\0';
    return s3r_transcribe(api->context, api->model, paths, count, options,
                          test_take_result, &results, &err);
}

/* ---- bad audio ---- */

static const char *write_value(const char *folder, const char *name, float value)
{
    static float samples[16000];
    const char *path = test_path(folder, name);
    test_make_speech(samples, 16000, 9);
    samples[8000] = value;
    test_write_frames(path, WAV_FLOAT, 16000, 1, samples, 16000);
    return path;
}

static const char *write_truncated(const char *folder)
{
    static unsigned char bytes[1 << 18];
    const char *path =
        test_write_speech(folder, "cut.flac", SF_FORMAT_FLAC | 2, 48000, 5);
    size_t size = test_read_file(path, bytes, sizeof bytes);
    test_write_file(path, bytes, size / 2);
    return path;
}

static const char *write_shape(const char *folder, const char *name, unsigned rate_hz,
                               unsigned channels, float amplitude)
{
    static float frames[8 * 24000];
    const char *path = test_path(folder, name);
    test_make_speech(frames, S3R_ARRAY_LEN(frames), 11);
    for (size_t i = 0; i < S3R_ARRAY_LEN(frames); i++)
        frames[i] *= amplitude;
    test_write_frames(path, WAV_PCM16, rate_hz, channels, frames, 24000);
    return path;
}

static const char *write_text(const char *folder)
{
    const char *path = test_path(folder, "notes.wav");
    test_write_file(path, "these are words, not samples\n", 29);
    return path;
}

typedef struct audio_case {
    const char *path;
    const char *said; /* part of the message; NULL = a good file */
    size_t frames;
} audio_case;

static size_t make_cases(audio_case *cases, const char *folder)
{
    const audio_case all[] = {
        {test_write_speech(folder, "first.wav", WAV_PCM16, 16000, 1), NULL, 49},
        {test_path(folder, "missing.wav"), "cannot open: No such file", 0},
        {test_write_speech(folder, "empty.wav", WAV_PCM16, 0, 1), "contains no samples",
         0},
        {test_write_speech(folder, "hundred.wav", WAV_PCM16, 100, 1), NULL, 0},
        {test_write_speech(folder, "one.wav", WAV_PCM16, 400, 1), NULL, 1},
        {write_value(folder, "nan.wav", NAN),
         "sample 8000 (0.5000 s), channel 1: expected a finite value, found ", 0},
        {write_value(folder, "inf.wav", INFINITY), "sample 8000 (0.5000 s)", 0},
        {write_truncated(folder), "truncated: the header promises 48000 frames, found ",
         0},
        {write_shape(folder, "silence.wav", 16000, 1, 0.0f), NULL, 74},
        {write_shape(folder, "eight.wav", 16000, 8, 1.0f), NULL, 74},
        {write_shape(folder, "fast.wav", 96000, 2, 1.0f), NULL, 12},
        {folder, "expected an audio file, found a folder", 0},
        {write_text(folder), "not audio that libsndfile can read", 0},
        {test_write_speech(folder, "last.wav", WAV_PCM16, 24000, 2), NULL, 74},
    };
    memcpy(cases, all, sizeof all);
    return S3R_ARRAY_LEN(all);
}

static void test_bad_files_fail_alone(void **state)
{
    (void)state;
    audio_case cases[16];
    const char *list[16], *folder = test_folder();
    size_t count = make_cases(cases, folder), failed = 0;
    test_api api;
    s3r_transcribe_options options;
    s3r_transcribe_options_init(&options);
    options.allow_ffmpeg = false;
    options.emissions_folder = test_path(folder, "out");
    test_api_open(&api, MODEL, 2, NULL);
    for (size_t i = 0; i < count; i++)
        list[i] = cases[i].path;
    s3r_status status = transcribe(&api, list, count, &options);
    assert_int_equal(results.count, count);
    for (size_t i = 0; i < count; i++) {
        const test_result *result = &results.items[i];
        assert_int_equal(result->index, i);
        if ((result->status == S3R_OK) != (cases[i].said == NULL))
            fail_msg("%s: %s", list[i], result->message);
        failed += result->status != S3R_OK;
        if (result->status == S3R_OK) {
            assert_int_equal(result->frame_count, cases[i].frames);
            assert_true(result->has_text && result->confidence > 0);
            assert_true(cases[i].frames > 0 || result->text[0] == '\0');
            continue;
        }
        assert_int_equal(result->status, S3R_ERR_DATA);
        assert_int_equal(strncmp(result->message, list[i], strlen(list[i])), 0);
        if (!strstr(result->message, cases[i].said))
            fail_msg("expected \"%s\", found \"%s\"", cases[i].said, result->message);
        assert_false(result->has_text);
    }
    test_expect_failure(status, &err, S3R_ERR_PARTIAL, "7 of 14 files failed");
    assert_int_equal(test_folder_entries(options.emissions_folder), count - failed);
    size_t rows, cols;
    s3r_free(
        test_read_npy(test_path(options.emissions_folder, "hundred.npy"), &rows, &cols));
    assert_int_equal(rows, 0);
    assert_int_equal(cols, 12);
    test_api_close(&api);
}

/* The loudest samples that are let in give finite numbers or a named failure. */
static void test_huge_samples_never_become_text_silently(void **state)
{
    (void)state;
    static const char *const models[] = {"w2v2_group_postln", "hubert_group",
                                         "w2v2_layer_preln", "wavlm_base", "odd_shapes"};
    const char *path = write_value(test_folder(), "huge.wav", 9e29f);
    for (size_t i = 0; i < S3R_ARRAY_LEN(models); i++) {
        char model_path[128];
        test_api api;
        snprintf(model_path, sizeof model_path, TEST_GOLDEN "%s", models[i]);
        test_api_open(&api, model_path, 1, NULL);
        s3r_status status = transcribe(&api, &path, 1, NULL);
        if (status == S3R_OK)
            assert_true(isfinite(results.items[0].confidence));
        else
            assert_non_null(strstr(results.items[0].message, "log-probabilities"));
        print_message("%-20s %s\n", models[i],
                      status == S3R_OK ? "finite" : results.items[0].message);
        test_api_close(&api);
    }
}

static void put_nan(const char *tensor, float *values, size_t count)
{
    if (strcmp(tensor, "lm_head.weight") == 0)
        values[count / 2] = NAN;
}

static void test_damaged_weights_are_noticed(void **state)
{
    (void)state;
    const char *path = test_write_speech(test_folder(), "a.wav", WAV_PCM16, 16000, 1);
    test_api api;
    test_api_open(&api, test_edit_model("w2v2_group_postln", put_nan), 1, NULL);
    assert_int_equal(transcribe(&api, &path, 1, NULL), S3R_ERR_PARTIAL);
    assert_int_equal(results.items[0].status, S3R_ERR_DATA);
    assert_non_null(strstr(results.items[0].message,
                           "a.wav: frame 0: expected finite log-probabilities, found "));
    test_api_close(&api);
}

/* ---- outputs ---- */

static void test_wrong_options_are_named(void **state)
{
    (void)state;
    const char *folder = test_folder(), *file = test_path(folder, "file");
    const char *list[] = {"x/a.wav", "b.wav", "y/a.flac"};
    test_write_file(file, "x", 1);
    const char *below = test_path(file, "out");
    const char *dup = test_path(folder, "dup");
    const struct {
        s3r_transcribe_options change;
        s3r_status status;
        const char *said;
    } cases[] = {
        {{.window_s = 0.5}, S3R_ERR_USAGE, "expected window >= 1 s"},
        {{.window_s = (double)NAN}, S3R_ERR_USAGE, "expected window >= 1 s"},
        {{.context_s = -1}, S3R_ERR_USAGE, "found 40, -1, 40"},
        {{.features_folder = "", .layer = 3}, S3R_ERR_USAGE, "0 to 2, found 3"},
        {{.features_folder = "", .layer = -3}, S3R_ERR_USAGE, "0 to 2, found -3"},
        {{.emissions_folder = dup},
         S3R_ERR_USAGE,
         "x/a.wav and y/a.flac would both be written to a.npy"},
        {{.emissions_folder = dup, .features_folder = dup, .layer = 1},
         S3R_ERR_USAGE,
         "dup for both"},
    };
    test_api api;
    s3r_transcribe_options options = {0};
    test_api_open(&api, MODEL, 1, NULL);
    test_expect_failure(transcribe(&api, list, 3, &options), &err, S3R_ERR_USAGE,
                        "found 0 (not initialised?)");
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_transcribe_options_init(&options);
        options.layer = cases[i].change.layer;
        options.emissions_folder = cases[i].change.emissions_folder;
        options.features_folder = cases[i].change.features_folder;
        if (cases[i].change.window_s != 0)
            options.window_s = cases[i].change.window_s;
        if (cases[i].change.context_s != 0)
            options.context_s = cases[i].change.context_s;
        test_expect_failure(transcribe(&api, list, 3, &options), &err, cases[i].status,
                            cases[i].said);
        assert_int_equal(results.count, 0);
    }
    s3r_transcribe_options_init(&options);
    options.emissions_folder = below;
    test_expect_failure(transcribe(&api, list, 2, &options), &err, S3R_ERR_RUNTIME,
                        "/file: cannot create the folder: File exists");
    test_api_close(&api);
}

static void test_models_that_have_no_text(void **state)
{
    (void)state;
    const char *path = test_write_speech(test_folder(), "a.wav", WAV_PCM16, 16000, 1);
    const char *folder = test_copy_model("w2v2_group_postln");
    test_api api;
    remove(test_path(folder, "vocab.json"));
    test_api_open(&api, folder, 1, NULL);
    test_expect_failure(transcribe(&api, &path, 1, NULL), &err, S3R_ERR_MODEL,
                        "no vocab.json or dict.*.txt beside the weights");
    test_api_close(&api);
    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt", 1,
                  NULL);
    test_expect_failure(transcribe(&api, &path, 1, NULL), &err, S3R_ERR_MODEL,
                        "pretrained_legacy.pt: has no CTC head");
    test_api_close(&api);
}

/* A limit on the size of files stands for a full disk. */
static s3r_status transcribe_with_limit(const test_api *api, const char *const *paths,
                                        size_t count,
                                        const s3r_transcribe_options *options,
                                        rlim_t limit)
{
    struct rlimit before, lower;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    lower = before;
    lower.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &lower), 0);
    s3r_status status = transcribe(api, paths, count, options);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    return status;
}

static void check_full_disk(const char *golden, double window_s)
{
    const char *folder = test_folder();
    const char *list[] = {test_write_speech(folder, "a.wav", WAV_PCM16, 600, 1),
                          test_write_speech(folder, "b.wav", WAV_PCM16, 64000, 2),
                          test_write_speech(folder, "c.wav", WAV_PCM16, 700, 3)};
    char model_path[128];
    test_api api;
    s3r_transcribe_options options;
    snprintf(model_path, sizeof model_path, TEST_GOLDEN "%s", golden);
    test_api_open(&api, model_path, 2, NULL);
    s3r_transcribe_options_init(&options);
    options.window_s = window_s;
    options.context_s = 0.1;
    options.emissions_folder = test_path(folder, "out");
    test_expect_failure(transcribe_with_limit(&api, list, 3, &options, 5000), &err,
                        S3R_ERR_PARTIAL, "1 of 3 files failed");
    assert_int_equal(results.items[1].status, S3R_ERR_RUNTIME);
    if (!strstr(results.items[1].message, "out/b.npy: cannot write: File too large"))
        fail_msg("%s", results.items[1].message);
    assert_int_equal(results.items[0].status + results.items[2].status, S3R_OK);
    assert_int_equal(test_folder_entries(options.emissions_folder), 2);
    test_expect_failure(transcribe_with_limit(&api, list, 3, &options, 0), &err,
                        S3R_ERR_PARTIAL, "3 of 3 files failed");
    assert_int_equal(test_folder_entries(options.emissions_folder), 2);
    test_api_close(&api);
}

/* When the array ends, and in the middle of a batch and of a long file. */
static void test_full_disk(void **state)
{
    (void)state;
    check_full_disk("w2v2_group_postln", 40);
    check_full_disk("hubert_group", 40);
    check_full_disk("hubert_group", 1);
}

static void test_output_in_the_way(void **state)
{
    (void)state;
    const char *folder = test_folder(), *out = test_path(folder, "out");
    const char *list[] = {test_write_speech(folder, "a.wav", WAV_PCM16, 16000, 1),
                          test_write_speech(folder, "b.wav", WAV_PCM16, 16000, 2)};
    test_api api;
    s3r_transcribe_options options;
    assert_int_equal(s3r_folder_create(test_path(out, "a.npy/x"), &err), S3R_OK);
    test_api_open(&api, MODEL, 1, NULL);
    s3r_transcribe_options_init(&options);
    options.emissions_folder = out;
    assert_int_equal(transcribe(&api, list, 2, &options), S3R_ERR_PARTIAL);
    assert_int_equal(results.items[0].status, S3R_ERR_RUNTIME);
    assert_non_null(
        strstr(results.items[0].message, "out/a.npy: expected a file, found a folder"));
    assert_int_equal(results.items[1].status, S3R_OK);
    assert_int_equal(test_folder_entries(out), 2);
    test_api_close(&api);
}

/* Short files with all their layers do not open more files than a process may. */
static void test_open_files_are_bounded(void **state)
{
    enum { COUNT = 200 };
    (void)state;
    const char *folder = test_folder(), *list[COUNT];
    struct rlimit before, lower;
    test_api api;
    s3r_transcribe_options options;
    for (size_t i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu.wav", i);
        list[i] = test_write_speech(folder, name, WAV_PCM16, 500, i);
    }
    test_api_open(&api, MODEL, 2, NULL);
    s3r_transcribe_options_init(&options);
    options.features_folder = test_path(folder, "out");
    options.layer = S3R_LAYER_ALL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    lower = before;
    lower.rlim_cur = 300;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
    s3r_status status = transcribe(&api, list, COUNT, &options);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, S3R_OK);
    assert_int_equal(test_folder_entries(options.features_folder), 3 * COUNT);
    test_api_close(&api);
}

/* ---- results ---- */

static void test_a_result_that_is_not_taken_ends_the_run(void **state)
{
    (void)state;
    const char *folder = test_folder(), *out = test_path(folder, "out");
    const char *list[] = {test_write_speech(folder, "a.wav", WAV_PCM16, 16000, 1),
                          test_path(folder, "missing.wav"),
                          test_write_speech(folder, "c.wav", WAV_PCM16, 16000, 2),
                          test_write_speech(folder, "d.wav", WAV_PCM16, 16000, 3)};
    test_api api;
    s3r_transcribe_options options;
    test_api_open(&api, MODEL, 2, NULL);
    s3r_transcribe_options_init(&options);
    options.emissions_folder = out;
    for (size_t at = 1; at <= 4; at++) {
        test_results_release(&results);
        results.abort_at = at;
        results.abort_status = S3R_ERR_RUNTIME;
        s3r_status status = s3r_transcribe(api.context, api.model, list, 4, &options,
                                           test_take_result, &results, &err);
        test_expect_failure(status, &err, S3R_ERR_RUNTIME,
                            ".wav: the result was not taken");
        assert_non_null(strstr(err.message, list[at - 1]));
        assert_int_equal(results.count, at);
    }
    assert_int_equal(transcribe(&api, list, 0, &options), S3R_OK);
    assert_int_equal(results.count, 0);
    test_api_close(&api);
}

/* ---- no memory ---- */

typedef s3r_status (*attempt_fn)(const s3r_model *model, const char *const *paths);

/* With a context of its own, so that no memory is kept from an earlier run. */
static s3r_status attempt_transcribe(const s3r_model *model, const char *const *paths)
{
    test_api api = {.model = NULL};
    s3r_context_options context_options;
    s3r_transcribe_options options;
    s3r_context_options_init(&context_options);
    context_options.thread_count = 1;
    S3R_TRY(s3r_context_create(&api.context, &context_options, &err));
    s3r_transcribe_options_init(&options);
    options.window_s = 1;
    options.context_s = 0.1;
    options.batch_s = 3;
    options.emissions_folder = test_path(paths[3], "emissions");
    s3r_status status = s3r_transcribe(api.context, model, paths, 3, &options,
                                       test_take_result, &results, &err);
    s3r_context_destroy(api.context);
    return status;
}

static s3r_status attempt_forward(const s3r_model *model, const char *const *paths)
{
    static float samples[4000];
    s3r_context *context;
    s3r_context_options options;
    float *log_probs, *hidden;
    size_t frames;
    (void)paths;
    test_make_speech(samples, 4000, 1);
    s3r_context_options_init(&options);
    options.thread_count = 2;
    S3R_TRY(s3r_context_create(&context, &options, &err));
    s3r_status status =
        s3r_forward(context, model, samples, 4000, &frames, &log_probs, &hidden, &err);
    if (status == S3R_OK) {
        s3r_buffer_free(log_probs);
        s3r_buffer_free(hidden);
    }
    s3r_context_destroy(context);
    return status;
}

static bool is_memory_failure(s3r_status status)
{
    if (status != S3R_ERR_PARTIAL)
        return status == S3R_OK || status == S3R_ERR_RESOURCE;
    for (size_t i = 0; i < results.count; i++)
        if (results.items[i].status != S3R_OK &&
            results.items[i].status != S3R_ERR_RESOURCE)
            return false;
    return true;
}

/* Each allocation fails once.  A success does not end it: some failures are harmless. */
static void survive(const s3r_model *model, attempt_fn attempt, const char *const *paths)
{
    size_t failures = 0, n = 0;
    for (bool has_struck = true; has_struck;) {
        test_results_release(&results);
        size_t before = s3r_alloc_count();
        s3r_alloc_fail_at(++n);
        s3r_status status = attempt(model, paths);
        s3r_alloc_fail_at(0);
        has_struck = s3r_alloc_count() - before >= n;
        if (!is_memory_failure(status))
            fail_msg("allocation %zu failed: %s: %s", n, s3r_status_name(status),
                     status == S3R_OK ? "" : err.message);
        failures += status != S3R_OK;
        if (!has_struck)
            assert_int_equal(status, S3R_OK);
    }
    print_message("%zu allocations, %zu failures\n", n - 1, failures);
    assert_true(failures > 5);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    const char *folder = test_folder();
    const char *paths[] = {test_write_speech(folder, "a.wav", WAV_PCM16, 4000, 1),
                           test_write_speech(folder, "b.wav", WAV_PCM16, 5000, 2),
                           test_write_speech(folder, "c.wav", WAV_PCM16, 36000, 3),
                           folder};
    test_api api;
    test_api_open(&api, MODEL, 1, NULL);
    survive(api.model, attempt_forward, paths);
    survive(api.model, attempt_transcribe, paths);
    test_api_close(&api);
}

static int release_results(void **state)
{
    (void)state;
    test_results_release(&results);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files_fail_alone),
        cmocka_unit_test(test_huge_samples_never_become_text_silently),
        cmocka_unit_test(test_damaged_weights_are_noticed),
        cmocka_unit_test(test_wrong_options_are_named),
        cmocka_unit_test(test_models_that_have_no_text),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_output_in_the_way),
        cmocka_unit_test(test_open_files_are_bounded),
        cmocka_unit_test(test_a_result_that_is_not_taken_ends_the_run),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, release_results);
}
