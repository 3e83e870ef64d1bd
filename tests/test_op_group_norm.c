/*
 * Group norm against double, and chunked statistics against the whole, bit for bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/op_group_norm.h"
#include "support_alloc_faults.h"
#include "support_gradient.h"

#define EPS 1e-5

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    return s3r_op_group_norm(in->tape, in->value[0], in->frames, in->weight[0],
                             in->weight[1], EPS, *(const bool *)op->options);
}

static void norm_reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->value_cols[0];
    double frames = (double)in->frames;
    for (size_t j = 0; j < cols; j++) {
        const double *x = in->value[0] + j;
        double mean = 0, variance = 0;
        for (size_t i = 0; i < in->frames; i++)
            mean += x[i * cols] / frames;
        for (size_t i = 0; i < in->frames; i++)
            variance += (x[i * cols] - mean) * (x[i * cols] - mean) / frames;
        for (size_t i = 0; i < in->frames; i++) {
            double y = (x[i * cols] - mean) / sqrt(variance + EPS);
            y = y * in->weight[0][j] + in->weight[1][j];
            out[i * cols + j] = *(const bool *)op->options ? test_gelu(y) : y;
        }
    }
}

static void test_group_norm(void **state)
{
    (void)state;
    static const bool plain = false, gelu = true;
    /* x * scale + shift loses what the deviation is smaller than the values; a single
     * frame has deviation 0 and scale 1 / sqrt(EPS). */
    static const test_op cases[] = {
        {.name = "group norm",
         .value_cols = {5},
         .weight = {{1, 5}, {1, 5}},
         .options = &plain,
         .forward_tolerance = 2e-5,
         .lengths = {9, 1, 70}},
        {.name = "group norm, gelu",
         .value_cols = {70},
         .weight = {{1, 70}, {1, 70}},
         .options = &gelu,
         .forward_tolerance = 2e-5,
         .gradient_tolerance = 4e-5,
         .lengths = {5, 1, 12},
         .long_lengths = {65, 400, 130}},
        {.name = "group norm far from zero",
         .value_cols = {20},
         .weight = {{1, 20}, {1, 20}},
         .options = &gelu,
         .lengths = {30, 11},
         .offset = 100,
         .forward_tolerance = 4e-5,
         .gradient_tolerance = 1e-4},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.out_cols = op.value_cols[0];
        op.forward = forward;
        op.reference = norm_reference;
        test_op_check(&op);
    }
}

enum { FRAMES = 331, CHANNELS = 70 };

/* The chunked way with chunks of these frames; y [FRAMES][CHANNELS]. */
static void run_chunks(s3r_pool *pool, s3r_value *x, const float *gain, const float *bias,
                       size_t chunk, float *y)
{
    s3r_tape tape;
    s3r_channel_stats stats;
    float scale[CHANNELS], shift[CHANNELS];
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    assert_true(s3r_channel_stats_init(&stats, &tape, CHANNELS));
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < FRAMES; i += chunk) {
            s3r_value part = *x;
            part.data += i * x->stride;
            part.rows = S3R_MIN(chunk, FRAMES - i);
            if (pass == 0) {
                s3r_channel_stats_add(&stats, pool, tape.kernels, &part);
                continue;
            }
            s3r_value *out = s3r_op_channel_affine(&tape, &part, scale, shift, true);
            for (size_t r = 0; r < part.rows; r++)
                memcpy(y + (i + r) * CHANNELS, out->data + r * out->stride,
                       CHANNELS * sizeof *y);
        }
        s3r_channel_stats_finish(&stats, gain, bias, EPS, scale, shift);
    }
    s3r_tape_release(&tape);
}

static void test_chunks_give_the_same_bits(void **state)
{
    (void)state;
    static const size_t chunks[] = {1, 7, 64, 128, 330, FRAMES};
    static float x[FRAMES * CHANNELS], y[FRAMES * CHANNELS];
    float gain[CHANNELS], bias[CHANNELS];
    s3r_random random;
    s3r_random_init(&random, 8, 0);
    for (size_t i = 0; i < FRAMES * CHANNELS; i++)
        x[i] = (float)(s3r_random_normal(&random) + 0.3);
    for (size_t j = 0; j < CHANNELS; j++) {
        gain[j] = (float)s3r_random_normal(&random);
        bias[j] = (float)s3r_random_normal(&random);
    }
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    s3r_weight gain_weight = {.data = gain, .rows = 1, .cols = CHANNELS};
    s3r_weight bias_weight = {.data = bias, .rows = 1, .cols = CHANNELS};
    const size_t offset[2] = {0, FRAMES};
    s3r_value *value = s3r_tape_wrap(&tape, x, FRAMES, CHANNELS, CHANNELS);
    s3r_value *whole = s3r_op_group_norm(&tape, value, (s3r_ragged){1, offset},
                                         &gain_weight, &bias_weight, EPS, true);
    for (size_t c = 0; c < S3R_ARRAY_LEN(chunks); c++) {
        run_chunks(pool, value, gain, bias, chunks[c], y);
        for (size_t i = 0; i < FRAMES; i++)
            assert_memory_equal(y + i * CHANNELS, whole->data + i * whole->stride,
                                CHANNELS * sizeof *y);
    }
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

static s3r_status init_stats(void *context, s3r_error *err)
{
    (void)context;
    s3r_channel_stats stats;
    s3r_tape tape;
    s3r_tape_init(&tape, NULL, NULL);
    bool is_made = s3r_channel_stats_init(&stats, &tape, 12);
    s3r_status status = s3r_tape_status(&tape, err);
    assert_int_equal(is_made, status == S3R_OK);
    s3r_tape_release(&tape);
    return status;
}

static void test_stats_survive_faults(void **state)
{
    (void)state;
    test_survives_alloc_faults(init_stats, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_norm),
        cmocka_unit_test(test_chunks_give_the_same_bits),
        cmocka_unit_test(test_stats_survive_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
