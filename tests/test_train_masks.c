/*
 * Mask training in each of its forms learns the eight recordings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support_train.h"

/* Whole rows and columns are coarse: a word or two of 18 may be wrong after so few
 * steps. */
static const test_method methods[] = {
    {"ori", "method=mask mask.init=ori schedule.steps=100", 0, 1, "scores/ head/"},
    {"ri", "method=mask mask.init=ri schedule.steps=100", 0, 1, "scores/ head/"},
    {"wmi", "method=mask mask.init=wmi schedule.steps=100", 0, 1, "scores/ head/"},
    {"global", "method=mask mask.scope=global schedule.steps=100", 0, 1, "scores/ head/"},
    {"sigmoid", "method=mask mask.gradient=sigmoid schedule.steps=100", 0, 1,
     "scores/ head/"},
    {"rows", "method=mask mask.shape=rows optimizer.lr=4e-2 schedule.steps=150", 0.2, 3,
     "scores/ head/"},
    {"columns", "method=mask mask.shape=columns optimizer.lr=4e-2 schedule.steps=150",
     0.2, 3, "scores/ head/"},
};

static void test_learns(void **state)
{
    (void)state;
    test_check_methods(methods, S3R_ARRAY_LEN(methods));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
