/*
 * What becomes of texts before they are scored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_alloc_faults.h"
#include "text/text_normalize.h"

static void test_table(void **state)
{
    (void)state;
    static const struct {
        s3r_normalization normalization;
        const char *text, *expected;
    } cases[] = {
        {S3R_NORMALIZE_NONE, "  A\tb ", "  A\tb "},
        {S3R_NORMALIZE_NONE, "\xff", "\xff"},
        {S3R_NORMALIZE_NFC, "", ""},
        {S3R_NORMALIZE_NFC, " \t\n", ""},
        {S3R_NORMALIZE_NFC,
         "  A\t\xe3\x80\x80"
         "b\xc2\xa0",
         "A b"},                                      /* wide, no-break */
        {S3R_NORMALIZE_NFC, "e\xcc\x81", "\xc3\xa9"}, /* e, acute: é */
        {S3R_NORMALIZE_CASE, "\xc3\x89t\xc3\xa9 I", "\xc3\xa9t\xc3\xa9 i"},
        {S3R_NORMALIZE_CASE,
         "Stra\xc3\x9f"
         "e",
         "strasse"},
        {S3R_NORMALIZE_CASE, "Hello, World!", "hello, world!"},
        {S3R_NORMALIZE_BASIC, "Hello, World!", "hello world"},
        {S3R_NORMALIZE_BASIC, "DON'T don\xe2\x80\x99t", "don't don't"},
        {S3R_NORMALIZE_BASIC, "'quoted' dogs' 'tis", "quoted dogs tis"},
        {S3R_NORMALIZE_BASIC, "well-known \xe2\x80\x94 x", "well known x"},
        {S3R_NORMALIZE_BASIC, "a.b...c", "a b c"},
        {S3R_NORMALIZE_BASIC, "3.5 % $4 1\xc2\xbd", "3 5 4 1\xc2\xbd"},
        {S3R_NORMALIZE_BASIC, "co\xc2\xadop \xef\xbb\xbfx", "coop x"}, /* soft hyphen */
        {S3R_NORMALIZE_BASIC, "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7",
         "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7"}, /* a joiner stays */
        {S3R_NORMALIZE_BASIC, "\xc2\xbfQu\xc3\xa9?", "qu\xc3\xa9"},
        {S3R_NORMALIZE_BASIC, "?!", ""},
        {S3R_NORMALIZE_BASIC, "a'", "a"},
        {S3R_NORMALIZE_BASIC, "-a'b''c", "a'b c"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char *text = NULL, *again = NULL;
        assert_int_equal(
            s3r_text_make_comparable(&text, cases[i].text, cases[i].normalization, NULL),
            S3R_OK);
        assert_string_equal(text, cases[i].expected);
        assert_int_equal(
            s3r_text_make_comparable(&again, text, cases[i].normalization, NULL), S3R_OK);
        assert_string_equal(again, text); /* nothing is left to do */
        s3r_free(text);
        s3r_free(again);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(s3r_normalization_name(S3R_NORMALIZE_NONE), "none");
    assert_string_equal(s3r_normalization_name(S3R_NORMALIZE_BASIC), "basic");
    assert_null(s3r_normalization_name(S3R_NORMALIZE_BASIC + 1));
}

static void test_wrong_bytes(void **state)
{
    (void)state;
    char *text = NULL;
    s3r_error err;
    assert_int_equal(s3r_text_make_comparable(&text, "ab\xff", S3R_NORMALIZE_NFC, &err),
                     S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "byte 2"));
    assert_null(text);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    char *text = NULL;
    s3r_status status = s3r_text_make_comparable(
        &text, "Some text", *(const s3r_normalization *)context, err);
    s3r_free(text);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    s3r_normalization all[] = {S3R_NORMALIZE_NONE, S3R_NORMALIZE_BASIC};
    for (size_t i = 0; i < S3R_ARRAY_LEN(all); i++)
        test_survives_alloc_faults(attempt, &all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_wrong_bytes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
