/*
 * .npy files: the header by its own rules, the values after it, and what cannot be
 * written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "audio/npy_write.h"
#include "base/memory.h"
#include "support_files.h"

static size_t read_file(const char *path, unsigned char *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, capacity, file);
    fclose(file);
    return size;
}

static void test_header_and_values(void **state)
{
    (void)state;
    static const struct {
        unsigned rank;
        size_t shape[3];
        size_t count;
        const char *text;
    } cases[] = {
        {1, {5}, 5, "'shape': (5,)"},
        {1, {0}, 0, "'shape': (0,)"},
        {2, {3, 4}, 12, "'shape': (3, 4)"},
        {2, {0, 768}, 0, "'shape': (0, 768)"},
        {3, {2, 3, 4}, 24, "'shape': (2, 3, 4)"},
    };
    float values[24];
    unsigned char bytes[512];
    for (size_t i = 0; i < S3R_ARRAY_LEN(values); i++)
        values[i] = (float)i * 0.5f - 3.0f;
    const char *path = test_path(test_folder(), "a.npy");
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_error err;
        assert_int_equal(s3r_npy_save(path, values, cases[i].rank, cases[i].shape, &err),
                         S3R_OK);
        size_t size = read_file(path, bytes, sizeof bytes);
        assert_memory_equal(bytes, "\x93NUMPY\x01\x00", 8);
        size_t start = 10u + bytes[8] + 256u * bytes[9];
        assert_int_equal(start % 64, 0);
        assert_int_equal(bytes[start - 1], '\n');
        bytes[start - 1] = '\0';
        const char *text = (const char *)bytes + 10;
        assert_non_null(strstr(text, "'descr': '<f4'"));
        assert_non_null(strstr(text, "'fortran_order': False"));
        assert_non_null(strstr(text, cases[i].text));
        assert_int_equal(text[0], '{');
        assert_int_equal(size, start + cases[i].count * sizeof(float));
        assert_memory_equal(bytes + start, values, cases[i].count * sizeof(float));
    }
}

static void test_largest_header_fits(void **state)
{
    (void)state;
    const size_t shape[3] = {0, SIZE_MAX, SIZE_MAX};
    unsigned char bytes[512];
    s3r_error err;
    const char *path = test_path(test_folder(), "a.npy");
    assert_int_equal(s3r_npy_save(path, NULL, 3, shape, &err), S3R_OK);
    assert_int_equal(read_file(path, bytes, sizeof bytes), 128);
    assert_int_equal(bytes[127], '\n');
    assert_non_null(memchr(bytes, '}', 127));
}

static void test_refusals(void **state)
{
    (void)state;
    const size_t shape[4] = {2, 2, 1, 1}, huge[2] = {SIZE_MAX / 2, 3};
    const float values[4] = {1, 2, 3, 4};
    s3r_error err;
    const char *folder = test_folder();
    const char *path = test_path(folder, "a.npy");
    assert_int_equal(s3r_npy_save(path, values, 0, shape, &err), S3R_ERR_USAGE);
    assert_int_equal(s3r_npy_save(path, values, 4, shape, &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "found 4"));
    assert_int_equal(s3r_npy_save(path, values, 2, huge, &err), S3R_ERR_USAGE);
    assert_null(fopen(path, "rb"));
    const char *nowhere = test_path(folder, "missing/a.npy");
    assert_int_equal(s3r_npy_save(nowhere, values, 2, shape, &err), S3R_ERR_RUNTIME);
    assert_non_null(strstr(err.message, "missing/a.npy"));
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    const size_t shape[2] = {2, 2};
    const float values[4] = {1, 2, 3, 4};
    const char *path = test_path(test_folder(), "a.npy");
    s3r_status status = S3R_ERR_RESOURCE;
    size_t n = 0;
    while (status != S3R_OK) {
        s3r_alloc_fail_at(++n);
        status = s3r_npy_save(path, values, 2, shape, NULL);
        assert_true(status == S3R_OK || status == S3R_ERR_RESOURCE);
        assert_true(n < 100);
    }
    s3r_alloc_fail_at(0);
    assert_true(n > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_and_values),
        cmocka_unit_test(test_largest_header_fits),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
