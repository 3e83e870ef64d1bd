/*
 * Channel masking: two channels an utterance, chosen by its key; NaN must not survive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "ops/op_channel_mask.h"
#include "support_gradient.h"

enum { COLS = 37 };

static void chosen(uint64_t key, size_t *channels)
{
    channels[0] = (size_t)(key % COLS);
    channels[1] = (size_t)(key * 5 % COLS);
}

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    size_t channels[8], offset[5] = {0};
    for (size_t u = 0; u < in->frames.count; u++) {
        chosen(in->keys[u], channels + 2 * u);
        offset[u + 1] = 2 * u + 2;
    }
    return s3r_op_channel_mask(in->tape, in->value[0], in->frames,
                               (s3r_ragged){in->frames.count, offset}, channels);
}

static void mask_reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t channels[2];
    (void)op;
    chosen(in->key, channels);
    for (size_t i = 0; i < in->frames * COLS; i++) {
        bool is_masked = i % COLS == channels[0] || i % COLS == channels[1];
        out[i] = is_masked ? 0 : in->value[0][i];
    }
}

static void test_channel_mask(void **state)
{
    (void)state;
    const test_op op = {.name = "channel mask",
                        .value_cols = {COLS},
                        .out_cols = COLS,
                        .forward = forward,
                        .reference = mask_reference,
                        .lengths = {5, 1, 8},
                        .long_lengths = {500, 1, 700}};
    test_op_check(&op);
}

static void test_nan_is_cleared(void **state)
{
    (void)state;
    float x[2] = {NAN, 3};
    const size_t offset[2] = {0, 1}, channel = 0;
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    s3r_value *y =
        s3r_op_channel_mask(&tape, s3r_tape_wrap(&tape, x, 1, 2, 2),
                            (s3r_ragged){1, offset}, (s3r_ragged){1, offset}, &channel);
    assert_true(y->data[0] == 0 && y->data[1] == 3);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel_mask),
        cmocka_unit_test(test_nan_is_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
