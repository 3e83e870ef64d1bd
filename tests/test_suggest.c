/*
 * Edit distance and the choice of a suggestion.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "suggest.h"

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},       {"abc", "", 3},    {"abc", "abc", 0},
        {"abc", "abd", 1}, {"abc", "acb", 1}, {"abc", "ab", 1},
        {"ab", "ba", 1},   {"ca", "abc", 3},  {"kitten", "sitting", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(s3r_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(s3r_edit_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static void test_long_names_are_cut(void **state)
{
    (void)state;
    char a[200], b[200];
    memset(a, 'a', sizeof a - 1);
    memset(b, 'b', sizeof b - 1);
    a[199] = b[199] = '\0';
    assert_int_equal(s3r_edit_distance(a, b), 63);
}

static const char *choose(const char *typed)
{
    static const char *const names[] = {"transcribe", "transform", "inspect", "doctor"};
    const char *best = NULL;
    for (size_t i = 0; i < 4; i++)
        best = s3r_suggest(typed, best, names[i]);
    return best;
}

static void test_choice(void **state)
{
    (void)state;
    assert_string_equal(choose("transcirbe"), "transcribe");
    assert_string_equal(choose("transfrom"), "transform");
    assert_string_equal(choose("insp"), "inspect");
    assert_string_equal(choose("docter"), "doctor");
    assert_null(choose("zebra"));
    assert_null(choose("x"));
    assert_null(choose(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_long_names_are_cut),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
