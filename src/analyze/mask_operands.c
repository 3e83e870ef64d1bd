/*
 * Opening mask files that are to be combined or compared.
 */
#include "analyze/mask_operands.h"

#include <string.h>

#include "base/memory.h"

#define ARENA_CHUNK ((size_t)1 << 20)

const s3r_mask *s3r_mask_operand_find(const s3r_mask_operand *operand, const char *name)
{
    for (size_t i = 0; i < operand->count; i++) {
        const char *own;
        size_t rows, cols;
        s3r_mask_file_matrix(&operand->file, i, &own, &rows, &cols);
        if (strcmp(own, name) == 0)
            return &operand->masks[i].mask;
    }
    return NULL;
}

s3r_status s3r_mask_operands_check_file(const s3r_mask_operands *operands,
                                        const s3r_mask_file *file, s3r_error *err)
{
    const s3r_mask_file *first = &operands->items[0].file;
    if (strcmp(first->backbone_hash, file->backbone_hash) == 0 &&
        strcmp(first->family, file->family) == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: made for another backbone than %s: expected %s %s, found %s %s",
                    file->path, first->path, first->family, first->backbone_hash,
                    file->family, file->backbone_hash);
}

/* One backbone has one shape a name, so this is a file that lies. */
static s3r_status check_shapes(const s3r_mask_operands *operands,
                               const s3r_mask_operand *operand, s3r_error *err)
{
    for (size_t i = 0; i < operand->count; i++) {
        const char *name;
        size_t rows, cols;
        s3r_mask_file_matrix(&operand->file, i, &name, &rows, &cols);
        for (const s3r_mask_operand *other = operands->items; other < operand; other++) {
            const s3r_mask *mask = s3r_mask_operand_find(other, name);
            if (mask && (mask->rows != rows || mask->cols != cols))
                return s3r_fail(err, S3R_ERR_MODEL,
                                "%s: \"%s\": expected a mask of [%zu,%zu] as in %s, "
                                "found [%zu,%zu]",
                                operand->file.path, name, mask->rows, mask->cols,
                                other->file.path, rows, cols);
        }
    }
    return S3R_OK;
}

static s3r_status open_one(s3r_mask_operands *operands, s3r_mask_operand *operand,
                           const char *path, const s3r_mask_reader *reader,
                           s3r_error *err)
{
    S3R_TRY(s3r_mask_file_open(&operand->file, path, err));
    S3R_TRY(s3r_mask_operands_check_file(operands, &operand->file, err));
    if (reader->backbone)
        S3R_TRY(s3r_mask_file_check_backbone(&operand->file, reader->backbone, err));
    size_t count = s3r_mask_file_matrix_count(&operand->file);
    operand->masks = s3r_arena_alloc(&operands->owned, count, sizeof *operand->masks);
    if (!operand->masks)
        return s3r_fail_memory(err, path, count * sizeof *operand->masks);
    operand->count = count;
    S3R_TRY(s3r_mask_bits_load(operand->masks, &operands->owned, &operand->file,
                               reader->backbone, false, reader->level, reader->pool,
                               err));
    return check_shapes(operands, operand, err);
}

s3r_status s3r_mask_operands_open(s3r_mask_operands *out, const char *const *paths,
                                  size_t count, const s3r_mask_reader *reader,
                                  s3r_error *err)
{
    *out = (s3r_mask_operands){.items = s3r_alloc(count, sizeof *out->items)};
    if (!out->items)
        return s3r_fail_memory(err, "mask files", count * sizeof *out->items);
    s3r_arena_init(&out->owned, ARENA_CHUNK);
    s3r_status status = S3R_OK;
    for (; out->count < count && status == S3R_OK; out->count++)
        status = open_one(out, &out->items[out->count], paths[out->count], reader, err);
    if (status != S3R_OK)
        s3r_mask_operands_close(out);
    return status;
}

void s3r_mask_operands_close(s3r_mask_operands *operands)
{
    for (size_t i = 0; i < operands->count; i++)
        s3r_mask_file_close(&operands->items[i].file);
    s3r_free(operands->items);
    if (operands->owned.chunk_bytes > 0)
        s3r_arena_release(&operands->owned);
    *operands = (s3r_mask_operands){0};
}
