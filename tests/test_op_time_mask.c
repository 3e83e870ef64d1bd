/*
 * Time masking: every third frame of an utterance becomes the embedding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops/op_time_mask.h"
#include "support_gradient.h"

static bool is_masked(size_t frame)
{
    return frame % 3 == 1;
}

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    size_t rows[1000], count = 0;
    for (size_t u = 0; in->frames.offset && u < in->frames.count; u++)
        for (size_t i = in->frames.offset[u]; i < in->frames.offset[u + 1]; i++)
            if (is_masked(i - in->frames.offset[u]))
                rows[count++] = i;
    return s3r_op_time_mask(in->tape, in->value[0], rows, count, in->weight[0]);
}

static void mask_reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->out_cols;
    for (size_t i = 0; i < in->frames * cols; i++)
        out[i] = is_masked(i / cols) ? in->weight[0][i % cols] : in->value[0][i];
}

static void test_time_mask(void **state)
{
    (void)state;
    const test_op op = {.name = "time mask",
                        .value_cols = {70},
                        .weight = {{1, 70}},
                        .out_cols = 70,
                        .forward = forward,
                        .reference = mask_reference,
                        .lengths = {5, 1, 8},
                        .long_lengths = {500, 1, 200}};
    test_op_check(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
