/*
 * PyTorch files of both containers, made by tests/data/make_torch_fixtures.py, and what
 * happens when they are damaged.
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
#include "checkpoint/torch_file.h"
#include "support_alloc_faults.h"

#define FOLDER S3R_TEST_DATA "/torch/"

static s3r_error err;

static s3r_file_map map_fixture(const char *name)
{
    char path[512];
    s3r_file_map map;
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (s3r_file_map_open(&map, path, S3R_ERR_MODEL, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return map;
}

static double element(const s3r_tensor *tensor, size_t index)
{
    const unsigned char *at =
        (const unsigned char *)tensor->data + index * s3r_dtype_size(tensor->dtype);
    uint64_t bits = 0;
    for (size_t i = 0; i < s3r_dtype_size(tensor->dtype); i++)
        bits |= (uint64_t)at[i] << (8 * i);
    uint32_t low = (uint32_t)bits;
    float f32;
    double f64;
    switch (tensor->dtype) {
    case S3R_DTYPE_BF16:
        low <<= 16;
        memcpy(&f32, &low, 4);
        return (double)f32;
    case S3R_DTYPE_F16: /* small positive integers only */
        low = low ? ((low >> 10) + 112) << 23 | (low & 0x3ff) << 13 : 0;
        memcpy(&f32, &low, 4);
        return (double)f32;
    case S3R_DTYPE_F32:
        memcpy(&f32, &low, 4);
        return (double)f32;
    case S3R_DTYPE_F64:
        memcpy(&f64, &bits, 8);
        return f64;
    case S3R_DTYPE_I64:
        return (double)(int64_t)bits;
    case S3R_DTYPE_I32:
        return (double)(int32_t)low;
    case S3R_DTYPE_I16:
        return (double)(int16_t)low;
    case S3R_DTYPE_I8:
        return (double)(int8_t)low;
    default:
        return (double)bits;
    }
}

typedef struct expected_tensor {
    const char *name;
    s3r_dtype dtype;
    const char *shape;
    double first, second, last;
    bool is_in_place;
} expected_tensor;

static void check_tensors(const s3r_torch_file *file, const s3r_file_map *map,
                          const expected_tensor *expected, size_t count)
{
    assert_int_equal(file->tensor_count, count);
    for (size_t i = 0; i < count; i++) {
        const s3r_tensor *found = &file->tensors[i];
        char shape[64];
        s3r_tensor_shape_text(found, shape, sizeof shape);
        assert_string_equal(found->name, expected[i].name);
        assert_int_equal(found->dtype, expected[i].dtype);
        assert_string_equal(shape, expected[i].shape);
        size_t elements = s3r_tensor_elements(found);
        assert_int_equal(found->size_bytes, elements * s3r_dtype_size(found->dtype));
        if (elements == 0)
            continue;
        double values[3] = {element(found, 0), element(found, elements > 1),
                            element(found, elements - 1)};
        if (values[0] != expected[i].first || values[1] != expected[i].second ||
            values[2] != expected[i].last)
            fail_msg("%s: found %g %g .. %g", found->name, values[0], values[1],
                     values[2]);
        const unsigned char *at = found->data;
        bool is_in_place = at >= map->data && at < map->data + map->size;
        assert_int_equal(is_in_place, expected[i].is_in_place);
    }
}

static const expected_tensor varied[] = {
    {"f32", S3R_DTYPE_F32, "[2,3]", 0, 1, 5, true},
    {"f16", S3R_DTYPE_F16, "[4]", 1, 2, 4, true},
    {"bf16", S3R_DTYPE_BF16, "[4]", 2, 3, 5, true},
    {"f64", S3R_DTYPE_F64, "[2]", 3, 4, 4, true},
    {"i64", S3R_DTYPE_I64, "[3]", -4, -3, -2, true},
    {"i32", S3R_DTYPE_I32, "[3]", -4, -3, -2, true},
    {"i16", S3R_DTYPE_I16, "[3]", -4, -3, -2, true},
    {"i8", S3R_DTYPE_I8, "[3]", -4, -3, -2, true},
    {"u8", S3R_DTYPE_U8, "[3]", 4, 5, 6, true},
    {"bool", S3R_DTYPE_BOOL, "[3]", 1, 0, 1, true},
    {"scalar", S3R_DTYPE_F32, "[]", 7, 7, 7, true},
    {"empty", S3R_DTYPE_F32, "[0,5]", 0, 0, 0, true},
    {"whole", S3R_DTYPE_F32, "[6,4]", 100, 101, 123, true},
    {"rows", S3R_DTYPE_F32, "[2,4]", 108, 109, 115, true},
    {"columns", S3R_DTYPE_F32, "[6,2]", 101, 102, 122, false},
    {"transposed", S3R_DTYPE_F32, "[4,6]", 100, 104, 123, false},
    {"expanded", S3R_DTYPE_F32, "[3,4]", 50, 50, 52, false},
    {"parameter", S3R_DTYPE_F32, "[2,2]", 9, 10, 12, true},
};

static const expected_tensor fairseq[] = {
    {"w2v_encoder.w2v_model.mask_emb", S3R_DTYPE_F32, "[4]", 0, 1, 3, true},
    {"w2v_encoder.w2v_model.encoder.layers.0.fc1.weight", S3R_DTYPE_F32, "[3,2]", 1, 2, 6,
     true},
    {"w2v_encoder.proj.weight", S3R_DTYPE_F16, "[2,2]", 2, 3, 5, true},
};

static const expected_tensor views[] = {
    {"whole", S3R_DTYPE_F32, "[10]", 0, 1, 9, true},
    {"view", S3R_DTYPE_F32, "[2,2]", 5, 6, 8, true},
};

static const char args_json[] =
    "{\"arch\":\"wav2vec_ctc\",\"conv_bias\":false,\"dropout\":0.1,\"lr\":[0.0001,5e-5],"
    "\"no_epoch_checkpoints\":null,\"max_update\":80000,\"w2v_args\":{\"encoder_layers\":"
    "12,\"arch\":\"wav2vec2\"},\"device\":\"cpu\",\"best\":null,\"infinite\":null}";
static const char cfg_json[] =
    "{\"_name\":null,\"common\":{\"seed\":1,\"fp16\":true},\"model\":{\"extractor_mode\":"
    "\"layer_norm\",\"old_mode\":\"default\",\"encoder_layers\":24,"
    "\"conv_feature_layers\":\"[(512, 10, 5)]\",\"latent_temp\":[2.0,0.5]},\"task\":{"
    "\"seed\":7,\"fp16\":true}}";

static const struct {
    const char *name;
    const expected_tensor *tensors;
    size_t tensor_count;
    bool is_legacy;
    const char *config;
} fixtures[] = {
    {"varied_zip.bin", varied, S3R_ARRAY_LEN(varied), false, NULL},
    {"varied_legacy.bin", varied, S3R_ARRAY_LEN(varied), true, NULL},
    {"protocol4_zip.bin", fairseq, S3R_ARRAY_LEN(fairseq), false, NULL},
    {"protocol4_legacy.bin", fairseq, S3R_ARRAY_LEN(fairseq), true, NULL},
    {"descriptors_zip.bin", fairseq, S3R_ARRAY_LEN(fairseq), false, NULL},
    {"views_legacy.bin", views, S3R_ARRAY_LEN(views), true, NULL},
    {"fairseq_args_zip.pt", fairseq, S3R_ARRAY_LEN(fairseq), false, args_json},
    {"fairseq_args_legacy.pt", fairseq, S3R_ARRAY_LEN(fairseq), true, args_json},
    {"fairseq_cfg_zip.pt", fairseq, S3R_ARRAY_LEN(fairseq), false, cfg_json},
    {"fairseq_cfg_legacy.pt", fairseq, S3R_ARRAY_LEN(fairseq), true, cfg_json},
};

static void test_fixtures_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(fixtures); i++) {
        s3r_file_map map = map_fixture(fixtures[i].name);
        s3r_torch_file file;
        assert_true(s3r_torch_file_is_likely(map.data, map.size));
        if (s3r_torch_file_parse(&file, map.data, map.size, fixtures[i].name, &err) !=
            S3R_OK)
            fail_msg("%s", err.message);
        check_tensors(&file, &map, fixtures[i].tensors, fixtures[i].tensor_count);
        assert_int_equal(file.is_legacy, fixtures[i].is_legacy);
        assert_int_equal(file.is_fairseq, fixtures[i].config != NULL);
        json_t *expected =
            fixtures[i].config ? json_loads(fixtures[i].config, 0, NULL) : NULL;
        if (expected)
            assert_true(json_equal(file.config, expected));
        else
            assert_null(file.config);
        json_decref(expected);
        s3r_torch_file_release(&file);
        s3r_file_map_close(&map);
    }
}

static void test_deflated_entries_are_read(void **state)
{
    (void)state;
    s3r_file_map map = map_fixture("deflated_zip.bin");
    s3r_torch_file file;
    expected_tensor expected[S3R_ARRAY_LEN(varied)];
    memcpy(expected, varied, sizeof expected);
    for (size_t i = 0; i < S3R_ARRAY_LEN(expected); i++)
        expected[i].is_in_place = false;
    assert_int_equal(s3r_torch_file_parse(&file, map.data, map.size, "d", &err), S3R_OK);
    check_tensors(&file, &map, expected, S3R_ARRAY_LEN(expected));
    s3r_torch_file_release(&file);
    s3r_file_map_close(&map);
}

/* ---- legacy files with hostile tensors ---- */

#define MAGIC                                                                            \
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\x03.}U\x0dlittle_"   \
    "endian\x88s."
/* A state dict with the one tensor "w"; storage of 4 floats with the key "k". */
#define STORAGE_ID(type, numel)                                                          \
    "(U\x07storagectorch\n" type "\nU\x01kU\x03"                                         \
    "cpu" numel "tQ"
#define TENSOR(storage, offset, shape, strides)                                          \
    "}U\x01wctorch._utils\n_rebuild_tensor_v2\n(" storage offset shape strides "\x89}"   \
    "tRs."
#define KEYS                                                                             \
    "]U\x01"                                                                             \
    "ka."
#define DATA                                                                             \
    "\x04\0\0\0\0\0\0\0"                                                                 \
    "0123456789abcdef"
#define GOOD STORAGE_ID("FloatStorage", "K\x04")

#define CASE(bytes, message)                                                             \
    {                                                                                    \
        bytes, sizeof(bytes) - 1, message                                                \
    }

/* A file, and a part of the message; NULL when it is a good one. */
static const struct {
    const char *bytes;
    size_t size;
    const char *message;
} hostile_cases[] = {
    CASE(MAGIC TENSOR(GOOD, "K\0", "K\x02K\x02\x86", "K\x02K\x01\x86") KEYS DATA, NULL),
    CASE("\x80\x02N.", "not of PyTorch"),
    CASE("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.K\x01.", "1001"),
    CASE("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\x03.}U\x0d"
         "little_endian\x89s.",
         "big-endian"),
    CASE(MAGIC TENSOR(GOOD, "K\x01", "K\x02K\x02\x86", "K\x02K\x01\x86") KEYS DATA,
         "\"w\": its elements lie outside"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "K\x02K\x02\x86", "K\x03K\x01\x86") KEYS DATA,
         "outside of its storage"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "K\x02K\x02\x86",
                      "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x01\x86") KEYS DATA,
         "outside of its storage"),
    CASE(MAGIC TENSOR(GOOD, "J\xff\xff\xff\xff", "K\x02\x85", "K\x01\x85") KEYS DATA,
         "offset: expected a non-negative"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "J\xff\xff\xff\xff\x85", "K\x01\x85") KEYS DATA,
         "expected non-negative integers"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "K\x02\x85", ")") KEYS DATA, "as many strides"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t",
                      "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t") KEYS DATA,
         "at most 8 dimensions"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "J\0\0\0\x7fJ\0\0\0\x7fJ\0\0\0\x7f\x87",
                      "K\0K\0K\0\x87") KEYS DATA,
         "overflows"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "J\0\0\0\x7f\x85", "K\0\x85") KEYS DATA,
         "too large to be unfolded"),
    CASE(MAGIC TENSOR("N", "K\0", "K\x02\x85", "K\x01\x85") "].",
         "expected a storage of a known type"),
    CASE(MAGIC TENSOR(STORAGE_ID("QUInt8Storage", "K\x04"), "K\0", "K\x02\x85",
                      "K\x01\x85") KEYS DATA,
         "no tensor tells its type"),
    CASE(MAGIC TENSOR(STORAGE_ID("FloatStorage", "K\x05"), "K\0", "K\x02\x85",
                      "K\x01\x85") KEYS DATA,
         "number of elements differs"),
    CASE(MAGIC TENSOR(STORAGE_ID("DoubleStorage", "K\x04"), "K\0", "K\x02\x85",
                      "K\x01\x85") KEYS DATA,
         "the file ends within it"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "K\x02\x85", "K\x01\x85") KEYS "\x04\0\0",
         "the file ends before it"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "K\x02\x85", "K\x01\x85") "].", "no data for it"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "K\x02\x85", "K\x01\x85") "N.", "list of storage"),
    CASE(MAGIC TENSOR(GOOD, "K\0", "K\x02\x85", "K\x01\x85") "](U\x01kU\x01"
                                                             "ke." DATA DATA,
         "the key occurs twice"),
    CASE(MAGIC "}U\x01wctorch._utils\n_rebuild_sparse_tensor\n)Rs."
               "].",
         "expected a dense tensor, found torch._utils._rebuild_sparse_tensor"),
    CASE(MAGIC "}U\x01w"
               "K\x01s."
               "].",
         "state dict of tensors, found none"),
    CASE(MAGIC "cm\nNet\n)\x81}b."
               "].",
         "found a pickled object"),
    CASE(MAGIC "}U\x01\xffK\x01s."
               "].",
         "not UTF-8"),
};

static void test_bad_files_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(hostile_cases); i++) {
        s3r_torch_file file;
        /* An exact copy, so that reading beyond the end is seen. */
        char *bytes = malloc(hostile_cases[i].size);
        assert_non_null(bytes);
        memcpy(bytes, hostile_cases[i].bytes, hostile_cases[i].size);
        s3r_status status =
            s3r_torch_file_parse(&file, bytes, hostile_cases[i].size, "m.pt", &err);
        if (status == S3R_OK)
            s3r_torch_file_release(&file);
        free(bytes);
        if ((status == S3R_OK) != (hostile_cases[i].message == NULL) ||
            (status != S3R_OK && (strncmp(err.message, "m.pt: ", 6) != 0 ||
                                  !strstr(err.message, hostile_cases[i].message))))
            fail_msg("case %zu: expected \"%s\", found status %d \"%s\"", i,
                     hostile_cases[i].message ? hostile_cases[i].message : "success",
                     status, status ? err.message : "");
    }
}

static void test_any_damage_is_survived(void **state)
{
    (void)state;
    static const char *const names[] = {"fairseq_cfg_legacy.pt", "protocol4_zip.bin",
                                        "views_legacy.bin"};
    for (size_t k = 0; k < S3R_ARRAY_LEN(names); k++) {
        s3r_file_map map = map_fixture(names[k]);
        unsigned char *bytes = malloc(map.size);
        assert_non_null(bytes);
        memcpy(bytes, map.data, map.size);
        for (size_t i = 0; i < map.size; i++) {
            s3r_torch_file file;
            if (s3r_torch_file_parse(&file, map.data, i, "m.pt", &err) == S3R_OK)
                fail_msg("%s: %zu of %zu bytes are accepted", names[k], i, map.size);
            bytes[i] ^= (unsigned char)(1u << i % 8);
            if (s3r_torch_file_parse(&file, bytes, map.size, "m.pt", &err) == S3R_OK)
                s3r_torch_file_release(&file);
            bytes[i] = map.data[i];
        }
        free(bytes);
        s3r_file_map_close(&map);
    }
}

static s3r_status attempt(void *context, s3r_error *error)
{
    const s3r_file_map *map = context;
    s3r_torch_file file;
    S3R_TRY(s3r_torch_file_parse(&file, map->data, map->size, "m.pt", error));
    s3r_torch_file_release(&file);
    return S3R_OK;
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    static const char *const names[] = {"varied_zip.bin", "varied_legacy.bin",
                                        "deflated_zip.bin", "fairseq_args_legacy.pt",
                                        "fairseq_cfg_zip.pt"};
    for (size_t k = 0; k < S3R_ARRAY_LEN(names); k++) {
        s3r_file_map map = map_fixture(names[k]);
        test_survives_alloc_faults(attempt, &map);
        s3r_file_map_close(&map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures_are_read),
        cmocka_unit_test(test_deflated_entries_are_read),
        cmocka_unit_test(test_bad_files_are_named),
        cmocka_unit_test(test_any_damage_is_survived),
        cmocka_unit_test(test_allocation_failures_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
