/*
 * Moments of a waveform against convolutions that were run, cut anywhere allowed, on
 * every CPU level; injected faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/window_moments.h"
#include "support_alloc_faults.h"

enum { KERNEL = 10, STRIDE = 5, FRAMES = 2 * S3R_MOMENT_FRAMES + 133, CHANNELS = 6 };

static float wave[(FRAMES - 1) * STRIDE + KERNEL];
static float weights[KERNEL * CHANNELS]; /* [kernel][channels] */

static void make_data(double offset)
{
    s3r_random random;
    double last = 0;
    s3r_random_init(&random, 4, 0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(wave); i++) {
        last = 0.9 * last + 0.1 * s3r_random_normal(&random);
        wave[i] = (float)(last + offset);
    }
    for (size_t i = 0; i < S3R_ARRAY_LEN(weights); i++)
        weights[i] = (float)s3r_random_normal(&random);
}

/* Moments of the frames in calls of `chunk` frames. */
static s3r_window_moments measure(s3r_tape *tape, size_t chunk)
{
    s3r_window_moments moments;
    assert_true(s3r_window_moments_init(&moments, tape, KERNEL, STRIDE));
    for (size_t first = 0; first < FRAMES; first += chunk)
        s3r_window_moments_add(&moments, tape->kernels, wave + first * STRIDE,
                               S3R_MIN(chunk, FRAMES - first));
    s3r_window_moments_finish(&moments);
    assert_int_equal(moments.frames, FRAMES);
    return moments;
}

static void expect_channel(const s3r_window_moments *moments, size_t channel)
{
    double sum = 0, square_sum = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t t = 0; t < FRAMES; t++) {
            double y = 0;
            for (size_t k = 0; k < KERNEL; k++)
                y += (double)weights[k * CHANNELS + channel] *
                     (double)wave[t * STRIDE + k];
            if (pass == 0)
                sum += y;
            else
                square_sum += (y - sum / FRAMES) * (y - sum / FRAMES);
        }
    }
    double mean = s3r_window_moments_mean(moments, weights + channel, CHANNELS);
    double variance = s3r_window_moments_variance(moments, weights + channel, CHANNELS);
    assert_true(fabs(mean - sum / FRAMES) <= 1e-12 * (1 + fabs(mean)));
    assert_true(fabs(variance - square_sum / FRAMES) <= 1e-11 * variance);
}

static void test_channels_of_a_convolution(void **state)
{
    (void)state;
    static const double offsets[] = {0, -0.2, 3};
    s3r_tape tape;
    s3r_tape_init(&tape, NULL, s3r_kernels_get(s3r_cpu_detect()));
    for (size_t i = 0; i < S3R_ARRAY_LEN(offsets); i++) {
        make_data(offsets[i]);
        s3r_window_moments moments = measure(&tape, FRAMES);
        for (size_t channel = 0; channel < CHANNELS; channel++)
            expect_channel(&moments, channel);
    }
    s3r_tape_release(&tape);
}

static void test_silence_has_no_variance(void **state)
{
    (void)state;
    s3r_tape tape;
    s3r_tape_init(&tape, NULL, s3r_kernels_get(s3r_cpu_detect()));
    make_data(0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(wave); i++)
        wave[i] = 0.25f;
    s3r_window_moments moments = measure(&tape, FRAMES);
    double variance = s3r_window_moments_variance(&moments, weights, CHANNELS);
    assert_true(variance >= 0 && variance < 1e-15);
    s3r_tape_release(&tape);
}

static void test_cuts_and_levels_do_not_matter(void **state)
{
    (void)state;
    make_data(0.1);
    s3r_tape tape;
    s3r_tape_init(&tape, NULL, s3r_kernels_get(S3R_CPU_PORTABLE));
    s3r_window_moments whole = measure(&tape, FRAMES);
    for (s3r_cpu_level level = S3R_CPU_PORTABLE; level <= s3r_cpu_detect(); level++) {
        for (size_t blocks = 1; blocks <= 3; blocks++) {
            tape.kernels = s3r_kernels_get(level);
            s3r_window_moments cut = measure(&tape, blocks * S3R_MOMENT_FRAMES);
            assert_memory_equal(cut.sums, whole.sums, KERNEL * sizeof *cut.sums);
            assert_memory_equal(cut.products, whole.products,
                                KERNEL * KERNEL * sizeof *cut.products);
        }
    }
    s3r_tape_release(&tape);
}

static s3r_status init_moments(void *context, s3r_error *err)
{
    (void)context;
    s3r_window_moments moments;
    s3r_tape tape;
    s3r_tape_init(&tape, NULL, NULL);
    bool is_made = s3r_window_moments_init(&moments, &tape, KERNEL, STRIDE);
    s3r_status status = s3r_tape_status(&tape, err);
    assert_int_equal(is_made, status == S3R_OK);
    s3r_tape_release(&tape);
    return status;
}

static void test_faults_are_survived(void **state)
{
    (void)state;
    test_survives_alloc_faults(init_moments, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels_of_a_convolution),
        cmocka_unit_test(test_silence_has_no_variance),
        cmocka_unit_test(test_cuts_and_levels_do_not_matter),
        cmocka_unit_test(test_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
