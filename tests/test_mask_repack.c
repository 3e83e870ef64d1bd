/*
 * Compact mask files: they work as the plain ones do, unpacking gives the same bytes, and
 * what does not fit is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include <nettle/sha2.h>

#include "base/file.h"
#include "base/hash_text.h"
#include "base/memory.h"
#include "route/mask_file.h"
#include "s3r/mask_info.h"
#include "s3r/mask_pack.h"
#include "s3r/transcribe.h"
#include "support_api.h"
#include "support_files.h"
#include "support_mask.h"

#define MODEL TEST_GOLDEN "w2v2_group_postln"
#define OTHER TEST_GOLDEN "hubert_group"

static s3r_error err;
static test_api api;
static const char *folder, *plain, *compact, *unpacked;

static const test_mask_options options = {.method = "mask+weights",
                                          .has_masks = true,
                                          .has_all_values = true,
                                          .sparsity = 0.2,
                                          .labels = 9,
                                          .seed = 3};

static void set_up(void)
{
    folder = test_folder();
    plain = test_path(folder, "plain.s3m");
    compact = test_path(folder, "compact.s3m");
    unpacked = test_path(folder, "unpacked.s3m");
    if (test_mask_write(plain, MODEL, &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    test_api_open(&api, MODEL, 2, NULL);
    if (s3r_mask_pack(api.context, api.model, plain, compact, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static void expect_same_file(const char *a, const char *b)
{
    s3r_file_map x, y;
    assert_int_equal(s3r_file_map_open(&x, a, S3R_ERR_MODEL, &err), S3R_OK);
    assert_int_equal(s3r_file_map_open(&y, b, S3R_ERR_MODEL, &err), S3R_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    s3r_file_map_close(&x);
    s3r_file_map_close(&y);
}

static void test_same_bytes(void **state)
{
    (void)state;
    assert_int_equal(s3r_mask_unpack(api.context, api.model, compact, unpacked, &err),
                     S3R_OK);
    expect_same_file(plain, unpacked);
    /* In place, both ways. */
    assert_int_equal(s3r_mask_pack(api.context, api.model, unpacked, unpacked, &err),
                     S3R_OK);
    expect_same_file(compact, unpacked);
    assert_int_equal(s3r_mask_unpack(api.context, api.model, unpacked, unpacked, &err),
                     S3R_OK);
    expect_same_file(plain, unpacked);
}

static json_t *describe(const char *path)
{
    char *text;
    if (s3r_mask_info(&text, path, &err) != S3R_OK)
        fail_msg("%s", err.message);
    json_t *info = json_loads(text, 0, NULL);
    s3r_mask_info_free(text);
    assert_non_null(info);
    return info;
}

static void test_described(void **state)
{
    (void)state;
    static const char *const same[] = {"content_hash", "kept_elements", "masked_elements",
                                       "label_count"};
    json_t *a = describe(plain), *b = describe(compact);
    for (size_t i = 0; i < S3R_ARRAY_LEN(same); i++)
        assert_true(json_equal(json_object_get(a, same[i]), json_object_get(b, same[i])));
    assert_true(json_is_false(json_object_get(a, "is_compact")));
    assert_true(json_is_true(json_object_get(b, "is_compact")));
    assert_int_equal(json_integer_value(json_object_get(b, "format")), 2);
    json_decref(a);
    json_decref(b);
    assert_int_equal(s3r_mask_verify(compact, NULL, &err), S3R_OK);
    assert_int_equal(s3r_mask_verify(compact, api.model, &err), S3R_OK);
}

static void transcribe(const char *mask, test_results *results, const char *audio)
{
    s3r_model *model;
    s3r_transcribe_options how;
    s3r_transcribe_options_init(&how);
    if (s3r_model_open_mask(&model, api.context, api.model, mask, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(s3r_transcribe(api.context, model, &audio, 1, &how, test_take_result,
                                    results, &err),
                     S3R_OK);
    s3r_model_close(model);
}

static void test_applied(void **state)
{
    (void)state;
    static test_results a, b;
    const char *audio = test_write_speech(folder, "a.wav", 0x10006, 16000, 5);
    transcribe(plain, &a, audio);
    transcribe(compact, &b, audio);
    assert_int_equal(a.count, 1);
    assert_string_equal(a.items[0].text, b.items[0].text);
    assert_true(a.items[0].confidence == b.items[0].confidence);
    test_results_release(&a);
    test_results_release(&b);
}

static void test_misuse(void **state)
{
    (void)state;
    test_api other;
    const char *heads = test_path(folder, "head.s3m");
    const test_mask_options no_masks = {
        .method = "bias", .has_vectors = true, .labels = 9, .seed = 3};
    assert_int_equal(test_mask_write(heads, MODEL, &no_masks, &err), S3R_OK);
    test_expect_failure(s3r_mask_pack(api.context, api.model, compact, unpacked, &err),
                        &err, S3R_ERR_USAGE, "compact.s3m: is compact already");
    test_expect_failure(s3r_mask_unpack(api.context, api.model, plain, unpacked, &err),
                        &err, S3R_ERR_USAGE, "plain.s3m: is not compact");
    test_expect_failure(s3r_mask_pack(api.context, api.model, heads, unpacked, &err),
                        &err, S3R_ERR_USAGE, "has no masks (method \"bias\")");
    test_expect_failure(
        s3r_mask_pack(api.context, api.model, plain, "/nowhere/x.s3m", &err), &err,
        S3R_ERR_RUNTIME, "/nowhere/x.s3m");
    test_api_open(&other, OTHER, 1, NULL);
    test_expect_failure(s3r_mask_pack(other.context, other.model, plain, unpacked, &err),
                        &err, S3R_ERR_MODEL, "made for another backbone than");
    test_expect_failure(
        s3r_mask_unpack(other.context, other.model, compact, unpacked, &err), &err,
        S3R_ERR_MODEL, "made for another backbone than");
    test_expect_failure(s3r_mask_verify(compact, other.model, &err), &err, S3R_ERR_MODEL,
                        "made for another backbone than");
    test_api_close(&other);
}

/* ---- compact files that contradict themselves, with the right seal ---- */

typedef struct bad_case {
    const char *said;
    const char *fact; /* set to value */
    const char *value;
    const char *tensor; /* renamed */
    const char *name;
    size_t flipped; /* a byte of the coded masks, from the end; 0 = none */
} bad_case;

#define HASH64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const bad_case bad_cases[] = {
    {.said = "\"compact\": expected an object with the SHA-256 of the plain form",
     .fact = "compact",
     .value = "{\"sha256\":\"xyz\"}"},
    {.said = "\"compact\": expected an object with the SHA-256", .fact = "compact"},
    {.said = "damaged: its plain form is another: expected SHA-256 " HASH64,
     .fact = "compact",
     .value = "{\"sha256\":\"" HASH64 "\"}"},
    {.said = "\"compact/masks\": expected U8 of 1 dimension, found nothing",
     .tensor = "compact/masks",
     .name = "compact/other"},
    {.said = "expected coded masks alone in a compact file",
     .tensor = "values/encoder.layer_norm.bias",
     .name = "mask/encoder.layer_norm.bias"},
    {.said = "to end as they began, found another end", .flipped = 9},
    {.said = "\"compact.places\": expected a place below",
     .fact = "compact",
     .value = "{\"sha256\":\"" HASH64 "\",\"places\":[0,0]}"},
    {.said = "that is free, found 7777",
     .fact = "compact",
     .value = "{\"sha256\":\"" HASH64 "\",\"places\":[7777]}"},
    {.said = "coded masks: expected", .fact = "matrices", .value = "[]"},
    {.said = "expected sparsity 0.9", .fact = "matrices.0.sparsity", .value = "0.9"},
    {.said = "expected a parameter of the encoder, found no such parameter",
     .fact = "matrices.0.name",
     .value = "\"encoder.layers.77.attention.q_proj.weight\""},
    {.said = "expected the name of a matrix",
     .fact = "matrices.0.name",
     .value = "\"encoder.layer_norm.bias\""},
    {.said = "expected a matrix [16,16], found bits of [8,32]",
     .fact = "matrices.0.shape",
     .value = "[8,32]"},
};

static void set_fact(json_t *facts, const char *path, const char *value)
{
    json_t *new_value = value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    const char *last = strrchr(path, '.');
    if (last) /* matrices.0.KEY */
        facts = json_array_get(json_object_get(facts, "matrices"), 0);
    if (value)
        json_object_set_new(facts, last ? last + 1 : path, new_value);
    else
        json_object_del(facts, path);
}

static void write_bad(const char *path, const bad_case *one)
{
    s3r_mask_file file;
    s3r_tensor tensors[256];
    static uint8_t coded[1 << 16];
    assert_int_equal(s3r_mask_file_open(&file, compact, &err), S3R_OK);
    size_t count = file.sealed.container.tensor_count;
    assert_true(count <= S3R_ARRAY_LEN(tensors));
    memcpy(tensors, file.sealed.container.tensors, count * sizeof *tensors);
    s3r_tensor *masks = &tensors[count - 1];
    assert_string_equal(masks->name, S3R_COMPACT_TENSOR);
    assert_true(masks->size_bytes <= sizeof coded);
    memcpy(coded, masks->data, masks->size_bytes);
    masks->data = coded;
    if (one->flipped)
        coded[masks->size_bytes - one->flipped] ^= 0x10;
    json_t *facts = json_deep_copy(file.facts);
    if (one->fact)
        set_fact(facts, one->fact, one->value);
    for (size_t i = 0; i < count; i++)
        if (one->tensor && strcmp(tensors[i].name, one->tensor) == 0)
            tensors[i].name = one->name;
    assert_int_equal(s3r_sealed_file_save(path, S3R_MASK_FILE_KIND, S3R_MASK_FILE_COMPACT,
                                          tensors, count, facts, &err),
                     S3R_OK);
    json_decref(facts);
    s3r_mask_file_close(&file);
}

static void test_contradictions(void **state)
{
    (void)state;
    const char *path = test_path(folder, "bad.s3m");
    for (size_t i = 0; i < S3R_ARRAY_LEN(bad_cases); i++) {
        write_bad(path, &bad_cases[i]);
        s3r_status status = s3r_mask_unpack(api.context, api.model, path, unpacked, &err);
        test_expect_failure(status, &err, S3R_ERR_MODEL, bad_cases[i].said);
        assert_non_null(strstr(err.message, "bad.s3m"));
    }
}

static void hash_number(struct sha256_ctx *hash, uint64_t number)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
    sha256_update(hash, sizeof bytes, bytes);
}

static void hash_text(struct sha256_ctx *hash, const char *text)
{
    sha256_update(hash, strlen(text) + 1, (const uint8_t *)text);
}

/* The seal of a plain mask file with these facts, as docs/formats.md says. */
static void seal_by_hand(char seal[S3R_SEAL_HEX_BYTES], const char *facts,
                         const s3r_safetensors *container)
{
    struct sha256_ctx hash;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&hash);
    hash_text(&hash, "s3r.mask");
    hash_text(&hash, "1");
    hash_text(&hash, facts);
    for (size_t i = 0; i < container->tensor_count; i++) {
        const s3r_tensor *tensor = &container->tensors[i];
        hash_text(&hash, tensor->name);
        hash_text(&hash, s3r_dtype_name(tensor->dtype));
        hash_number(&hash, tensor->rank);
        for (unsigned d = 0; d < tensor->rank; d++)
            hash_number(&hash, tensor->shape[d]);
        sha256_update(&hash, tensor->size_bytes, tensor->data);
    }
    sha256_digest(&hash, sizeof digest, digest);
    s3r_bytes_to_hex(seal, digest, sizeof digest);
}

/* A plain file whose facts are spelt in another way has no way back. */
static void test_foreign_facts(void **state)
{
    (void)state;
    s3r_mask_file file;
    char seal[S3R_SEAL_HEX_BYTES];
    const char *path = test_path(folder, "foreign.s3m");
    assert_int_equal(s3r_mask_file_open(&file, plain, &err), S3R_OK);
    const s3r_safetensors *container = &file.sealed.container;
    char *facts = json_dumps(file.facts, JSON_INDENT(1));
    seal_by_hand(seal, facts, container);
    json_t *metadata = json_pack("{ss, ss, ss, ss}", "s3r.mask", "1", "s3r.facts", facts,
                                 "s3r.sha256", seal, "format", "pt");
    assert_int_equal(s3r_safetensors_save(path, container->tensors,
                                          container->tensor_count, metadata, NULL, NULL,
                                          &err),
                     S3R_OK);
    json_decref(metadata);
    free(facts);
    s3r_mask_file_close(&file);
    assert_int_equal(s3r_mask_verify(path, api.model, &err), S3R_OK);
    test_expect_failure(s3r_mask_pack(api.context, api.model, path, unpacked, &err), &err,
                        S3R_ERR_MODEL, "facts are not spelt as s3r writes them");
}

static s3r_status attempt(void *context, s3r_error *error)
{
    const char *there = context;
    S3R_TRY(s3r_mask_pack(api.context, api.model, plain, there, error));
    return s3r_mask_unpack(api.context, api.model, there, there, error);
}

/* Not in jansson: its lexer asserts when it has no memory within an escape, and the facts
 * are full of them. */
static void test_without_memory(void **state)
{
    (void)state;
    const char *there = test_path(folder, "faults.s3m");
    s3r_status status = S3R_ERR_RESOURCE;
    for (size_t n = 1; status != S3R_OK; n++) {
        err.message[0] = '\0';
        s3r_alloc_fail_at(n);
        status = attempt((void *)(uintptr_t)there, &err);
        s3r_alloc_fail_at(0);
        if (status != S3R_OK && (status != S3R_ERR_RESOURCE || !err.message[0]))
            fail_msg("allocation %zu: expected resource, found %s: %s", n,
                     s3r_status_name(status), err.message);
    }
    expect_same_file(plain, there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),     cmocka_unit_test(test_described),
        cmocka_unit_test(test_applied),        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_foreign_facts),
        cmocka_unit_test(test_without_memory),
    };
    set_up();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_api_close(&api);
    return failed;
}
