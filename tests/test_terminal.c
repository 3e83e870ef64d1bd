/*
 * The text of the progress bar: width, rounding, time left, UTF-8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "terminal.h"

static void check(const char *label, double fraction, double elapsed_s, unsigned columns,
                  const char *expected)
{
    char text[512];
    s3r_progress_text(text, sizeof text, label, fraction, elapsed_s, columns);
    assert_string_equal(text, expected);
}

static void test_bar(void **state)
{
    (void)state;
    check("a.wav", 0.5, 12, 80, "a.wav  [############------------]  50%  0:12 left");
    check("a.wav", 0, 0, 80, "a.wav  [------------------------]   0%  -:-- left");
    check("a.wav", 1.5, 60, 80, "a.wav  [########################] 100%  0:00 left");
    check("a.wav", 0.01, 100, 80, "a.wav  [------------------------]   1%  2:45:00 left");
}

static void test_narrow_terminal_drops_the_bar(void **state)
{
    (void)state;
    check("recording.wav", 0.5, 12, 20, "recording.wav   50%");
    check("recording.wav", 0.5, 12, 12, "recor   50%");
    check("recording.wav", 0.5, 12, 3, "   50%");
}

static void test_labels_are_cut_between_characters(void **state)
{
    (void)state;
    check("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 0.5, 12, 10,
          "\xc3\xa9\xc3\xa9\xc3\xa9   50%");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bar),
        cmocka_unit_test(test_narrow_terminal_drops_the_bar),
        cmocka_unit_test(test_labels_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
