/*
 * Lines in the order of the inputs, whatever the order of the results.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "ordered_lines.h"

static char *line_of(size_t index)
{
    char *line = malloc(16);
    assert_non_null(line);
    snprintf(line, 16, "%zu\n", index);
    return line;
}

/* What stands in the file. */
static void check_file(FILE *file, const char *expected)
{
    char text[64] = "";
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_string_equal(text, expected);
    fseek(file, 0, SEEK_END);
}

static void test_order(void **state)
{
    (void)state;
    static const struct {
        size_t order[4]; /* 4 = none; 10 + i = input i has no line */
        const char *before, *after;
    } cases[] = {
        {{0, 1, 2, 3}, "0\n1\n2\n3\n", "0\n1\n2\n3\n"},
        {{3, 2, 1, 0}, "0\n1\n2\n3\n", "0\n1\n2\n3\n"},
        {{2, 0, 3, 4}, "0\n", "0\n2\n3\n"},
        {{10, 3, 11, 2}, "2\n3\n", "2\n3\n"},
        {{3, 4, 4, 4}, "", "3\n"},
        {{4, 4, 4, 4}, "", ""},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        FILE *file = tmpfile();
        s3r_ordered_lines lines;
        assert_non_null(file);
        assert_true(s3r_ordered_lines_init(&lines, file, 4));
        for (size_t k = 0; k < 4; k++) {
            size_t input = cases[i].order[k];
            if (input != 4)
                assert_true(s3r_ordered_lines_put(&lines, input % 10,
                                                  input < 10 ? line_of(input) : NULL));
        }
        check_file(file, cases[i].before);
        assert_true(s3r_ordered_lines_finish(&lines));
        check_file(file, cases[i].after);
        s3r_ordered_lines_release(&lines);
        fclose(file);
    }
}

static void test_unwritable_stream(void **state)
{
    (void)state;
    FILE *file = fopen("/dev/null", "r");
    s3r_ordered_lines lines;
    assert_non_null(file);
    assert_true(s3r_ordered_lines_init(&lines, file, 2));
    assert_true(s3r_ordered_lines_put(&lines, 1, line_of(1)));
    assert_false(s3r_ordered_lines_put(&lines, 0, line_of(0)));
    assert_false(s3r_ordered_lines_finish(&lines));
    s3r_ordered_lines_release(&lines);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_unwritable_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
