/*
 * Calibration through the public interface: words and confidences are those of
 * transcription, at any temperature.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include <sndfile.h>
#include <cmocka.h>

#include "base/memory.h"
#include "s3r/calibrate.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"

#define WAV_PCM16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)
#define MODEL     TEST_GOLDEN "w2v2_group_postln"

static s3r_error err;
static s3r_calibration found;

/* Sums over the words of a transcription. */
typedef struct word_sums {
    size_t words;
    double confidence;
    char text[1024];
} word_sums;

static s3r_status sum_words(void *context, const s3r_result *result)
{
    word_sums *sums = context;
    for (size_t i = 0; i < result->word_count; i++) {
        sums->words++;
        sums->confidence += (double)result->words[i].confidence;
    }
    snprintf(sums->text, sizeof sums->text, "%s", result->text);
    return S3R_OK;
}

static void transcribe(const test_api *api, const char *path, double temperature,
                       word_sums *sums)
{
    s3r_transcribe_options options;
    s3r_transcribe_options_init(&options);
    options.temperature = temperature;
    *sums = (word_sums){0};
    if (s3r_transcribe(api->context, api->model, &path, 1, &options, sum_words, sums,
                       &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static const char *write_manifest(const char *folder, const char *text)
{
    char line[2048];
    const char *path = test_path(folder, "m.jsonl");
    snprintf(line, sizeof line,
             "{\"audio_filepath\": \"a.wav\", \"text\": \"%s\"}\n"
             "{\"audio_filepath\": \"a.wav\", \"id\": \"untold\"}\n"
             "{\"audio_filepath\": \"a.wav\", \"id\": \"empty\", \"text\": \" \"}\n",
             text);
    test_write_file(path, line, strlen(line));
    return path;
}

/* The hypothesis is `words` words, one of which is right. */
static void test_words_are_those_of_transcription(void **state)
{
    (void)state;
    const char *folder = test_folder();
    const char *audio = test_write_speech(folder, "a.wav", WAV_PCM16, 60000, 3);
    test_api api;
    word_sums plain, warm;
    s3r_calibrate_options options;
    s3r_calibrate_options_init(&options);
    options.temperature = 1.7;
    test_api_open(&api, MODEL, 2, NULL);
    transcribe(&api, audio, 1, &plain);
    transcribe(&api, audio, 1.7, &warm);
    assert_string_equal(plain.text, warm.text);
    assert_int_equal(plain.words, warm.words);
    assert_true(warm.confidence < plain.confidence);
    const char *manifest = write_manifest(folder, plain.text);
    assert_int_equal(s3r_calibrate(api.context, api.model, manifest, &options, NULL, NULL,
                                   &found, &err),
                     S3R_OK);
    assert_int_equal(found.utterances, 1);
    assert_int_equal(found.skipped, 2);
    assert_int_equal(found.words, plain.words);
    assert_int_equal(found.right, plain.words);
    double words = (double)plain.words;
    assert_true(fabs(found.plain.confidence - plain.confidence / words) < 1e-6);
    assert_true(fabs(found.given.confidence - warm.confidence / words) < 1e-6);
    assert_true(found.given.temperature == 1.7);
    /* All right: the surest temperature is the best, the error what lacks to 1. */
    assert_true(found.fitted.temperature == 0.25);
    assert_true(fabs(found.plain.calibration_error + found.plain.confidence - 1) < 1e-6);
    size_t in_bins = 0;
    for (size_t i = 0; i < S3R_CONFIDENCE_BINS; i++)
        in_bins += found.fitted.bins[i].words;
    assert_int_equal(in_bins, plain.words);

    manifest = write_manifest(folder, "nothing of this");
    assert_int_equal(
        s3r_calibrate(api.context, api.model, manifest, NULL, NULL, NULL, &found, &err),
        S3R_OK);
    assert_int_equal(found.right, 0);
    assert_true(found.fitted.temperature == 8);
    test_api_close(&api);
}

static size_t failures;

static void count_failure(void *context, const char *id, const char *message)
{
    (void)context;
    failures++;
    assert_string_equal(id, "gone.wav");
    assert_non_null(strstr(message, "cannot open"));
}

static void test_failures(void **state)
{
    (void)state;
    const char *folder = test_folder(), *manifest = test_path(folder, "m.jsonl");
    static const char lines[] = "{\"audio_filepath\": \"a.wav\", \"text\": \"tea\"}\n"
                                "{\"audio_filepath\": \"gone.wav\", \"text\": \"a\"}\n";
    static const char untold[] = "{\"audio_filepath\": \"a.wav\"}\n";
    test_write_speech(folder, "a.wav", WAV_PCM16, 8000, 3);
    test_write_file(manifest, lines, strlen(lines));
    test_api api;
    s3r_calibrate_options options;
    test_api_open(&api, MODEL, 1, NULL);
    failures = 0;
    test_expect_failure(s3r_calibrate(api.context, api.model, manifest, NULL,
                                      count_failure, NULL, &found, &err),
                        &err, S3R_ERR_PARTIAL, "1 of 2 utterances failed; the first: ");
    assert_int_equal(failures, 1);
    assert_int_equal(found.utterances, 1);
    test_write_file(manifest, lines + strlen(lines) / 2, strlen(lines) / 2);
    test_write_file(manifest, untold, strlen(untold));
    test_expect_failure(
        s3r_calibrate(api.context, api.model, manifest, NULL, NULL, NULL, &found, &err),
        &err, S3R_ERR_DATA, "expected utterances with a text");
    for (int i = 0; i < 3; i++) {
        s3r_calibrate_options_init(&options);
        if (i == 0)
            options.temperature = 0;
        if (i == 1)
            options.struct_size = 0;
        if (i == 2)
            options.context_s = -1;
        test_expect_failure(s3r_calibrate(api.context, api.model, manifest, &options,
                                          NULL, NULL, &found, &err),
                            &err, S3R_ERR_USAGE, "expected");
    }
    test_api_close(&api);
    const char *model = test_copy_model("w2v2_group_postln");
    remove(test_path(model, "vocab.json"));
    test_api_open(&api, model, 1, NULL);
    test_expect_failure(
        s3r_calibrate(api.context, api.model, manifest, NULL, NULL, NULL, &found, &err),
        &err, S3R_ERR_MODEL, "beside the weights; there are no words to judge");
    test_api_close(&api);
}

/* Without a delimiter between words, labels are judged. */
static void test_phones_are_judged_one_by_one(void **state)
{
    (void)state;
    const char *folder = test_folder(), *model = test_copy_model("w2v2_group_postln");
    const char *audio = test_write_speech(folder, "a.wav", WAV_PCM16, 20000, 3);
    static const char vocabulary[] =
        "{\"<pad>\": 0, \"<s>\": 1, \"</s>\": 2, \"<unk>\": 3, \"t\u0283\": 4, "
        "\"e\": 5, \"t\": 6, \"a\": 7, \"o\": 8, \"n\": 9, \"i\": 10, \"h\": 11}";
    test_write_file(test_path(model, "vocab.json"), vocabulary, strlen(vocabulary));
    test_api api;
    word_sums sums;
    test_api_open(&api, model, 1, NULL);
    transcribe(&api, audio, 1, &sums);
    assert_int_equal(sums.words, 1);
    assert_int_equal(s3r_calibrate(api.context, api.model,
                                   write_manifest(folder, sums.text), NULL, NULL, NULL,
                                   &found, &err),
                     S3R_OK);
    assert_true(found.words > 5);
    assert_int_equal(found.right, found.words);
    test_api_close(&api);
}

typedef struct fault_case {
    test_api api;
    const char *manifest;
} fault_case;

/* Without faults within jansson, whose parser writes beyond its buffer after some. */
static s3r_status attempt(void *context, s3r_error *error)
{
    fault_case *c = context;
    json_set_alloc_funcs(malloc, free);
    return s3r_calibrate(c->api.context, c->api.model, c->manifest, NULL, NULL, NULL,
                         &found, error);
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    fault_case c;
    const char *folder = test_folder();
    test_write_speech(folder, "a.wav", WAV_PCM16, 4000, 3);
    c.manifest = write_manifest(folder, "the tea");
    test_api_open(&c.api, MODEL, 1, NULL);
    test_survives_alloc_faults(attempt, &c);
    test_api_close(&c.api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_those_of_transcription),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_phones_are_judged_one_by_one),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
