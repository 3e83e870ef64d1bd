/*
 * Learning-rate schedules against the formulas of spec 2.8.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "train/schedule.h"

static const double peak = 5e-5;

static s3r_train_config make(s3r_schedule_kind kind, size_t steps, double final_scale)
{
    s3r_train_config config;
    s3r_train_config_init(&config);
    config.schedule.kind = kind;
    config.schedule.steps = steps;
    config.schedule.warmup = 0.1;
    config.schedule.hold = 0.4;
    config.schedule.decay = 0.5;
    config.schedule.init_scale = 0.01;
    config.schedule.final_scale = final_scale;
    return config;
}

static void expect(const s3r_train_config *config, size_t step, double wanted)
{
    double found = s3r_schedule_rate(config, peak, step);
    /* Some roundings of double. */
    if (!(fabs(found - wanted) <= 1e-14 * peak))
        fail_msg("step %zu of %zu: expected %.17g, found %.17g", step,
                 config->schedule.steps, wanted, found);
}

/* The phases of the 10-minute runs: 1300, 5200 and 6500 of 13000. */
static void test_tri_stage(void **state)
{
    (void)state;
    const s3r_train_config config = make(S3R_SCHEDULE_TRI_STAGE, 13000, 1e-4);
    expect(&config, 0, 0.01 * peak);
    expect(&config, 1, 0.01 * peak + 0.99 * peak / 1300.0);
    expect(&config, 650, 0.01 * peak + 0.99 * peak * 0.5);
    expect(&config, 1299, 0.01 * peak + 0.99 * peak / 1300.0 * 1299.0);
    expect(&config, 1300, peak);
    expect(&config, 6499, peak);
    expect(&config, 6500, peak);
    expect(&config, 6501, peak * exp(log(1e-4) / 6500.0));
    expect(&config, 9750, peak * 1e-2); /* half of the decay */
    expect(&config, 12999, peak * exp(log(1e-4) / 6500.0 * 6499.0));
    expect(&config, 13000, peak * 1e-4);
    expect(&config, 50000, peak * 1e-4);
    /* The sum over a run bounds how far a score can go: spec 1.5 gives 0.328. */
    double sum = 0;
    for (size_t i = 0; i < 13000; i++)
        sum += s3r_schedule_rate(&config, peak, i);
    assert_true(fabs(sum - 0.328) < 5e-4);
}

/* Phases are truncated: 10 % of 15 steps is one step. */
static void test_truncated_phases(void **state)
{
    (void)state;
    const s3r_train_config config = make(S3R_SCHEDULE_TRI_STAGE, 15, 0.05);
    expect(&config, 0, 0.01 * peak);
    for (size_t i = 1; i <= 7; i++)
        expect(&config, i, peak);
    for (size_t i = 7; i < 14; i++)
        expect(&config, i, peak * exp(log(0.05) / 7.0 * (double)(i - 7)));
    expect(&config, 14, 0.05 * peak);
}

static void test_degenerate(void **state)
{
    (void)state;
    s3r_train_config config = make(S3R_SCHEDULE_TRI_STAGE, 1, 1e-4);
    double rate = s3r_schedule_rate(&config, peak, 0);
    assert_true(rate > 0.0 && rate <= peak);
    config = make(S3R_SCHEDULE_TRI_STAGE, 4, 1e-4); /* no warm-up */
    expect(&config, 0, peak);
    config.schedule.warmup = config.schedule.hold = 0;
    config.schedule.decay = 1;
    expect(&config, 0, peak);
    expect(&config, 2, peak * 1e-2);
    config.schedule.warmup = 1;
    config.schedule.decay = 0;
    expect(&config, 0, 0.01 * peak);
    expect(&config, 3, 0.01 * peak + 0.99 * peak * 0.75);
}

/* The others: the same warm-up, then down to final_scale, never up. */
static void test_others(void **state)
{
    (void)state;
    static const s3r_schedule_kind kinds[] = {S3R_SCHEDULE_LINEAR, S3R_SCHEDULE_COSINE,
                                              S3R_SCHEDULE_CONSTANT};
    for (size_t k = 0; k < 3; k++) {
        const s3r_train_config config = make(kinds[k], 1001, 0.1);
        bool is_constant = kinds[k] == S3R_SCHEDULE_CONSTANT;
        expect(&config, 0, 0.01 * peak);
        expect(&config, 50, 0.01 * peak + 0.99 * peak * 0.5);
        expect(&config, 100, peak);
        /* Line and cosine cross halfway. */
        expect(&config, 550, is_constant ? peak : 0.55 * peak);
        assert_true(is_constant || s3r_schedule_rate(&config, peak, 999) > 0.1 * peak);
        expect(&config, 1000, is_constant ? peak : 0.1 * peak); /* the last step */
        expect(&config, 5000, is_constant ? peak : 0.1 * peak);
        double last = peak;
        for (size_t i = 100; i < 1100; i++) {
            double rate = s3r_schedule_rate(&config, peak, i);
            assert_true(rate <= last && rate >= 0.1 * peak * (1 - 1e-12));
            last = rate;
        }
    }
    const s3r_train_config cosine = make(S3R_SCHEDULE_COSINE, 1001, 0.1);
    expect(&cosine, 325,
           peak * (0.1 + 0.9 * 0.5 * (1 + cos(3.14159265358979323846 / 4))));
    /* One step after the warm-up, or none before it, is at the peak. */
    for (size_t k = 0; k < 3; k++) {
        const s3r_train_config one = make(kinds[k], 1, 0.1);
        expect(&one, 0, peak);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tri_stage),
        cmocka_unit_test(test_truncated_phases),
        cmocka_unit_test(test_degenerate),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
