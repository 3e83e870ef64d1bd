/*
 * The small parts below manifests: strings as keys, lines, clean text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "data/clean_text.h"
#include "data/line_reader.h"
#include "data/string_map.h"
#include "text/unicode_text.h"

#define KEYS 1000u

static void test_string_map(void **state)
{
    (void)state;
    static char keys[KEYS][8];
    s3r_string_map map = {0};
    assert_null(s3r_string_map_find(&map, "0"));
    for (size_t i = 0; i < KEYS; i++) {
        size_t *stored;
        bool is_new;
        snprintf(keys[i], sizeof keys[i], "%zu", i);
        assert_int_equal(s3r_string_map_add(&map, keys[i], i, &stored, &is_new, NULL),
                         S3R_OK);
        assert_true(is_new && *stored == i);
        assert_int_equal(s3r_string_map_add(&map, keys[i / 2], 7, &stored, &is_new, NULL),
                         S3R_OK);
        assert_true(!is_new && *stored == i / 2);
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(*s3r_string_map_find(&map, keys[i]), i);
    assert_null(s3r_string_map_find(&map, "x"));
    assert_int_equal(map.count, KEYS);
    s3r_alloc_fail_at(1);
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < KEYS; i++) {
        static char more[KEYS][8];
        snprintf(more[i], sizeof more[i], "m%zu", i);
        status = s3r_string_map_add(&map, more[i], i, NULL, NULL, NULL);
    }
    s3r_alloc_fail_at(0);
    assert_int_equal(status, S3R_ERR_RESOURCE);
    assert_int_equal(*s3r_string_map_find(&map, "999"), 999); /* still whole */
    s3r_string_map_release(&map);
}

/* The test vectors of the function's authors. */
static void test_hash(void **state)
{
    (void)state;
    assert_true(s3r_string_hash("") == 0xcbf29ce484222325u);
    assert_true(s3r_string_hash("a") == 0xaf63dc4c8601ec8cu);
    assert_true(s3r_string_hash("foobar") == 0x85944171f73967e8u);
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *lines[4];
    } cases[] = {
        {"", {NULL}},
        {"a", {"a", NULL}},
        {"a\n", {"a", NULL}},
        {"a\r\n\r\nb\r", {"a", "", "b", NULL}},
        {"\xEF\xBB\xBF", {NULL}},
        {"\xEF\xBB\xBFx\ry\n", {"x\ry", NULL}},
        {"\n\n", {"", "", NULL}},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_line_reader reader;
        bool has_line;
        assert_int_equal(s3r_line_reader_from_bytes(&reader, cases[i].bytes,
                                                    strlen(cases[i].bytes), "x", NULL),
                         S3R_OK);
        for (size_t line = 0; cases[i].lines[line]; line++) {
            assert_int_equal(s3r_line_reader_next(&reader, &has_line, NULL), S3R_OK);
            assert_true(has_line);
            assert_string_equal(reader.text, cases[i].lines[line]);
            assert_int_equal(reader.length, strlen(reader.text));
            assert_int_equal(reader.line, line + 1);
        }
        assert_int_equal(s3r_line_reader_next(&reader, &has_line, NULL), S3R_OK);
        assert_false(has_line);
        s3r_line_reader_close(&reader);
    }
}

/* The longest line that is allowed, and one byte more; with and without an end. */
static void test_line_limit(void **state)
{
    (void)state;
    static const char *const ends[] = {"", "\n", "\r\n"};
    size_t capacity = S3R_MAX_LINE_BYTES + 8;
    char *bytes = malloc(capacity);
    assert_non_null(bytes);
    for (size_t e = 0; e < S3R_ARRAY_LEN(ends); e++) {
        s3r_line_reader reader;
        bool has_line;
        memset(bytes, 'x', capacity);
        memcpy(bytes + S3R_MAX_LINE_BYTES, ends[e], strlen(ends[e]));
        s3r_line_reader_from_bytes(&reader, bytes, S3R_MAX_LINE_BYTES + strlen(ends[e]),
                                   "x", NULL);
        assert_int_equal(s3r_line_reader_next(&reader, &has_line, NULL), S3R_OK);
        assert_int_equal(reader.length, S3R_MAX_LINE_BYTES);
        s3r_line_reader_close(&reader);
        memset(bytes, 'x', capacity);
        s3r_line_reader_from_bytes(&reader, bytes, S3R_MAX_LINE_BYTES + 3, "x", NULL);
        assert_int_equal(s3r_line_reader_next(&reader, &has_line, NULL), S3R_ERR_DATA);
        s3r_line_reader_close(&reader);
    }
    free(bytes);
}

static void test_fields(void **state)
{
    (void)state;
    char line[] = "a\t\tbc\t";
    char *fields[3];
    assert_int_equal(s3r_line_fields(line, '\t', fields, 3), 4);
    assert_string_equal(fields[0], "a");
    assert_string_equal(fields[1], "");
    assert_string_equal(fields[2], "bc");
}

static void test_clean(void **state)
{
    (void)state;
    static const struct {
        const char *text, *clean;
        size_t words, characters;
    } cases[] = {
        {"", "", 0, 0},
        {" \t\n ", "", 0, 0},
        {" a  b\t", "a  b", 2, 4},
        {"e\xCC\x81t\xC3\xA9", "\xC3\xA9t\xC3\xA9", 1, 3},  /* e + accent */
        {"\xC2\xA0x\xE3\x80\x80", "x", 1, 1},               /* wide white space */
        {"\xE2\x84\xAB", "\xC3\x85", 1, 1},                 /* Angstrom sign */
        {"\xE1\x84\x92\xE1\x85\xA1", "\xED\x95\x98", 1, 1}, /* Hangul */
        {"\xF0\x9F\x98\x80 \xF0\x9F\x98\x80", "\xF0\x9F\x98\x80 \xF0\x9F\x98\x80", 2, 3},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char *clean;
        assert_int_equal(s3r_text_clean(&clean, cases[i].text, NULL), S3R_OK);
        assert_string_equal(clean, cases[i].clean);
        assert_int_equal(s3r_text_words(clean), cases[i].words);
        assert_int_equal(s3r_text_characters(clean), cases[i].characters);
        s3r_free(clean);
    }
}

static void test_wrong_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size, prefix;
    } cases[] = {
        {"abc", 3, 3},       {"ab\xE9", 3, 2},           {"\xC3", 1, 0},
        {"a\xC0\x80", 3, 1}, {"\xED\xA0\x80", 3, 0},     {"\xF4\x90\x80\x80", 4, 0},
        {"a\0b", 3, 1},      {"\xC3\xA9\xC3\xA9", 3, 2},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        assert_int_equal(s3r_utf8_prefix(cases[i].bytes, cases[i].size), cases[i].prefix);
    char *clean;
    s3r_error err = {.message = ""};
    assert_int_equal(s3r_text_clean(&clean, "ab\xE9", &err), S3R_ERR_DATA);
    assert_string_equal(err.message,
                        "byte 3: expected UTF-8, found the byte 0xe9 (Latin-1?)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_string_map), cmocka_unit_test(test_hash),
        cmocka_unit_test(test_lines),      cmocka_unit_test(test_line_limit),
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_clean),
        cmocka_unit_test(test_wrong_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
