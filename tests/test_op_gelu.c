/*
 * GELU against double.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops/op_gelu.h"
#include "support_gradient.h"

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    return s3r_op_gelu(in->tape, in->value[0]);
}

static void gelu_reference(const test_op *op, const test_op_reference *in, double *out)
{
    for (size_t i = 0; i < in->frames * op->value_cols[0]; i++)
        out[i] = test_gelu(in->value[0][i]);
}

static void test_gelu_op(void **state)
{
    (void)state;
    static const test_op cases[] = {
        {.name = "gelu", .value_cols = {1}, .lengths = {1, 1, 1}},
        {.name = "gelu", .value_cols = {300}, .lengths = {2, 1, 4}},
        {.name = "gelu",
         .value_cols = {77},
         .lengths = {3, 1, 2},
         .offset = -2.5f,
         .long_lengths = {400, 3, 90}},
        {.name = "gelu", .value_cols = {17}, .lengths = {3, 1, 2}, .offset = 3},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.out_cols = op.value_cols[0];
        op.forward = forward;
        op.reference = gelu_reference;
        test_op_check(&op);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu_op),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
