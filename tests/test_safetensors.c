/*
 * safetensors: every rule of the header with its message, and writing and reading back
 * bit for bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/safetensors.h"
#include "support_alloc_faults.h"
#include "support_files.h"

static s3r_error err;

/* A new file image (free): length, header, data_bytes counting up. */
static unsigned char *make_image(const char *header, size_t data_bytes, size_t *size)
{
    size_t length = strlen(header);
    *size = 8 + length + data_bytes;
    unsigned char *image = malloc(*size);
    assert_non_null(image);
    for (unsigned i = 0; i < 8; i++)
        image[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(image + 8, header, length);
    for (size_t i = 0; i < data_bytes; i++)
        image[8 + length + i] = (unsigned char)i;
    return image;
}

#define ENTRY(name, dtype, shape, offsets)                                               \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape                             \
    ",\"data_offsets\":" offsets "}"

static void test_bad_headers_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *message;
    } cases[] = {
        {"[1]", 0, "expected a JSON object"},
        {"", 0, "expected a JSON object"},
        {" {}", 0, "expected a JSON object"},
        {"{\"a\":", 0, "line 1"},
        {"{} x", 0, "end of file expected"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("a", "F32", "[1]", "[4,8]") "}",
         8, "duplicate object key"},
        {"{\"a\":3}", 0, "\"a\": expected a JSON object"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype: expected a string"},
        {"{" ENTRY("a", "F31", "[1]", "[0,4]") "}", 4, "found \"F31\""},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape: expected"},
        {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "at most 8"},
        {"{" ENTRY("a", "F32", "[-1]", "[0,4]") "}", 4,
         "shape[0]: expected a non-negative"},
        {"{" ENTRY("a", "F32", "[1.0]", "[0,4]") "}", 4, "shape[0]"},
        {"{" ENTRY("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "overflows"},
        {"{" ENTRY("a", "F32", "[99999999999999999999]", "[0,4]") "}", 4, "integer"},
        {"{" ENTRY("a", "F32", "[1]", "[0]") "}", 4, "data_offsets: expected two"},
        {"{" ENTRY("a", "F32", "[1]", "[-4,0]") "}", 4, "data_offsets: expected two"},
        {"{" ENTRY("a", "F32", "[1]", "{}") "}", 4, "data_offsets: expected two"},
        {"{" ENTRY("a", "F32", "[1]", "[4,0]") "}", 4, "expected a range within 4"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "}", 3, "expected a range within 3"},
        {"{" ENTRY("a", "F32", "[2]", "[0,4]") "}", 4, "expected 8 bytes"},
        {"{" ENTRY("a", "F32", "[1]", "[4,8]") "}", 8, "a hole"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("b", "F32", "[1]", "[6,10]") "}",
         10, "\"b\": data_offsets: expected to begin at 4, found 6: the data has a hole"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("b", "F32", "[1]", "[2,6]") "}",
         6, "an overlap"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "}", 5,
         "expected 4 bytes of data, found 5"},
        {"{}", 1, "expected 0 bytes of data, found 1"},
        {"{\"__metadata__\":[]}", 0, "\"__metadata__\": expected a JSON object"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "\"k\": expected a string"},
        {"{\"a\\u0000b\":{}}", 0, "line 1"},
        {"{\"\xff\":{}}", 0, "unable to decode"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        size_t size;
        s3r_safetensors file;
        unsigned char *image = make_image(cases[i].header, cases[i].data_bytes, &size);
        s3r_status status = s3r_safetensors_parse(&file, image, size, "m.st", &err);
        free(image);
        if (status != S3R_ERR_MODEL || strncmp(err.message, "m.st: ", 6) != 0 ||
            !strstr(err.message, cases[i].message))
            fail_msg("%s: expected \"%s\", found status %d \"%s\"", cases[i].header,
                     cases[i].message, status, status ? err.message : "");
    }
}

static void test_bad_lengths_are_named(void **state)
{
    (void)state;
    static const struct {
        unsigned char bytes[10];
        size_t size;
        const char *message;
    } cases[] = {
        {{0}, 0, "expected at least 8 bytes, found 0"},
        {{2}, 7, "expected at least 8 bytes, found 7"},
        {{3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, 10, "the file ends after 2"},
        {{1, 0xe1, 0xf5, 0x05, 0, 0, 0, 0, '{', '}'}, 10, "at most 100000000"},
        {{2, 0, 0, 0, 0, 0, 0, 0x80, '{', '}'}, 10, "at most 100000000"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_safetensors file;
        assert_int_equal(
            s3r_safetensors_parse(&file, cases[i].bytes, cases[i].size, "m.st", &err),
            S3R_ERR_MODEL);
        if (!strstr(err.message, cases[i].message))
            fail_msg("expected \"%s\", found \"%s\"", cases[i].message, err.message);
    }
}

static void test_deep_nesting_is_an_error(void **state)
{
    (void)state;
    enum { DEPTH = 200000 };
    char *header = malloc(DEPTH + 1);
    assert_non_null(header);
    memset(header, '[', DEPTH);
    memcpy(header, "{\"a\":", 5);
    header[DEPTH] = '\0';
    size_t size;
    s3r_safetensors file;
    unsigned char *image = make_image(header, 0, &size);
    assert_int_equal(s3r_safetensors_parse(&file, image, size, "m.st", &err),
                     S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "depth"));
    free(image);
    free(header);
}

static void test_legal_oddities_are_read(void **state)
{
    (void)state;
    /* Padding, unaligned data, a scalar, an empty tensor amid, entries out of order. */
    size_t size;
    unsigned char *image = make_image(
        "{" ENTRY("late", "F32", "[1]", "[1,5]") "," ENTRY(
            "early", "U8", "[]",
            "[0,1]") "," ENTRY("none", "F64", "[0,3]",
                               "[5,5]") ",\"__metadata__\":{\"format\":\"pt\"}}    ",
        5, &size);
    s3r_safetensors file;
    assert_int_equal(s3r_safetensors_parse(&file, image, size, "m.st", &err), S3R_OK);
    assert_int_equal(file.tensor_count, 3);
    assert_string_equal(file.tensors[0].name, "late");
    assert_ptr_equal(file.tensors[0].data, image + size - 4);
    assert_int_equal(file.tensors[1].rank, 0);
    assert_int_equal(file.tensors[1].size_bytes, 1);
    assert_ptr_equal(file.tensors[1].data, image + size - 5);
    assert_int_equal(file.tensors[2].size_bytes, 0);
    assert_int_equal(file.tensors[2].shape[1], 3);
    assert_string_equal(json_string_value(json_object_get(file.metadata, "format")),
                        "pt");
    s3r_safetensors_release(&file);
    free(image);
}

/* ---- writing ---- */

static const float weight_data[6] = {0.0f, -0.0f, 1.5f, 1e-40f, -3e38f, 7.0f};
static const unsigned char odd_data[3] = {1, 2, 255};

static const s3r_tensor tensors[] = {
    {.name = "b",
     .dtype = S3R_DTYPE_U8,
     .rank = 1,
     .shape = {3},
     .data = odd_data,
     .size_bytes = 3},
    {.name = "a.weight \"\xc3\xa9\"",
     .dtype = S3R_DTYPE_F32,
     .rank = 2,
     .shape = {2, 3},
     .data = weight_data,
     .size_bytes = sizeof weight_data},
    {.name = "empty", .dtype = S3R_DTYPE_BF16, .rank = 2, .shape = {0, 7}},
};

static s3r_status supply_bytewise(void *context, size_t index, s3r_tensor_write_fn write,
                                  void *write_context, s3r_error *error)
{
    int surplus = *(const int *)context;
    const unsigned char *bytes = tensors[index].data;
    size_t size = tensors[index].size_bytes;
    for (size_t i = 0; i < size + (size_t)S3R_MAX(surplus, 0); i++) {
        if (surplus < 0 && i + 1 == size)
            break;
        S3R_TRY(write(write_context, &bytes[i < size ? i : 0], 1, error));
    }
    return S3R_OK;
}

static void check_written(const char *path)
{
    s3r_file_map map;
    s3r_safetensors file;
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_MODEL, &err), S3R_OK);
    assert_int_equal(s3r_safetensors_parse(&file, map.data, map.size, path, &err),
                     S3R_OK);
    assert_int_equal(map.data[0] % 8, 0);
    assert_int_equal(file.tensor_count, S3R_ARRAY_LEN(tensors));
    for (size_t i = 0; i < file.tensor_count; i++) {
        const s3r_tensor *found = &file.tensors[i], *expected = &tensors[i];
        assert_string_equal(found->name, expected->name);
        assert_int_equal(found->dtype, expected->dtype);
        assert_int_equal(found->rank, expected->rank);
        assert_memory_equal(found->shape, expected->shape, sizeof found->shape);
        assert_int_equal(found->size_bytes, expected->size_bytes);
        if (found->size_bytes > 0)
            assert_memory_equal(found->data, expected->data, found->size_bytes);
    }
    assert_string_equal(json_string_value(json_object_get(file.metadata, "k")), "v");
    s3r_safetensors_release(&file);
    s3r_file_map_close(&map);
}

static void test_written_files_read_back(void **state)
{
    (void)state;
    const char *path = test_path(test_folder(), "out.safetensors");
    json_t *metadata = json_pack("{s:s}", "k", "v");
    int surplus = 0;
    assert_int_equal(s3r_safetensors_save(path, tensors, S3R_ARRAY_LEN(tensors), metadata,
                                          NULL, NULL, &err),
                     S3R_OK);
    check_written(path);
    assert_int_equal(s3r_safetensors_save(path, tensors, S3R_ARRAY_LEN(tensors), metadata,
                                          supply_bytewise, &surplus, &err),
                     S3R_OK);
    check_written(path);
    json_decref(metadata);
    assert_int_equal(s3r_safetensors_save(path, NULL, 0, NULL, NULL, NULL, &err), S3R_OK);
}

static void test_bad_input_is_not_written(void **state)
{
    (void)state;
    const char *path = test_path(test_folder(), "out.safetensors");
    s3r_tensor twice[] = {tensors[0], tensors[0]};
    s3r_tensor short_one = tensors[0], reserved = tensors[0], not_utf8 = tensors[0];
    short_one.size_bytes = 2;
    reserved.name = "__metadata__";
    not_utf8.name = "\xff";
    json_t *metadata = json_pack("{s:i}", "k", 3);
    const struct {
        const s3r_tensor *tensors;
        size_t count;
        json_t *metadata;
        int surplus;
        const char *message;
    } cases[] = {
        {twice, 2, NULL, 0, "used twice"},
        {&short_one, 1, NULL, 0, "expected 3 bytes by shape and dtype, found 2"},
        {&reserved, 1, NULL, 0, "reserved"},
        {&not_utf8, 1, NULL, 0, "not UTF-8"},
        {tensors, 1, metadata, 0, "expected a string"},
        {tensors, 1, NULL, 1, "supplies more"},
        {tensors, 1, NULL, -1, "supplied 2"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        int surplus = cases[i].surplus;
        s3r_status status =
            s3r_safetensors_save(path, cases[i].tensors, cases[i].count,
                                 cases[i].metadata, supply_bytewise, &surplus, &err);
        if (status == S3R_OK || !strstr(err.message, cases[i].message))
            fail_msg("expected \"%s\", found status %d \"%s\"", cases[i].message, status,
                     status ? err.message : "");
        assert_false(s3r_path_exists(path));
    }
    json_decref(metadata);
}

static s3r_status attempt_parse(void *context, s3r_error *error)
{
    const s3r_file_map *image = context;
    s3r_safetensors file;
    S3R_TRY(s3r_safetensors_parse(&file, image->data, image->size, "m.st", error));
    s3r_safetensors_release(&file);
    return S3R_OK;
}

static s3r_status attempt_save(void *context, s3r_error *error)
{
    json_t *metadata = json_pack("{s:s}", "k", "v");
    if (!metadata)
        return s3r_fail_memory(error, "the test", 0);
    s3r_status status = s3r_safetensors_save(context, tensors, S3R_ARRAY_LEN(tensors),
                                             metadata, NULL, NULL, error);
    json_decref(metadata);
    return status;
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_image(
        "{\"__metadata__\":{\"k\":\"v\"}," ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY(
            "b", "F32", "[1,1]", "[4,8]") "}",
        8, &size);
    s3r_file_map image = {bytes, size};
    const char *path = test_path(test_folder(), "out.safetensors");
    test_survives_alloc_faults(attempt_parse, &image);
    test_survives_alloc_faults(attempt_save, (void *)(uintptr_t)path);
    free(bytes);
    check_written(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_headers_are_named),
        cmocka_unit_test(test_bad_lengths_are_named),
        cmocka_unit_test(test_deep_nesting_is_an_error),
        cmocka_unit_test(test_legal_oddities_are_read),
        cmocka_unit_test(test_written_files_read_back),
        cmocka_unit_test(test_bad_input_is_not_written),
        cmocka_unit_test(test_allocation_failures_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
