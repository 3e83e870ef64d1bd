/*
 * ReLU against double.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "ops/op_relu.h"
#include "support_gradient.h"

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    return s3r_op_relu(in->tape, in->value[0]);
}

static void relu_reference(const test_op *op, const test_op_reference *in, double *out)
{
    for (size_t i = 0; i < in->frames * op->value_cols[0]; i++)
        out[i] = fmax(in->value[0][i], 0);
}

static void test_relu(void **state)
{
    (void)state;
    const test_op op = {.name = "relu",
                        .value_cols = {37},
                        .out_cols = 37,
                        .forward = forward,
                        .reference = relu_reference,
                        .lengths = {3, 1, 4},
                        .long_lengths = {800, 1, 300}};
    test_op_check(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
