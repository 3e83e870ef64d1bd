/*
 * Weight normalisation in front of a linear layer, against double.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "ops/op_linear.h"
#include "ops/op_weight_norm.h"
#include "support_gradient.h"

enum { OUT = 6, TAPS = 5, IN = 3 };

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    s3r_weight *w = s3r_op_weight_norm(in->tape, in->weight[0], in->weight[1]);
    return w ? s3r_op_linear(in->tape, in->value[0], w, NULL, false) : NULL;
}

static void normalize(const double *gain, const double *v, double *w)
{
    for (size_t tap = 0; tap < TAPS; tap++) {
        double squares = 0;
        for (size_t i = 0; i < OUT * TAPS * IN; i++)
            if (i / IN % TAPS == tap)
                squares += v[i] * v[i];
        for (size_t i = 0; i < OUT * TAPS * IN; i++)
            if (i / IN % TAPS == tap)
                w[i] = gain[tap] * v[i] / sqrt(squares);
    }
}

static void norm_reference(const test_op *op, const test_op_reference *in, double *out)
{
    double w[OUT * TAPS * IN];
    normalize(in->weight[0], in->weight[1], w);
    for (size_t i = 0; i < in->frames; i++) {
        for (size_t o = 0; o < op->out_cols; o++) {
            double sum = 0;
            for (size_t j = 0; j < TAPS * IN; j++)
                sum += in->value[0][i * TAPS * IN + j] * w[o * TAPS * IN + j];
            out[i * op->out_cols + o] = sum;
        }
    }
}

static void test_weight_norm(void **state)
{
    (void)state;
    const test_op op = {.name = "weight norm",
                        .value_cols = {TAPS * IN},
                        .weight = {{1, TAPS}, {OUT, TAPS * IN}},
                        .out_cols = OUT,
                        .forward = forward,
                        .reference = norm_reference,
                        .has_products = true,
                        .lengths = {3, 1, 8},
                        .long_lengths = {600, 1, 400}};
    test_op_check(&op);
}

/* In place, and with a tap of zeros. */
static void test_frozen_weight(void **state)
{
    (void)state;
    float v[OUT * TAPS * IN], gain[TAPS] = {1, 2, 3, -4, 5};
    double gain_wide[TAPS] = {1, 2, 3, -4, 5}, wide[OUT * TAPS * IN];
    for (size_t i = 0; i < OUT * TAPS * IN; i++) {
        v[i] = i / IN % TAPS == 2 ? 0 : (float)(i % 7) - 2.5f;
        wide[i] = (double)v[i];
    }
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    double expected[OUT * TAPS * IN];
    normalize(gain_wide, wide, expected);
    s3r_weight_norm(pool, s3r_kernels_get(s3r_cpu_detect()), gain, v, OUT, TAPS, IN, v);
    for (size_t i = 0; i < OUT * TAPS * IN; i++) {
        if (i / IN % TAPS == 2)
            assert_true(v[i] == 0);
        else
            assert_true(fabs((double)v[i] - expected[i]) < 1e-6);
    }
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_norm),
        cmocka_unit_test(test_frozen_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
