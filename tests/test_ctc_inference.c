/*
 * Windows: where they are cut, that the extractor gives in them what it gives at once,
 * that every frame comes once and in order, and how little seams change.
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

#include "support_api.h"
#include "support_files.h"
#include "support_model.h"
#include "tasks/ctc_inference.h"

static s3r_error err;

/* ---- the cut ---- */

/* Frames as characters: b blank, x a label, y a label with a likely blank. */
static void check_cut(const char *frames, size_t from, size_t to, size_t expected)
{
    enum { COLS = 3, STRIDE = 5, BLANK = 1 };
    float data[32 * STRIDE] = {0};
    size_t rows = strlen(frames);
    for (size_t i = 0; i < rows; i++) {
        float *row = data + i * STRIDE;
        row[0] = row[2] = -2;
        row[BLANK] = frames[i] == 'b' ? -0.5f : frames[i] == 'y' ? -1.5f : -4;
        if (frames[i] != 'b')
            row[2] = -0.25f;
    }
    const s3r_value value = {.data = data, .rows = rows, .cols = COLS, .stride = STRIDE};
    size_t found = s3r_find_blank_cut(&value, BLANK, from, to);
    if (found != expected)
        fail_msg("%s from %zu to %zu: expected %zu, found %zu", frames, from, to,
                 expected, found);
}

static void test_cuts_are_in_the_longest_blank(void **state)
{
    (void)state;
    check_cut("xxbbbxx", 0, 7, 4);
    check_cut("xxbbbbx", 0, 7, 4);
    check_cut("bxbbx", 0, 5, 3);
    check_cut("bxb", 0, 3, 3); /* the last of equals */
    check_cut("xbbxxbbx", 0, 8, 6);
    check_cut("b", 0, 1, 1);
    check_cut("bbbb", 2, 4, 3);
    check_cut("bbbbxxbx", 4, 8, 7); /* not outside of the range */
    check_cut("bbbbxxbbbb", 4, 7, 7);
    check_cut("bbbbbb", 0, 6, 3);
}

static void test_cuts_without_a_blank(void **state)
{
    (void)state;
    check_cut("xyxx", 0, 4, 2);
    check_cut("xyxy", 0, 4, 4);
    check_cut("yxxx", 1, 4, 4); /* all alike: the last */
    check_cut("x", 0, 1, 1);
}

/* ---- the extractor ---- */

#define SAMPLES 70000u

static float samples[SAMPLES];

static void check_pieces(const char *name, bool is_bf16)
{
    test_model model;
    s3r_tape tape;
    test_model_open(&model, name, s3r_cpu_detect(), 2, is_bf16, false);
    s3r_tape_init(&tape, model.pool, model.kernels);
    tape.is_bf16 = is_bf16;
    test_make_speech(samples, SAMPLES, 21);
    size_t frames = s3r_config_frames(&model.config, SAMPLES);
    size_t cols = model.config.conv[model.config.conv_count - 1].dim;
    const size_t pieces[][2] = {{0, 1},   {0, 47},   {1, 100}, {48, 48},
                                {77, 99}, {110, 31}, {0, 0},   {frames - 50, 50}};
    s3r_waveform wave = s3r_waveform_make(&model.config, samples, SAMPLES);
    s3r_folded_norm norm =
        s3r_extractor_measure(&tape, &model.config, &model.weights, &wave);
    s3r_value *whole = s3r_tape_value(&tape, frames, cols);
    s3r_extractor_run(&tape, &model.config, &model.weights, &wave, 0, frames, &norm,
                      whole, 0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(pieces); i++) {
        size_t first = pieces[i][0], count = pieces[i][1];
        s3r_value *part = s3r_tape_value(&tape, count + 3, cols);
        s3r_extractor_run(&tape, &model.config, &model.weights, &wave, first, count,
                          &norm, part, 3);
        for (size_t row = 0; row < count; row++)
            assert_memory_equal(part->data + (row + 3) * part->stride,
                                whole->data + (first + row) * whole->stride,
                                cols * sizeof(float));
    }
    assert_int_equal(s3r_tape_status(&tape, &err), S3R_OK);
    s3r_tape_release(&tape);
    test_model_close(&model);
}

static void test_extractor_gives_the_same_bits_in_pieces(void **state)
{
    (void)state;
    static const char *const cases[] = {"w2v2_group_postln", "w2v2_layer_preln",
                                        "hubert_group", "wavlm_large", "odd_shapes"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        for (int is_bf16 = 0; is_bf16 < 2; is_bf16++)
            check_pieces(cases[i], is_bf16);
}

/* ---- windows ---- */

typedef struct collected {
    float *log_probs; /* [frames, cols] */
    size_t cols, frames, next, deliveries, longest;
    size_t hidden_next[8];
    size_t fail_at, stop_at; /* counted from 1; 0 = never */
    size_t asked;
} collected;

static s3r_status collect_log_probs(void *context, const s3r_frame_rows *rows,
                                    s3r_error *error)
{
    collected *all = context;
    assert_int_equal(rows->utterance, 5);
    assert_int_equal(rows->first_frame, all->next);
    assert_true(rows->count > 0 && rows->first_frame + rows->count <= all->frames);
    assert_true(rows->row + rows->count <= rows->value->rows);
    assert_int_equal(rows->value->cols, all->cols);
    for (size_t i = 0; i < rows->count; i++)
        memcpy(all->log_probs + (all->next + i) * all->cols,
               rows->value->data + (rows->row + i) * rows->value->stride,
               all->cols * sizeof(float));
    all->next += rows->count;
    all->longest = S3R_MAX(all->longest, rows->count);
    if (++all->deliveries == all->fail_at)
        return s3r_fail(error, S3R_ERR_DATA, "enough");
    return S3R_OK;
}

static s3r_status collect_hidden(void *context, size_t layer, const s3r_frame_rows *rows,
                                 s3r_error *error)
{
    collected *all = context;
    (void)error;
    assert_int_equal(rows->first_frame, all->hidden_next[layer]);
    all->hidden_next[layer] += rows->count;
    return S3R_OK;
}

static bool ask(void *context)
{
    collected *all = context;
    return ++all->asked != all->stop_at;
}

typedef struct windows {
    size_t window, context;
    bool has_hidden;
    size_t fail_at, stop_at;
} windows;

static s3r_status run_windows(collected *all, const test_model *model, s3r_tape *tape,
                              size_t count, const windows *w)
{
    size_t frames = s3r_config_frames(&model->config, count);
    *all = (collected){.cols = model->config.vocab_size,
                       .frames = frames,
                       .fail_at = w->fail_at,
                       .stop_at = w->stop_at};
    all->log_probs = s3r_alloc(frames, all->cols * sizeof(float));
    s3r_inference inference = {.tape = tape,
                               .config = &model->config,
                               .weights = &model->weights,
                               .window_frames = w->window,
                               .context_frames = w->context,
                               .log_probs = collect_log_probs,
                               .hidden = w->has_hidden ? collect_hidden : NULL,
                               .sink_context = all,
                               .goes_on = ask,
                               .goes_on_context = all};
    s3r_waveform wave = s3r_waveform_make(&model->config, samples, count);
    err.message[0] = '\0';
    return s3r_inference_long(&inference, &wave, 5, &err);
}

static void check_coverage(const char *name, size_t count)
{
    static const windows cases[] = {
        {.window = 2},
        {.window = 3, .context = 1},
        {.window = 10, .context = 50},
        {.window = 20, .context = 5},
        {.window = 20, .context = 5, .has_hidden = true},
        {.window = 33, .context = 0, .has_hidden = true},
        {.window = 100, .context = 10},
        {.window = 1000000, .context = 10},
    };
    test_model model;
    s3r_tape tape;
    collected all;
    test_model_open(&model, name, s3r_cpu_detect(), 1, false, false);
    s3r_tape_init(&tape, model.pool, model.kernels);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        assert_int_equal(run_windows(&all, &model, &tape, count, &cases[i]), S3R_OK);
        assert_int_equal(all.next, all.frames);
        assert_true(all.longest <= cases[i].window + cases[i].context);
        assert_int_equal(all.asked, all.deliveries);
        for (size_t k = 0; k <= model.config.block_count && cases[i].has_hidden; k++)
            assert_int_equal(all.hidden_next[k], all.frames);
        if (all.frames > 0 && cases[i].window == 1000000)
            assert_int_equal(all.deliveries, 1);
        s3r_free(all.log_probs);
    }
    s3r_tape_release(&tape);
    test_model_close(&model);
}

static void test_every_frame_comes_once_in_order(void **state)
{
    (void)state;
    test_make_speech(samples, SAMPLES, 22);
    check_coverage("w2v2_group_postln", SAMPLES);
    check_coverage("w2v2_group_postln", 399);
    check_coverage("w2v2_group_postln", 400);
    check_coverage("wavlm_base", 9000);
    check_coverage("w2v2_layer_preln", 7000);
    check_coverage("odd_shapes", 2600);
}

static void test_sinks_and_callers_end_a_run(void **state)
{
    (void)state;
    const windows failing = {.window = 20, .context = 5, .fail_at = 3};
    const windows stopped = {.window = 20, .context = 5, .stop_at = 4};
    test_model model;
    s3r_tape tape;
    collected all;
    test_model_open(&model, "w2v2_group_postln", s3r_cpu_detect(), 1, false, false);
    s3r_tape_init(&tape, model.pool, model.kernels);
    s3r_status status = run_windows(&all, &model, &tape, SAMPLES, &failing);
    test_expect_failure(status, &err, S3R_ERR_DATA, "enough");
    assert_int_equal(all.deliveries, 3);
    s3r_free(all.log_probs);
    status = run_windows(&all, &model, &tape, SAMPLES, &stopped);
    test_expect_failure(status, &err, S3R_ERR_INTERRUPTED, "interrupted");
    assert_int_equal(all.deliveries, 3);
    s3r_free(all.log_probs);
    s3r_tape_release(&tape);
    test_model_close(&model);
}

/* Rows of log-probabilities as they come. */
typedef struct seen_rows {
    float *rows; /* [frames, cols] */
    size_t ends[512], count, next, cols;
} seen_rows;

static s3r_status see_rows(void *context, const s3r_frame_rows *rows, s3r_error *error)
{
    seen_rows *seen = context;
    (void)error;
    assert_int_equal(rows->first_frame, seen->next);
    for (size_t i = 0; i < rows->count; i++)
        memcpy(seen->rows + (seen->next + i) * seen->cols,
               rows->value->data + (rows->row + i) * rows->value->stride,
               seen->cols * sizeof(float));
    seen->next += rows->count;
    assert_true(seen->count < S3R_ARRAY_LEN(seen->ends));
    seen->ends[seen->count++] = seen->next;
    return S3R_OK;
}

/* Frames [from, to) of the extractor's output as an utterance of their own. */
static void run_slice(s3r_inference inference, const s3r_value *features, size_t from,
                      size_t to, seen_rows *seen)
{
    s3r_tape *tape = inference.tape;
    s3r_value *slice = s3r_tape_value(tape, to - from, features->cols);
    const size_t offset[2] = {0, to - from};
    assert_non_null(slice);
    for (size_t i = from; i < to; i++)
        memcpy(slice->data + (i - from) * slice->stride,
               features->data + i * features->stride, features->cols * sizeof(float));
    *seen = (seen_rows){.rows = seen->rows, .cols = seen->cols};
    inference.window_frames = inference.context_frames = 1000000;
    inference.sink_context = seen;
    assert_int_equal(
        s3r_inference_features(&inference, slice, s3r_tape_ragged(tape, 1, offset), &err),
        S3R_OK);
    assert_int_equal(seen->next, to - from);
}

/* Each window is what its frames and the context on both sides give alone, and ends where
 * its last frames are blank. */
static void check_windows(const char *name, size_t count, size_t window, size_t context)
{
    test_model model;
    s3r_tape tape, other;
    test_model_open(&model, name, s3r_cpu_detect(), 1, false, false);
    s3r_tape_init(&tape, model.pool, model.kernels);
    s3r_tape_init(&other, model.pool, model.kernels);
    const s3r_model_config *config = &model.config;
    size_t frames = s3r_config_frames(config, count), cols = config->vocab_size;
    s3r_waveform wave = s3r_waveform_make(config, samples, count);
    s3r_folded_norm norm = s3r_extractor_measure(&other, config, &model.weights, &wave);
    s3r_value *features =
        s3r_tape_value(&other, frames, config->conv[config->conv_count - 1].dim);
    s3r_extractor_run(&other, config, &model.weights, &wave, 0, frames, &norm, features,
                      0);
    seen_rows all = {.rows = s3r_alloc(frames * cols, sizeof(float)), .cols = cols};
    seen_rows alone = {.rows = s3r_alloc(frames * cols, sizeof(float)), .cols = cols};
    s3r_inference inference = {.tape = &tape,
                               .config = config,
                               .weights = &model.weights,
                               .window_frames = window,
                               .context_frames = context,
                               .log_probs = see_rows,
                               .sink_context = &all};
    assert_int_equal(s3r_inference_long(&inference, &wave, 5, &err), S3R_OK);
    assert_int_equal(all.next, frames);
    assert_true(all.count > 3);
    inference.tape = &other;
    for (size_t i = 0, start = 0; i < all.count; start = all.ends[i++]) {
        bool is_last = i + 1 == all.count;
        size_t from = start > context ? start - context : 0;
        size_t end = is_last ? frames : start + window;
        run_slice(inference, features, from, S3R_MIN(end + context, frames), &alone);
        const s3r_value log_probs = {
            .data = alone.rows, .rows = alone.next, .cols = cols, .stride = cols};
        size_t search = S3R_MIN(window / 2, 4 * context + 1);
        size_t cut = is_last ? end - from
                             : s3r_find_blank_cut(&log_probs, config->pad_token_id,
                                                  end - search - from, end - from);
        assert_int_equal(all.ends[i], from + cut);
        assert_memory_equal(all.rows + start * cols, alone.rows + (start - from) * cols,
                            (all.ends[i] - start) * cols * sizeof(float));
    }
    s3r_free(all.rows);
    s3r_free(alone.rows);
    s3r_tape_release(&tape);
    s3r_tape_release(&other);
    test_model_close(&model);
}

static void test_windows_hear_their_context(void **state)
{
    (void)state;
    test_make_speech(samples, SAMPLES, 24);
    check_windows("w2v2_group_postln", SAMPLES, 40, 12);
    check_windows("w2v2_group_postln", SAMPLES, 21, 30);
    check_windows("w2v2_layer_preln", SAMPLES, 40, 0);
    check_windows("wavlm_base", 40000, 25, 7);
}

/* What seams change in a model whose frames see each other. */
static void check_seams(const char *name, size_t count, double limit)
{
    const windows whole = {.window = 1000000}, cut = {.window = 60, .context = 30};
    test_model model;
    s3r_tape tape;
    collected a, b;
    test_model_open(&model, name, s3r_cpu_detect(), 1, false, false);
    s3r_tape_init(&tape, model.pool, model.kernels);
    assert_int_equal(run_windows(&a, &model, &tape, count, &whole), S3R_OK);
    assert_int_equal(run_windows(&b, &model, &tape, count, &cut), S3R_OK);
    assert_true(b.deliveries > 1);
    double mean = 0, size = 0;
    for (size_t i = 0; i < a.frames * a.cols; i++) {
        mean += fabs((double)a.log_probs[i] - (double)b.log_probs[i]);
        size += fabs((double)a.log_probs[i]);
    }
    print_message("%-20s mean difference %.4f of mean %.4f\n", name,
                  mean / (double)(a.frames * a.cols), size / (double)(a.frames * a.cols));
    assert_true(mean < limit * size);
    s3r_free(a.log_probs);
    s3r_free(b.log_probs);
    s3r_tape_release(&tape);
    test_model_close(&model);
}

static void test_seams_change_little(void **state)
{
    (void)state;
    test_make_speech(samples, SAMPLES, 23);
    check_seams("w2v2_group_postln", SAMPLES, 0.1);
    check_seams("w2v2_layer_preln", 20000, 0.1);
    check_seams("wavlm_base", 20000, 0.1);
}

/* ---- a model whose frames do not see each other ---- */

static void make_local(const char *tensor, float *values, size_t count)
{
    if (strstr(tensor, "attention.out_proj.") || strstr(tensor, "conv.weight_g"))
        memset(values, 0, count * sizeof *values);
}

static void expect_close_arrays(const char *a_path, const char *b_path)
{
    size_t rows, cols, b_rows, b_cols;
    float *a = test_read_npy(a_path, &rows, &cols);
    float *b = test_read_npy(b_path, &b_rows, &b_cols);
    assert_int_equal(rows, b_rows);
    assert_int_equal(cols, b_cols);
    double worst = 0;
    for (size_t i = 0; i < rows * cols; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    if (!(worst <= 1e-5))
        fail_msg("emissions differ by %g", worst);
    s3r_free(a);
    s3r_free(b);
}

static void check_local(const char *golden, size_t count)
{
    static const double seconds[] = {1, 2, 3.3, 7};
    static test_results whole, cut;
    const char *folder = test_folder();
    const char *path =
        test_write_speech(folder, "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, count, 31);
    test_api api;
    s3r_transcribe_options options;
    test_api_open(&api, test_edit_model(golden, make_local), 2, NULL);
    s3r_transcribe_options_init(&options);
    options.emissions_folder = test_path(folder, "whole");
    assert_int_equal(s3r_transcribe(api.context, api.model, &path, 1, &options,
                                    test_take_result, &whole, &err),
                     S3R_OK);
    assert_true(whole.items[0].label_count > 50);
    for (size_t i = 0; i < S3R_ARRAY_LEN(seconds); i++) {
        options.emissions_folder = test_path(folder, "cut");
        options.window_s = seconds[i];
        options.context_s = seconds[i] / 4;
        assert_int_equal(s3r_transcribe(api.context, api.model, &path, 1, &options,
                                        test_take_result, &cut, &err),
                         S3R_OK);
        assert_string_equal(cut.items[0].text, whole.items[0].text);
        assert_int_equal(cut.items[0].label_count, whole.items[0].label_count);
        expect_close_arrays(test_path(folder, "cut/a.npy"),
                            test_path(folder, "whole/a.npy"));
        test_results_release(&cut);
    }
    test_results_release(&whole);
    test_api_close(&api);
}

static void test_local_models_have_no_seams(void **state)
{
    (void)state;
    check_local("w2v2_group_postln", 320000);
    check_local("w2v2_layer_preln", 80000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_are_in_the_longest_blank),
        cmocka_unit_test(test_cuts_without_a_blank),
        cmocka_unit_test(test_extractor_gives_the_same_bits_in_pieces),
        cmocka_unit_test(test_every_frame_comes_once_in_order),
        cmocka_unit_test(test_sinks_and_callers_end_a_run),
        cmocka_unit_test(test_windows_hear_their_context),
        cmocka_unit_test(test_seams_change_little),
        cmocka_unit_test(test_local_models_have_no_seams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
