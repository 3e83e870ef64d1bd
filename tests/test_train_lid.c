/*
 * Training which language is spoken: tones of two and three pitches are told apart by
 * every method, classes have the same say, runs are resumed bit for bit, and what is
 * wrong with the data is named.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <sndfile.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "route/mask_file.h"
#include "support_api.h"
#include "support_audio.h"
#include "support_files.h"
#include "support_train.h"

#define RATE 16000u

/* Settings with which tones are told apart in some steps; without `method`. */
#define RECIPE                                                                           \
    "task=lid schedule.steps=40 mask.modules=both optimizer.lr=1e-2 batch.seconds=4 "    \
    "augment.time_prob=0 augment.channel_prob=0 dropout.layer_drop=0 "                   \
    "dropout.activation=0 optimizer.clip_norm=5 eval.every=20 "

static const char *folder;

/* A "language": pulses of its pitch with noise, different for each number. */
static const char *write_tone(const char *name, double pitch_hz, size_t count,
                              uint64_t number)
{
    static float samples[2 * RATE];
    const char *path = test_path(folder, name);
    s3r_random random;
    s3r_random_init(&random, number, 7);
    double phase = 6 * s3r_random_uniform(&random);
    for (size_t i = 0; i < count; i++)
        samples[i] =
            (float)(0.3 * sin(2 * TEST_PI * pitch_hz * (double)i / RATE + phase) +
                    0.03 * s3r_random_normal(&random));
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, RATE, 1, samples, count);
    return path;
}

/* `counts` utterances of each language; path of the manifest. */
static const char *write_languages(const char *name, const size_t *counts,
                                   size_t language_count, uint64_t seed)
{
    static const char *const names[] = {"zu", "am", "pt-BR"};
    static const double pitches[] = {180, 900, 3100};
    const char *path = test_path(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t c = 0; c < language_count; c++)
        for (size_t i = 0; i < counts[c]; i++) {
            char clip[64];
            snprintf(clip, sizeof clip, "%s-%s-%zu.wav", name, names[c], i);
            write_tone(clip, pitches[c], RATE / 2 + 800 * i, seed + 100 * c + i);
            fprintf(file, "{\"audio_filepath\": \"%s\", \"lang\": \"%s\"}\n", clip,
                    names[c]);
        }
    assert_int_equal(fclose(file), 0);
    return path;
}

static const char *two(void)
{
    static const char *path;
    static const size_t counts[] = {6, 6};
    return path ? path : (path = write_languages("two.jsonl", counts, 2, 1));
}

/* Few of the third. */
static const char *three(void)
{
    static const char *path;
    static const size_t counts[] = {9, 6, 4};
    return path ? path : (path = write_languages("three.jsonl", counts, 3, 1));
}

static const char *three_dev(void)
{
    static const char *path;
    static const size_t counts[] = {3, 3, 3};
    return path ? path : (path = write_languages("dev.jsonl", counts, 3, 5000));
}

static void init(test_run *run, const char *name, const char *train, const char *dev,
                 size_t threads, const char *more)
{
    test_run_init(run, test_path(folder, name), threads, RECIPE);
    test_run_set(run, more);
    run->options.train = train;
    run->options.dev = dev;
}

static void to_end(const char *name, const char *train, const char *dev, size_t threads,
                   const char *more, test_run *run)
{
    init(run, name, train, dev, threads, more);
    test_run_to_end(run);
    test_run_release(run);
}

/* ---- learning ---- */

/* Sanitizers look at the code, for which a few steps do. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FEW_STEPS  "schedule.steps=4"
#define MUST_LEARN false
#else
#define FEW_STEPS  ""
#define MUST_LEARN true
#endif

/* Dev is what they have seen: a tiny network of random weights learns by heart. */
static void test_methods(void **state)
{
    (void)state;
    static const char *const methods[] = {
        "method=mask",
        "method=head",
        "method=weights optimizer.lr=1e-3",
        "method=adapter adapter.width=16 optimizer.lr=3e-3",
        "method=lora",
        "method=bias",
        "method=magnitude",
        "method=mask+weights optimizer.lr=1e-3",
        "method=mask also.extractor=true",
        "method=mask precision=bf16",
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(methods); i++) {
        char name[32], settings[256];
        test_run run;
        snprintf(name, sizeof name, "method-%zu", i);
        snprintf(settings, sizeof settings, "%s " FEW_STEPS, methods[i]);
        to_end(name, three(), three(), 1, settings, &run);
        if (MUST_LEARN && (run.metric > 0 || run.last_loss > 0.3))
            fail_msg("%s: dev error %g, loss %g", methods[i], run.metric, run.last_loss);
    }
}

/* The file says what its head tells apart, and needs no text anywhere. */
static void test_mask_file(void **state)
{
    (void)state;
    test_run run;
    s3r_mask_file file;
    s3r_error err;
    to_end("result", three(), three_dev(), 2, "schedule.steps=3 method=mask", &run);
    if (s3r_mask_file_open(&file, test_path(folder, "result/best.s3m"), &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_true(file.identifies_languages);
    json_t *expected = json_pack("[sss]", "am", "pt-BR", "zu");
    assert_true(json_equal(json_object_get(file.facts, "languages"), expected));
    json_decref(expected);
    assert_null(json_object_get(file.facts, "vocabulary"));
    assert_int_equal(s3r_mask_file_find(&file, "head/weight")->shape[0], 3);
    json_t *metrics = json_object_get(file.facts, "metrics");
    double error = json_number_value(json_object_get(metrics, "error"));
    double accuracy = json_number_value(json_object_get(metrics, "accuracy"));
    assert_true(json_object_size(metrics) == 3 && fabs(error + accuracy - 1) < 1e-12);
    assert_true(json_number_value(json_object_get(metrics, "loss")) > 0);
    s3r_mask_file_close(&file);
    s3r_file_map card;
    assert_int_equal(s3r_file_map_open(&card, test_path(folder, "result/README.md"),
                                       S3R_ERR_DATA, &err),
                     S3R_OK);
    char *text = s3r_strndup((const char *)card.data, card.size);
    assert_non_null(strstr(text, "pipeline_tag: audio-classification"));
    assert_non_null(strstr(text, "which language is spoken: am, pt"));
    assert_non_null(strstr(text, "| languages named wrong |"));
    assert_non_null(strstr(text, "s3r identify -m BACKBONE --mask best.s3m a.wav"));
    s3r_free(text);
    s3r_file_map_close(&card);
}

/* Weights by the rarity of languages: 1 on average over the utterances. */
static void test_weights(void **state)
{
    (void)state;
    test_run run;
    init(&run, "weights", three(), NULL, 1, "");
    s3r_trainer *trainer = test_run_open(&run);
    static const double expected[] = {19.0 / 3 / 6, 19.0 / 3 / 4, 19.0 / 3 / 9};
    for (size_t c = 0; c < 3; c++)
        assert_true(fabs(trainer->language_weights[c] - expected[c]) < 1e-12);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

static void test_plan(void **state)
{
    (void)state;
    test_run run;
    s3r_train_forecast forecast;
    s3r_error err;
    init(&run, "plan", three(), three_dev(), 1, "");
    run.options.is_plan = true;
    s3r_trainer *trainer = test_run_open(&run);
    if (s3r_trainer_plan(trainer, &forecast, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(forecast.utterances, 19);
    assert_int_equal(forecast.dev_utterances, 9);
    assert_true(forecast.step_s > 0 && forecast.evaluation_s > 0);
    s3r_trainer_close(trainer);
    test_run_release(&run);
    assert_false(s3r_path_is_folder(test_path(folder, "plan")));
}

/* ---- the same bits ---- */

static const char busy[] =
    "schedule.steps=11 batch.seconds=2 batch.accumulate=2 augment.time_prob=0.3 "
    "augment.channel_prob=0.2 augment.channel_length=8 dropout.layer_drop=0.2 "
    "dropout.hidden=0.1 dropout.final=0.1 eval.every=4 checkpoint.every=3 "
    "run.log_every=2";

static void expect_same_run(const char *a, const char *b)
{
    a = test_path(folder, a);
    b = test_path(folder, b);
    test_expect_same_file(a, b, "checkpoint-00000011.s3c");
    test_expect_same_file(a, b, "best.s3m");
    test_expect_same_file(a, b, "last.s3m");
    test_expect_same_metrics(a, b);
}

static void test_resumed(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    bool finished = true;
    to_end("straight", three(), three_dev(), 1, busy, &run);
    to_end("threads", three(), three_dev(), 3, busy, &run);
    expect_same_run("straight", "threads");
    init(&run, "resumed", three(), three_dev(), 2, busy);
    run.stop_at = 5;
    if (test_run_go(&run, &finished, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_false(finished);
    test_run_release(&run);
    init(&run, "resumed", three(), three_dev(), 1, busy);
    run.options.may_resume = true;
    test_run_to_end(&run);
    assert_int_equal(run.steps, 6);
    test_run_release(&run);
    expect_same_run("straight", "resumed");
}

static void expect_refused(test_run *run, s3r_status status, const char *said)
{
    s3r_error err = {S3R_OK, ""};
    bool finished;
    test_expect_failure(test_run_go(run, &finished, &err), &err, status, said);
    test_run_release(run);
}

/* A run goes on with the same task and the same languages. */
static void test_resumed_with_others(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    bool finished;
    static const size_t counts[] = {6, 5};
    init(&run, "others", two(), NULL, 1, "");
    run.stop_at = 2;
    if (test_run_go(&run, &finished, &err) != S3R_OK)
        fail_msg("%s", err.message);
    test_run_release(&run);
    init(&run, "others", TEST_SPEECH, NULL, 1, "task=ctc");
    run.options.may_resume = true;
    expect_refused(&run, S3R_ERR_USAGE, "task: expected lid, found ctc");
    init(&run, "others", three(), NULL, 1, "");
    run.options.may_resume = true;
    expect_refused(&run, S3R_ERR_USAGE, "\"vocab_size\": expected 2, found 3");
    init(&run, "others", write_languages("less.jsonl", counts, 2, 1), NULL, 1, "");
    run.options.may_resume = true;
    expect_refused(&run, S3R_ERR_USAGE, "other training data");
}

/* The language is part of what training sees; the text is not. */
static void test_data_identity(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"audio_filepath\": \"%s\", \"id\": \"%c\", \"lang\": \"%s\"}\n",
        "{\"audio_filepath\": \"%s\", \"id\": \"%c\", \"lang\": \"%s\", \"text\": "
        "\"x\"}\n",
    };
    static const char *const languages[][2] = {{"aa", "bb"}, {"aa", "bb"}, {"bb", "aa"}};
    const char *clip = write_tone("one.wav", 300, RATE, 1);
    char hashes[3][S3R_MODEL_HASH_BYTES];
    for (size_t i = 0; i < 3; i++) {
        const char *path = test_path(folder, "hash.jsonl");
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        for (size_t j = 0; j < 2; j++)
            fprintf(file, lines[i == 1], clip, (int)('a' + j), languages[i][j]);
        assert_int_equal(fclose(file), 0);
        test_run run;
        init(&run, "hash", path, NULL, 1, "");
        s3r_trainer *trainer = test_run_open(&run);
        memcpy(hashes[i], trainer->train.hash, sizeof hashes[i]);
        s3r_trainer_close(trainer);
        test_run_release(&run);
    }
    assert_string_equal(hashes[0], hashes[1]);
    assert_string_not_equal(hashes[0], hashes[2]);
}

/* ---- refusals ---- */

static const char *write_lines(const char *name, const char *const *languages)
{
    const char *clip = write_tone("short.wav", 300, RATE / 2, 1);
    const char *path = test_path(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; languages[i]; i++)
        fprintf(file, "{\"audio_filepath\": \"%s\", \"id\": \"%zu\"%s%s%s}\n", clip, i,
                *languages[i] ? ", \"lang\": \"" : "", languages[i],
                *languages[i] ? "\"" : "");
    assert_int_equal(fclose(file), 0);
    return path;
}

static void test_bad_data(void **state)
{
    (void)state;
    static const char *const none[] = {"zu", "", NULL};
    static const char *const alone[] = {"zu", "zu", NULL};
    static const char *const unknown[] = {"zu", "am", "xh", NULL};
    static const char *const no_dev[] = {"zu", "am", "", NULL};
    test_run run;
    init(&run, "bad", write_lines("none.jsonl", none), NULL, 1, "");
    expect_refused(&run, S3R_ERR_DATA, "none.jsonl:2: \"lang\": expected the language");
    init(&run, "bad", write_lines("alone.jsonl", alone), NULL, 1, "");
    expect_refused(&run, S3R_ERR_DATA, "alone.jsonl: \"lang\": expected two languages");
    init(&run, "bad", two(), write_lines("unknown.jsonl", unknown), 1, "");
    expect_refused(&run, S3R_ERR_DATA,
                   "unknown.jsonl:3: \"lang\": expected one of the languages that are "
                   "told apart (am, zu), found \"xh\"");
    init(&run, "bad", two(), write_lines("no-dev.jsonl", no_dev), 1, "");
    expect_refused(&run, S3R_ERR_DATA, "no-dev.jsonl:3: \"lang\": expected");
    /* What there is of the third language is too long. */
    static const char *const long_ones[] = {"zu", "am", NULL};
    const char *lines = write_lines("long.jsonl", long_ones);
    FILE *file = fopen(lines, "ab");
    assert_non_null(file);
    fprintf(file, "{\"audio_filepath\": \"%s\", \"lang\": \"xh\"}\n",
            write_tone("long.wav", 300, 2 * RATE, 1));
    assert_int_equal(fclose(file), 0);
    init(&run, "bad", lines, NULL, 1, "batch.max_seconds=1");
    expect_refused(&run, S3R_ERR_DATA, "no utterance of the language \"xh\" is left");
}

static void test_bad_settings(void **state)
{
    (void)state;
    static const char *const metric[] = {"eval.metric=cer"};
    s3r_train_config config;
    s3r_error err;
    test_run run;
    init(&run, "bad", two(), NULL, 1, "");
    run.options.vocabulary = "tests/data";
    expect_refused(&run, S3R_ERR_USAGE, "the task lid has no use for tests/data");
    s3r_train_config_init(&config);
    config.task = S3R_TASK_CHOICE_LID;
    test_expect_failure(s3r_train_config_check_used(&config, metric, 1, true, &err), &err,
                        S3R_ERR_USAGE, "eval.metric: the task lid has no use for it");
    config.method = S3R_METHOD_PRETRAIN;
    test_expect_failure(s3r_train_config_check(&config, &err), &err, S3R_ERR_USAGE,
                        "task: expected ctc with the method pretrain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),       cmocka_unit_test(test_mask_file),
        cmocka_unit_test(test_weights),       cmocka_unit_test(test_plan),
        cmocka_unit_test(test_resumed),       cmocka_unit_test(test_resumed_with_others),
        cmocka_unit_test(test_data_identity), cmocka_unit_test(test_bad_data),
        cmocka_unit_test(test_bad_settings),
    };
    folder = test_folder();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
