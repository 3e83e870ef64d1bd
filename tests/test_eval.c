/*
 * The public evaluation: sums, intervals, files, failing utterances, texts.
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

#include "base/file.h"
#include "base/memory.h"
#include "s3r/eval.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"

#define WAV_PCM16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)
#define MODEL     TEST_GOLDEN "w2v2_group_postln"

static s3r_error err;
static s3r_eval_summary summary;

typedef struct seen {
    size_t count, failed, abort_at;
    size_t index[16];
    char message[512]; /* of the last that failed */
    char hypothesis[16][512];
} seen;

static s3r_status take(void *context, const s3r_eval_utterance *utterance)
{
    seen *s = context;
    assert_true(s->count < 16);
    s->index[s->count] = utterance->index;
    snprintf(s->hypothesis[s->count], sizeof s->hypothesis[0], "%s",
             utterance->hypothesis ? utterance->hypothesis : "");
    s->count++;
    if (utterance->status != S3R_OK) {
        s->failed++;
        snprintf(s->message, sizeof s->message, "%s", utterance->message);
    }
    return s->count == s->abort_at ? S3R_ERR_RUNTIME : S3R_OK;
}

static const char *write_text(const char *folder, const char *name, const char *text)
{
    const char *path = test_path(folder, name);
    test_write_file(path, text, strlen(text));
    return path;
}

static char *read_text(const char *path)
{
    s3r_file_map map;
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, &err), S3R_OK);
    char *text = s3r_strndup((const char *)map.data, map.size);
    s3r_file_map_close(&map);
    return text;
}

static void expect_text(const char *folder, const char *name, const char *expected)
{
    char *text = read_text(test_path(folder, name));
    assert_string_equal(text, expected);
    s3r_free(text);
}

/* A manifest of speech: a, b and c can be read; missing, noise and silent cannot be
 * scored or have no text. */
static const char *make_manifest(const char *folder)
{
    test_write_speech(folder, "a.wav", WAV_PCM16, 20000, 1);
    test_write_speech(folder, "b.wav", WAV_PCM16, 9000, 2);
    test_write_speech(folder, "c.wav", WAV_PCM16, 60000, 3);
    write_text(folder, "noise.wav", "this is no audio");
    return write_text(
        folder, "t.jsonl",
        "{\"id\":\"a\",\"audio_filepath\":\"a.wav\",\"text\":\"The heat\"}\n"
        "{\"id\":\"m\",\"audio_filepath\":\"missing.wav\",\"text\":\"x\"}\n"
        "{\"id\":\"b\",\"audio_filepath\":\"b.wav\",\"text\":\"tea\"}\n"
        "{\"id\":\"s\",\"audio_filepath\":\"a.wav\"}\n"
        "{\"id\":\"e\",\"audio_filepath\":\"b.wav\",\"text\":\" \"}\n"
        "{\"id\":\"c\",\"audio_filepath\":\"c.wav\",\"text\":\"at ease\"}\n"
        "{\"id\":\"n\",\"audio_filepath\":\"noise.wav\",\"text\":\"x\"}\n");
}

static void check_sums(const char *folder, const char *trn, const seen *s)
{
    char *table = read_text(test_path(folder, "table.tsv"));
    assert_int_equal(strncmp(table, "id\tduration_s\twer\twer_sub", 24), 0);
    assert_non_null(strstr(table, "\na\t1.250\t1.0000\t"));
    assert_non_null(strstr(table, "\nm\t0.000\t\t\t"));
    s3r_free(table);
    expect_text(trn, "ref.trn", "the heat (a)\ntea (b)\nat ease (c)\n");
    expect_text(trn, "ref.cer.trn",
                "t h e <space> h e a t (a)\nt e a (b)\na t <space> e a s e (c)\n");
    /* The files score as the run did. */
    s3r_eval_summary again;
    s3r_eval_options options;
    s3r_eval_options_init(&options);
    assert_int_equal(s3r_eval_texts(test_path(trn, "ref.trn"), test_path(trn, "hyp.trn"),
                                    &options, NULL, NULL, &again, &err),
                     S3R_OK);
    assert_memory_equal(&again.rates[S3R_METRIC_WER], &summary.rates[S3R_METRIC_WER],
                        sizeof again.rates[0]);
    assert_int_equal(s->index[0], 0);
}

static void test_manifest(void **state)
{
    (void)state;
    const char *folder = test_folder(), *trn = test_path(folder, "deep/trn");
    const char *manifest = make_manifest(folder);
    test_api api;
    seen s = {0};
    s3r_eval_options options;
    s3r_eval_options_init(&options);
    options.trn_folder = trn;
    options.table_path = test_path(folder, "table.tsv");
    test_api_open(&api, MODEL, 2, NULL);
    test_expect_failure(
        s3r_eval(api.context, api.model, manifest, &options, take, &s, &summary, &err),
        &err, S3R_ERR_PARTIAL, "2 of 5 utterances failed; the first: ");
    assert_non_null(strstr(err.message, "missing.wav"));
    assert_int_equal(s.count, 5);
    assert_int_equal(s.failed, 2);
    for (size_t i = 1; i < s.count; i++)
        assert_true(s.index[i] > s.index[i - 1]);
    assert_int_equal(summary.utterances, 3);
    assert_int_equal(summary.failed, 2);
    assert_int_equal(summary.skipped, 2);
    assert_true(fabs(summary.duration_s - 89000 / 16000.0) < 1e-9);
    assert_true(summary.blank_ratio >= 0 && summary.blank_ratio <= 1);
    const s3r_eval_rate *wer = &summary.rates[S3R_METRIC_WER];
    assert_int_equal(wer->counts.reference, 5);
    assert_true(wer->low <= wer->rate && wer->rate <= wer->high);
    assert_int_equal(summary.rates[S3R_METRIC_CER].counts.reference, 8 + 3 + 7);
    assert_int_equal(summary.rates[S3R_METRIC_PER].counts.reference, 0);
    check_sums(folder, trn, &s);
    test_api_close(&api);
}

/* Neither threads nor batches change anything. */
static void test_same_numbers(void **state)
{
    (void)state;
    const char *manifest = make_manifest(test_folder());
    static const double batches[] = {0.1, 2, 1000};
    s3r_eval_summary first = {0};
    s3r_eval_options options;
    s3r_eval_options_init(&options);
    options.window_s = 2;
    options.context_s = 0.5;
    for (size_t threads = 1; threads <= 3; threads++) {
        test_api api;
        seen s = {0};
        options.batch_s = batches[threads - 1];
        test_api_open(&api, MODEL, threads, NULL);
        assert_int_equal(s3r_eval(api.context, api.model, manifest, &options, take, &s,
                                  &summary, &err),
                         S3R_ERR_PARTIAL);
        if (threads == 1)
            first = summary;
        assert_memory_equal(&summary, &first, sizeof first);
        test_api_close(&api);
    }
}

static bool stop(void *context, double done_s, double total_s)
{
    (void)context;
    (void)total_s;
    return done_s == 0;
}

static s3r_status run(const test_api *api, const s3r_eval_options *options, seen *s,
                      const char *manifest)
{
    return s3r_eval(api->context, api->model, manifest, options, take, s, &summary, &err);
}

static void test_failures(void **state)
{
    (void)state;
    const char *folder = test_folder(), *manifest = make_manifest(folder);
    const char *bad = write_text(folder, "bad.jsonl",
                                 "{\"audio_filepath\":\"missing.wav\",\"text\":\"x\"}\n");
    const char *silent =
        write_text(folder, "silent.jsonl", "{\"audio_filepath\":\"a.wav\"}\n");
    test_api api;
    seen s = {.abort_at = 2};
    s3r_eval_options options;
    s3r_eval_options_init(&options);
    test_api_open(&api, MODEL, 1, NULL);
    test_expect_failure(run(&api, &options, &s, manifest), &err, S3R_ERR_RUNTIME,
                        "m: the result was not");
    s = (seen){0};
    test_expect_failure(run(&api, &options, &s, bad), &err, S3R_ERR_DATA,
                        "1 of 1 utterances failed");
    assert_int_equal(summary.failed, 1);
    test_expect_failure(run(&api, &options, &s, silent), &err, S3R_ERR_DATA,
                        "with a text, found none");
    test_expect_failure(run(&api, &options, &s, "/no/such.jsonl"), &err, S3R_ERR_DATA,
                        "/no/such.jsonl");
    options.progress = stop;
    options.batch_s = 0.1;
    s = (seen){0};
    test_expect_failure(run(&api, &options, &s, manifest), &err, S3R_ERR_INTERRUPTED,
                        "interrupted");
    options.progress = NULL;
    options.table_path = "/no/such/folder/t";
    test_expect_failure(run(&api, &options, &s, manifest), &err, S3R_ERR_RUNTIME,
                        "/no/such/folder/t");
    options.table_path = NULL;
    options.metrics[S3R_METRIC_WER] = options.metrics[S3R_METRIC_CER] = false;
    test_expect_failure(run(&api, &options, &s, manifest), &err, S3R_ERR_USAGE,
                        "expected a metric");
    options.metrics[S3R_METRIC_WER] = true;
    options.batch_s = 0;
    test_expect_failure(run(&api, &options, &s, manifest), &err, S3R_ERR_USAGE,
                        "batch > 0");
    options.batch_s = 1;
    options.normalization = 99;
    test_expect_failure(run(&api, &options, &s, manifest), &err, S3R_ERR_USAGE,
                        "normalization");
    options.struct_size = 1;
    test_expect_failure(run(&api, &options, &s, manifest), &err, S3R_ERR_USAGE,
                        "not initialised");
    test_api_close(&api);

    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt", 1,
                  NULL);
    s3r_eval_options_init(&options);
    test_expect_failure(run(&api, &options, &s, manifest), &err, S3R_ERR_MODEL,
                        "no CTC head (a pretrained backbone); there is no text to score");
    test_api_close(&api);
}

/* ---- texts ---- */

static void expect_texts(const char *reference, const char *hypothesis, s3r_status status,
                         const char *said)
{
    const char *folder = test_folder();
    const char *ref = write_text(folder, "ref", reference);
    const char *hyp = write_text(folder, "hyp", hypothesis);
    s3r_status found = s3r_eval_texts(ref, hyp, NULL, NULL, NULL, &summary, &err);
    if (status == S3R_OK && found != S3R_OK)
        fail_msg("%s", err.message);
    if (status != S3R_OK)
        test_expect_failure(found, &err, status, said);
}

static void test_texts(void **state)
{
    (void)state;
    expect_texts("A b\nc d e\n", "a b\nc x\n", S3R_OK, "");
    const s3r_eval_rate *wer = &summary.rates[S3R_METRIC_WER];
    assert_int_equal(wer->counts.substitutions, 1);
    assert_int_equal(wer->counts.deletions, 1);
    assert_int_equal(wer->counts.reference, 5);
    assert_true(wer->rate == 0.4);
    assert_int_equal(summary.utterances, 2);
    /* trn files are matched by id */
    expect_texts("a b (x)\nc (y)\n", "c (y)\na (x)\n", S3R_OK, "");
    assert_int_equal(wer->counts.deletions, 1);
    assert_int_equal(wer->counts.reference, 3);
    expect_texts("a (x)\n", "a\n", S3R_ERR_DATA, "found the first of them to be trn");
    expect_texts("a\nb\n", "a\n", S3R_ERR_DATA, "found 2 and 1");
    expect_texts("a (x)\n", "a (y)\n", S3R_ERR_DATA, "line 1: \"x\"");
    expect_texts("", "", S3R_ERR_DATA, "expected texts, found none");
    expect_texts("a\n", "\xff\n", S3R_ERR_DATA, "UTF-8");
}

typedef struct text_paths {
    const char *reference, *hypothesis;
    s3r_eval_options options;
} text_paths;

static s3r_status attempt(void *context, s3r_error *error)
{
    const text_paths *paths = context;
    return s3r_eval_texts(paths->reference, paths->hypothesis, &paths->options, NULL,
                          NULL, &summary, error);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    const char *folder = test_folder();
    text_paths paths = {write_text(folder, "ref", "a b (x)\n"),
                        write_text(folder, "hyp", "a c (x)\n"),
                        {0}};
    s3r_eval_options_init(&paths.options);
    paths.options.trn_folder = folder;
    paths.options.table_path = test_path(folder, "t");
    test_survives_alloc_faults(attempt, &paths);
}

static s3r_status attempt_model(void *context, s3r_error *error)
{
    const text_paths *paths = context;
    test_api api;
    test_api_open(&api, MODEL, 1, NULL);
    s3r_status status = s3r_eval(api.context, api.model, paths->reference,
                                 &paths->options, NULL, NULL, &summary, error);
    test_api_close(&api);
    return status;
}

/* Faults behind the opening of the model; audio that could not be loaded for lack of
 * memory is a failed utterance. */
static void test_out_of_memory_with_model(void **state)
{
    (void)state;
    const char *folder = test_folder();
    test_write_speech(folder, "a.wav", WAV_PCM16, 3000, 1);
    text_paths paths = {
        write_text(folder, "t.jsonl", "{\"audio_filepath\":\"a.wav\",\"text\":\"x\"}\n"),
        NULL,
        {0}};
    s3r_eval_options_init(&paths.options);
    size_t before = s3r_alloc_count();
    assert_int_equal(attempt_model(&paths, &err), S3R_OK);
    size_t all = s3r_alloc_count() - before, failures = 0;
    test_api api;
    before = s3r_alloc_count();
    test_api_open(&api, MODEL, 1, NULL);
    size_t opening = s3r_alloc_count() - before;
    for (size_t n = 1; n + opening <= all; n++) {
        s3r_alloc_fail_at(n);
        s3r_status status = s3r_eval(api.context, api.model, paths.reference,
                                     &paths.options, NULL, NULL, &summary, &err);
        s3r_alloc_fail_at(0);
        if (status != S3R_OK)
            failures++;
    }
    assert_true(failures > 10);
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_same_numbers),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_out_of_memory_with_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
