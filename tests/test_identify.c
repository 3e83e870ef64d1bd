/*
 * Identifying languages: a file gives the same bits alone, in any batch, in windows as
 * training sees it and with any number of threads; failing files, and confusions.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sndfile.h>

#include "base/memory.h"
#include "s3r/identify.h"
#include "support_api.h"
#include "support_audio.h"
#include "support_files.h"
#include "support_mask.h"
#include "support_tiny_model.h"

enum { FILES = 6, LANGUAGES = 4, RATE = 16000 };

static s3r_error err;
static const char *folder, *model_path, *mask_path;
static const char *paths[FILES];
/* The second is longer than a window of 2 s. */
static const size_t lengths[FILES] = {9000, 100000, 24000, 16000, 40000, 12345};

typedef struct kept {
    s3r_status status[FILES + 2];
    double probability[FILES + 2][LANGUAGES]; /* by language, not by place */
    char first[FILES + 2][8], message[FILES + 2][256];
    double duration_s[FILES + 2];
    size_t count, stop_at; /* the result with this number is not taken; 0 = none */
} kept;

static s3r_status keep(void *context, const s3r_result *result)
{
    kept *k = context;
    size_t i = result->index;
    assert_int_equal(i, k->count); /* in order */
    k->count++;
    k->status[i] = result->status;
    k->duration_s[i] = result->duration_s;
    snprintf(k->message[i], sizeof k->message[i], "%s", result->message);
    assert_null(result->text);
    if (result->status != S3R_OK) {
        assert_null(result->languages);
        return S3R_OK;
    }
    double sum = 0, before = 1;
    assert_int_equal(result->language_count, LANGUAGES);
    assert_true(result->confidence == result->languages[0].probability);
    snprintf(k->first[i], sizeof k->first[i], "%s", result->languages[0].name);
    for (size_t c = 0; c < LANGUAGES; c++) {
        const s3r_language *language = &result->languages[c];
        assert_true(language->probability <= before && language->probability >= 0);
        before = language->probability;
        sum += before;
        k->probability[i][atoi(language->name + 1)] = before;
    }
    assert_true(fabs(sum - 1) < 1e-12);
    return k->count == k->stop_at ? S3R_ERR_RUNTIME : S3R_OK;
}

static void set_up(void)
{
    const test_mask_options mask = {.has_masks = true,
                                    .sparsity = 0.2,
                                    .labels = LANGUAGES,
                                    .identifies_languages = true,
                                    .seed = 9};
    folder = test_folder();
    model_path = test_path(folder, "tiny");
    mask_path = test_path(folder, "lid.s3m");
    assert_int_equal(test_tiny_model_write(model_path, 1, &err), S3R_OK);
    assert_int_equal(test_mask_write(mask_path, model_path, &mask, &err), S3R_OK);
    for (size_t i = 0; i < FILES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu.wav", i);
        paths[i] = test_write_speech(folder, name, SF_FORMAT_WAV | SF_FORMAT_PCM_16,
                                     lengths[i], i);
    }
}

static void open_api(test_api *api, size_t threads)
{
    s3r_context_options options;
    s3r_model_options with_mask;
    s3r_context_options_init(&options);
    s3r_model_options_init(&with_mask);
    options.thread_count = threads;
    with_mask.mask_path = mask_path;
    if (s3r_context_create(&api->context, &options, &err) != S3R_OK ||
        s3r_model_open(&api->model, api->context, model_path, &with_mask, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static s3r_identify_options small_windows(double batch_s)
{
    s3r_identify_options options;
    s3r_identify_options_init(&options);
    options.window_s = 2;
    options.context_s = 0.5;
    options.batch_s = batch_s;
    return options;
}

static void expect_same(const kept *a, size_t i, const kept *b, size_t j)
{
    assert_memory_equal(a->probability[i], b->probability[j], sizeof a->probability[i]);
    assert_string_equal(a->first[i], b->first[j]);
}

/* ---- the same bits ---- */

static void test_batches(void **state)
{
    (void)state;
    static const double batches[] = {0.1, 1, 3, 1000};
    test_api api;
    static kept alone;
    open_api(&api, 1);
    for (size_t i = 0; i < FILES; i++) {
        kept one = {0};
        s3r_identify_options options = small_windows(1);
        assert_int_equal(s3r_identify(api.context, api.model, &paths[i], 1, &options,
                                      keep, &one, &err),
                         S3R_OK);
        memcpy(alone.probability[i], one.probability[0], sizeof one.probability[0]);
        memcpy(alone.first[i], one.first[0], sizeof one.first[0]);
        assert_true(one.duration_s[0] == (double)lengths[i] / RATE);
    }
    /* Files differ, so that a mistake would show. */
    for (size_t i = 1; i < FILES; i++)
        assert_memory_not_equal(alone.probability[i], alone.probability[0],
                                sizeof alone.probability[0]);
    test_api_close(&api);
    for (size_t b = 0; b < S3R_ARRAY_LEN(batches); b++) {
        kept all = {0};
        s3r_identify_options options = small_windows(batches[b]);
        open_api(&api, 1 + b % 3);
        assert_int_equal(s3r_identify(api.context, api.model, paths, FILES, &options,
                                      keep, &all, &err),
                         S3R_OK);
        assert_int_equal(all.count, FILES);
        for (size_t i = 0; i < FILES; i++)
            expect_same(&all, i, &alone, i);
        test_api_close(&api);
    }
}

/* The definition: softmax of a linear layer of the mean of what s3r_forward gives. */
static void test_definition(void **state)
{
    (void)state;
    enum { WIDTH = 64 };
    test_api api;
    kept one = {0};
    s3r_mask_file file;
    size_t frames;
    float *hidden;
    open_api(&api, 1);
    assert_int_equal(
        s3r_identify(api.context, api.model, &paths[2], 1, NULL, keep, &one, &err),
        S3R_OK);
    s3r_audio audio = test_load_audio(paths[2], NULL);
    assert_int_equal(s3r_forward(api.context, api.model, audio.samples,
                                 audio.sample_count, &frames, NULL, &hidden, &err),
                     S3R_OK);
    assert_int_equal(s3r_mask_file_open(&file, mask_path, &err), S3R_OK);
    const s3r_tensor *weight = s3r_mask_file_find(&file, "head/weight");
    const s3r_tensor *bias = s3r_mask_file_find(&file, "head/bias");
    double logits[LANGUAGES], sum = 0;
    assert_int_equal(weight->shape[1], WIDTH);
    for (size_t c = 0; c < LANGUAGES; c++) {
        float w[WIDTH], b;
        memcpy(w, (const char *)weight->data + c * sizeof w, sizeof w);
        memcpy(&b, (const char *)bias->data + c * sizeof b, sizeof b);
        logits[c] = (double)b;
        for (size_t j = 0; j < WIDTH; j++) {
            double mean = 0;
            for (size_t i = 0; i < frames; i++)
                mean += (double)hidden[i * WIDTH + j] / (double)frames;
            logits[c] += mean * (double)w[j];
        }
        sum += exp(logits[c]);
    }
    for (size_t c = 0; c < LANGUAGES; c++) /* means are rounded to fp32 */
        assert_true(fabs(one.probability[0][c] - exp(logits[c]) / sum) < 1e-6);
    s3r_mask_file_close(&file);
    s3r_audio_release(&audio);
    s3r_buffer_free(hidden);
    test_api_close(&api);
}

/* ---- failures ---- */

static void test_failures(void **state)
{
    (void)state;
    const char *list[] = {
        paths[0],
        test_path(folder, "nothing.wav"),
        test_write_speech(folder, "tiny.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 100, 1),
        paths[3],
        test_path(folder, "huge.wav"),
        paths[1]};
    enum { COUNT = 6 };
    static float huge[RATE];
    for (size_t i = 0; i < RATE; i++)
        huge[i] = i % 2 ? 3e38f : -3e38f;
    test_write_frames(list[4], SF_FORMAT_WAV | SF_FORMAT_FLOAT, RATE, 1, huge, RATE);
    test_api api;
    kept sound = {0}, mixed = {0};
    s3r_identify_options options = small_windows(2);
    open_api(&api, 2);
    assert_int_equal(
        s3r_identify(api.context, api.model, paths, FILES, &options, keep, &sound, &err),
        S3R_OK);
    s3r_status status =
        s3r_identify(api.context, api.model, list, COUNT, &options, keep, &mixed, &err);
    assert_int_equal(mixed.count, COUNT);
    test_expect_failure(status, &err, S3R_ERR_PARTIAL, "of 6 files failed");
    assert_int_equal(mixed.status[1], S3R_ERR_DATA);
    assert_non_null(strstr(mixed.message[1], "nothing.wav"));
    assert_int_equal(mixed.status[2], S3R_ERR_DATA);
    assert_non_null(strstr(mixed.message[2], "tiny.wav: it is shorter than a frame"));
    expect_same(&mixed, 0, &sound, 0);
    expect_same(&mixed, 3, &sound, 3);
    expect_same(&mixed, 5, &sound, 1);

    /* A result that is not taken ends the run. */
    kept stopped = {.stop_at = 2};
    status = s3r_identify(api.context, api.model, paths, FILES, &options, keep, &stopped,
                          &err);
    test_expect_failure(status, &err, S3R_ERR_RUNTIME, "1.wav: the result was not taken");
    assert_int_equal(stopped.count, 2);
    test_api_close(&api);
}

static bool never(void *context, double done_s, double total_s)
{
    (void)context;
    (void)done_s;
    return total_s < 0;
}

static void test_refusals(void **state)
{
    (void)state;
    test_api api;
    kept k = {0};
    s3r_identify_options options = small_windows(2);
    s3r_identify_summary summary;
    test_api_open(&api, model_path, 1, NULL);
    test_expect_failure(
        s3r_identify(api.context, api.model, paths, 1, NULL, keep, &k, &err), &err,
        S3R_ERR_MODEL, "tells no languages apart; expected a mask file of the task lid");
    test_expect_failure(s3r_identify_manifest(api.context, api.model, "m.jsonl", NULL,
                                              NULL, NULL, &summary, &err),
                        &err, S3R_ERR_MODEL, "tells no languages apart");
    test_api_close(&api);
    open_api(&api, 1);
    options.window_s = -1;
    test_expect_failure(
        s3r_identify(api.context, api.model, paths, 1, &options, keep, &k, &err), &err,
        S3R_ERR_USAGE, "window");
    options = small_windows(2);
    options.progress = never;
    test_expect_failure(
        s3r_identify(api.context, api.model, paths, 1, &options, keep, &k, &err), &err,
        S3R_ERR_INTERRUPTED, "interrupted");
    test_api_close(&api);
}

/* ---- manifests ---- */

static const char *write_manifest(const char *name, const char *const *languages,
                                  size_t count)
{
    const char *path = test_path(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "{\"audio_filepath\": \"%zu.wav\", \"lang\": \"%s\"}\n", i,
                languages[i]);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void test_manifest(void **state)
{
    (void)state;
    const char *languages[FILES + 1];
    test_api api;
    kept files = {0}, utterances = {0};
    s3r_identify_summary summary;
    s3r_identify_options options = small_windows(2);
    open_api(&api, 1);
    assert_int_equal(
        s3r_identify(api.context, api.model, paths, FILES, &options, keep, &files, &err),
        S3R_OK);
    for (size_t i = 0; i < FILES; i++) /* right, but for the last two */
        languages[i] = i < FILES - 2                       ? files.first[i]
                       : strcmp(files.first[i], "l0") == 0 ? "l1"
                                                           : "l0";
    languages[FILES] = "l2"; /* there is no such file */
    s3r_status status = s3r_identify_manifest(
        api.context, api.model, write_manifest("m.jsonl", languages, FILES + 1), &options,
        keep, &utterances, &summary, &err);
    test_expect_failure(status, &err, S3R_ERR_PARTIAL, "1 of 7 utterances failed");
    for (size_t i = 0; i < FILES; i++)
        expect_same(&files, i, &utterances, i);
    assert_int_equal(summary.utterances, FILES);
    assert_int_equal(summary.right, FILES - 2);
    assert_int_equal(summary.failed, 1);
    assert_true(summary.accuracy == (double)(FILES - 2) / FILES);
    double mean = 0;
    size_t spoken = 0, all = 0;
    for (size_t c = 0; c < LANGUAGES; c++) {
        size_t count, right;
        s3r_identify_count(&summary, c, &count, &right);
        all += count;
        spoken += count > 0;
        mean += count > 0 ? (double)right / (double)count : 0;
        assert_int_equal(summary.confusion[c * LANGUAGES + c], right);
    }
    assert_int_equal(all, FILES);
    assert_true(fabs(summary.mean_accuracy - mean / (double)spoken) < 1e-12);
    s3r_identify_summary_release(&summary);

    languages[1] = "xx";
    status = s3r_identify_manifest(api.context, api.model,
                                   write_manifest("m.jsonl", languages, FILES), &options,
                                   NULL, NULL, &summary, &err);
    test_expect_failure(
        status, &err, S3R_ERR_DATA,
        "m.jsonl:2: \"lang\": expected one of the languages that are told "
        "apart (l0, l1, l2, l3), found \"xx\"");
    assert_null(summary.confusion);
    test_api_close(&api);
}

/* ---- memory ---- */

static void test_without_memory(void **state)
{
    (void)state;
    s3r_status status = S3R_ERR_RESOURCE;
    const char *languages[] = {"l0", "l1"};
    const char *manifest = write_manifest("two.jsonl", languages, 2);
    test_api api;
    open_api(&api, 1);
    for (size_t n = 1; status != S3R_OK; n++) {
        s3r_identify_summary summary;
        s3r_identify_options options = small_windows(2);
        s3r_alloc_fail_at(n);
        status = s3r_identify_manifest(api.context, api.model, manifest, &options, NULL,
                                       NULL, &summary, &err);
        s3r_alloc_fail_at(0);
        if (status != S3R_OK && status != S3R_ERR_RESOURCE)
            fail_msg("allocation %zu: %s", n, err.message);
        s3r_identify_summary_release(&summary);
    }
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),  cmocka_unit_test(test_definition),
        cmocka_unit_test(test_failures), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_manifest), cmocka_unit_test(test_without_memory),
    };
    set_up();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
