/*
 * The contrastive objective against PyTorch and central differences; in other threads,
 * levels and batches; without memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "support_alloc_faults.h"
#include "support_objective.h"
#include "tasks/contrastive.h"
#include "tasks/feature_penalty.h"

#define SEED           20240607u
#define LOSS_TOLERANCE 2e-6 /* fp32 products, logits up to 10 (1 / temperature) */
#define GRAD_TOLERANCE 2e-5 /* through a softmax over codes as well */
#define WEIGHTS        9

static const uint64_t keys[] = {1001, 77, 123456789};
static const char *const weight_names[WEIGHTS] = {
    "norm_gain",     "norm_bias",   "code_weight",   "code_bias",  "vectors",
    "target_weight", "target_bias", "hidden_weight", "hidden_bias"};

typedef struct run_state {
    test_objective objective;
    s3r_weight norm_gain, norm_bias;
    s3r_contrastive_weights weights;
    s3r_contrastive_options options;
    s3r_contrastive_input input;
    s3r_contrastive_result result;
    size_t offset[4];
    double penalty;
} run_state;

static s3r_weight *weight_at(run_state *run, size_t i)
{
    s3r_weight *const all[WEIGHTS] = {&run->norm_gain,
                                      &run->norm_bias,
                                      &run->weights.code_projection,
                                      &run->weights.code_bias,
                                      &run->weights.vectors,
                                      &run->weights.target_projection,
                                      &run->weights.target_bias,
                                      &run->weights.hidden_projection,
                                      &run->weights.hidden_bias};
    return all[i];
}

static void open_run(run_state *run, const char *name, size_t threads,
                     s3r_cpu_level level)
{
    test_objective *o = &run->objective;
    *run = (run_state){0};
    test_objective_open(o, name, threads, level);
    for (size_t i = 0; i < WEIGHTS; i++)
        *weight_at(run, i) = test_objective_weight(o, weight_names[i]);
    run->options = (s3r_contrastive_options){
        .groups = 2,
        .negatives = (size_t)test_objective_number(o, "negatives", 0),
        .temperature = 0.1,
        .gumbel = 1.5,
        .diversity = 0.1,
        .norm_eps = 1e-5,
        .noise_seed = SEED};
    size_t utterances = s3r_tensor_elements(test_objective_find(o, "lengths"));
    for (size_t u = 0; u < utterances; u++)
        run->offset[u + 1] =
            run->offset[u] + (size_t)test_objective_number(o, "lengths", u);
    run->input = (s3r_contrastive_input){.norm_gain = &run->norm_gain,
                                         .norm_bias = &run->norm_bias,
                                         .frames = {utterances, run->offset},
                                         .keys = keys};
    run->input.masked = test_objective_rows(o, "masked", &run->input.masked_count);
    o->tape.is_training = test_objective_number(o, "training", 0) > 0;
}

static s3r_status run_once(run_state *run, s3r_error *err)
{
    test_objective *o = &run->objective;
    s3r_tape_reset(&o->tape);
    run->input.hidden = test_objective_value(o, "hidden");
    run->input.features = test_objective_value(o, "features");
    s3r_contrastive_loss(&o->tape, &run->input, &run->weights, &run->options,
                         &run->result);
    run->penalty = s3r_feature_penalty(&o->tape, run->input.features,
                                       10.0 * (double)run->result.masked);
    S3R_TRY(s3r_tape_status(&o->tape, err));
    s3r_tape_backward(&o->tape);
    return s3r_tape_status(&o->tape, err);
}

static void check_numbers(const run_state *run)
{
    const test_objective *o = &run->objective;
    const s3r_contrastive_result *result = &run->result;
    const struct {
        const char *key;
        double found;
    } numbers[] = {{"loss", result->loss},
                   {"diversity", result->diversity},
                   {"perplexity", result->perplexity},
                   {"code_perplexity", result->code_perplexity},
                   {"correct", (double)result->correct},
                   {"penalty", run->penalty}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(numbers); i++) {
        double expected = test_objective_number(o, numbers[i].key, 0);
        if (!(fabs(numbers[i].found - expected) <=
              LOSS_TOLERANCE * fmax(1.0, fabs(expected))))
            fail_msg("%s: %s: expected %.9g, found %.9g", o->name, numbers[i].key,
                     expected, numbers[i].found);
    }
}

static void check_golden(const char *name, size_t threads, s3r_cpu_level level)
{
    run_state run;
    s3r_error err = {0};
    open_run(&run, name, threads, level);
    const test_objective *o = &run.objective;
    if (run_once(&run, &err) != S3R_OK)
        fail_msg("%s: %s", name, err.message);
    check_numbers(&run);
    const s3r_value *const values[] = {run.input.hidden, run.input.features};
    const char *const names[] = {"hidden", "features"};
    for (size_t i = 0; i < 2; i++)
        test_objective_check(o, names[i], values[i]->grad, values[i]->rows,
                             values[i]->cols, values[i]->stride, GRAD_TOLERANCE);
    for (size_t i = 0; i < WEIGHTS; i++)
        test_objective_check_weight(o, weight_names[i], weight_at(&run, i),
                                    GRAD_TOLERANCE);
    test_objective_close(&run.objective);
}

static void test_pytorch(void **state)
{
    static const char *const cases[] = {"plain.contrastive", "alone.contrastive",
                                        "repeats.contrastive", "best.contrastive",
                                        "wide.contrastive"};
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
            check_golden(cases[i], 1 + i % 3, (s3r_cpu_level)level);
}

static double loss_of(run_state *run)
{
    assert_int_equal(run_once(run, NULL), S3R_OK);
    return run->result.loss + run->options.diversity * run->result.diversity;
}

/* Of what the straight-through estimate does not touch: a choice that changes between two
 * steps would be no difference. */
static void test_differences(void **state)
{
    static const size_t smooth[] = {5, 6, 7, 8};
    run_state run;
    (void)state;
    open_run(&run, "plain.contrastive", 1, s3r_cpu_detect());
    for (size_t w = 0; w < S3R_ARRAY_LEN(smooth); w++) {
        s3r_weight *weight = weight_at(&run, smooth[w]);
        float *data = (float *)(uintptr_t)weight->data;
        size_t elements = weight->rows * weight->cols;
        for (size_t i = 0; i < elements; i += 5) {
            memset(weight->grad, 0, elements * sizeof(float));
            float at = data[i];
            (void)loss_of(&run);
            double grad = (double)weight->grad[i];
            data[i] = at + 0.01f;
            double up = loss_of(&run);
            data[i] = at - 0.01f;
            double slope = (up - loss_of(&run)) / 0.02;
            data[i] = at;
            /* A third derivative of logits that are multiplied by 10, times 1e-4 / 6. */
            assert_true(fabs(slope - grad) <= 0.03 * fmax(1.0, fabs(grad)));
        }
    }
    test_objective_close(&run.objective);
}

static void test_threads(void **state)
{
    run_state one, three;
    (void)state;
    open_run(&one, "wide.contrastive", 1, s3r_cpu_detect());
    open_run(&three, "wide.contrastive", 3, s3r_cpu_detect());
    assert_int_equal(run_once(&one, NULL), S3R_OK);
    assert_int_equal(run_once(&three, NULL), S3R_OK);
    assert_memory_equal(&one.result, &three.result, sizeof one.result);
    for (size_t i = 0; i < WEIGHTS; i++)
        assert_memory_equal(weight_at(&one, i)->grad, weight_at(&three, i)->grad,
                            weight_at(&one, i)->rows * weight_at(&one, i)->cols *
                                sizeof(float));
    test_objective_close(&one.objective);
    test_objective_close(&three.objective);
}

/* Without the diversity, which is of the batch, an utterance's frames get the same bits
 * in any company. */
static void test_company(void **state)
{
    run_state both, last;
    (void)state;
    open_run(&both, "wide.contrastive", 2, s3r_cpu_detect());
    open_run(&last, "wide.contrastive", 2, s3r_cpu_detect());
    both.options.diversity = last.options.diversity = 0.0;
    assert_int_equal(run_once(&both, NULL), S3R_OK);
    size_t first = 0;
    while (last.input.masked[first] < last.offset[1])
        first++;
    last.input.masked += first;
    last.input.masked_count -= first;
    assert_int_equal(run_once(&last, NULL), S3R_OK);
    size_t stride = both.input.hidden->stride, from = both.offset[1] * stride;
    size_t count = (both.offset[2] - both.offset[1]) * stride;
    assert_memory_equal(both.input.hidden->grad + from, last.input.hidden->grad + from,
                        count * sizeof(float));
    test_objective_close(&both.objective);
    test_objective_close(&last.objective);
}

static void test_negatives(void **state)
{
    size_t counts[7] = {0}, draws = 60000;
    (void)state;
    for (size_t i = 0; i < draws; i++)
        counts[s3r_contrastive_negative(s3r_random_at(4, i / 100, 0), i % 100, 3, 7)]++;
    assert_int_equal(counts[3], 0);
    /* Five standard errors of a sixth of the draws. */
    for (size_t j = 0; j < 7; j++)
        assert_true(j == 3 || fabs((double)counts[j] - 10000.0) < 460.0);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(s3r_contrastive_negative(i, i, i % 2, 2), 1 - i % 2);
}

static void test_nothing(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "plain.contrastive", 1, s3r_cpu_detect());
    run.input.masked_count = 0;
    assert_int_equal(run_once(&run, NULL), S3R_OK);
    assert_true(run.result.loss == 0.0 && run.result.masked == 0);
    test_objective_close(&run.objective);
}

static void test_dropout_of_features(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "plain.contrastive", 1, s3r_cpu_detect());
    run.options.feature_drop = 0.5;
    assert_int_equal(run_once(&run, NULL), S3R_OK);
    double diversity = test_objective_number(&run.objective, "diversity", 0);
    assert_true(fabs(run.result.diversity - diversity) > 1e-3);
    run.objective.tape.is_training = false;
    assert_int_equal(run_once(&run, NULL), S3R_OK);
    assert_true(fabs(run.result.diversity - diversity) < 1e-5);
    test_objective_close(&run.objective);
}

static void test_steps_without_heap(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "wide.contrastive", 2, s3r_cpu_detect());
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
    o->tape.is_recording = o->tape.is_training = true;
    return run_once(run, err);
}

static void test_without_memory(void **state)
{
    run_state run;
    (void)state;
    open_run(&run, "plain.contrastive", 1, s3r_cpu_detect());
    test_survives_alloc_faults(attempt, &run);
    test_objective_close(&run.objective);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_negatives),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_dropout_of_features),
        cmocka_unit_test(test_steps_without_heap),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
