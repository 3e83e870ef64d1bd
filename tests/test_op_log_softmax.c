/*
 * Log-softmax against double, and on logits that would overflow an exponential.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "ops/op_log_softmax.h"
#include "support_gradient.h"

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    return s3r_op_log_softmax(in->tape, in->value[0]);
}

static void softmax_reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->value_cols[0];
    for (size_t i = 0; i < in->frames; i++) {
        const double *x = in->value[0] + i * cols;
        double total = 0;
        for (size_t j = 0; j < cols; j++)
            total += exp(x[j] - op->offset);
        for (size_t j = 0; j < cols; j++)
            out[i * cols + j] = x[j] - op->offset - log(total);
    }
}

static void test_log_softmax(void **state)
{
    (void)state;
    static const test_op cases[] = {
        {.name = "log softmax of 1", .value_cols = {1}, .lengths = {2, 1}},
        {.name = "log softmax",
         .value_cols = {32},
         .lengths = {4, 1, 9},
         .long_lengths = {500, 2, 300}},
        {.name = "log softmax, wide", .value_cols = {600}, .lengths = {1, 2}},
        {.name = "log softmax, large",
         .value_cols = {29},
         .lengths = {1, 7},
         .offset = 1000},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.out_cols = op.value_cols[0];
        op.forward = forward;
        op.reference = softmax_reference;
        test_op_check(&op);
    }
}

static void test_distant_logits(void **state)
{
    (void)state;
    float x[3] = {300, -300, 0};
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    s3r_value *y = s3r_op_log_softmax(&tape, s3r_tape_wrap(&tape, x, 1, 3, 3));
    assert_true(y->data[0] == 0 && y->data[1] == -600 && y->data[2] == -300);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_softmax),
        cmocka_unit_test(test_distant_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
