/*
 * A group norm folded into the convolution before it against the two ops, from packed and
 * plain weights, also where the convolution shares products of pairs; injected faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "model/folded_norm.h"
#include "ops/op_group_norm.h"
#include "support_alloc_faults.h"

enum { SAMPLES = 6007, OUT = 37, KERNEL_MOST = 10 };
#define EPS 1e-5

static float wave[SAMPLES], weights[OUT * KERNEL_MOST], gain[OUT], bias[OUT];

static void fill(float *x, size_t count, uint64_t seed, double mean, double deviation)
{
    s3r_random random;
    s3r_random_init(&random, seed, 0);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(mean + deviation * s3r_random_normal(&random));
}

static void measure(s3r_window_moments *moments, s3r_tape *tape,
                    const s3r_conv_shape *shape)
{
    assert_true(s3r_window_moments_init(moments, tape, shape->kernel, shape->stride));
    s3r_window_moments_add(moments, tape->kernels, wave, s3r_conv_frames(shape, SAMPLES));
    s3r_window_moments_finish(moments);
}

/* gelu(norm(conv(wave))) in two ops; the convolution's own bias does not matter. */
static s3r_value *in_two_ops(s3r_tape *tape, const s3r_conv_shape *shape,
                             s3r_weight *weight)
{
    const size_t offset[2] = {0, SAMPLES};
    s3r_weight gains = {.data = gain, .rows = 1, .cols = OUT};
    s3r_weight biases = {.data = bias, .rows = 1, .cols = OUT};
    s3r_ragged frames;
    s3r_value *x = s3r_tape_wrap(tape, wave, SAMPLES, 1, 1);
    s3r_value *y = s3r_op_conv(tape, x, s3r_tape_ragged(tape, 1, offset), shape, weight,
                               &biases, S3R_CONV_SUM, &frames);
    return s3r_op_group_norm(tape, y, frames, &gains, &biases, EPS, true);
}

static void check(const s3r_conv_shape *shape, bool is_packed)
{
    const size_t offset[2] = {0, SAMPLES};
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    s3r_weight weight = {.data = weights, .rows = OUT, .cols = shape->kernel};
    if (is_packed) {
        void *packed = s3r_tape_alloc(&tape, s3r_conv_packed_bytes(shape, false), 1);
        s3r_conv_pack(tape.kernels, shape, weights, false, packed);
        weight.packed_f32 = packed;
    }
    s3r_value *expected = in_two_ops(&tape, shape, &weight);
    s3r_window_moments moments;
    s3r_folded_norm norm;
    s3r_ragged frames;
    measure(&moments, &tape, shape);
    assert_true(
        s3r_folded_norm_make(&norm, &tape, shape, &weight, gain, bias, EPS, &moments));
    s3r_value *x = s3r_tape_wrap(&tape, wave, SAMPLES, 1, 1);
    s3r_value *found = s3r_op_conv(&tape, x, s3r_tape_ragged(&tape, 1, offset), shape,
                                   &norm.weight, &norm.bias, S3R_CONV_GELU, &frames);
    assert_int_equal(s3r_tape_status(&tape, NULL), S3R_OK);
    assert_int_equal(found->rows, expected->rows);
    for (size_t i = 0; i < found->rows; i++)
        for (size_t j = 0; j < OUT; j++)
            assert_true(fabsf(found->data[i * found->stride + j] -
                              expected->data[i * expected->stride + j]) < 2e-5f);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

static void test_equals_two_ops(void **state)
{
    (void)state;
    static const s3r_conv_shape shapes[] = {
        {1, OUT, 10, 5, 1, 0, 0}, {1, OUT, 3, 2, 1, 0, 0}, {1, OUT, 1, 1, 1, 0, 0}};
    fill(wave, SAMPLES, 1, 0.05, 0.2);
    fill(weights, OUT * KERNEL_MOST, 2, 0, 0.5);
    fill(gain, OUT, 3, 1, 0.3);
    fill(bias, OUT, 4, 0, 0.5);
    for (size_t i = 0; i < S3R_ARRAY_LEN(shapes); i++)
        for (int is_packed = 0; is_packed < 2; is_packed++)
            check(&shapes[i], is_packed);
}

static s3r_status make(void *context, s3r_error *err)
{
    const s3r_conv_shape *shape = context;
    s3r_weight weight = {.data = weights, .rows = OUT, .cols = shape->kernel};
    s3r_window_moments moments;
    s3r_folded_norm norm;
    s3r_tape tape;
    s3r_tape_init(&tape, NULL, s3r_kernels_get(S3R_CPU_PORTABLE));
    if (s3r_window_moments_init(&moments, &tape, shape->kernel, shape->stride)) {
        s3r_window_moments_add(&moments, tape.kernels, wave, 100);
        s3r_window_moments_finish(&moments);
        s3r_folded_norm_make(&norm, &tape, shape, &weight, gain, bias, EPS, &moments);
    }
    s3r_status status = s3r_tape_status(&tape, err);
    s3r_tape_release(&tape);
    return status;
}

static void test_faults_are_survived(void **state)
{
    (void)state;
    s3r_conv_shape shape = {1, OUT, 10, 5, 1, 0, 0};
    test_survives_alloc_faults(make, &shape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_two_ops),
        cmocka_unit_test(test_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
