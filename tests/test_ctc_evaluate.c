/*
 * Evaluation: hypotheses, counts, blanks and losses are those of the network on one
 * utterance at a time, whatever the batch, and the same from waveforms and from features.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "api/handles.h"
#include "s3r/transcribe.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"
#include "tasks/ctc_evaluate.h"
#include "tasks/ctc_loss.h"

enum { COUNT = 6, LONGEST = 60000 };

static const size_t lengths[COUNT] = {16000, 100, 9000, LONGEST, 400, 30000};
static const char *const references[COUNT] = {"a test",  "",  "tea at a hat",
                                              "the eta", "x", "hate the heat"};
static const uint32_t labels[] = {5, 6, 6, 7};

static float samples[COUNT][LONGEST];
static s3r_error err;

/* What was scored, kept. */
typedef struct kept {
    char decoded[4096], hypothesis[4096], reference[64];
    s3r_utterance_score score;
} kept;

typedef struct fixture {
    test_api api;
    s3r_evaluation evaluation;
    s3r_evaluation_item items[COUNT];
    kept scores[COUNT];
    size_t count, fail_at, asked, stop_at, lacking;
} fixture;

static s3r_status keep_score(void *context, const s3r_utterance_score *score,
                             s3r_error *error)
{
    fixture *f = context;
    kept *k = &f->scores[f->count];
    assert_int_equal(score->item, f->count);
    memset(k, 0, sizeof *k);
    snprintf(k->decoded, sizeof k->decoded, "%s", score->decoded);
    snprintf(k->hypothesis, sizeof k->hypothesis, "%s", score->hypothesis);
    snprintf(k->reference, sizeof k->reference, "%s", score->reference);
    k->score = *score;
    k->score.decoded = k->score.reference = k->score.hypothesis = NULL;
    f->count++;
    if (f->count == f->fail_at)
        return s3r_fail(error, S3R_ERR_RUNTIME, "not taken");
    return S3R_OK;
}

static bool go_on(void *context)
{
    fixture *f = context;
    return ++f->asked != f->stop_at;
}

/* The frozen extractor stands for somebody's cache. */
static s3r_status extract(void *context, const size_t *items, size_t count,
                          s3r_value **features, s3r_ragged *frames, s3r_error *error)
{
    fixture *f = context;
    s3r_waveform waves[COUNT];
    for (size_t i = 0; i < count; i++)
        waves[i] = f->items[items[i]].wave;
    *features =
        s3r_extractor_batch(f->evaluation.tape, f->evaluation.config,
                            f->evaluation.weights, waves, count - f->lacking, frames);
    if (f->lacking && *features) { /* the last one is shorter than it said */
        size_t *offset = s3r_tape_alloc(f->evaluation.tape, count + 1, sizeof *offset);
        memcpy(offset, frames->offset, count * sizeof *offset);
        offset[count] = offset[count - 1];
        *frames = (s3r_ragged){count, offset};
    }
    return s3r_tape_status(f->evaluation.tape, error);
}

static void open_fixture(fixture *f, const char *path)
{
    *f = (fixture){.count = 0};
    test_api_open(&f->api, path, 2, NULL);
    const s3r_model *model = f->api.model;
    f->evaluation = (s3r_evaluation){.tape = &f->api.context->tape,
                                     .config = &model->config,
                                     .weights = &model->weights,
                                     .vocabulary = &model->vocabulary,
                                     .wants_unit = {true, true, true},
                                     .normalization = S3R_NORMALIZE_CASE,
                                     .score = keep_score,
                                     .score_context = f,
                                     .features_context = f,
                                     .goes_on = go_on,
                                     .goes_on_context = f};
    s3r_evaluation_set_seconds(&f->evaluation, 2, 2, 0.5);
    for (size_t i = 0; i < COUNT; i++) {
        test_make_speech(samples[i], lengths[i], i + 1);
        f->items[i] = (s3r_evaluation_item){
            .wave = s3r_waveform_make(&model->config, samples[i], lengths[i]),
            .frames = s3r_config_frames(&model->config, lengths[i]),
            .reference = references[i]};
    }
    f->items[2].labels = f->items[3].labels = f->items[4].labels = labels;
    f->items[2].label_count = f->items[3].label_count = f->items[4].label_count = 4;
}

static s3r_status run(fixture *f)
{
    f->count = f->asked = 0;
    return s3r_ctc_evaluate(&f->evaluation, f->items, COUNT, &err);
}

static void expect_ok(fixture *f)
{
    if (run(f) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(f->count, COUNT);
}

/* Best labels, text, blanks and loss of one utterance from its log-probabilities. */
static void check_whole(const fixture *f, size_t i)
{
    const s3r_model *model = f->api.model;
    const kept *k = &f->scores[i];
    size_t frames, cols = model->config.vocab_size, blanks = 0;
    float *log_probs;
    char *text;
    assert_int_equal(s3r_forward(f->api.context, model, samples[i], lengths[i], &frames,
                                 &log_probs, NULL, &err),
                     S3R_OK);
    uint32_t *ids = s3r_alloc(frames, sizeof *ids);
    for (size_t t = 0; t < frames; t++) {
        const float *row = log_probs + t * cols;
        for (uint32_t j = 1; j < cols; j++)
            if (row[j] > row[ids[t]])
                ids[t] = j;
        blanks += row[model->vocabulary.blank_id] >= row[ids[t]];
    }
    assert_int_equal(s3r_vocabulary_decode(&model->vocabulary, &text, ids, frames, &err),
                     S3R_OK);
    assert_string_equal(k->decoded, text);
    assert_int_equal(k->score.frames, frames);
    assert_int_equal(k->score.blank_frames, blanks);
    s3r_free(ids);
    s3r_free(text);
    s3r_buffer_free(log_probs);
}

static void check_counts(const fixture *f, size_t i)
{
    const kept *k = &f->scores[i];
    for (size_t unit = 0; unit < S3R_UNIT_COUNT; unit++) {
        /* The model's labels are letters: phones are characters then. */
        s3r_token_unit counted =
            unit == S3R_UNIT_PHONE ? S3R_UNIT_CHARACTER : (s3r_token_unit)unit;
        s3r_error_counts counts = {0};
        assert_int_equal(
            s3r_error_counts_add(&counts, references[i], k->hypothesis, counted, &err),
            S3R_OK);
        assert_memory_equal(&counts, &k->score.counts[unit], sizeof counts);
    }
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    static fixture f;
    open_fixture(&f, TEST_GOLDEN "w2v2_group_postln");
    expect_ok(&f);
    for (size_t i = 0; i < COUNT; i++) {
        if (lengths[i] < LONGEST) /* that one ran in windows */
            check_whole(&f, i);
        check_counts(&f, i);
        assert_string_equal(f.scores[i].reference, references[i]);
        assert_true(f.scores[i].score.is_finite);
        assert_true(isnan(f.scores[i].score.loss) == !f.items[i].labels);
    }
    assert_int_equal(f.scores[1].score.frames, 0);
    assert_string_equal(f.scores[1].decoded, "");
    assert_true(f.scores[2].score.loss > 0 && isfinite(f.scores[2].score.loss));
    assert_true(isfinite(f.scores[3].score.loss));
    assert_true(isinf(f.scores[4].score.loss));    /* one frame for four labels */
    assert_true(f.scores[3].hypothesis[0] >= 'a'); /* the vocabulary is upper-case */
    assert_true(f.scores[3].decoded[0] <= 'Z');
    test_api_close(&f.api);
}

static void test_batches_and_features(void **state)
{
    (void)state;
    static fixture first, f;
    static const char *const models[] = {"w2v2_group_postln", "hubert_layer_preln"};
    static const double batches[] = {0.01, 1, 2, 1000};
    for (size_t m = 0; m < S3R_ARRAY_LEN(models); m++) {
        char path[256];
        snprintf(path, sizeof path, TEST_GOLDEN "%s", models[m]);
        open_fixture(&first, path);
        open_fixture(&f, path);
        expect_ok(&first);
        for (size_t i = 0; i < S3R_ARRAY_LEN(batches); i++)
            for (size_t has_features = 0; has_features < 2; has_features++) {
                s3r_evaluation_set_seconds(&f.evaluation, batches[i], 2, 0.5);
                f.evaluation.features = has_features ? extract : NULL;
                expect_ok(&f);
                assert_memory_equal(f.scores, first.scores, sizeof f.scores);
            }
        test_api_close(&first.api);
        test_api_close(&f.api);
    }
}

static void test_ends(void **state)
{
    (void)state;
    static fixture f;
    open_fixture(&f, TEST_GOLDEN "w2v2_group_postln");
    f.fail_at = 3;
    test_expect_failure(run(&f), &err, S3R_ERR_RUNTIME, "not taken");
    assert_int_equal(f.count, 3);
    f.fail_at = 0;
    f.stop_at = 2;
    test_expect_failure(run(&f), &err, S3R_ERR_INTERRUPTED, "interrupted");
    f.stop_at = 0;
    f.items[2].reference = "\xff";
    test_expect_failure(run(&f), &err, S3R_ERR_DATA, "UTF-8");
    f.items[2].reference = references[2];
    f.evaluation.features = extract;
    f.lacking = 1;
    test_expect_failure(run(&f), &err, S3R_ERR_DATA, "expected features of");
    assert_int_equal(s3r_ctc_evaluate(&f.evaluation, f.items, 0, &err), S3R_OK);
    test_api_close(&f.api);
}

static void make_nan(const char *tensor, float *values, size_t count)
{
    (void)count;
    if (strcmp(tensor, "lm_head.bias") == 0)
        values[0] = NAN;
}

static void test_not_finite(void **state)
{
    (void)state;
    static fixture f;
    open_fixture(&f, test_edit_model("w2v2_group_postln", make_nan));
    expect_ok(&f);
    assert_false(f.scores[0].score.is_finite);
    assert_string_equal(f.scores[0].hypothesis, "");
    assert_int_equal(f.scores[0].score.counts[S3R_UNIT_WORD].deletions, 2);
    assert_true(isnan(f.scores[2].score.loss));
    assert_true(f.scores[1].score.is_finite); /* no frames */
    test_api_close(&f.api);
}

static s3r_status attempt(void *context, s3r_error *error)
{
    fixture *f = context;
    f->count = f->asked = 0;
    s3r_tape_release(f->evaluation.tape); /* its memory counts too */
    s3r_tape_init(f->evaluation.tape, f->api.context->pool, f->api.context->kernels);
    return s3r_ctc_evaluate(&f->evaluation, f->items, 3, error); /* the short ones */
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static fixture f;
    open_fixture(&f, TEST_GOLDEN "w2v2_group_postln");
    f.items[0].wave.count = 2000;
    f.items[0].frames = s3r_config_frames(f.evaluation.config, 2000);
    s3r_evaluation_set_seconds(&f.evaluation, 0.1, 0.3, 0.1); /* the third is long */
    test_survives_alloc_faults(attempt, &f);
    f.evaluation.features = extract;
    test_survives_alloc_faults(attempt, &f);
    test_api_close(&f.api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time), cmocka_unit_test(test_batches_and_features),
        cmocka_unit_test(test_ends),          cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
