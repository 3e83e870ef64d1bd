/*
 * Mask files: a sealed file whose content was checked.
 */
#include "route/mask_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoint/tensor_names.h"
#include "route/mask_file_check.h"

static const s3r_sealed_kind file_kind = {S3R_MASK_FILE_KIND, S3R_MASK_FILE_FORMAT,
                                          S3R_MASK_FILE_COMPACT};

/* Takes the sealed file when status says that it is one. */
static s3r_status finish(s3r_mask_file *out, s3r_status status, const char *label,
                         s3r_error *err)
{
    if (status == S3R_OK) {
        out->facts = out->sealed.facts;
        out->path = s3r_strdup(label);
        status = out->path ? s3r_mask_file_check(out, err)
                           : s3r_fail_memory(err, "a path", strlen(label) + 1);
    }
    if (status != S3R_OK)
        s3r_mask_file_close(out);
    return status;
}

s3r_status s3r_mask_file_open(s3r_mask_file *out, const char *path, s3r_error *err)
{
    *out = (s3r_mask_file){0};
    s3r_status status = s3r_sealed_file_open_kind(&out->sealed, path, &file_kind, err);
    return finish(out, status, path, err);
}

s3r_status s3r_mask_file_peek(json_t **facts, const char *path, s3r_error *err)
{
    return s3r_sealed_file_peek(facts, path, &file_kind, err);
}

s3r_status s3r_mask_file_parse(s3r_mask_file *out, const void *bytes, size_t size,
                               const char *label, s3r_error *err)
{
    *out = (s3r_mask_file){0};
    s3r_status status =
        s3r_sealed_file_parse_kind(&out->sealed, bytes, size, label, &file_kind, err);
    return finish(out, status, label, err);
}

void s3r_mask_file_close(s3r_mask_file *file)
{
    s3r_free(file->path);
    s3r_sealed_file_close(&file->sealed);
    *file = (s3r_mask_file){0};
}

const s3r_tensor *s3r_mask_file_find(const s3r_mask_file *file, const char *name)
{
    return s3r_sealed_file_find(&file->sealed, name);
}

const s3r_tensor *s3r_mask_file_find_part(const s3r_mask_file *file, const char *prefix,
                                          const char *name, const char *suffix)
{
    char full[S3R_TENSOR_NAME_BYTES + 32];
    int length = snprintf(full, sizeof full, "%s%s%s", prefix, name, suffix);
    if (length < 0 || (size_t)length >= sizeof full)
        return NULL;
    return s3r_mask_file_find(file, full);
}

bool s3r_mask_file_matrix(const s3r_mask_file *file, size_t index, const char **name,
                          size_t *rows, size_t *cols)
{
    const json_t *matrix =
        json_array_get(json_object_get(file->facts, "matrices"), index);
    const json_t *shape = json_object_get(matrix, "shape");
    if (!matrix)
        return false;
    *name = json_string_value(json_object_get(matrix, "name"));
    *rows = (size_t)json_integer_value(json_array_get(shape, 0));
    *cols = (size_t)json_integer_value(json_array_get(shape, 1));
    return true;
}

size_t s3r_mask_file_matrix_count(const s3r_mask_file *file)
{
    return json_array_size(json_object_get(file->facts, "matrices"));
}

/* Number of elements, and the part of them that the facts say is removed, as elements. */
static size_t stated_part(const s3r_mask_file *file, size_t index, double *removed)
{
    const char *name;
    size_t rows, cols;
    s3r_mask_file_matrix(file, index, &name, &rows, &cols);
    const json_t *matrix =
        json_array_get(json_object_get(file->facts, "matrices"), index);
    *removed = json_number_value(json_object_get(matrix, "sparsity")) *
               ((double)rows * (double)cols);
    return rows * cols;
}

size_t s3r_mask_file_stated_removed(const s3r_mask_file *file, size_t index)
{
    double removed;
    stated_part(file, index, &removed);
    return (size_t)(removed + 0.5);
}

s3r_status s3r_mask_file_check_removed(const s3r_mask_file *file, size_t index,
                                       size_t removed, s3r_error *err)
{
    double stated;
    const char *name;
    size_t rows, cols, elements = stated_part(file, index, &stated);
    s3r_mask_file_matrix(file, index, &name, &rows, &cols);
    if (fabs(stated - (double)removed) <= 1.0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: \"" S3R_MASK_PREFIX
                    "%s\": expected sparsity %.9g as the facts say, found %zu of %zu "
                    "removed",
                    file->path, name, stated / (double)elements, removed, elements);
}

double s3r_mask_file_lora_scale(const s3r_mask_file *file)
{
    return json_number_value(
        json_object_get(json_object_get(file->facts, "lora"), "scale"));
}

s3r_status s3r_mask_file_save(const char *path, const s3r_tensor *tensors, size_t count,
                              const json_t *facts, s3r_error *err)
{
    return s3r_sealed_file_save(path, S3R_MASK_FILE_KIND, S3R_MASK_FILE_FORMAT, tensors,
                                count, facts, err);
}
