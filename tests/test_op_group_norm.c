/*
 * Group norm against double, and chunked statistics against the whole, bit for bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "ops/op_group_norm.h"
#include "support_gradient.h"

#define EPS 1e-5

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    return s3r_op_group_norm(in->tape, in->value[0], in->frames, in->weight[0],
                             in->weight[1], EPS, *(const bool *)op->options);
}

static void norm_reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->value_cols[0];
    double frames = (double)in->frames;
    for (size_t j = 0; j < cols; j++) {
        const double *x = in->value[0] + j;
        double mean = 0, variance = 0;
        for (size_t i = 0; i < in->frames; i++)
            mean += x[i * cols] / frames;
        for (size_t i = 0; i < in->frames; i++)
            variance += (x[i * cols] - mean) * (x[i * cols] - mean) / frames;
        for (size_t i = 0; i < in->frames; i++) {
            double y = (x[i * cols] - mean) / sqrt(variance + EPS);
            y = y * in->weight[0][j] + in->weight[1][j];
            out[i * cols + j] = *(const bool *)op->options ? test_gelu(y) : y;
        }
    }
}

static void test_group_norm(void **state)
{
    (void)state;
    static const bool plain = false, gelu = true;
    /* x * scale + shift loses what the deviation is smaller than the values; a single
     * frame has deviation 0 and scale 1 / sqrt(EPS). */
    static const test_op cases[] = {
        {.name = "group norm",
         .value_cols = {5},
         .weight = {{1, 5}, {1, 5}},
         .options = &plain,
         .forward_tolerance = 2e-5,
         .lengths = {9, 1, 70}},
        {.name = "group norm, gelu",
         .value_cols = {70},
         .weight = {{1, 70}, {1, 70}},
         .options = &gelu,
         .forward_tolerance = 2e-5,
         .gradient_tolerance = 4e-5,
         .lengths = {5, 1, 12},
         .long_lengths = {65, 400, 130}},
        {.name = "group norm far from zero",
         .value_cols = {20},
         .weight = {{1, 20}, {1, 20}},
         .options = &gelu,
         .lengths = {30, 11},
         .offset = 100,
         .forward_tolerance = 4e-5,
         .gradient_tolerance = 1e-4},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.out_cols = op.value_cols[0];
        op.forward = forward;
        op.reference = norm_reference;
        test_op_check(&op);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_norm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
