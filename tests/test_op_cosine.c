/*
 * Cosine similarities with a weight and within utterances, and rows of zeros.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "ops/op_cosine.h"
#include "support_gradient.h"

static double cosine(const double *a, const double *b, size_t cols)
{
    double product = 0, aa = 0, bb = 0;
    for (size_t j = 0; j < cols; j++) {
        product += a[j] * b[j];
        aa += a[j] * a[j];
        bb += b[j] * b[j];
    }
    return product / sqrt(aa * bb);
}

static s3r_value *forward_weight(const test_op *op, const test_op_input *in)
{
    (void)op;
    return s3r_op_cosine(in->tape, in->value[0], in->weight[0]);
}

static void weight_reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->value_cols[0], classes = op->weight[0].rows;
    for (size_t i = 0; i < in->frames; i++)
        for (size_t j = 0; j < classes; j++)
            out[i * classes + j] =
                cosine(in->value[0] + i * cols, in->weight[0] + j * cols, cols);
}

static s3r_value *forward_within(const test_op *op, const test_op_input *in)
{
    return s3r_op_cosine_within(in->tape, in->value[0], in->value[1], in->frames,
                                op->out_cols);
}

static void within_reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->value_cols[0], width = op->out_cols;
    for (size_t i = 0; i < in->frames; i++)
        for (size_t j = 0; j < width; j++)
            out[i * width + j] = j < in->frames ? cosine(in->value[0] + i * cols,
                                                         in->value[1] + j * cols, cols)
                                                : 0.0;
}

static void test_cosine(void **state)
{
    (void)state;
    static const test_op cases[] = {
        {.name = "cosine with a weight",
         .value_cols = {16},
         .weight = {{12, 16}},
         .out_cols = 12,
         .lengths = {4, 1, 9},
         .long_lengths = {300, 2, 150},
         .forward = forward_weight,
         .reference = weight_reference},
        {.name = "cosine, odd sizes",
         .value_cols = {7},
         .weight = {{3, 7}},
         .out_cols = 3,
         .lengths = {1, 5},
         .forward = forward_weight,
         .reference = weight_reference},
        {.name = "cosine within utterances",
         .value_cols = {20, 20},
         .out_cols = 9,
         .lengths = {4, 1, 9},
         .forward = forward_within,
         .reference = within_reference},
        {.name = "cosine within long utterances",
         .value_cols = {33, 33},
         .out_cols = 140,
         .lengths = {3},
         .long_lengths = {140, 1, 97},
         .forward = forward_within,
         .reference = within_reference},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        test_op_check(&cases[i]);
}

static void test_zeros(void **state)
{
    (void)state;
    float x[4] = {0, 0, 3, 4}, w[2] = {0.6f, 0.8f}, dw[2] = {0};
    s3r_weight weight = {
        .data = w, .dtype = S3R_DTYPE_F32, .rows = 1, .cols = 2, .grad = dw};
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    tape.is_recording = true;
    s3r_value *y = s3r_op_cosine(&tape, s3r_tape_wrap(&tape, x, 2, 2, 2), &weight);
    assert_true(y->data[0] == 0.0f && fabsf(y->data[y->stride] - 1.0f) < 1e-6f);
    s3r_tape_grad(&tape, y)[0] = 1.0f;
    s3r_tape_backward(&tape);
    assert_true(dw[0] == 0.0f && dw[1] == 0.0f);
    /* Nothing at all. */
    s3r_tape_reset(&tape);
    y = s3r_op_cosine(&tape, s3r_tape_wrap(&tape, x, 0, 2, 2), &weight);
    assert_non_null(y);
    assert_non_null(s3r_tape_grad(&tape, y));
    s3r_tape_backward(&tape);
    assert_true(dw[0] == 0.0f && dw[1] == 0.0f);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
