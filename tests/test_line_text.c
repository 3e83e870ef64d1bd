/*
 * Paths and texts made safe for lines and JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "line_text.h"

static void check_text(char *found, const char *expected)
{
    assert_non_null(found);
    assert_string_equal(found, expected);
    free(found);
}

static void test_paths_and_texts(void **state)
{
    (void)state;
    static const struct {
        const char *given, *path, *text;
    } cases[] = {
        {"", "", ""},
        {"a b.wav", "a b.wav", "a b.wav"},
        {"a\tb\nc\rd", "a\\tb\\nc\\rd", "a b c d"},
        {"\\t", "\\\\t", "\\t"},
        {"\x01\x1f\x7f~", "\\x01\\x1f\\x7f~", "   ~"},
        {"\xc3\xa9\xff", "\xc3\xa9\xff", "\xc3\xa9\xff"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        check_text(s3r_line_from_path(cases[i].given), cases[i].path);
        check_text(s3r_line_from_text(cases[i].given), cases[i].text);
    }
}

static void test_json_takes_any_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *given, *json;
    } cases[] = {
        {NULL, "null\n"},
        {"", "\"\"\n"},
        {"\"\\\n", "\"\\\"\\\\\\n\"\n"},
        {"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82",
         "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82\"\n"},
        {"\xff", "\"\xef\xbf\xbd\"\n"},
        {"a\xc3", "\"a\xef\xbf\xbd\"\n"},
        {"\xc3\xa9\x80z\xf0\x9f", "\"\xc3\xa9\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"\n"},
        /* A surrogate and an overlong form are no characters. */
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n"},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"\n"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        json_t *array = json_array();
        json_t *value = s3r_json_from_bytes(cases[i].given);
        assert_non_null(value);
        json_array_append_new(array, value);
        char expected[256] = "[";
        strcat(expected, cases[i].json);
        memcpy(expected + strlen(expected) - 1, "]\n", 3);
        check_text(s3r_json_line(array), expected);
    }
    assert_null(s3r_json_line(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_and_texts),
        cmocka_unit_test(test_json_takes_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
