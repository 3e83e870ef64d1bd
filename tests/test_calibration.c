/*
 * Tempered probabilities, sums over words, and the temperature that fits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/random.h"
#include "tasks/calibration.h"

static void test_tempered_probabilities(void **state)
{
    (void)state;
    const float row[] = {logf(0.5f), logf(0.25f), logf(0.25f)};
    static const struct {
        double temperature, expected;
    } cases[] = {
        {1, 0.5},
        {0.5, 0.25 / (0.25 + 0.0625 + 0.0625)},
        {2, 0.70710678 / (0.70710678 + 0.5 + 0.5)},
        {1000, 0.3335},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        double found =
            (double)s3r_tempered_probability(row, 3, row[0], cases[i].temperature);
        if (fabs(found - cases[i].expected) > 1e-4)
            fail_msg("%g: expected %g, found %g", cases[i].temperature, cases[i].expected,
                     found);
    }
    const float sure[] = {0, -INFINITY};
    assert_true(s3r_tempered_probability(sure, 2, 0, 8) == 1);
}

static void fill(float *confidence, float value)
{
    for (size_t i = 0; i < S3R_TEMPERATURE_COUNT; i++)
        confidence[i] = value;
}

static void test_sums_by_hand(void **state)
{
    (void)state;
    s3r_confidence_tally tally = {.given = 3};
    float c[S3R_TEMPERATURE_COUNT];
    assert_int_equal(s3r_confidence_fit(&tally), S3R_TEMPERATURE_ONE);
    assert_true(s3r_confidence_error(&tally, 0) == 0);
    assert_true(s3r_confidence_temperature(&tally, S3R_TEMPERATURE_GIVEN) == 3);
    assert_true(s3r_confidence_temperature(&tally, 0) == 0.25);
    assert_true(s3r_confidence_temperature(&tally, S3R_TEMPERATURE_ONE) == 1);
    assert_true(s3r_confidence_temperature(&tally, S3R_TEMPERATURE_GRID - 1) == 8);
    /* Bins 0.9 to 1 (two words, one right, mean 0.975) and 0.2 to 0.3 (one, right). */
    fill(c, 0.95f);
    s3r_confidence_add(&tally, c, true);
    fill(c, 1);
    s3r_confidence_add(&tally, c, false);
    fill(c, 0.25f);
    s3r_confidence_add(&tally, c, true);
    assert_int_equal(tally.words, 3);
    assert_int_equal(tally.right, 2);
    double expected = (fabs(1 - 1.95) + fabs(1 - 0.25)) / 3;
    assert_true(fabs(s3r_confidence_error(&tally, 5) - expected) < 1e-7);
    assert_true(fabs(s3r_confidence_mean(&tally, 5) - 2.2 / 3) < 1e-7);
    double loss = -(log(0.95) + log(1e-6) + log(0.25)) / 3;
    double most = -(2.0 / 3 * log(2.0 / 3) + 1.0 / 3 * log(1.0 / 3));
    assert_true(fabs(s3r_confidence_entropy(&tally, 5) - (1 - loss / most)) < 1e-6);
    /* Equal losses: the temperature stays 1. */
    assert_int_equal(s3r_confidence_fit(&tally), S3R_TEMPERATURE_ONE);
}

/* Words whose probabilities come from logits that are twice too large: the temperature 2
 * is found, and confidences then agree with the truth. */
static void test_fit_finds_the_temperature(void **state)
{
    (void)state;
    s3r_confidence_tally tally = {.given = 1};
    s3r_random random;
    s3r_random_init(&random, 7, 1);
    for (size_t n = 0; n < 20000; n++) {
        double truth = 6 * s3r_random_uniform(&random) - 1; /* logit of being right */
        bool is_right = s3r_random_uniform(&random) < 1 / (1 + exp(-truth));
        float c[S3R_TEMPERATURE_COUNT];
        for (size_t i = 0; i < S3R_TEMPERATURE_COUNT; i++)
            c[i] = (float)(1 /
                           (1 + exp(-2 * truth / s3r_confidence_temperature(&tally, i))));
        s3r_confidence_add(&tally, c, is_right);
    }
    size_t fitted = s3r_confidence_fit(&tally);
    double temperature = s3r_confidence_temperature(&tally, fitted);
    if (fabs(log2(temperature) - 1) > 0.13)
        fail_msg("expected a temperature near 2, found %g", temperature);
    /* 0.7 percent is the noise of 20,000 words in ten bins. */
    assert_true(s3r_confidence_error(&tally, fitted) < 0.015);
    assert_true(s3r_confidence_error(&tally, S3R_TEMPERATURE_ONE) > 0.05);
    assert_true(s3r_confidence_entropy(&tally, fitted) >
                s3r_confidence_entropy(&tally, S3R_TEMPERATURE_ONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tempered_probabilities),
        cmocka_unit_test(test_sums_by_hand),
        cmocka_unit_test(test_fit_finds_the_temperature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
