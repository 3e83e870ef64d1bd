/*
 * The sum of two values, also of a value with itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops/op_add.h"
#include "support_gradient.h"

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    return s3r_op_add(in->tape, s3r_op_add(in->tape, in->value[0], in->value[1]),
                      in->value[0]);
}

static s3r_value *forward_twice(const test_op *op, const test_op_input *in)
{
    (void)op;
    return s3r_op_add(in->tape, in->value[0], in->value[0]);
}

static void add_reference(const test_op *op, const test_op_reference *in, double *out)
{
    for (size_t i = 0; i < in->frames * op->out_cols; i++)
        out[i] = 2 * in->value[0][i] + (op->value_cols[1] ? in->value[1][i] : 0);
}

static void test_add(void **state)
{
    (void)state;
    const test_op add = {.name = "add",
                         .value_cols = {35, 35},
                         .out_cols = 35,
                         .forward = forward,
                         .reference = add_reference,
                         .lengths = {3, 1, 8},
                         .long_lengths = {600, 1, 400}};
    const test_op twice = {.name = "add to itself",
                           .value_cols = {3},
                           .out_cols = 3,
                           .forward = forward_twice,
                           .reference = add_reference,
                           .lengths = {3, 1, 8}};
    test_op_check(&add);
    test_op_check(&twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
