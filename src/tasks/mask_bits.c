/*
 * Reading the masks of a file, plain or compact.
 */
#include "tasks/mask_bits.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

s3r_status s3r_mask_file_check_backbone(const s3r_mask_file *file,
                                        const s3r_mask_backbone *backbone, s3r_error *err)
{
    if (strcmp(file->backbone_hash, backbone->hash) == 0 &&
        strcmp(file->family, backbone->family) == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: made for another backbone than %s: expected %s %s, found %s %s",
                    file->path, backbone->path, file->family, file->backbone_hash,
                    backbone->family, backbone->hash);
}

const s3r_weight_entry *s3r_mask_backbone_find(const s3r_mask_backbone *backbone,
                                               const char *name)
{
    for (size_t i = 0; i < backbone->plan->count; i++)
        if (strcmp(backbone->plan->entries[i].name, name) == 0)
            return &backbone->plan->entries[i];
    return NULL;
}

static s3r_status fail_matrix(const s3r_mask_file *file, const char *name,
                              const char *expected, const char *found, s3r_error *err)
{
    return s3r_fail(err, S3R_ERR_MODEL, "%s: \"%s\": expected %s, found %s", file->path,
                    name, expected, found);
}

/* The backbone's weights for a mask of that shape. */
static s3r_status find_weights(s3r_weighed_mask *out, const s3r_mask_file *file,
                               const s3r_mask_backbone *backbone, const char *name,
                               s3r_error *err)
{
    char expected[64], found[64];
    const s3r_mask *mask = &out->mask;
    const s3r_weight_entry *entry = s3r_mask_backbone_find(backbone, name);
    if (!entry || strncmp(name, "lm_head.", 8) == 0)
        return fail_matrix(file, name, "a parameter of the encoder", "no such parameter",
                           err);
    snprintf(found, sizeof found, "bits of [%zu,%zu]", mask->rows, mask->cols);
    if (entry->rule->kind != S3R_WEIGHT_MATRIX)
        return fail_matrix(file, name, "the name of a matrix", found, err);
    if (entry->shape[0] != mask->rows || entry->shape[1] != mask->cols) {
        snprintf(expected, sizeof expected, "a matrix [%zu,%zu]", entry->shape[0],
                 entry->shape[1]);
        return fail_matrix(file, name, expected, found, err);
    }
    out->weights = (s3r_mask_weights){entry->tensor->data, entry->tensor->dtype};
    return S3R_OK;
}

static s3r_status make_bits(s3r_mask *mask, s3r_arena *arena, const char *name,
                            s3r_error *err)
{
    size_t words = s3r_mask_words(mask->rows, mask->cols);
    mask->bits = s3r_arena_alloc(arena, words, sizeof *mask->bits);
    return mask->bits ? S3R_OK : s3r_fail_memory(err, name, words * sizeof *mask->bits);
}

static s3r_status load_plain(s3r_mask *mask, s3r_arena *arena, const s3r_mask_file *file,
                             const char *name, bool is_read_only, s3r_error *err)
{
    const s3r_tensor *bits = s3r_mask_file_find_part(file, S3R_MASK_PREFIX, name, "");
    if (is_read_only && s3r_mask_use_packed(mask, bits->data))
        return S3R_OK;
    S3R_TRY(make_bits(mask, arena, name, err));
    s3r_mask_from_packed(mask, bits->data);
    return S3R_OK;
}

s3r_status s3r_mask_bits_check_order(const s3r_weighed_mask *masks,
                                     const s3r_mask_file *file, s3r_error *err)
{
    for (size_t i = 0; i < s3r_mask_file_matrix_count(file); i++)
        if (masks[i].weights.dtype == S3R_DTYPE_I8)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: compact masks are coded by the order of the weights: "
                            "expected the backbone itself, found its int8 form (s3r mask "
                            "unpack -m BACKBONE; the plain file fits both)",
                            file->path);
    return S3R_OK;
}

static s3r_status load_compact(s3r_weighed_mask *out, const s3r_mask_file *file,
                               s3r_cpu_level level, s3r_pool *pool, s3r_error *err)
{
    const s3r_tensor *coded = s3r_mask_file_find(file, S3R_COMPACT_TENSOR);
    size_t count = s3r_mask_file_matrix_count(file);
    S3R_TRY(s3r_mask_bits_check_order(out, file, err));
    S3R_TRY(s3r_masks_decode(out, count, coded->data, coded->size_bytes, level, pool,
                             file->path, err));
    for (size_t i = 0; i < count; i++) {
        const s3r_mask *mask = &out[i].mask;
        size_t removed = mask->rows * mask->cols - s3r_mask_kept_count(mask);
        S3R_TRY(s3r_mask_file_check_removed(file, i, removed, err));
    }
    return S3R_OK;
}

s3r_status s3r_mask_bits_load(s3r_weighed_mask *out, s3r_arena *arena,
                              const s3r_mask_file *file,
                              const s3r_mask_backbone *backbone, bool is_read_only,
                              s3r_cpu_level level, s3r_pool *pool, s3r_error *err)
{
    const char *name;
    if (file->is_compact && !backbone)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: is compact, so the backbone is needed to read its masks",
                        file->path);
    for (size_t i = 0; i < s3r_mask_file_matrix_count(file); i++) {
        s3r_mask *mask = &out[i].mask;
        out[i] = (s3r_weighed_mask){0};
        s3r_mask_file_matrix(file, i, &name, &mask->rows, &mask->cols);
        mask->stride = s3r_mask_stride(mask->cols);
        if (backbone)
            S3R_TRY(find_weights(&out[i], file, backbone, name, err));
        S3R_TRY(file->is_compact
                    ? make_bits(mask, arena, name, err)
                    : load_plain(mask, arena, file, name, is_read_only, err));
    }
    return file->is_compact ? load_compact(out, file, level, pool, err) : S3R_OK;
}
