/*
 * Likeness of mask files as JSON.
 */
#include "analyze/mask_compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "route/mask_sets.h"

/* NaN says nothing, and so does null. */
static json_t *measure(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *describe_overlap(const s3r_mask_overlap *overlap)
{
    return json_pack(
        "{sI, sI, sI, sI, so, so, so, so, so, sf}", "elements",
        (json_int_t)overlap->elements, "removed_a", (json_int_t)overlap->removed_a,
        "removed_b", (json_int_t)overlap->removed_b, "removed_both",
        (json_int_t)overlap->removed_both, "cosine", measure(s3r_overlap_cosine(overlap)),
        "cosine_expected", measure(s3r_overlap_cosine_expected(overlap)), "jaccard",
        measure(s3r_overlap_jaccard(overlap)), "jaccard_expected",
        measure(s3r_overlap_jaccard_expected(overlap)), "phi",
        measure(s3r_overlap_phi(overlap)), "phi_expected", 0.0);
}

static void add_overlap(s3r_mask_overlap *sum, const s3r_mask_overlap *one)
{
    sum->elements += one->elements;
    sum->removed_a += one->removed_a;
    sum->removed_b += one->removed_b;
    sum->removed_both += one->removed_both;
}

/* Appends the overlap with its name or number; false without memory. */
static bool append(json_t *list, const s3r_mask_overlap *overlap, const char *key,
                   json_t *value)
{
    json_t *one = describe_overlap(overlap);
    bool is_complete = json_object_set_new(one, key, value) == 0;
    return json_array_append_new(list, one) == 0 && is_complete;
}

/* Block of "encoder.layers.3...."; false for a matrix of no block. */
static bool block_of(const char *name, unsigned long *block)
{
    return sscanf(name, "encoder.layers.%10lu.", block) == 1;
}

/* The pair's matrices that belong to the block, summed. */
static s3r_mask_overlap sum_block(const s3r_mask_operand *a, const s3r_mask_operand *b,
                                  unsigned long block)
{
    s3r_mask_overlap sum = {0};
    for (size_t i = 0; i < a->count; i++) {
        const char *name;
        size_t rows, cols;
        unsigned long own;
        s3r_mask_file_matrix(&a->file, i, &name, &rows, &cols);
        const s3r_mask *other = s3r_mask_operand_find(b, name);
        if (other && block_of(name, &own) && own == block)
            s3r_mask_overlap_add(&sum, &a->masks[i].mask, other);
    }
    return sum;
}

/* More blocks than any model has: others have no line. */
#define BLOCKS_MAX 1024u

/* Of each matrix, and how many blocks the matrices name. */
static bool add_matrices(json_t *matrices, s3r_mask_overlap *all, unsigned long *blocks,
                         const s3r_mask_operand *a, const s3r_mask_operand *b)
{
    bool is_complete = true;
    for (size_t i = 0; i < a->count; i++) {
        const char *name;
        size_t rows, cols;
        unsigned long block;
        s3r_mask_overlap one = {0};
        s3r_mask_file_matrix(&a->file, i, &name, &rows, &cols);
        const s3r_mask *other = s3r_mask_operand_find(b, name);
        if (!other)
            continue;
        s3r_mask_overlap_add(&one, &a->masks[i].mask, other);
        add_overlap(all, &one);
        is_complete = append(matrices, &one, "name", json_string(name)) && is_complete;
        if (block_of(name, &block) && block < BLOCKS_MAX)
            *blocks = S3R_MAX(*blocks, block + 1);
    }
    return is_complete;
}

static s3r_status compare_pair(json_t *pairs, const s3r_mask_operands *operands, size_t a,
                               size_t b, s3r_error *err)
{
    const s3r_mask_operand *x = &operands->items[a], *y = &operands->items[b];
    s3r_mask_overlap all = {0};
    unsigned long block_count = 0;
    json_t *matrices = json_array(), *blocks = json_array();
    bool is_complete = add_matrices(matrices, &all, &block_count, x, y);
    for (unsigned long i = 0; i < block_count; i++) {
        s3r_mask_overlap sum = sum_block(x, y, i);
        if (sum.elements > 0)
            is_complete =
                append(blocks, &sum, "block", json_integer((json_int_t)i)) && is_complete;
    }
    json_t *pair =
        json_pack("{sI, sI, so, so, so}", "a", (json_int_t)a, "b", (json_int_t)b, "all",
                  describe_overlap(&all), "blocks", blocks, "matrices", matrices);
    is_complete = json_array_append_new(pairs, pair) == 0 && is_complete;
    if (!is_complete)
        return s3r_fail_memory(err, "a comparison", 0);
    return all.elements > 0 ? S3R_OK
                            : s3r_fail(err, S3R_ERR_MODEL,
                                       "%s and %s: expected a matrix that both mask, "
                                       "found none",
                                       x->file.path, y->file.path);
}

static json_t *describe_operand(const s3r_mask_operand *operand)
{
    const s3r_mask_file *file = &operand->file;
    size_t elements = 0, removed = 0;
    for (size_t i = 0; i < operand->count; i++) {
        const s3r_mask *mask = &operand->masks[i].mask;
        elements += mask->rows * mask->cols;
        removed += mask->rows * mask->cols - s3r_mask_kept_count(mask);
    }
    json_t *path = json_string(file->path); /* NULL when it is not UTF-8 */
    json_t *language = json_object_get(file->facts, "language");
    return json_pack("{so, sO, ss, ss, sI, sI}", "path", path ? path : json_null(),
                     "language", language ? language : json_null(), "method",
                     file->method, "content_hash", file->content_hash, "masked_elements",
                     (json_int_t)elements, "removed_elements", (json_int_t)removed);
}

static s3r_status compare_all(json_t *masks, json_t *pairs,
                              const s3r_mask_operands *operands, s3r_error *err)
{
    for (size_t i = 0; i < operands->count; i++)
        if (json_array_append_new(masks, describe_operand(&operands->items[i])) != 0)
            return s3r_fail_memory(err, "a comparison", 0);
    for (size_t a = 0; a < operands->count; a++)
        for (size_t b = a + 1; b < operands->count; b++)
            S3R_TRY(compare_pair(pairs, operands, a, b, err));
    return S3R_OK;
}

s3r_status s3r_mask_files_compare(json_t **out, const char *const *paths, size_t count,
                                  const s3r_mask_reader *reader, s3r_error *err)
{
    s3r_mask_operands operands;
    if (count < 2)
        return s3r_fail(err, S3R_ERR_USAGE, "expected at least 2 mask files, found %zu",
                        count);
    S3R_TRY(s3r_mask_operands_open(&operands, paths, count, reader, err));
    json_t *masks = json_array(), *pairs = json_array();
    s3r_status status = compare_all(masks, pairs, &operands, err);
    json_t *object = json_pack("{so, so}", "masks", masks, "pairs", pairs);
    s3r_mask_operands_close(&operands);
    if (status == S3R_OK && !object)
        status = s3r_fail_memory(err, "a comparison", 0);
    if (status != S3R_OK) {
        json_decref(object);
        return status;
    }
    *out = object;
    return S3R_OK;
}
