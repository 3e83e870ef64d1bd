/*
 * Masked prediction and the feature penalty against PyTorch and central differences, in
 * other threads, levels and batches, without memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "support_alloc_faults.h"
#include "support_objective.h"
#include "tasks/feature_penalty.h"
#include "tasks/masked_prediction.h"

/* fp32 products and exponentials of logits up to 10 (1 / temperature). */
#define LOSS_TOLERANCE 2e-6
#define GRAD_TOLERANCE 5e-6

typedef struct run_state {
    test_objective objective;
    s3r_masked_prediction_weights weights;
    s3r_masked_prediction_input input;
    s3r_masked_prediction_result result;
    s3r_value *hidden, *features;
    double penalty;
} run_state;

static void open_run(run_state *run, const char *name, size_t threads,
                     s3r_cpu_level level)
{
    test_objective *o = &run->objective;
    size_t count;
    test_objective_open(o, name, threads, level);
    run->weights = (s3r_masked_prediction_weights){
        test_objective_weight(o, "weight"), test_objective_weight(o, "bias"),
        test_objective_weight(o, "embeddings")};
    const s3r_tensor *stored = test_objective_find(o, "labels");
    count = s3r_tensor_elements(stored);
    uint32_t *labels = s3r_arena_alloc(&o->arena, count, sizeof *labels);
    for (size_t i = 0; i < count; i++) {
        float label = ((const float *)stored->data)[i];
        labels[i] = label < 0 ? S3R_NO_FRAME_LABEL : (uint32_t)label;
    }
    run->input = (s3r_masked_prediction_input){
        .labels = labels,
        .unmasked_weight = test_objective_number(o, "unmasked_weight", 0),
        .temperature = 0.1};
    run->input.masked = test_objective_rows(o, "masked", &run->input.masked_count);
}

static s3r_status run_once(run_state *run, s3r_error *err)
{
    test_objective *o = &run->objective;
    s3r_tape_reset(&o->tape);
    run->hidden = test_objective_value(o, "hidden");
    run->features = test_objective_value(o, "features");
    s3r_masked_prediction_loss(&o->tape, run->hidden, &run->weights, &run->input,
                               &run->result);
    run->penalty =
        s3r_feature_penalty(&o->tape, run->features, 10.0 * (double)run->result.masked);
    S3R_TRY(s3r_tape_status(&o->tape, err));
    s3r_tape_backward(&o->tape);
    return s3r_tape_status(&o->tape, err);
}

static void check_number(const char *name, const char *what, double found,
                         double expected)
{
    if (!(fabs(found - expected) <= LOSS_TOLERANCE * fmax(1.0, fabs(expected))))
        fail_msg("%s: %s: expected %.9g, found %.9g", name, what, expected, found);
}

static void check_golden(const char *name, size_t threads, s3r_cpu_level level)
{
    run_state run;
    s3r_error err = {0};
    open_run(&run, name, threads, level);
    const test_objective *o = &run.objective;
    if (run_once(&run, &err) != S3R_OK)
        fail_msg("%s: %s", name, err.message);
    bool has_unmasked = run.input.unmasked_weight > 0.0;
    check_number(name, "masked loss", run.result.masked_loss,
                 test_objective_number(o, "loss", 0));
    check_number(name, "unmasked loss", run.result.unmasked_loss,
                 has_unmasked ? test_objective_number(o, "loss", 1) : 0.0);
    check_number(name, "penalty", run.penalty, test_objective_number(o, "penalty", 0));
    assert_int_equal(run.result.masked_correct, test_objective_number(o, "correct", 0));
    assert_int_equal(run.result.unmasked_correct,
                     has_unmasked ? test_objective_number(o, "correct", 1) : 0.0);
    test_objective_check(o, "hidden", run.hidden->grad, run.hidden->rows,
                         run.hidden->cols, run.hidden->stride, GRAD_TOLERANCE);
    test_objective_check(o, "features", run.features->grad, run.features->rows,
                         run.features->cols, run.features->stride, GRAD_TOLERANCE);
    test_objective_check_weight(o, "weight", &run.weights.projection, GRAD_TOLERANCE);
    test_objective_check_weight(o, "bias", &run.weights.projection_bias, GRAD_TOLERANCE);
    test_objective_check_weight(o, "embeddings", &run.weights.embeddings, GRAD_TOLERANCE);
    test_objective_close(&run.objective);
}

static const char *const cases[] = {"plain.prediction", "both.prediction",
                                    "gaps.prediction"};

static void test_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
            check_golden(cases[i], 1 + i, (s3r_cpu_level)level);
}

static double loss_of(run_state *run)
{
    assert_int_equal(run_once(run, NULL), S3R_OK);
    return run->result.masked_loss +
           run->input.unmasked_weight * run->result.unmasked_loss;
}

/* In fp32 a difference is worth some 1e-3: enough to see a wrong sign or factor. */
static void test_differences(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "both.prediction", 1, s3r_cpu_detect());
    s3r_weight *const weights[] = {&run.weights.projection, &run.weights.projection_bias,
                                   &run.weights.embeddings};
    for (size_t w = 0; w < S3R_ARRAY_LEN(weights); w++) {
        float *data = (float *)(uintptr_t)weights[w]->data;
        for (size_t i = 0; i < weights[w]->rows * weights[w]->cols; i += 7) {
            size_t bytes = weights[w]->rows * weights[w]->cols * sizeof(float);
            memset(weights[w]->grad, 0, bytes);
            float at = data[i];
            (void)loss_of(&run);
            double grad = (double)weights[w]->grad[i];
            data[i] = at + 0.01f;
            double up = loss_of(&run);
            data[i] = at - 0.01f;
            double slope = (up - loss_of(&run)) / 0.02;
            data[i] = at;
            assert_true(fabs(slope - grad) <= 0.02 * fmax(1.0, fabs(grad)));
        }
    }
    test_objective_close(&run.objective);
}

static void test_same_bits(void **state)
{
    run_state one, three;
    (void)state;
    open_run(&one, "both.prediction", 1, s3r_cpu_detect());
    open_run(&three, "both.prediction", 3, s3r_cpu_detect());
    assert_int_equal(run_once(&one, NULL), S3R_OK);
    assert_int_equal(run_once(&three, NULL), S3R_OK);
    assert_memory_equal(&one.result, &three.result, sizeof one.result);
    assert_memory_equal(one.hidden->grad, three.hidden->grad,
                        one.hidden->rows * one.hidden->stride * sizeof(float));
    assert_memory_equal(one.weights.embeddings.grad, three.weights.embeddings.grad,
                        one.weights.embeddings.rows * one.weights.embeddings.cols *
                            sizeof(float));
    test_objective_close(&one.objective);
    test_objective_close(&three.objective);
}

static void test_nothing(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "plain.prediction", 1, s3r_cpu_detect());
    run.input.masked_count = 0;
    assert_int_equal(run_once(&run, NULL), S3R_OK);
    assert_int_equal(run.result.masked, 0);
    assert_null(run.hidden->grad);
    /* Frozen weights and no recording: values alone. */
    test_objective_rows(&run.objective, "masked", &run.input.masked_count);
    run.objective.tape.is_recording = false;
    run.weights.projection.grad = run.weights.embeddings.grad = NULL;
    assert_int_equal(run_once(&run, NULL), S3R_OK);
    check_number("values", "loss", run.result.masked_loss,
                 test_objective_number(&run.objective, "loss", 0));
    assert_null(run.hidden->grad);
    test_objective_close(&run.objective);
}

static void test_not_finite(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "plain.prediction", 1, s3r_cpu_detect());
    ((float *)(uintptr_t)run.weights.projection_bias.data)[0] = NAN;
    assert_int_equal(run_once(&run, NULL), S3R_OK);
    assert_true(isnan(run.result.masked_loss));
    test_objective_close(&run.objective);
}

static void test_steps_without_heap(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "both.prediction", 2, s3r_cpu_detect());
    assert_int_equal(run_once(&run, NULL), S3R_OK);
    size_t calls = s3r_alloc_count();
    assert_int_equal(run_once(&run, NULL), S3R_OK);
    assert_int_equal(s3r_alloc_count(), calls);
    test_objective_close(&run.objective);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    run_state *run = context;
    test_objective *o = &run->objective;
    s3r_tape_release(&o->tape);
    s3r_tape_init(&o->tape, o->pool, s3r_kernels_get(s3r_cpu_detect()));
    o->tape.arena.chunk_bytes = 256; /* nearly each buffer is a call */
    o->tape.is_recording = true;
    s3r_status status = run_once(run, err);
    return status;
}

static void test_without_memory(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "both.prediction", 1, s3r_cpu_detect());
    test_survives_alloc_faults(attempt, &run);
    test_objective_close(&run.objective);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_same_bits),      cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_not_finite),     cmocka_unit_test(test_steps_without_heap),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
