/*
 * Every other frame, against plain copies; and a gradient that passes through a view.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ops/op_grad_scale.h"
#include "ops/op_scale.h"
#include "ops/op_take_rows.h"
#include "support_gradient.h"

static size_t every_other(const test_op *op, size_t frames)
{
    (void)op;
    return (frames + 1) / 2;
}

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    size_t rows[1024], count = 0;
    (void)op;
    for (size_t u = 0; u < in->frames.count; u++)
        for (size_t i = in->frames.offset[u]; i < in->frames.offset[u + 1]; i += 2)
            rows[count++] = i;
    return s3r_op_take_rows(in->tape, in->value[0], rows, count);
}

static void reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->value_cols[0];
    for (size_t i = 0; i < in->frames; i += 2)
        memcpy(out + i / 2 * cols, in->value[0] + i * cols, cols * sizeof *out);
}

static void test_take_rows(void **state)
{
    (void)state;
    static const test_op cases[] = {
        {.name = "take rows",
         .value_cols = {12},
         .out_cols = 12,
         .lengths = {4, 1, 9},
         .long_lengths = {700, 2, 600}},
        {.name = "take rows, odd", .value_cols = {7}, .out_cols = 7, .lengths = {1, 2}},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.out_frames = every_other;
        op.forward = forward;
        op.reference = reference;
        test_op_check(&op);
    }
}

/* Two uses of one value, one of them through the view: 2 and factor * 3. */
static void check_scale(s3r_tape *tape, float factor)
{
    float x[6] = {1, 2, 3, 4, 5, 6};
    s3r_tape_reset(tape);
    s3r_value *value = s3r_tape_wrap(tape, x, 2, 3, 3);
    value->needs_grad = true;
    s3r_value *leaf = s3r_op_scale(tape, value, 1.0f);
    s3r_value *view = s3r_op_grad_scale(tape, leaf, factor);
    s3r_value *direct = s3r_op_scale(tape, leaf, 2.0f);
    s3r_value *slowed = s3r_op_scale(tape, view, 3.0f);
    assert_ptr_equal(view->data, x);
    assert_true(direct->data[0] == 2.0f && slowed->data[slowed->stride + 2] == 18.0f);
    s3r_value *const ends[] = {direct, slowed};
    for (size_t e = 0; e < 2; e++) {
        float *grad = s3r_tape_grad(tape, ends[e]);
        for (size_t i = 0; grad && i < 6; i++)
            grad[i / 3 * ends[e]->stride + i % 3] = 1.0f;
    }
    s3r_tape_backward(tape);
    for (size_t i = 0; i < 6; i++)
        assert_float_equal(value->grad[i], 2.0f + 3.0f * factor, 1e-6);
}

static void test_grad_scale(void **state)
{
    (void)state;
    static const float factors[] = {0.1f, 1.0f, 0.0f, -2.0f};
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    tape.is_recording = true;
    for (size_t i = 0; i < S3R_ARRAY_LEN(factors); i++)
        check_scale(&tape, factors[i]);
    /* Alone, the view hands its gradient over. */
    float x[2] = {1, 2};
    s3r_tape_reset(&tape);
    s3r_value *value = s3r_tape_wrap(&tape, x, 1, 2, 2);
    value->needs_grad = true;
    s3r_value *view = s3r_op_grad_scale(&tape, value, 0.5f);
    s3r_tape_grad(&tape, view)[1] = 8.0f;
    s3r_tape_backward(&tape);
    assert_true(value->grad[0] == 0.0f && value->grad[1] == 4.0f);
    /* A factor of 0 stops the backward pass. */
    assert_false(s3r_op_grad_scale(&tape, value, 0.0f)->needs_grad);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_rows),
        cmocka_unit_test(test_grad_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
