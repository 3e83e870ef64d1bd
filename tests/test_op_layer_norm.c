/*
 * Layer normalisation against double: with and without affine and GELU, rows far from
 * zero, rows without variance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "ops/op_layer_norm.h"
#include "support_gradient.h"

typedef struct norm_options {
    bool affine, gelu;
} norm_options;

#define EPS 1e-5

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    const norm_options *options = op->options;
    return s3r_op_layer_norm(in->tape, in->value[0],
                             options->affine ? in->weight[0] : NULL,
                             options->affine ? in->weight[1] : NULL, EPS, options->gelu);
}

static void norm_reference(const test_op *op, const test_op_reference *in, double *out)
{
    const norm_options *options = op->options;
    size_t cols = op->value_cols[0];
    for (size_t i = 0; i < in->frames; i++) {
        const double *x = in->value[0] + i * cols;
        double mean = 0, variance = 0;
        for (size_t j = 0; j < cols; j++)
            mean += x[j] / (double)cols;
        for (size_t j = 0; j < cols; j++)
            variance += (x[j] - mean) * (x[j] - mean) / (double)cols;
        for (size_t j = 0; j < cols; j++) {
            double y = (x[j] - mean) / sqrt(variance + EPS);
            if (options->affine)
                y = y * in->weight[0][j] + in->weight[1][j];
            out[i * cols + j] = options->gelu ? test_gelu(y) : y;
        }
    }
}

static void test_layer_norm(void **state)
{
    (void)state;
    static const norm_options plain = {false, false}, affine = {true, false},
                              gelu = {false, true}, both = {true, true};
    /* Far from zero fp32 inputs carry their own rounding: 100 / 2^24 of a range of 1. */
    static const test_op cases[] = {
        {.name = "layer norm", .value_cols = {5}, .options = &plain},
        {.name = "layer norm, affine",
         .value_cols = {40},
         .weight = {{1, 40}, {1, 40}},
         .options = &affine,
         .long_lengths = {90, 500, 33}},
        {.name = "layer norm, gelu",
         .value_cols = {19},
         .options = &gelu,
         .long_lengths = {900, 3, 300}},
        {.name = "layer norm, affine, gelu",
         .value_cols = {33},
         .weight = {{1, 33}, {1, 33}},
         .options = &both,
         .long_lengths = {400, 30, 230}},
        {.name = "layer norm, rows of 4 KiB", /* their stride is larger */
         .value_cols = {1024},
         .weight = {{1, 1024}, {1, 1024}},
         .options = &affine},
        {.name = "layer norm far from zero",
         .value_cols = {64},
         .weight = {{1, 64}, {1, 64}},
         .options = &both,
         .offset = 100,
         .forward_tolerance = 2e-5,
         .gradient_tolerance = 4e-5},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.out_cols = op.value_cols[0];
        op.forward = forward;
        op.reference = norm_reference;
        op.lengths[0] = 7, op.lengths[1] = 1, op.lengths[2] = 12;
        test_op_check(&op);
    }
}

static void test_constant_rows_become_the_bias(void **state)
{
    (void)state;
    enum { COLS = 24 };
    float x[COLS], gain[COLS], bias[COLS];
    for (size_t j = 0; j < COLS; j++)
        x[j] = -3.25f, gain[j] = 2, bias[j] = (float)j;
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    s3r_weight gain_weight = {.data = gain, .rows = 1, .cols = COLS};
    s3r_weight bias_weight = {.data = bias, .rows = 1, .cols = COLS};
    s3r_value *y = s3r_op_layer_norm(&tape, s3r_tape_wrap(&tape, x, 1, COLS, COLS),
                                     &gain_weight, &bias_weight, EPS, false);
    assert_memory_equal(y->data, bias, sizeof bias);
    assert_null(s3r_op_layer_norm(&tape, NULL, NULL, NULL, EPS, false));
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_constant_rows_become_the_bias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
