/*
 * The whole network against PyTorch (tests/golden): every form of the family, every CPU
 * level, fp32 and bf16; batches and threads bit for bit; the gradient of every parameter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "audio/audio_normalize.h"
#include "model/encoder.h"
#include "model/extractor.h"
#include "model/parameters.h"
#include "support_model.h"

static const char *const cases[] = {"w2v2_group_postln",
                                    "w2v2_layer_preln",
                                    "hubert_group",
                                    "hubert_layer_preln",
                                    "hubert_no_projection_norm",
                                    "data2vec_audio",
                                    "wavlm_base",
                                    "wavlm_large",
                                    "odd_shapes"};

#define UTTERANCES 2

/* What one run of the network gives, for comparison. */
typedef struct network_run {
    s3r_tape tape;
    s3r_value *extractor, *logits;
    s3r_ragged frames;
    float *hidden[8]; /* copies [frames, hidden_size] */
    const test_model *model;
} network_run;

static void keep_hidden(void *context, size_t layer, const s3r_value *x)
{
    network_run *run = context;
    assert_true(layer < S3R_ARRAY_LEN(run->hidden));
    run->hidden[layer] = s3r_alloc(x->rows, x->cols * sizeof(float));
    for (size_t i = 0; i < x->rows; i++)
        memcpy(run->hidden[layer] + i * x->cols, x->data + i * x->stride,
               x->cols * sizeof(float));
}

/* The normalised waveforms of the chosen utterances one after another. */
static s3r_value *load_waves(network_run *run, const test_golden *golden, size_t first,
                             size_t count, s3r_ragged *samples)
{
    size_t offset[UTTERANCES + 1] = {0};
    float *data = s3r_tape_alloc(&run->tape, 1 << 20, sizeof *data);
    for (size_t u = 0; u < count; u++) {
        const s3r_tensor *input = test_golden_find(golden, "input.%zu", first + u);
        size_t n = s3r_tensor_elements(input);
        offset[u + 1] = offset[u] + n;
        memcpy(data + offset[u], input->data, n * sizeof *data);
        if (run->model->config.do_normalize)
            s3r_audio_normalize(data + offset[u], data + offset[u], n,
                                run->model->config.normalize_eps);
    }
    *samples = s3r_tape_ragged(&run->tape, count, offset);
    return s3r_tape_wrap(&run->tape, data, offset[count], 1, 1);
}

static void run_network(network_run *run, const test_model *model,
                        const test_golden *golden, bool is_bf16, bool is_recording,
                        size_t first, size_t count)
{
    s3r_ragged samples;
    *run = (network_run){.model = model};
    s3r_tape_init(&run->tape, model->pool, model->kernels);
    run->tape.is_bf16 = is_bf16;
    run->tape.is_recording = is_recording;
    s3r_value *wave = load_waves(run, golden, first, count, &samples);
    run->extractor = s3r_extractor_forward(&run->tape, &model->config, &model->weights,
                                           wave, samples, &run->frames);
    s3r_encoder_options options = {.hidden = keep_hidden, .hidden_context = run};
    s3r_value *hidden = s3r_encoder_forward(&run->tape, &model->config, &model->weights,
                                            run->extractor, run->frames, &options);
    run->logits = s3r_head_forward(&run->tape, &model->config, &model->weights, hidden,
                                   run->frames, NULL);
    assert_non_null(run->logits);
}

static void release_run(network_run *run)
{
    for (size_t i = 0; i < S3R_ARRAY_LEN(run->hidden); i++)
        s3r_free(run->hidden[i]);
    s3r_tape_release(&run->tape);
}

typedef struct difference {
    double worst, largest; /* absolute difference; absolute expected value */
    double error_energy, energy;
} difference;

/* rows x cols from x (row stride) against a golden tensor. */
static void compare(difference *d, const float *x, size_t stride,
                    const s3r_tensor *golden)
{
    assert_non_null(golden);
    const float *expected = golden->data;
    size_t cols = golden->shape[golden->rank - 1];
    for (size_t i = 0; i < s3r_tensor_elements(golden); i++) {
        double value = (double)x[i / cols * stride + i % cols];
        double error = fabs(value - (double)expected[i]);
        d->worst = error > d->worst || error != error ? error : d->worst;
        d->largest = fmax(d->largest, fabs((double)expected[i]));
        d->error_energy += error * error;
        d->energy += (double)expected[i] * (double)expected[i];
    }
}

static void check_forward(const char *name, s3r_cpu_level level, bool is_bf16)
{
    test_model model;
    test_golden golden;
    network_run run;
    difference extractor = {0}, hidden = {0}, logits = {0};
    test_model_open(&model, name, level, 2, is_bf16, false);
    test_golden_open(&golden, name);
    run_network(&run, &model, &golden, is_bf16, false, 0, UTTERANCES);
    size_t width = model.config.hidden_size;
    for (size_t u = 0; u < UTTERANCES; u++) {
        size_t row = run.frames.offset[u];
        compare(&extractor, run.extractor->data + row * run.extractor->stride,
                run.extractor->stride, test_golden_find(&golden, "extractor.%zu", u));
        for (size_t layer = 0; layer <= model.config.block_count; layer++)
            compare(&hidden, run.hidden[layer] + row * width, width,
                    test_golden_find(&golden, "hidden.%zu.%zu", u, layer));
        compare(&logits, run.logits->data + row * run.logits->stride, run.logits->stride,
                test_golden_find(&golden, "logits.%zu", u));
    }
    double snr_db = 10 * log10(logits.energy / logits.error_energy);
    print_message(
        "%-26s %-10s %s extractor %.1e rel, hidden %.1e, logits %.1e, %.0f dB\n", name,
        s3r_cpu_level_name(level), is_bf16 ? "bf16" : "fp32",
        extractor.worst / extractor.largest, hidden.worst, logits.worst, snr_db);
    if (is_bf16) {
        assert_true(snr_db > 30); /* 8 bits of mantissa through some ten products */
    } else {
        assert_true(extractor.worst < 1e-5 * extractor.largest);
        assert_true(hidden.worst < 1e-4);
        assert_true(logits.worst < 1e-3);
    }
    release_run(&run);
    test_golden_close(&golden);
    test_model_close(&model);
}

static void test_forward_matches_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
            for (int is_bf16 = 0; is_bf16 < 2; is_bf16++)
                check_forward(cases[i], (s3r_cpu_level)level, is_bf16);
}

static void expect_same_rows(const s3r_value *a, size_t a_row, const s3r_value *b,
                             size_t b_row, size_t rows)
{
    assert_int_equal(a->cols, b->cols);
    for (size_t i = 0; i < rows; i++)
        assert_memory_equal(a->data + (a_row + i) * a->stride,
                            b->data + (b_row + i) * b->stride, a->cols * sizeof(float));
}

/* A batch of two gives what each alone gives; 1, 2 and 3 threads; recorded or not. */
static void test_batches_and_threads_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
            test_model models[3];
            test_golden golden;
            network_run batch, other;
            test_golden_open(&golden, cases[i]);
            for (size_t t = 0; t < 3; t++)
                test_model_open(&models[t], cases[i], s3r_cpu_detect(), t + 1, is_bf16,
                                false);
            run_network(&batch, &models[0], &golden, is_bf16, false, 0, UTTERANCES);
            for (size_t variant = 0; variant < 8; variant++) {
                bool is_single = variant >= 6;
                size_t u = variant - 6, t = is_single ? 1 : variant % 3;
                run_network(&other, &models[t], &golden, is_bf16,
                            variant >= 3 && !is_single, is_single ? u : 0,
                            is_single ? 1 : UTTERANCES);
                size_t row = is_single ? batch.frames.offset[u] : 0;
                size_t rows = other.logits->rows;
                expect_same_rows(batch.extractor, row, other.extractor, 0, rows);
                expect_same_rows(batch.logits, row, other.logits, 0, rows);
                release_run(&other);
            }
            release_run(&batch);
            for (size_t t = 0; t < 3; t++)
                test_model_close(&models[t]);
            test_golden_close(&golden);
        }
    }
}

static void put_seed_gradient(network_run *run, const test_golden *golden)
{
    run->logits->grad = s3r_tape_grad(&run->tape, run->logits);
    for (size_t u = 0; u < UTTERANCES; u++) {
        const float *seed = test_golden_find(golden, "seed_grad.%zu", u)->data;
        size_t first = run->frames.offset[u], cols = run->logits->cols;
        for (size_t i = first; i < run->frames.offset[u + 1]; i++)
            for (size_t j = 0; j < cols; j++)
                run->logits->grad[i * run->logits->stride + j] =
                    seed[(i - first) * cols + j] / 1000.0f;
    }
}

static double largest_gradient(const test_golden *golden)
{
    difference all = {0};
    for (size_t i = 0; i < golden->file.tensor_count; i++) {
        const s3r_tensor *tensor = &golden->file.tensors[i];
        if (strncmp(tensor->name, "grad.", 5) == 0)
            compare(&all, tensor->data, tensor->shape[tensor->rank - 1], tensor);
    }
    return all.largest;
}

static double check_gradient(const s3r_parameter *parameter, const test_golden *golden,
                             double floor)
{
    difference d = {0};
    const char *name = parameter->entry->name;
    const s3r_tensor *expected = test_golden_find(golden, "grad.%s", name);
    if (!expected)
        fail_msg("no reference gradient of %s", name);
    float *stored = s3r_alloc(s3r_parameter_elements(parameter), sizeof *stored);
    s3r_parameter_to_stored(parameter, parameter->weight->grad, stored);
    compare(&d, stored, expected->shape[expected->rank - 1], expected);
    s3r_free(stored);
    return d.worst / fmax(d.largest, floor);
}

static void check_gradients(const char *name, s3r_cpu_level level)
{
    test_model model;
    test_golden golden;
    network_run run;
    s3r_parameters parameters;
    test_model_open(&model, name, level, 2, false, true);
    test_golden_open(&golden, name);
    assert_int_equal(s3r_parameters_open(&parameters, model.checkpoint, &model.config,
                                         &model.weights, NULL),
                     S3R_OK);
    for (size_t i = 0; i < parameters.count; i++)
        assert_int_equal(s3r_parameter_train(&parameters, &parameters.items[i], NULL),
                         S3R_OK);
    run_network(&run, &model, &golden, false, true, 0, UTTERANCES);
    put_seed_gradient(&run, &golden);
    s3r_tape_backward(&run.tape);
    assert_int_equal(s3r_tape_status(&run.tape, NULL), S3R_OK);
    double floor = 1e-3 * largest_gradient(&golden), worst = 0;
    size_t checked = 0;
    for (size_t i = 0; i < parameters.count; i++) {
        const char *parameter = parameters.items[i].entry->name;
        if (strcmp(parameter, "masked_spec_embed") == 0)
            continue; /* takes no part without masking */
        double error = check_gradient(&parameters.items[i], &golden, floor);
        if (!(error < 1e-3))
            fail_msg("%s: gradient of %s differs by %g relative", name, parameter, error);
        worst = fmax(worst, error);
        checked++;
    }
    print_message("%-26s %-10s %zu gradients, worst %.1e relative\n", name,
                  s3r_cpu_level_name(level), checked, worst);
    assert_true(checked > 20);
    release_run(&run);
    s3r_parameters_close(&parameters);
    test_golden_close(&golden);
    test_model_close(&model);
}

static void test_gradients_match_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
            check_gradients(cases[i], (s3r_cpu_level)level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_matches_pytorch),
        cmocka_unit_test(test_batches_and_threads_give_the_same_bits),
        cmocka_unit_test(test_gradients_match_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
