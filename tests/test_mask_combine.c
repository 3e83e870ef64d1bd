/*
 * Mask files from mask files: bits, what else a result has, provenance, comparison, and
 * what does not go together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/memory.h"
#include "route/mask.h"
#include "route/mask_file.h"
#include "s3r/mask_algebra.h"
#include "s3r/mask_info.h"
#include "s3r/mask_pack.h"
#include "support_api.h"
#include "support_files.h"
#include "support_mask.h"

#define MODEL TEST_GOLDEN "w2v2_group_postln"
#define OTHER TEST_GOLDEN "hubert_group"

static s3r_error err;
static test_api api;
static const char *folder, *out;
/* Masks of one backbone; the third is compact, the fourth masks nothing. */
static const char *a, *b, *c, *no_masks, *foreign;

static const char *write_mask(const char *name, const char *model, uint64_t seed,
                              size_t labels, bool has_masks)
{
    const char *path = test_path(folder, name);
    const test_mask_options options = {.has_masks = has_masks,
                                       .has_vectors = !has_masks,
                                       .sparsity = 0.3,
                                       .labels = labels,
                                       .seed = seed};
    if (test_mask_write(path, model, &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return path;
}

static void set_up(void)
{
    folder = test_folder();
    out = test_path(folder, "out.s3m");
    a = write_mask("a.s3m", MODEL, 1, 7, true);
    b = write_mask("b.s3m", MODEL, 2, 8, true);
    c = write_mask("c.s3m", MODEL, 3, 9, true);
    no_masks = write_mask("d.s3m", MODEL, 4, 10, false);
    foreign = write_mask("foreign.s3m", OTHER, 5, 7, true);
    test_api_open(&api, MODEL, 2, NULL);
    assert_int_equal(s3r_mask_pack(api.context, api.model, c, c, &err), S3R_OK);
}

static s3r_status combine(const char *operation, const char *const *paths, size_t count,
                          const char *head, s3r_mask_counts *counts)
{
    s3r_mask_combine_options options;
    s3r_mask_combine_options_init(&options);
    options.operation = operation;
    options.head = head;
    return s3r_mask_combine(api.context, api.model, paths, count, &options, out, counts,
                            &err);
}

static void must(s3r_status status)
{
    if (status != S3R_OK)
        fail_msg("%s", err.message);
}

/* Bit `element` of matrix `index` of a plain file. */
static bool bit_of(const s3r_mask_file *file, size_t index, size_t element)
{
    const char *name;
    size_t rows, cols;
    assert_true(s3r_mask_file_matrix(file, index, &name, &rows, &cols));
    const s3r_tensor *bits = s3r_mask_file_find_part(file, "mask/", name, "");
    return ((const uint8_t *)bits->data)[element / 8] >> element % 8 & 1;
}

static void test_bits(void **state)
{
    (void)state;
    static const char *const operations[] = {"and", "or", "xor", "minus"};
    s3r_mask_file x, y, z;
    must(s3r_mask_file_open(&x, a, &err));
    must(s3r_mask_file_open(&y, b, &err));
    for (size_t i = 0; i < S3R_ARRAY_LEN(operations); i++) {
        s3r_mask_counts counts;
        size_t elements = 0, removed = 0;
        must(combine(operations[i], (const char *const[]){a, b}, 2, NULL, &counts));
        must(s3r_mask_verify(out, api.model, &err));
        must(s3r_mask_file_open(&z, out, &err));
        assert_string_equal(z.method, operations[i]);
        for (size_t m = 0; m < s3r_mask_file_matrix_count(&z); m++) {
            const char *name;
            size_t rows, cols;
            s3r_mask_file_matrix(&z, m, &name, &rows, &cols);
            for (size_t e = 0; e < rows * cols; e++, elements++) {
                bool p = bit_of(&x, m, e), q = bit_of(&y, m, e), r = bit_of(&z, m, e);
                const bool expected[] = {p && q, p || q, p != q, p && !q};
                assert_int_equal(r, expected[i]);
                removed += !r;
            }
        }
        assert_int_equal(counts.elements, elements);
        assert_int_equal(counts.removed, removed);
        s3r_mask_file_close(&z);
    }
    s3r_mask_file_close(&x);
    s3r_mask_file_close(&y);
}

static void test_provenance(void **state)
{
    (void)state;
    s3r_mask_file x, z;
    must(s3r_mask_file_open(&x, a, &err));
    must(combine("vote", (const char *const[]){a, b, c}, 3, NULL, NULL));
    must(s3r_mask_file_open(&z, out, &err));
    const json_t *from = json_object_get(z.facts, "made_from");
    const json_t *files = json_object_get(from, "masks");
    assert_string_equal(json_string_value(json_object_get(from, "operation")), "vote");
    assert_int_equal(json_integer_value(json_object_get(from, "at_least")), 2);
    assert_int_equal(json_array_size(files), 3);
    const json_t *first = json_array_get(files, 0);
    assert_string_equal(json_string_value(json_object_get(first, "file")), "a.s3m");
    assert_string_equal(json_string_value(json_object_get(first, "sha256")),
                        x.content_hash);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(from, "head"), "sha256")),
        x.content_hash);
    /* The first file's head; nothing that was measured of it. */
    const s3r_tensor *head = s3r_mask_file_find(&z, "head/weight");
    assert_memory_equal(head->data, s3r_mask_file_find(&x, "head/weight")->data,
                        head->size_bytes);
    assert_null(json_object_get(z.facts, "metrics"));
    assert_null(json_object_get(z.facts, "recipe"));
    assert_string_equal(json_string_value(json_object_get(z.facts, "license")),
                        "CC0-1.0");
    s3r_mask_file_close(&x);
    s3r_mask_file_close(&z);
}

static void expect_license(const char *expected, const char *const *licenses,
                           size_t count)
{
    const char *paths[3];
    s3r_mask_file z;
    for (size_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "license%zu.s3m", i);
        paths[i] = test_path(folder, name);
        const test_mask_options options = {.has_masks = true,
                                           .sparsity = 0.3,
                                           .labels = 7,
                                           .license = licenses[i],
                                           .seed = i};
        must(test_mask_write(paths[i], MODEL, &options, &err));
    }
    must(combine("vote", paths, count, NULL, NULL));
    must(s3r_mask_file_open(&z, out, &err));
    assert_string_equal(json_string_value(json_object_get(z.facts, "license")), expected);
    s3r_mask_file_close(&z);
}

static void test_licenses(void **state)
{
    (void)state;
    expect_license("AGPL-3.0-only AND GPL-3.0-only",
                   (const char *const[]){"AGPL-3.0-only", "GPL-3.0-only"}, 2);
    expect_license("MIT AND CC0-1.0",
                   (const char *const[]){"MIT AND CC0-1.0", "CC0-1.0", "MIT"}, 3);
    expect_license("(CC-BY-NC-4.0 OR MIT) AND GPL-3.0-only AND MIT",
                   (const char *const[]){"CC-BY-NC-4.0 OR MIT", "GPL-3.0-only", "MIT"},
                   3);
    expect_license(
        "GPL-3.0-only AND ((MIT AND CC0-1.0) OR Apache-2.0)",
        (const char *const[]){"GPL-3.0-only", "(MIT AND CC0-1.0) OR Apache-2.0"}, 2);
    expect_license("(A OR B) AND C",
                   (const char *const[]){"(A OR B) AND C", "(A OR B) AND C", "A OR B"},
                   3);
    expect_license("(A AND B) AND (A AND C)",
                   (const char *const[]){"(A AND B)", "(A AND C)"}, 2);
}

/* The compact form of an operand changes nothing, its content hash included. */
static void test_compact_operand(void **state)
{
    (void)state;
    s3r_mask_file x, y;
    const char *plain = test_path(folder, "c-plain.s3m");
    const char *first = test_path(folder, "first.s3m");
    must(s3r_mask_unpack(api.context, api.model, c, plain, &err));
    must(combine("xor", (const char *const[]){a, c}, 2, NULL, NULL));
    assert_int_equal(rename(out, first), 0);
    must(combine("xor", (const char *const[]){a, plain}, 2, NULL, NULL));
    must(s3r_mask_file_open(&x, first, &err));
    must(s3r_mask_file_open(&y, out, &err));
    for (size_t i = 0; i < x.sealed.container.tensor_count; i++)
        assert_memory_equal(x.sealed.container.tensors[i].data,
                            y.sealed.container.tensors[i].data,
                            x.sealed.container.tensors[i].size_bytes);
    s3r_mask_file_close(&x);
    s3r_mask_file_close(&y);
}

static void test_heads(void **state)
{
    (void)state;
    s3r_mask_file z;
    s3r_model *model;
    s3r_model_info info;
    must(combine("and", (const char *const[]){a, b}, 2, b, NULL));
    must(s3r_mask_file_open(&z, out, &err));
    assert_int_equal(s3r_mask_file_find(&z, "head/weight")->shape[0], 8);
    s3r_mask_file_close(&z);
    /* New values of another file come with its head. */
    must(combine("and", (const char *const[]){a, b}, 2, no_masks, NULL));
    must(s3r_mask_file_open(&z, out, &err));
    assert_non_null(s3r_mask_file_find(&z, "values/encoder.layer_norm.bias"));
    s3r_mask_file_close(&z);
    must(combine("and", (const char *const[]){a, b}, 2, "none", NULL));
    must(s3r_mask_file_open(&z, out, &err));
    assert_false(z.has_head);
    assert_string_equal(z.task, "none");
    assert_null(s3r_mask_file_find(&z, "head/weight"));
    s3r_mask_file_close(&z);
    /* Without a head it is a mask still, but there is no text. */
    must(s3r_model_open_mask(&model, api.context, api.model, out, &err));
    s3r_model_get_info(model, &info);
    assert_false(info.has_head);
    assert_true(info.removed_elements > 0);
    s3r_model_close(model);
    const char *headless = test_path(folder, "headless.s3m");
    assert_int_equal(rename(out, headless), 0);
    must(s3r_mask_verify(headless, api.model, &err));
    test_expect_failure(combine("and", (const char *const[]){a, b}, 2, headless, NULL),
                        &err, S3R_ERR_MODEL,
                        "headless.s3m: a mask without head (method \"and\")");
    must(combine("or", (const char *const[]){headless, b}, 2, a, NULL));
    must(s3r_mask_pack(api.context, api.model, headless, headless, &err));
    must(s3r_mask_verify(headless, api.model, &err));
}

/* A head for languages comes with its languages, and with nothing else's facts. */
static void test_language_heads(void **state)
{
    (void)state;
    const char *lid = test_path(folder, "lid.s3m");
    const test_mask_options options = {.has_masks = true,
                                       .sparsity = 0.2,
                                       .labels = 3,
                                       .identifies_languages = true,
                                       .seed = 6};
    s3r_mask_file z;
    must(test_mask_write(lid, MODEL, &options, &err));
    static const struct {
        bool is_first;
        const char *head, *task;
    } cases[] = {{true, NULL, "lid"},
                 {true, "none", "none"},
                 {false, NULL, "ctc"},
                 {false, "lid", "lid"}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *const paths[] = {cases[i].is_first ? lid : a,
                                     cases[i].is_first ? a : lid};
        const char *head = cases[i].head;
        must(
            combine("or", paths, 2, head && strcmp(head, "lid") == 0 ? lid : head, NULL));
        must(s3r_mask_verify(out, api.model, &err));
        must(s3r_mask_file_open(&z, out, &err));
        assert_string_equal(z.task, cases[i].task);
        assert_int_equal(json_array_size(json_object_get(z.facts, "languages")),
                         z.identifies_languages ? 3 : 0);
        assert_int_equal(json_is_object(json_object_get(z.facts, "vocabulary")),
                         strcmp(z.task, "ctc") == 0);
        s3r_mask_file_close(&z);
    }
    must(s3r_mask_pack(api.context, api.model, lid, lid, &err));
    must(s3r_mask_verify(lid, api.model, &err));
}

/* What one file does not mask, it keeps whole. */
static void test_absent_matrices(void **state)
{
    (void)state;
    s3r_mask_counts with, without, both;
    must(combine("and", (const char *const[]){a, a}, 2, NULL, &with));
    must(combine("and", (const char *const[]){a, no_masks}, 2, NULL, &without));
    assert_int_equal(with.removed, without.removed);
    must(combine("or", (const char *const[]){no_masks, a}, 2, a, &both));
    assert_int_equal(both.removed, 0);
    assert_int_equal(both.elements, with.elements);
}

static s3r_status draw(const char *like, double sparsity, const char *modules,
                       uint64_t seed, s3r_mask_counts *counts)
{
    s3r_mask_random_options options;
    s3r_mask_random_options_init(&options);
    options.like = like;
    options.sparsity = sparsity;
    options.modules = modules;
    options.seed = seed;
    return s3r_mask_draw_random(api.context, api.model, &options, out, counts, &err);
}

static void test_random(void **state)
{
    (void)state;
    s3r_mask_counts like, same, ffn, both;
    s3r_mask_file z;
    must(combine("and", (const char *const[]){a, a}, 2, NULL, &like));
    must(draw(a, 0, "ffn", 3, &same));
    assert_int_equal(same.removed, like.removed);
    assert_int_equal(same.matrices, like.matrices);
    must(s3r_mask_verify(out, api.model, &err));
    must(s3r_mask_file_open(&z, out, &err));
    assert_true(z.has_head);
    assert_int_equal(json_integer_value(
                         json_object_get(json_object_get(z.facts, "made_from"), "seed")),
                     3);
    s3r_mask_file_close(&z);
    must(draw(NULL, 0.25, "ffn", 3, &ffn));
    must(s3r_mask_file_open(&z, out, &err));
    char *hash = s3r_strdup(z.content_hash);
    assert_false(z.has_head);
    s3r_mask_file_close(&z);
    must(draw(NULL, 0.25, "both", 3, &both));
    must(s3r_mask_verify(out, api.model, &err));
    assert_true(both.elements > ffn.elements);
    assert_int_equal(ffn.removed, ffn.elements / 4);
    must(draw(NULL, 0.25, "ffn", 3, NULL)); /* again */
    must(s3r_mask_file_open(&z, out, &err));
    assert_string_equal(z.content_hash, hash);
    s3r_mask_file_close(&z);
    s3r_free(hash);
}

static void test_compare(void **state)
{
    (void)state;
    char *text;
    must(s3r_mask_compare(api.context, api.model, (const char *const[]){a, b, a}, 3,
                          &text, &err));
    json_t *object = json_loads(text, 0, NULL);
    s3r_mask_compare_free(text);
    const json_t *pairs = json_object_get(object, "pairs");
    assert_int_equal(json_array_size(pairs), 3);
    const json_t *same = json_object_get(json_array_get(pairs, 1), "all");
    assert_true(json_number_value(json_object_get(same, "phi")) > 0.999999);
    assert_true(json_number_value(json_object_get(same, "jaccard")) == 1.0);
    const json_t *other = json_object_get(json_array_get(pairs, 0), "all");
    json_int_t elements = json_integer_value(json_object_get(other, "elements"));
    json_int_t sum = 0, block_sum = 0;
    size_t index;
    json_t *one;
    /* Independent: |phi| below 5 / sqrt(n). */
    double phi = json_number_value(json_object_get(other, "phi"));
    assert_true(phi * phi * (double)elements < 25);
    json_array_foreach(json_object_get(json_array_get(pairs, 0), "matrices"), index, one)
        sum += json_integer_value(json_object_get(one, "elements"));
    json_array_foreach(json_object_get(json_array_get(pairs, 0), "blocks"), index, one)
        block_sum += json_integer_value(json_object_get(one, "elements"));
    assert_int_equal(sum, elements);
    assert_int_equal(block_sum, elements);
    json_decref(object);
}

static void test_misfits(void **state)
{
    (void)state;
    char *text;
    s3r_mask_combine_options options;
    s3r_mask_combine_options_init(&options);
    test_expect_failure(combine("and", (const char *const[]){a, foreign}, 2, NULL, NULL),
                        &err, S3R_ERR_MODEL,
                        "foreign.s3m: made for another backbone than");
    test_expect_failure(combine("and", (const char *const[]){a, b}, 2, foreign, NULL),
                        &err, S3R_ERR_MODEL,
                        "foreign.s3m: made for another backbone than");
    test_expect_failure(combine("nand", (const char *const[]){a, b}, 2, NULL, NULL), &err,
                        S3R_ERR_USAGE, "expected and, or, xor, minus or vote");
    test_expect_failure(combine("and", (const char *const[]){a}, 1, NULL, NULL), &err,
                        S3R_ERR_USAGE, "expected 2 to 255 mask files, found 1");
    test_expect_failure(
        combine("and", (const char *const[]){no_masks, no_masks}, 2, NULL, NULL), &err,
        S3R_ERR_USAGE, "d.s3m: has no masks");
    test_expect_failure(s3r_mask_combine(api.context, NULL, (const char *const[]){a, c},
                                         2, &options, out, NULL, &err),
                        &err, S3R_ERR_MODEL,
                        "c.s3m: is compact, so the backbone is needed");
    options.operation = "vote";
    options.at_least = 3;
    test_expect_failure(s3r_mask_combine(api.context, NULL, (const char *const[]){a, b},
                                         2, &options, out, NULL, &err),
                        &err, S3R_ERR_USAGE, "at least 3: expected at most 2");
    test_expect_failure(s3r_mask_compare(api.context, NULL,
                                         (const char *const[]){a, no_masks}, 2, &text,
                                         &err),
                        &err, S3R_ERR_MODEL, "expected a matrix that both mask");
    test_expect_failure(
        s3r_mask_compare(api.context, NULL, (const char *const[]){a}, 1, &text, &err),
        &err, S3R_ERR_USAGE, "expected at least 2 mask files");
    test_expect_failure(draw(NULL, 1.5, "ffn", 1, NULL), &err, S3R_ERR_USAGE,
                        "sparsity: expected 0 to 1, found 1.5");
    test_expect_failure(draw(NULL, 0.1, "heads", 1, NULL), &err, S3R_ERR_USAGE,
                        "expected ffn, attention or both");
}

/* The same hash, another shape: a file that lies. */
static void test_two_shapes(void **state)
{
    (void)state;
    s3r_mask_file x;
    s3r_tensor tensors[256];
    const char *path = test_path(folder, "shapes.s3m");
    must(s3r_mask_file_open(&x, a, &err));
    memcpy(tensors, x.sealed.container.tensors,
           x.sealed.container.tensor_count * sizeof *tensors);
    json_t *facts = json_deep_copy(x.facts);
    json_t *shape =
        json_object_get(json_array_get(json_object_get(facts, "matrices"), 0), "shape");
    json_int_t rows = json_integer_value(json_array_get(shape, 0));
    json_int_t cols = json_integer_value(json_array_get(shape, 1));
    json_array_set_new(shape, 0, json_integer(rows * 2));
    json_array_set_new(shape, 1, json_integer(cols / 2));
    must(s3r_mask_file_save(path, tensors, x.sealed.container.tensor_count, facts, &err));
    json_decref(facts);
    s3r_mask_file_close(&x);
    s3r_mask_combine_options options;
    s3r_mask_combine_options_init(&options);
    test_expect_failure(s3r_mask_combine(api.context, NULL,
                                         (const char *const[]){a, path}, 2, &options, out,
                                         NULL, &err),
                        &err, S3R_ERR_MODEL, "expected a mask of [");
    assert_non_null(strstr(err.message, "shapes.s3m: \"encoder.layers.0."));
}

static s3r_status attempt(void *context, s3r_error *error)
{
    (void)context;
    s3r_mask_combine_options options;
    s3r_mask_random_options random;
    char *text;
    s3r_mask_combine_options_init(&options);
    s3r_mask_random_options_init(&random);
    options.operation = "vote";
    S3R_TRY(s3r_mask_combine(api.context, api.model, (const char *const[]){a, b, c}, 3,
                             &options, out, NULL, error));
    S3R_TRY(s3r_mask_draw_random(api.context, api.model, &random, out, NULL, error));
    S3R_TRY(s3r_mask_compare(api.context, api.model, (const char *const[]){a, c}, 2,
                             &text, error));
    s3r_mask_compare_free(text);
    return S3R_OK;
}

/* Not in jansson: its lexer asserts when it has no memory within an escape, and the facts
 * are full of them. */
static void test_without_memory(void **state)
{
    (void)state;
    s3r_status status = S3R_ERR_RESOURCE;
    for (size_t n = 1; status != S3R_OK; n++) {
        err.message[0] = '\0';
        s3r_alloc_fail_at(n);
        status = attempt(NULL, &err);
        s3r_alloc_fail_at(0);
        if (status != S3R_OK && (status != S3R_ERR_RESOURCE || !err.message[0]))
            fail_msg("allocation %zu: expected resource, found %s: %s", n,
                     s3r_status_name(status), err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),           cmocka_unit_test(test_provenance),
        cmocka_unit_test(test_licenses),       cmocka_unit_test(test_heads),
        cmocka_unit_test(test_language_heads), cmocka_unit_test(test_compact_operand),
        cmocka_unit_test(test_random),         cmocka_unit_test(test_absent_matrices),
        cmocka_unit_test(test_compare),        cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_two_shapes),     cmocka_unit_test(test_without_memory),
    };
    set_up();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_api_close(&api);
    return failed;
}
