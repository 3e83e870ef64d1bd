/*
 * FNV-1a against the published vectors; hexadecimal digits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash_text.h"

static void test_fnv(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t hash;
    } cases[] = {{"", 0xcbf29ce484222325u},
                 {"a", 0xaf63dc4c8601ec8cu},
                 {"foobar", 0x85944171f73967e8u}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        assert_true(s3r_hash_bytes(cases[i].text, strlen(cases[i].text)) ==
                    cases[i].hash);
    assert_true(s3r_hash_bytes("abc", 1) == cases[1].hash);
}

static void test_hex(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    char hex[9];
    s3r_bytes_to_hex(hex, bytes, sizeof bytes);
    assert_string_equal(hex, "000fa5ff");
    s3r_bytes_to_hex(hex, bytes, 0);
    assert_string_equal(hex, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fnv),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
