/*
 * Sealed files: what is written is read; every flipped bit, cut and foreign file is
 * found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "checkpoint/sealed_file.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"

#define KIND    "s3r.test"
#define VERSION 3u

static const float numbers[] = {1.0F, -2.5F, 3.25F, 0.0F, 5.0F, 6.0F};
static const uint64_t words[] = {0x0123456789abcdefu, 42};

static s3r_status save(const char *path, s3r_error *err)
{
    const s3r_tensor tensors[] = {
        {.name = "numbers",
         .dtype = S3R_DTYPE_F32,
         .rank = 2,
         .shape = {2, 3},
         .data = numbers,
         .size_bytes = sizeof numbers},
        {.name = "nothing", .dtype = S3R_DTYPE_F32, .rank = 1, .shape = {0}},
        {.name = "words",
         .dtype = S3R_DTYPE_U64,
         .rank = 1,
         .shape = {2},
         .data = words,
         .size_bytes = sizeof words},
    };
    json_t *facts =
        json_pack("{si, ss, s[i,i]}", "step", 7, "text", "\xc3\xa4 \"b\"", "list", 1, 2);
    if (!facts)
        return s3r_fail_memory(err, path, 0);
    s3r_status status = s3r_sealed_file_save(path, KIND, VERSION, tensors,
                                             S3R_ARRAY_LEN(tensors), facts, err);
    json_decref(facts);
    return status;
}

/* A sealed file in memory; s3r_free. */
static unsigned char *load(size_t *size)
{
    const char *path = test_path(test_folder(), "file");
    s3r_file_map map;
    s3r_error err;
    if (save(path, &err) != S3R_OK ||
        s3r_file_map_open(&map, path, S3R_ERR_DATA, &err) != S3R_OK)
        fail_msg("%s", err.message);
    unsigned char *bytes = s3r_alloc_raw(map.size, 1);
    assert_non_null(bytes);
    memcpy(bytes, map.data, map.size);
    *size = map.size;
    s3r_file_map_close(&map);
    return bytes;
}

static void test_round_trip(void **state)
{
    (void)state;
    const char *folder = test_folder(), *path = test_path(folder, "file");
    s3r_sealed_file file;
    s3r_error err;
    assert_int_equal(save(path, &err), S3R_OK);
    if (s3r_sealed_file_open(&file, path, KIND, VERSION, &err) != S3R_OK)
        fail_msg("%s", err.message);
    const s3r_tensor *found = s3r_sealed_file_find(&file, "numbers");
    assert_true(found && found->rank == 2 && found->shape[0] == 2 &&
                found->shape[1] == 3);
    assert_memory_equal(found->data, numbers, sizeof numbers);
    found = s3r_sealed_file_find(&file, "words");
    assert_true(found && found->dtype == S3R_DTYPE_U64);
    assert_memory_equal(found->data, words, sizeof words);
    assert_non_null(s3r_sealed_file_find(&file, "nothing"));
    assert_null(s3r_sealed_file_find(&file, "number"));
    assert_int_equal(json_integer_value(json_object_get(file.facts, "step")), 7);
    assert_string_equal(json_string_value(json_object_get(file.facts, "text")),
                        "\xc3\xa4 \"b\"");
    s3r_sealed_file_close(&file);
    s3r_sealed_file_close(&file);
    assert_int_equal(test_folder_entries(folder), 1);
}

/* Any bit, and any whole byte. */
static void test_flips(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = load(&size);
    for (size_t i = 0; i < size; i++)
        for (unsigned change = 0; change <= 8; change++) {
            s3r_sealed_file file;
            s3r_error err = {S3R_OK, ""};
            unsigned char mask = (unsigned char)(change < 8 ? 1u << change : 0xffu);
            bytes[i] ^= mask;
            s3r_status status =
                s3r_sealed_file_parse(&file, bytes, size, "label", KIND, VERSION, &err);
            if (status != S3R_ERR_MODEL || !strstr(err.message, "label"))
                fail_msg("byte %zu of %zu, change %u: expected an error, found %s", i,
                         size, change, s3r_status_name(status));
            assert_null(file.facts);
            assert_int_equal(file.container.tensor_count, 0);
            bytes[i] ^= mask;
        }
    s3r_free(bytes);
}

static void test_cuts(void **state)
{
    (void)state;
    size_t size;
    s3r_sealed_file file;
    s3r_error err;
    unsigned char *bytes = load(&size);
    for (size_t length = 0; length < size; length++) {
        unsigned char *part = s3r_alloc_raw(length, 1); /* the sanitizer sees its end */
        memcpy(part, bytes, length);
        assert_int_equal(
            s3r_sealed_file_parse(&file, part, length, "label", KIND, VERSION, &err),
            S3R_ERR_MODEL);
        s3r_free(part);
    }
    unsigned char *more = s3r_alloc(size + 8, 1);
    memcpy(more, bytes, size);
    assert_int_equal(
        s3r_sealed_file_parse(&file, more, size + 8, "label", KIND, VERSION, &err),
        S3R_ERR_MODEL);
    s3r_free(more);
    s3r_free(bytes);
}

static void test_foreign(void **state)
{
    (void)state;
    size_t size;
    s3r_sealed_file file;
    s3r_error err;
    unsigned char *bytes = load(&size);
    test_expect_failure(
        s3r_sealed_file_parse(&file, bytes, size, "label", "s3r.other", VERSION, &err),
        &err, S3R_ERR_MODEL, "expected a file of kind \"s3r.other\"");
    test_expect_failure(s3r_sealed_file_parse(&file, bytes, size, "label", KIND, 4, &err),
                        &err, S3R_ERR_MODEL, "expected format version 4, found \"3\"");
    s3r_free(bytes);
    const char *model = TEST_GOLDEN "w2v2_group_postln/model.safetensors";
    test_expect_failure(s3r_sealed_file_open(&file, model, KIND, VERSION, &err), &err,
                        S3R_ERR_MODEL, "model.safetensors");
    test_expect_failure(s3r_sealed_file_open(&file, "nowhere", KIND, VERSION, &err), &err,
                        S3R_ERR_MODEL, "nowhere");
    test_expect_failure(s3r_sealed_file_open(&file, "tests", KIND, VERSION, &err), &err,
                        S3R_ERR_MODEL, "tests");
    /* A disk that is full, or a folder that is not there. */
    assert_int_equal(save("nowhere/file", &err), S3R_ERR_RUNTIME);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    s3r_sealed_file file;
    S3R_TRY(save(context, err));
    S3R_TRY(s3r_sealed_file_open(&file, context, KIND, VERSION, err));
    s3r_sealed_file_close(&file);
    return S3R_OK;
}

static void test_alloc_faults(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s", test_path(test_folder(), "file"));
    test_survives_alloc_faults(attempt, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_flips),
        cmocka_unit_test(test_cuts),         cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_alloc_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
