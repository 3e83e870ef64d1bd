/*
 * The known name nearest to a wrong one, by itself and over the keys of settings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/closest_name.h"
#include "train/config_table.h"

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *expected;
    } cases[] = {
        {"mask.sparisty", "mask.sparsity"},
        {"sparsity", "mask.sparsity"},
        {"optimiser.lr", "optimizer.lr"},
        {"schedule.step", "schedule.steps"},
        {"sched", "schedule"},
        {"steps", "schedule.steps"},
        {"training.steps", "schedule.steps"},
        {"zebra", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *found = s3r_config_closest(cases[i].typed);
        if (!cases[i].expected ? found != NULL
                               : !found || strcmp(found, cases[i].expected) != 0)
            fail_msg("%s: expected %s, found %s", cases[i].typed,
                     cases[i].expected ? cases[i].expected : "none",
                     found ? found : "none");
    }
}

static void test_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *candidate;
        bool is_near;
    } cases[] = {
        {"abcd", "abcd", true},   {"abcd", "abdc", true},   {"abcd", "abxd", true},
        {"abcd", "abcde", true},  {"abcd", "bcd", true},    {"abcd", "dcba", false},
        {"abcd", "x.abcd", true}, {"abcd", "x.abdc", true}, {"y.abcd", "x.abcd", true},
        {"ab", "abcdefgh", true}, {"a", "abcdefgh", false}, {"", "a", true},
        {"", "ab", false},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *found = s3r_closest_name(cases[i].typed, NULL, cases[i].candidate);
        if ((found != NULL) != cases[i].is_near)
            fail_msg("%s and %s", cases[i].typed, cases[i].candidate);
    }
    /* The nearer of two; of equally near ones the first. */
    assert_string_equal(s3r_closest_name("wer", "cer", "were"), "cer");
    assert_string_equal(s3r_closest_name("wer", "cer", "wer"), "wer");
    char a[200], b[200];
    memset(a, 'a', sizeof a - 1);
    memset(b, 'b', sizeof b - 1);
    a[199] = b[199] = '\0';
    assert_null(s3r_closest_name(a, NULL, b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
