/*
 * Waveform normalisation: moments, silence, the size of eps, in place.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "audio/audio_normalize.h"

#define COUNT 48000u

static float input[COUNT], output[COUNT];

static void fill_noise(float scale, float offset)
{
    uint32_t seed = 1;
    for (size_t i = 0; i < COUNT; i++) {
        seed = seed * 1664525u + 1013904223u;
        input[i] = offset + scale * ((float)(seed >> 8) / 8388608.0f - 1.0f);
    }
}

static void moments(const float *x, double *mean, double *variance)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < COUNT; i++)
        sum += (double)x[i];
    *mean = sum / COUNT;
    for (size_t i = 0; i < COUNT; i++)
        squares += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    *variance = squares / COUNT;
}

/* The variance afterwards is v / (v + eps): exact algebra, so the bound is rounding. */
static void test_moments(void **state)
{
    (void)state;
    static const struct {
        float scale, offset;
        double eps;
    } cases[] = {
        {0.3f, 0.0f, S3R_NORMALIZE_EPS_HF},   {0.3f, 0.5f, S3R_NORMALIZE_EPS_FAIRSEQ},
        {0.001f, 0.9f, S3R_NORMALIZE_EPS_HF}, {0.001f, 0.0f, S3R_NORMALIZE_EPS_FAIRSEQ},
        {1e20f, 1e20f, S3R_NORMALIZE_EPS_HF},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        double mean, variance, mean_after, variance_after;
        fill_noise(cases[i].scale, cases[i].offset);
        moments(input, &mean, &variance);
        s3r_audio_normalize(output, input, COUNT, cases[i].eps);
        moments(output, &mean_after, &variance_after);
        double expected = variance / (variance + cases[i].eps);
        if (fabs(mean_after) > 1e-6 || fabs(variance_after / expected - 1) > 1e-6)
            fail_msg("case %zu: expected mean 0, variance %.9g, found %g, %.9g", i,
                     expected, mean_after, variance_after);
    }
}

static void test_known_values(void **state)
{
    (void)state;
    const float x[4] = {1, 2, 3, 4}; /* mean 2.5, biased variance 1.25 */
    float y[4];
    s3r_audio_normalize(y, x, 4, 1e-5);
    for (size_t i = 0; i < 4; i++) {
        float expected = (float)(((double)x[i] - 2.5) / sqrt(1.25 + 1e-5));
        assert_memory_equal(&y[i], &expected, sizeof expected);
    }
}

static void test_constant_gives_zeros(void **state)
{
    (void)state;
    static const float levels[] = {0.0f, 0.1f, -0.7f, 1e-30f, 1e30f};
    for (size_t l = 0; l < S3R_ARRAY_LEN(levels); l++) {
        for (size_t i = 0; i < COUNT; i++)
            input[i] = levels[l];
        s3r_audio_normalize(output, input, COUNT, S3R_NORMALIZE_EPS_HF);
        for (size_t i = 0; i < COUNT; i++)
            assert_true(output[i] == 0.0f);
    }
}

static void test_in_place_and_empty(void **state)
{
    (void)state;
    fill_noise(0.2f, 0.05f);
    s3r_audio_normalize(output, input, COUNT, S3R_NORMALIZE_EPS_HF);
    s3r_audio_normalize(input, input, COUNT, S3R_NORMALIZE_EPS_HF);
    assert_memory_equal(input, output, sizeof input);
    s3r_audio_normalize(output, input, 0, S3R_NORMALIZE_EPS_HF);
    s3r_audio_normalize(NULL, NULL, 0, S3R_NORMALIZE_EPS_HF);
    assert_memory_equal(input, output, sizeof input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_constant_gives_zeros),
        cmocka_unit_test(test_in_place_and_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
