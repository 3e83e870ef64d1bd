/*
 * Mask files: round trip, and every way to be wrong: cut at each length, each bit
 * flipped, other versions and kinds, and contradictions between facts and tensors.
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
#include "route/mask.h"
#include "route/mask_file.h"
#include "support_api.h"
#include "support_files.h"

#define MAX_TENSORS 16u
#define MAX_BYTES   8192u
#define HASH        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static s3r_error err;

/* A small sound file: two masked matrices, one with odd bits; values, an update, an
 * adapter, a head of three labels. */
static const char facts_text[] =
    "{\"backbone\":{\"hash\":\"" HASH "\",\"family\":\"hubert\",\"name\":\"n\"},"
    "\"task\":\"ctc\",\"method\":\"mask\",\"language\":\"nl\","
    "\"vocabulary\":{\"labels\":[\"<pad>\",\"|\",\"a\"],\"special\":[0],\"blank\":0,"
    "\"delimiter\":1,\"unknown\":null,\"delimiter_text\":\" \","
    "\"lower_case_output\":false,\"phonemes\":false},"
    "\"normalize\":true,\"sample_rate\":16000,"
    "\"matrices\":[{\"name\":\"x.weight\",\"shape\":[3,5],\"sparsity\":0.2},"
    "{\"name\":\"y.weight\",\"shape\":[2,4],\"sparsity\":0.5}],"
    "\"lora\":{\"rank\":2,\"alpha\":4.0,\"scale\":2.0},"
    "\"adapter\":{\"kind\":\"st\",\"width\":1},"
    "\"license\":\"CC0-1.0\",\"of_tomorrow\":[1,2]}";

static const uint8_t x_bits[2] = {0xfe, 0x5e}; /* 12 of 15 kept */
static const uint8_t y_bits[1] = {0x3c};
static const float numbers[64] = {1, 2, 3, -4.5f};

static const struct {
    const char *name;
    s3r_dtype dtype;
    unsigned rank;
    size_t shape[2];
    const void *data;
} sound[] = {
    {"mask/x.weight", S3R_DTYPE_U8, 1, {2}, x_bits},
    {"mask/y.weight", S3R_DTYPE_U8, 1, {1}, y_bits},
    {"values/z.bias", S3R_DTYPE_F32, 1, {3}, numbers},
    {"lora/x.weight/down", S3R_DTYPE_F32, 2, {2, 5}, numbers},
    {"lora/x.weight/up", S3R_DTYPE_F32, 2, {3, 2}, numbers},
    {"adapter/0/norm.weight", S3R_DTYPE_F32, 1, {4}, numbers},
    {"adapter/0/norm.bias", S3R_DTYPE_F32, 1, {4}, numbers},
    {"adapter/0/down.weight", S3R_DTYPE_F32, 2, {1, 4}, numbers},
    {"adapter/0/down.bias", S3R_DTYPE_F32, 1, {1}, numbers},
    {"adapter/0/up.weight", S3R_DTYPE_F32, 2, {4, 1}, numbers},
    {"adapter/0/up.bias", S3R_DTYPE_F32, 1, {4}, numbers},
    {"head/weight", S3R_DTYPE_F32, 2, {3, 4}, numbers},
    {"head/bias", S3R_DTYPE_F32, 1, {3}, numbers},
};

typedef struct content {
    s3r_tensor tensors[MAX_TENSORS];
    size_t count;
    json_t *facts;
} content;

static void set_shape(s3r_tensor *tensor, unsigned rank, const size_t *shape)
{
    tensor->rank = rank;
    memcpy(tensor->shape, shape, rank * sizeof *shape);
    tensor->size_bytes = s3r_tensor_elements(tensor) * s3r_dtype_size(tensor->dtype);
}

static content make_content(void)
{
    content c = {.facts = json_loads(facts_text, 0, NULL)};
    assert_non_null(c.facts);
    for (size_t i = 0; i < S3R_ARRAY_LEN(sound); i++) {
        s3r_tensor *tensor = &c.tensors[c.count++];
        *tensor = (s3r_tensor){
            .name = sound[i].name, .dtype = sound[i].dtype, .data = sound[i].data};
        set_shape(tensor, sound[i].rank, sound[i].shape);
    }
    return c;
}

/* Takes the facts. */
static const char *write_content(content *c)
{
    static const char *path;
    if (!path)
        path = test_path(test_folder(), "x.s3m");
    if (s3r_mask_file_save(path, c->tensors, c->count, c->facts, &err) != S3R_OK)
        fail_msg("%s", err.message);
    json_decref(c->facts);
    return path;
}

static size_t read_sound(uint8_t bytes[MAX_BYTES])
{
    content c = make_content();
    s3r_file_map map;
    assert_int_equal(s3r_file_map_open(&map, write_content(&c), S3R_ERR_MODEL, &err),
                     S3R_OK);
    assert_true(map.size <= MAX_BYTES);
    size_t size = map.size;
    memcpy(bytes, map.data, size);
    s3r_file_map_close(&map);
    return size;
}

static void test_round_trip(void **state)
{
    (void)state;
    content c = make_content();
    s3r_mask_file file;
    const char *name;
    size_t rows, cols;
    if (s3r_mask_file_open(&file, write_content(&c), &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_string_equal(file.backbone_hash, HASH);
    assert_string_equal(file.family, "hubert");
    assert_string_equal(file.task, "ctc");
    assert_string_equal(file.method, "mask");
    for (size_t i = 0; i < S3R_ARRAY_LEN(sound); i++) {
        const s3r_tensor *tensor = s3r_mask_file_find(&file, sound[i].name);
        assert_non_null(tensor);
        assert_memory_equal(tensor->data, sound[i].data, tensor->size_bytes);
    }
    assert_true(s3r_mask_file_matrix(&file, 1, &name, &rows, &cols));
    assert_string_equal(name, "y.weight");
    assert_true(rows == 2 && cols == 4);
    assert_false(s3r_mask_file_matrix(&file, 2, &name, &rows, &cols));
    assert_true(s3r_mask_file_lora_scale(&file) == 2.0);
    assert_non_null(s3r_mask_file_find_part(&file, "lora/", "x.weight", "/up"));
    assert_null(s3r_mask_file_find(&file, "head"));
    json_t *facts = json_loads(facts_text, 0, NULL); /* unknown ones too */
    assert_true(json_equal(file.facts, facts));
    json_decref(facts);
    s3r_mask_file_close(&file);
    s3r_mask_file_close(&file);
}

static void expect_bad(const uint8_t *bytes, size_t size, const char *what, size_t where)
{
    s3r_mask_file file;
    err.message[0] = '\0';
    if (s3r_mask_file_parse(&file, bytes, size, "x.s3m", &err) != S3R_ERR_MODEL)
        fail_msg("%s %zu was not found", what, where);
    if (strncmp(err.message, "x.s3m: ", 7) != 0)
        fail_msg("%s %zu: no file is named: %s", what, where, err.message);
    assert_null(file.facts);
}

/* Exact copies on the heap, so that the sanitizer sees a read beyond the end. */
static void test_cut_short(void **state)
{
    (void)state;
    static uint8_t bytes[MAX_BYTES];
    size_t size = read_sound(bytes);
    for (size_t length = 0; length < size; length++) {
        uint8_t *copy = s3r_alloc_raw(length, 1);
        memcpy(copy, bytes, length);
        expect_bad(copy, length, "a cut at", length);
        s3r_free(copy);
    }
    expect_bad(bytes, size - 1, "a cut at", size - 1);
    assert_non_null(strstr(err.message, "bytes of data, found"));
    bytes[size] = 0;
    expect_bad(bytes, size + 1, "a byte more after", size);
}

static void test_flipped_bits(void **state)
{
    (void)state;
    static uint8_t bytes[MAX_BYTES];
    size_t size = read_sound(bytes);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        expect_bad(bytes, size, "flipped bit", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    bytes[size - 1] ^= 1;
    expect_bad(bytes, size, "flipped bit", 8 * size - 8);
    assert_non_null(strstr(err.message, "damaged: expected SHA-256"));
}

static void test_other_kinds(void **state)
{
    (void)state;
    content c = make_content();
    s3r_mask_file file;
    const char *path = write_content(&c);
    c = make_content();
    assert_int_equal(
        s3r_sealed_file_save(path, "s3r.mask", 3, c.tensors, c.count, c.facts, &err),
        S3R_OK);
    test_expect_failure(s3r_mask_file_open(&file, path, &err), &err, S3R_ERR_MODEL,
                        "expected format version 1 to 2, found \"3\"");
    assert_int_equal(s3r_sealed_file_save(path, "s3r.checkpoint", 1, c.tensors, c.count,
                                          c.facts, &err),
                     S3R_OK);
    json_decref(c.facts);
    test_expect_failure(s3r_mask_file_open(&file, path, &err), &err, S3R_ERR_MODEL,
                        "expected a file of kind \"s3r.mask\"");
    test_expect_failure(
        s3r_mask_file_open(&file, "tests/golden/odd_shapes/model.safetensors", &err),
        &err, S3R_ERR_MODEL, "expected a file of kind \"s3r.mask\"");
    test_expect_failure(s3r_mask_file_open(&file, "tests/golden/nothing.s3m", &err), &err,
                        S3R_ERR_MODEL, "nothing.s3m");
}

/* ---- contradictions ---- */

typedef struct bad_case {
    const char *said;
    const char *fact, *value; /* path "a.b" or "a.0.b" set to JSON; NULL value: removed */
    const char *tensor;       /* changed: */
    const char *name;         /*   to this name; "" = removed */
    s3r_dtype dtype;          /*   F32 is "unchanged" here but for masks */
    unsigned rank;            /*   0 = unchanged */
    size_t shape[2];
    const void *data;
} bad_case;

/* The last step of the path in *key. */
static json_t *walk(json_t *object, const char *path, char key[64])
{
    for (;;) {
        size_t length = strcspn(path, ".");
        memcpy(key, path, length);
        key[length] = '\0';
        if (!path[length])
            return object;
        object = json_is_array(object) ? json_array_get(object, (size_t)atoi(key))
                                       : json_object_get(object, key);
        path += length + 1;
    }
}

static void spoil(content *c, const bad_case *bad)
{
    char key[64];
    if (bad->fact) {
        json_t *owner = walk(c->facts, bad->fact, key);
        if (bad->value)
            json_object_set_new(owner, key,
                                json_loads(bad->value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(owner, key);
    }
    for (size_t i = 0; bad->tensor && i < c->count; i++) {
        s3r_tensor *tensor = &c->tensors[i];
        if (strcmp(tensor->name, bad->tensor) != 0)
            continue;
        if (bad->name && !*bad->name) {
            *tensor = c->tensors[--c->count];
            return;
        }
        tensor->name = bad->name ? bad->name : tensor->name;
        tensor->dtype = bad->dtype != S3R_DTYPE_F32 ? bad->dtype : tensor->dtype;
        tensor->data = bad->data ? bad->data : tensor->data;
        if (bad->rank)
            set_shape(tensor, bad->rank, bad->shape);
        else
            set_shape(tensor, tensor->rank, tensor->shape);
    }
}

static const uint8_t long_bits[2] = {0xfe, 0xde};  /* one beyond the 15 */
static const uint8_t other_bits[2] = {0xf0, 0x5e}; /* 6 removed, not 3 */

static const bad_case bad_cases[] = {
    {.said = "\"backbone\": expected an object, found nothing", .fact = "backbone"},
    {.said = "\"hash\": expected text, found nothing", .fact = "backbone.hash"},
    {.said = "64 hexadecimal digits, found \"abc\"",
     .fact = "backbone.hash",
     .value = "\"abc\""},
    {.said = "\"family\": expected text, found nothing", .fact = "backbone.family"},
    {.said = "\"family\": expected text, found 7",
     .fact = "backbone.family",
     .value = "7"},
    {.said = "\"task\": expected text", .fact = "task"},
    {.said = "\"task\": expected ctc, lid or none, found \"asr\"",
     .fact = "task",
     .value = "\"asr\""},
    {.said = "\"method\": expected text", .fact = "method", .value = "\"\""},
    {.said = "\"language\": expected text, found 1", .fact = "language", .value = "1"},
    {.said = "\"normalize\": expected true or false, found nothing", .fact = "normalize"},
    {.said = "\"sample_rate\": expected a number of Hz, found 0",
     .fact = "sample_rate",
     .value = "0"},
    {.said = "\"matrices\": expected an array, found nothing", .fact = "matrices"},
    {.said = "\"matrices\": expected objects, found 3",
     .fact = "matrices",
     .value = "[3]"},
    {.said = "\"name\": expected text", .fact = "matrices.0.name"},
    {.said = "\"matrices.shape\": expected two sizes, found [3]",
     .fact = "matrices.0.shape",
     .value = "[3]"},
    {.said = "expected two sizes, found [3,-5]",
     .fact = "matrices.0.shape",
     .value = "[3,-5]"},
    {.said = "expected two sizes", .fact = "matrices.0.shape", .value = "[3,1e3]"},
    {.said = "expected U8 [3] (the bits of 3 x 6), found U8 [2]",
     .fact = "matrices.0.shape",
     .value = "[3,6]"},
    {.said = "a number from 0 to 1, found 1.5",
     .fact = "matrices.0.sparsity",
     .value = "1.5"},
    {.said = "expected sparsity 0.4 as the facts say, found 3 of 15 removed",
     .fact = "matrices.0.sparsity",
     .value = "0.4"},
    {.said = "x.weight is there twice",
     .fact = "matrices",
     .value = "[{\"name\":\"x.weight\",\"shape\":[3,5],\"sparsity\":0.2},"
              "{\"name\":\"x.weight\",\"shape\":[3,5],\"sparsity\":0.2}]"},
    {.said = "\"mask/y.weight\": expected an entry in \"matrices\"",
     .fact = "matrices",
     .value = "[{\"name\":\"x.weight\",\"shape\":[3,5],\"sparsity\":0.2}]"},
    {.said = "(the bits of 3 x 5), found nothing", .tensor = "mask/x.weight", .name = ""},
    {.said = "found I8 [2]", .tensor = "mask/x.weight", .dtype = S3R_DTYPE_I8},
    {.said = "expected no bits beyond element 15",
     .tensor = "mask/x.weight",
     .data = long_bits},
    {.said = "found 6 of 15 removed", .tensor = "mask/x.weight", .data = other_bits},
    {.said = "\"head/weight\": expected F32 of 2 dimensions, found nothing",
     .tensor = "head/weight",
     .name = ""},
    {.said = "\"head/bias\": expected F32 of 1 dimension, found nothing",
     .tensor = "head/bias",
     .name = ""},
    {.said = "one value a row of head/weight, found F32 [2]",
     .tensor = "head/bias",
     .rank = 1,
     .shape = {2}},
    {.said = "\"vocabulary\": expected an object, found nothing", .fact = "vocabulary"},
    {.said = "x.s3m", .fact = "vocabulary.labels", .value = "[\"<pad>\",\"|\"]"},
    {.said = "x.s3m", .fact = "vocabulary.blank", .value = "9"},
    {.said = "\"languages\": expected null, since the task is ctc, found [\"de\",\"nl\"]",
     .fact = "languages",
     .value = "[\"de\",\"nl\"]"},
    {.said = "\"values/z.bias\": expected F32, found F16",
     .tensor = "values/z.bias",
     .dtype = S3R_DTYPE_F16},
    {.said = "\"lora\": expected an object, since there are low-rank updates",
     .fact = "lora"},
    {.said = "\"lora.scale\": expected a number", .fact = "lora.scale"},
    {.said = "expected rank 3, found F32 [2,5]", .fact = "lora.rank", .value = "3"},
    {.said = "\"lora\": expected an object with a rank", .fact = "lora.rank"},
    {.said = "/up beside it", .tensor = "lora/x.weight/up", .name = ""},
    {.said = "/down beside it", .tensor = "lora/x.weight/down", .name = ""},
    {.said = "a name that ends in /down or /up",
     .tensor = "lora/x.weight/down",
     .name = "lora/x.weight/dawn"},
    {.said = "\"adapter\": expected an object, since there are adapters",
     .fact = "adapter"},
    {.said = "expected asr or st, found \"mlp\"",
     .fact = "adapter.kind",
     .value = "\"mlp\""},
    {.said = "an object with a width", .fact = "adapter.width"},
    {.said = "\"adapter/0/norm.bias\": expected a tensor, found nothing",
     .tensor = "adapter/0/norm.bias",
     .name = ""},
    {.said = "adapter/BLOCK/PART",
     .tensor = "adapter/0/norm.weight",
     .name = "adapter/0/norm.wait"},
    {.said = "adapter/BLOCK/PART",
     .tensor = "adapter/0/norm.weight",
     .name = "adapter/x/norm.weight"},
    {.said = "\"scores/x.weight\": no such tensor in format 1",
     .tensor = "values/z.bias",
     .name = "scores/x.weight"},
};

static void expect_spoilt(content c, const bad_case *bad)
{
    s3r_mask_file file;
    spoil(&c, bad);
    const char *path = write_content(&c);
    s3r_status status = s3r_mask_file_open(&file, path, &err);
    test_expect_failure(status, &err, S3R_ERR_MODEL, bad->said);
    assert_non_null(strstr(err.message, "x.s3m"));
}

static void test_contradictions(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(bad_cases); i++)
        expect_spoilt(make_content(), &bad_cases[i]);
}

/* ---- languages ---- */

static content make_language_content(void)
{
    content c = make_content();
    json_object_set_new(c.facts, "task", json_string("lid"));
    json_object_set_new(c.facts, "vocabulary", json_null());
    json_object_set_new(c.facts, "languages", json_pack("[sss]", "nl", "de", "pt-BR"));
    return c;
}

static const bad_case bad_language_cases[] = {
    {.said = "\"vocabulary\": expected null, since the task is lid, found 1",
     .fact = "vocabulary",
     .value = "1"},
    {.said = "\"languages\": expected 2 to 8192 different texts, found nothing",
     .fact = "languages"},
    {.said = "\"languages\": expected 3 as head/weight has rows, found 2",
     .fact = "languages",
     .value = "[\"de\",\"nl\"]"},
    {.said = "different texts, found [\"de\",\"nl\",\"de\"]",
     .fact = "languages",
     .value = "[\"de\",\"nl\",\"de\"]"},
    {.said = "\"head/weight\": expected F32 of 2 dimensions, found nothing",
     .tensor = "head/weight",
     .name = ""},
    {.said = "one value a row of head/weight, found F32 [2]",
     .tensor = "head/bias",
     .rank = 1,
     .shape = {2}},
    {.said = "\"head/weight\": expected no head, since the task is none",
     .fact = "task",
     .value = "\"none\""},
};

static void test_languages(void **state)
{
    (void)state;
    content c = make_language_content();
    s3r_mask_file file;
    if (s3r_mask_file_open(&file, write_content(&c), &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_true(file.has_head && file.identifies_languages);
    assert_string_equal(file.task, "lid");
    s3r_mask_file_close(&file);
    for (size_t i = 0; i < S3R_ARRAY_LEN(bad_language_cases); i++)
        expect_spoilt(make_language_content(), &bad_language_cases[i]);
}

static void open_without_memory(content c)
{
    const char *path = write_content(&c);
    s3r_status status = S3R_ERR_RESOURCE;
    for (size_t n = 1; status != S3R_OK; n++) {
        s3r_mask_file file;
        s3r_alloc_fail_at(n);
        status = s3r_mask_file_open(&file, path, &err);
        s3r_alloc_fail_at(0);
        assert_true(status == S3R_OK || status == S3R_ERR_RESOURCE);
        s3r_mask_file_close(&file);
    }
}

static void test_without_memory(void **state)
{
    (void)state;
    open_without_memory(make_content());
    open_without_memory(make_language_content());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_flipped_bits),   cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
