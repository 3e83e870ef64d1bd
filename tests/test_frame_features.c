/*
 * Rows of utterances: those of the whole model though blocks above the layer are left
 * out, the same in any batch, as many as the encoder has frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "support_api.h"
#include "support_files.h"
#include "support_model.h"
#include "tasks/ctc_inference.h"
#include "tasks/frame_features.h"

#define COUNT     6u
#define MAX_ROWS  4000u
#define MAX_WIDTH 48u

/* 45 s is more than a window keeps; 399 samples are no frame. */
static const size_t sample_counts[COUNT] = {8000, 399, 12345, 0, 45 * 16000, 400};

typedef struct taken_rows {
    float rows[MAX_ROWS * MAX_WIDTH];
    size_t count, dim;
    size_t frames[COUNT], failed[COUNT];
    size_t first, last; /* first: of the call's items; last: seen so far */
} taken_rows;

static taken_rows one, other;
static s3r_utterance utterances[COUNT];
static const s3r_utterance *items[COUNT];

static void make_items(void)
{
    const char *folder = test_folder();
    for (size_t i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "%zu.wav", i);
        utterances[i] = (s3r_utterance){.id = "x", .duration_s = -1};
        utterances[i].audio_path =
            sample_counts[i]
                ? test_write_speech(folder, name, SF_FORMAT_WAV | SF_FORMAT_PCM_16,
                                    sample_counts[i], i)
                : "nothing.wav";
        items[i] = &utterances[i];
    }
}

static s3r_status take(void *context, size_t item, const float *rows, size_t stride,
                       size_t count, s3r_error *err)
{
    taken_rows *t = context;
    (void)err;
    item += t->first;
    assert_true(item < COUNT && item >= t->last && t->count + count <= MAX_ROWS);
    t->last = item;
    t->frames[item] += count;
    for (size_t i = 0; i < count; i++)
        memcpy(t->rows + t->count++ * t->dim, rows + i * stride, t->dim * sizeof *rows);
    return S3R_OK;
}

static void miss(void *context, size_t item, s3r_status status, const char *message)
{
    taken_rows *t = context;
    assert_int_equal(status, S3R_ERR_DATA);
    assert_non_null(strstr(message, "nothing.wav"));
    t->failed[t->first + item]++;
}

static void run_normalized(taken_rows *t, const test_model *model, size_t layer,
                           double batch_s, bool normalizes)
{
    s3r_tape tape;
    s3r_frame_features features;
    s3r_error err = {S3R_OK, ""};
    size_t taken = 0;
    s3r_tape_init(&tape, model->pool, model->kernels);
    const s3r_frame_features_options options = {
        .tape = &tape,
        .config = layer == SIZE_MAX ? NULL : &model->config,
        .weights = &model->weights,
        .layer = layer,
        .batch_s = batch_s,
        .normalizes = normalizes,
        .allow_ffmpeg = false};
    *t = (taken_rows){0};
    assert_int_equal(s3r_frame_features_open(&features, &options, NULL), S3R_OK);
    const s3r_frame_sink sink = {.rows = take, .failed = miss, .context = t};
    t->dim = features.dim;
    assert_int_equal(features.frame_stride, 320);
    for (; t->first < COUNT; t->first += taken)
        if (s3r_frame_features_run(&features, items + t->first, COUNT - t->first, &sink,
                                   &taken, &err) != S3R_OK)
            fail_msg("%s", err.message);
    s3r_frame_features_close(&features);
    s3r_tape_release(&tape);
}

static void run(taken_rows *t, const test_model *model, size_t layer, double batch_s)
{
    run_normalized(t, model, layer, batch_s, false);
}

static void check_counts(const taken_rows *t, const s3r_model_config *config)
{
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(t->frames[i], s3r_config_frames(config, sample_counts[i]));
        assert_int_equal(t->failed[i], sample_counts[i] == 0);
    }
}

static void batches_do_not_matter(void **state)
{
    static const size_t layers[] = {SIZE_MAX, 1}; /* cepstra first */
    test_model model;
    (void)state;
    make_items();
    test_model_open(&model, "w2v2_group_postln", s3r_cpu_detect(), 2, false, false);
    for (size_t i = 0; i < S3R_ARRAY_LEN(layers); i++) {
        run(&one, &model, layers[i], 0.001);
        check_counts(&one, &model.config);
        run(&other, &model, layers[i], 1000);
        check_counts(&other, &model.config);
        assert_memory_equal(one.rows, other.rows, one.count * one.dim * sizeof(float));
    }
    test_model_close(&model);
}

/* Rows of each utterance are those of before, moved and stretched to mean 0 and variance
 * 1; the longest has passed the network in pieces. */
static void normalized_within_utterances(void **state)
{
    static const size_t layers[] = {SIZE_MAX, 1};
    test_model model;
    (void)state;
    make_items();
    test_model_open(&model, "w2v2_group_postln", s3r_cpu_detect(), 2, false, false);
    for (size_t n = 0; n < S3R_ARRAY_LEN(layers); n++) {
        run_normalized(&one, &model, layers[n], 0.001, true);
        run_normalized(&other, &model, layers[n], 1000, true);
        check_counts(&one, &model.config);
        assert_memory_equal(one.rows, other.rows, one.count * one.dim * sizeof(float));
        run(&other, &model, layers[n], 1000);
        size_t first = 0, dim = one.dim;
        for (size_t u = 0; u < COUNT; first += one.frames[u++]) {
            const float *rows = one.rows + first * dim, *plain = other.rows + first * dim;
            double count = (double)one.frames[u];
            for (size_t j = 0; j < dim && one.frames[u] > 1; j++) {
                double sum = 0, squares = 0, mean = 0, together = 0, spread = 0;
                for (size_t i = 0; i < one.frames[u]; i++)
                    mean += (double)plain[i * dim + j] / count;
                for (size_t i = 0; i < one.frames[u]; i++) {
                    double x = (double)rows[i * dim + j];
                    double apart = (double)plain[i * dim + j] - mean;
                    sum += x;
                    squares += x * x;
                    together += x * apart;
                    spread += apart * apart;
                }
                assert_true(fabs(sum / count) < 1e-5);
                assert_true(fabs(squares / count - 1) < 1e-4);
                assert_true(together > 0.9999 * sqrt(squares * spread));
            }
            for (size_t j = 0; j < dim && one.frames[u] == 1; j++)
                assert_true(rows[j] == 0.0f);
        }
    }
    test_model_close(&model);
}

/* ---- against the whole model ---- */

typedef struct whole_rows {
    taken_rows *rows;
    size_t layer;
} whole_rows;

static s3r_status take_whole(void *context, size_t layer, const s3r_frame_rows *rows,
                             s3r_error *err)
{
    whole_rows *w = context;
    const s3r_value *value = rows->value;
    if (layer != w->layer)
        return S3R_OK;
    return take(w->rows, 0, value->data + rows->row * value->stride, value->stride,
                rows->count, err);
}

static void layers_are_those_of_the_model(void **state)
{
    static const char *const models[] = {"w2v2_group_postln", "wavlm_base"};
    (void)state;
    make_items();
    for (size_t m = 0; m < S3R_ARRAY_LEN(models); m++) {
        test_model model;
        s3r_tape tape;
        s3r_audio audio;
        test_model_open(&model, models[m], s3r_cpu_detect(), 2, false, false);
        s3r_tape_init(&tape, model.pool, model.kernels);
        assert_int_equal(s3r_utterance_load(&audio, items[0], NULL, NULL), S3R_OK);
        s3r_waveform wave =
            s3r_waveform_make(&model.config, audio.samples, audio.sample_count);
        for (size_t layer = 0; layer <= model.config.block_count; layer++) {
            whole_rows whole = {&other, layer};
            const s3r_inference inference = {.tape = &tape,
                                             .config = &model.config,
                                             .weights = &model.weights,
                                             .hidden = take_whole,
                                             .sink_context = &whole};
            s3r_frame_features features;
            const s3r_frame_features_options options = {.tape = &tape,
                                                        .config = &model.config,
                                                        .weights = &model.weights,
                                                        .layer = layer,
                                                        .batch_s = 1};
            const s3r_frame_sink sink = {.rows = take, .failed = miss, .context = &one};
            size_t taken;
            one = other = (taken_rows){.dim = model.config.hidden_size};
            assert_int_equal(s3r_inference_batch(&inference, &wave, 1, NULL), S3R_OK);
            assert_int_equal(s3r_frame_features_open(&features, &options, NULL), S3R_OK);
            assert_int_equal(
                s3r_frame_features_run(&features, items, 1, &sink, &taken, NULL), S3R_OK);
            assert_true(taken == 1 && one.count > 0 && one.count == other.count);
            assert_memory_equal(one.rows, other.rows,
                                one.count * one.dim * sizeof(float));
            s3r_frame_features_close(&features);
        }
        s3r_audio_release(&audio);
        s3r_tape_release(&tape);
        test_model_close(&model);
    }
}

static void refuses_a_layer_that_is_not_there(void **state)
{
    test_model model;
    s3r_frame_features features;
    s3r_error err;
    (void)state;
    test_model_open(&model, "w2v2_group_postln", s3r_cpu_detect(), 1, false, false);
    const s3r_frame_features_options options = {
        .config = &model.config, .weights = &model.weights, .layer = 3};
    assert_int_equal(s3r_frame_features_open(&features, &options, &err), S3R_ERR_USAGE);
    assert_string_equal(err.message, "layer: expected 0 to 2, found 3");
    test_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_do_not_matter),
        cmocka_unit_test(normalized_within_utterances),
        cmocka_unit_test(layers_are_those_of_the_model),
        cmocka_unit_test(refuses_a_layer_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
