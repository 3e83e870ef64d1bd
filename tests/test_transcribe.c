/*
 * Transcription of whole files: the text is the decoded network, whatever the batch, the
 * threads and the windows; arrays and progress.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "api/handles.h"
#include "audio/audio_load.h"
#include "support_api.h"
#include "support_files.h"

#define WAV_FLOAT (SF_FORMAT_WAV | SF_FORMAT_FLOAT)
#define WAV_PCM16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)

static s3r_error err;
static test_results results;

static s3r_status transcribe(const test_api *api, const char *const *paths, size_t count,
                             const s3r_transcribe_options *options)
{
    test_results_release(&results);
    return s3r_transcribe(api->context, api->model, paths, count, options,
                          test_take_result, &results, &err);
}

static void expect_ok(s3r_status status)
{
    if (status == S3R_ERR_PARTIAL)
        for (size_t i = 0; i < results.count; i++)
            if (results.items[i].status != S3R_OK)
                fail_msg("%s", results.items[i].message);
    if (status != S3R_OK)
        fail_msg("%s", err.message);
}

/* ---- one file ---- */

static char *decode(const test_api *api, const float *log_probs, size_t frames,
                    size_t labels)
{
    char *text;
    uint32_t *ids = s3r_alloc(frames, sizeof *ids);
    for (size_t i = 0; i < frames; i++)
        for (size_t j = 0; j < labels; j++)
            if (log_probs[i * labels + j] > log_probs[i * labels + ids[i]])
                ids[i] = (uint32_t)j;
    assert_int_equal(
        s3r_vocabulary_decode(&api->model->vocabulary, &text, ids, frames, NULL), S3R_OK);
    s3r_free(ids);
    return text;
}

static void check_text(const char *golden)
{
    const char *folder = test_folder(), *out = test_path(folder, "deep/out");
    const char *path = test_write_speech(folder, "a.b.wav", WAV_FLOAT, 20000, 7);
    char model_path[256];
    test_api api;
    s3r_model_info info;
    s3r_transcribe_options options;
    snprintf(model_path, sizeof model_path, TEST_GOLDEN "%s", golden);
    test_api_open(&api, model_path, 2, NULL);
    s3r_model_get_info(api.model, &info);
    s3r_transcribe_options_init(&options);
    options.emissions_folder = out;
    expect_ok(transcribe(&api, &path, 1, &options));
    const test_result *result = &results.items[0];
    s3r_audio audio;
    float *log_probs, *written;
    size_t frames, rows, cols;
    assert_int_equal(s3r_audio_load(&audio, path, NULL, &err), S3R_OK);
    assert_int_equal(s3r_forward(api.context, api.model, audio.samples,
                                 audio.sample_count, &frames, &log_probs, NULL, &err),
                     S3R_OK);
    written = test_read_npy(test_path(out, "a.b.npy"), &rows, &cols);
    assert_int_equal(rows, frames);
    assert_int_equal(cols, info.label_count);
    assert_memory_equal(written, log_probs, rows * cols * sizeof(float));
    char *text = decode(&api, log_probs, frames, info.label_count);
    assert_string_equal(result->text, text);
    double sum = 0;
    for (size_t i = 0; i < frames; i++) {
        float best = log_probs[i * cols];
        for (size_t j = 1; j < cols; j++)
            best = fmaxf(best, log_probs[i * cols + j]);
        sum += (double)expf(best);
    }
    assert_true(fabs(result->confidence - sum / (double)frames) < 1e-6);
    assert_int_equal(result->frame_count, frames);
    assert_int_equal(s3r_model_frames(api.model, 20000), frames);
    assert_true(result->duration_s == 1.25);
    assert_true(fabs(result->frame_s * 16000 - (double)info.frame_stride) < 1e-9);
    print_message("%-42s \"%.60s\"\n", golden, text);
    s3r_free(text);
    s3r_free(written);
    s3r_buffer_free(log_probs);
    s3r_audio_release(&audio);
    test_api_close(&api);
}

static void test_text_is_the_decoded_network(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "w2v2_group_postln", "w2v2_layer_preln",
        "hubert_group",      "data2vec_audio",
        "wavlm_base",        "wavlm_large",
        "odd_shapes",        "w2v2_group_postln_fairseq/finetuned_zip.pt",
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        check_text(cases[i]);
}

/* ---- batches ---- */

#define FILES 12

static const char *paths[FILES], *names[FILES];

static void write_files(const char *folder)
{
    static const size_t lengths[FILES] = {9000, 100,  24000, 400, 399,  20000,
                                          3000, 5119, 12000, 720, 7000, 8000};
    for (size_t i = 0; i < FILES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu.wav", i);
        paths[i] = test_write_speech(folder, name, WAV_PCM16, lengths[i], i + 1);
        snprintf(name, sizeof name, "%zu.npy", i);
        names[i] = test_path("", name);
    }
}

static void expect_same_arrays(const char *folder, const char *expected)
{
    for (size_t i = 0; i < FILES; i++) {
        size_t rows, cols, expected_rows, expected_cols;
        float *a = test_read_npy(test_path(folder, names[i] + 1), &rows, &cols);
        float *b = test_read_npy(test_path(expected, names[i] + 1), &expected_rows,
                                 &expected_cols);
        assert_int_equal(rows, expected_rows);
        assert_int_equal(cols, expected_cols);
        assert_memory_equal(a, b, rows * cols * sizeof(float));
        s3r_free(a);
        s3r_free(b);
    }
}

/* Each file alone, then all together with 1, 2 and 3 threads. */
static void check_batches(const char *golden, const char *cpu_level,
                          const s3r_transcribe_options *base)
{
    char model_path[256];
    snprintf(model_path, sizeof model_path, TEST_GOLDEN "%s", golden);
    const char *root = test_folder(), *alone = test_path(root, "alone");
    char *texts[FILES];
    for (size_t threads = 1; threads <= 3; threads++) {
        test_api api;
        char name[16];
        s3r_transcribe_options options = *base;
        test_api_open(&api, model_path, threads, cpu_level);
        options.emissions_folder = alone;
        for (size_t i = 0; i < FILES && threads == 1; i++) {
            expect_ok(transcribe(&api, &paths[i], 1, &options));
            texts[i] = s3r_strdup(results.items[0].text);
        }
        snprintf(name, sizeof name, "%zu", threads);
        options.emissions_folder = test_path(root, name);
        expect_ok(transcribe(&api, paths, FILES, &options));
        assert_int_equal(results.count, FILES);
        for (size_t i = 0; i < FILES; i++) {
            assert_int_equal(results.items[i].index, i);
            assert_string_equal(results.items[i].text, texts[i]);
        }
        expect_same_arrays(options.emissions_folder, alone);
        test_api_close(&api);
    }
    for (size_t i = 0; i < FILES; i++)
        s3r_free(texts[i]);
}

static void test_batches_give_the_bits_of_single_files(void **state)
{
    (void)state;
    s3r_transcribe_options options;
    write_files(test_folder());
    s3r_transcribe_options_init(&options);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
        check_batches("w2v2_group_postln", s3r_cpu_level_name((s3r_cpu_level)level),
                      &options);
    check_batches("wavlm_base", NULL, &options);
    options.batch_s = 1.2; /* several batches, and files that are longer */
    check_batches("w2v2_layer_preln", NULL, &options);
}

/* Windows shorter than the batch: long files are cut with neighbours as without. */
static void test_windows_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    s3r_transcribe_options options;
    s3r_transcribe_options_init(&options);
    options.window_s = 1;
    options.context_s = 0.125;
    check_batches("w2v2_group_postln", NULL, &options);
    check_batches("hubert_layer_preln", NULL, &options);
}

/* ---- arrays of hidden states ---- */

static void expect_array(const char *folder, const char *name, size_t rows, size_t cols,
                         const float *expected)
{
    size_t found_rows, found_cols;
    float *values = test_read_npy(test_path(folder, name), &found_rows, &found_cols);
    assert_int_equal(found_rows, rows);
    assert_int_equal(found_cols, cols);
    if (expected)
        assert_memory_equal(values, expected, rows * cols * sizeof(float));
    s3r_free(values);
}

static void test_hidden_states_are_written(void **state)
{
    (void)state;
    const char *folder = test_folder(), *out = test_path(folder, "features");
    const char *path = test_write_speech(folder, "a.flac", SF_FORMAT_FLAC | 2, 16000, 4);
    test_api api;
    s3r_audio audio;
    float *hidden;
    size_t frames;
    s3r_transcribe_options options;
    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt", 2,
                  NULL);
    s3r_transcribe_options_init(&options);
    options.features_folder = out;
    expect_ok(transcribe(&api, &path, 1, &options));
    assert_false(results.items[0].has_text);
    assert_int_equal(test_folder_entries(out), 1);
    assert_int_equal(s3r_audio_load(&audio, path, NULL, &err), S3R_OK);
    assert_int_equal(s3r_forward(api.context, api.model, audio.samples,
                                 audio.sample_count, &frames, NULL, &hidden, &err),
                     S3R_OK);
    expect_array(out, "a.npy", frames, 16, hidden);
    options.features_folder = out = test_path(folder, "all");
    options.layer = S3R_LAYER_ALL;
    expect_ok(transcribe(&api, &path, 1, &options));
    assert_int_equal(test_folder_entries(out), 3);
    expect_array(out, "a.0.npy", frames, 16, NULL);
    expect_array(out, "a.1.npy", frames, 16, NULL);
    expect_array(out, "a.2.npy", frames, 16, hidden);
    options.features_folder = out = test_path(folder, "two");
    options.layer = 2;
    expect_ok(transcribe(&api, &path, 1, &options));
    expect_array(out, "a.npy", frames, 16, hidden);
    s3r_buffer_free(hidden);
    s3r_audio_release(&audio);
    test_api_close(&api);
}

/* In windows every frame of each array is written once, and emissions may be had too. */
static void test_arrays_in_windows_are_whole(void **state)
{
    (void)state;
    const char *folder = test_folder(), *out = test_path(folder, "features");
    const char *emissions = test_path(folder, "emissions");
    const char *path = test_write_speech(folder, "a.wav", WAV_PCM16, 112345, 4);
    test_api api;
    s3r_transcribe_options options;
    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln", 2, NULL);
    s3r_transcribe_options_init(&options);
    options.window_s = 1;
    options.context_s = 0.5;
    options.features_folder = out;
    options.emissions_folder = emissions;
    options.layer = S3R_LAYER_ALL;
    expect_ok(transcribe(&api, &path, 1, &options));
    size_t frames = s3r_model_frames(api.model, 112345);
    expect_array(out, "a.0.npy", frames, 16, NULL);
    expect_array(out, "a.2.npy", frames, 16, NULL);
    expect_array(emissions, "a.npy", frames, 12, NULL);
    test_api_close(&api);
}

/* ---- progress ---- */

typedef struct progress_log {
    double last_s, total_s;
    size_t calls, distinct, stop_at; /* stop_at 0 = never */
} progress_log;

static bool note_progress(void *context, double done_s, double total_s)
{
    progress_log *log = context;
    assert_true(done_s >= log->last_s);
    log->distinct += done_s > log->last_s;
    log->last_s = done_s;
    log->total_s = total_s;
    return ++log->calls != log->stop_at;
}

static void test_progress_reaches_the_total(void **state)
{
    (void)state;
    const char *folder = test_folder();
    const char *list[] = {test_write_speech(folder, "a.wav", WAV_PCM16, 16000, 1),
                          test_write_speech(folder, "b.wav", WAV_PCM16, 160000, 2)};
    test_api api;
    progress_log log = {0};
    s3r_transcribe_options options;
    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln", 2, NULL);
    s3r_transcribe_options_init(&options);
    options.progress = note_progress;
    options.progress_context = &log;
    options.window_s = options.batch_s = 1;
    options.context_s = 0.2;
    expect_ok(transcribe(&api, list, 2, &options));
    assert_true(fabs(log.last_s - 11) < 1e-9);
    assert_true(fabs(log.total_s - 11) < 1e-9);
    assert_true(log.distinct >= 10); /* within the long file too */
    test_api_close(&api);
}

static void test_progress_interrupts(void **state)
{
    (void)state;
    const char *folder = test_folder(), *out = test_path(folder, "out");
    const char *list[] = {test_write_speech(folder, "a.wav", WAV_PCM16, 16000, 1),
                          test_write_speech(folder, "b.wav", WAV_PCM16, 160000, 2)};
    test_api api;
    s3r_transcribe_options options;
    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln", 2, NULL);
    s3r_transcribe_options_init(&options);
    options.progress = note_progress;
    options.emissions_folder = out;
    options.window_s = options.batch_s = 1;
    options.context_s = 0.2;
    for (size_t stop = 1; stop <= 7; stop++) {
        progress_log log = {.stop_at = stop};
        options.progress_context = &log;
        test_expect_failure(transcribe(&api, list, 2, &options), &err,
                            S3R_ERR_INTERRUPTED, "interrupted");
        assert_int_equal(log.calls, stop);
        assert_int_equal(results.count, stop > 1);
        assert_int_equal(test_folder_entries(out), stop > 1); /* no half files */
    }
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
        cmocka_unit_test(test_text_is_the_decoded_network),
        cmocka_unit_test(test_batches_give_the_bits_of_single_files),
        cmocka_unit_test(test_windows_do_not_depend_on_the_batch),
        cmocka_unit_test(test_hidden_states_are_written),
        cmocka_unit_test(test_arrays_in_windows_are_whole),
        cmocka_unit_test(test_progress_reaches_the_total),
        cmocka_unit_test(test_progress_interrupts),
    };
    return cmocka_run_group_tests(tests, NULL, release_results);
}
