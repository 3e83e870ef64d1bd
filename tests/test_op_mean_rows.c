/*
 * The mean of an utterance's frames, its gradient, and sums that come in pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/op_mean_rows.h"
#include "support_gradient.h"

static size_t one_row(const test_op *op, size_t frames)
{
    (void)op;
    (void)frames;
    return 1;
}

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    return s3r_op_mean_rows(in->tape, in->value[0], in->frames);
}

static void reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->value_cols[0];
    for (size_t j = 0; j < cols; j++) {
        out[j] = 0;
        for (size_t i = 0; i < in->frames; i++)
            out[j] += in->value[0][i * cols + j] / (double)in->frames;
    }
}

static void test_mean_rows(void **state)
{
    (void)state;
    static const test_op cases[] = {
        {.name = "mean",
         .value_cols = {12},
         .out_cols = 12,
         .lengths = {4, 1, 9},
         .long_lengths = {700, 2, 600}},
        {.name = "mean, odd", .value_cols = {7}, .out_cols = 7, .lengths = {1, 2}},
        {.name = "mean, far from zero",
         .value_cols = {5},
         .out_cols = 5,
         .offset = 100.0f,
         .lengths = {3, 5}},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.out_frames = one_row;
        op.forward = forward;
        op.reference = reference;
        test_op_check(&op);
    }
}

/* An utterance without frames between two others; and nothing reads beyond its own. */
static void test_empty_utterance(void **state)
{
    (void)state;
    static const size_t offset[] = {0, 2, 2, 3};
    float x[] = {1, 2, 3, 6, 7, 8};
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    tape.is_recording = true;
    s3r_value *value = s3r_tape_wrap(&tape, x, 3, 2, 2);
    value->needs_grad = true;
    s3r_value *y = s3r_op_mean_rows(&tape, value, (s3r_ragged){3, offset});
    static const float means[3][2] = {{2, 4}, {0, 0}, {7, 8}};
    float *grad = s3r_tape_grad(&tape, y);
    for (size_t u = 0; u < 3; u++)
        for (size_t j = 0; j < 2; j++) {
            assert_true(y->data[u * y->stride + j] == means[u][j]);
            grad[u * y->stride + j] = (float)(u + 1);
        }
    s3r_tape_backward(&tape);
    static const float expected[] = {0.5f, 0.5f, 0.5f, 0.5f, 3.0f, 3.0f};
    assert_memory_equal(value->grad, expected, sizeof expected);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

/* Whatever the pieces, the same bits. */
static void test_pieces(void **state)
{
    (void)state;
    enum { ROWS = 97, COLS = 9, STRIDE = 11 };
    float rows[ROWS * STRIDE], whole[COLS], mean[COLS];
    double sums[COLS] = {0};
    s3r_random random;
    s3r_random_init(&random, 5, 0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(rows); i++)
        rows[i] = (float)s3r_random_normal(&random);
    s3r_rows_add_to_sums(sums, rows, STRIDE, ROWS, COLS);
    s3r_sums_to_mean(whole, sums, ROWS, COLS);
    for (size_t piece = 1; piece <= ROWS; piece += 13) {
        memset(sums, 0, sizeof sums);
        for (size_t i = 0; i < ROWS; i += piece)
            s3r_rows_add_to_sums(sums, rows + i * STRIDE, STRIDE,
                                 S3R_MIN(piece, ROWS - i), COLS);
        s3r_sums_to_mean(mean, sums, ROWS, COLS);
        assert_memory_equal(mean, whole, sizeof whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_rows),
        cmocka_unit_test(test_empty_utterance),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
