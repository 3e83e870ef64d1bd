/*
 * Checking a mask file: first its facts, then that every tensor is one that the facts
 * announce or the format knows, in the right type and shape, with none missing.  Facts
 * that are not known here are left to whoever knows them.
 */
#include "route/mask_file_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "route/mask.h"
#include "route/mask_compact.h"
#include "text/language_list.h"
#include "text/vocabulary_encode.h"

#define HASH_DIGITS 64u
#define SHAPE_BYTES 128u
#define MAX_TENSORS 16384u                /* names are compared one by one */
#define SIDE_MAX    ((json_int_t)1 << 31) /* rows or columns */

static s3r_status fail_fact(const s3r_mask_file *file, const char *key,
                            const char *expected, const json_t *found, s3r_error *err)
{
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    s3r_status status =
        s3r_fail(err, S3R_ERR_MODEL, "%s: facts: \"%s\": expected %s, found %.80s",
                 file->path, key, expected, text ? text : "nothing");
    free(text);
    return status;
}

static s3r_status fail_tensor(const s3r_mask_file *file, const char *name,
                              const char *expected, const s3r_tensor *found,
                              s3r_error *err)
{
    char shape[SHAPE_BYTES] = "nothing";
    if (found)
        s3r_tensor_shape_text(found, shape, sizeof shape);
    return s3r_fail(err, S3R_ERR_MODEL, "%s: \"%s\": expected %s, found %s%s%s",
                    file->path, name, expected, found ? s3r_dtype_name(found->dtype) : "",
                    found ? " " : "", shape);
}

/* ------------------------------------------------------------------------------- facts
 */

static s3r_status check_text(const s3r_mask_file *file, const json_t *object,
                             const char *key, const char **out, s3r_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value) || !json_string_length(value))
        return fail_fact(file, key, "text", value, err);
    *out = json_string_value(value);
    return S3R_OK;
}

/* Facts that may be absent or null, but are of this type otherwise. */
static s3r_status check_optional_texts(const s3r_mask_file *file, s3r_error *err)
{
    static const char *const keys[] = {"language", "license", "recipe", "created_by"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(keys); i++) {
        const json_t *value = json_object_get(file->facts, keys[i]);
        if (value && !json_is_null(value) && !json_is_string(value))
            return fail_fact(file, keys[i], "text", value, err);
    }
    return S3R_OK;
}

static bool is_hash(const char *text)
{
    return text && strspn(text, "0123456789abcdef") == HASH_DIGITS &&
           strlen(text) == HASH_DIGITS;
}

static s3r_status check_backbone(s3r_mask_file *file, s3r_error *err)
{
    const json_t *backbone = json_object_get(file->facts, "backbone");
    if (!json_is_object(backbone))
        return fail_fact(file, "backbone", "an object", backbone, err);
    S3R_TRY(check_text(file, backbone, "hash", &file->backbone_hash, err));
    S3R_TRY(check_text(file, backbone, "family", &file->family, err));
    if (!is_hash(file->backbone_hash))
        return fail_fact(file, "backbone.hash", "64 hexadecimal digits",
                         json_object_get(backbone, "hash"), err);
    return S3R_OK;
}

static bool is_count(const json_t *value, json_int_t most)
{
    return json_is_integer(value) && json_integer_value(value) > 0 &&
           json_integer_value(value) <= most;
}

static s3r_status check_matrix_fact(const s3r_mask_file *file, const json_t *matrix,
                                    s3r_error *err)
{
    const char *name;
    const json_t *shape = json_object_get(matrix, "shape");
    const json_t *sparsity = json_object_get(matrix, "sparsity");
    if (!json_is_object(matrix))
        return fail_fact(file, "matrices", "objects", matrix, err);
    S3R_TRY(check_text(file, matrix, "name", &name, err));
    if (json_array_size(shape) != 2 || !is_count(json_array_get(shape, 0), SIDE_MAX) ||
        !is_count(json_array_get(shape, 1), SIDE_MAX))
        return fail_fact(file, "matrices.shape", "two sizes", shape, err);
    if (!json_is_number(sparsity) || !(json_number_value(sparsity) >= 0) ||
        !(json_number_value(sparsity) <= 1))
        return fail_fact(file, "matrices.sparsity", "a number from 0 to 1", sparsity,
                         err);
    return S3R_OK;
}

static s3r_status check_matrix_facts(const s3r_mask_file *file, s3r_error *err)
{
    const json_t *matrices = json_object_get(file->facts, "matrices");
    if (!json_is_array(matrices))
        return fail_fact(file, "matrices", "an array", matrices, err);
    for (size_t i = 0; i < json_array_size(matrices); i++)
        S3R_TRY(check_matrix_fact(file, json_array_get(matrices, i), err));
    return S3R_OK;
}

static s3r_status check_lora_fact(const s3r_mask_file *file, s3r_error *err)
{
    const json_t *lora = json_object_get(file->facts, "lora");
    const json_t *scale = json_object_get(lora, "scale");
    if (!lora || json_is_null(lora))
        return S3R_OK;
    if (!json_is_object(lora) || !is_count(json_object_get(lora, "rank"), SIDE_MAX))
        return fail_fact(file, "lora", "an object with a rank", lora, err);
    if (!json_is_number(scale) || !isfinite(json_number_value(scale)))
        return fail_fact(file, "lora.scale", "a number", scale, err);
    return S3R_OK;
}

static s3r_status check_adapter_fact(const s3r_mask_file *file, s3r_error *err)
{
    const json_t *adapter = json_object_get(file->facts, "adapter");
    const char *kind;
    if (!adapter || json_is_null(adapter))
        return S3R_OK;
    if (!json_is_object(adapter) ||
        !is_count(json_object_get(adapter, "width"), SIDE_MAX))
        return fail_fact(file, "adapter", "an object with a width", adapter, err);
    S3R_TRY(check_text(file, adapter, "kind", &kind, err));
    if (strcmp(kind, "asr") != 0 && strcmp(kind, "st") != 0)
        return fail_fact(file, "adapter.kind", "asr or st",
                         json_object_get(adapter, "kind"), err);
    return S3R_OK;
}

/* The seal of the plain form: in the facts of the compact one, else the file's. */
static s3r_status check_compact_fact(s3r_mask_file *file, s3r_error *err)
{
    const json_t *compact = json_object_get(file->facts, S3R_COMPACT_FACT);
    file->is_compact = file->sealed.version == S3R_MASK_FILE_COMPACT;
    file->content_hash = file->is_compact
                             ? json_string_value(json_object_get(compact, "sha256"))
                             : s3r_sealed_file_seal(&file->sealed);
    if (file->is_compact && !is_hash(file->content_hash))
        return fail_fact(file, S3R_COMPACT_FACT,
                         "an object with the SHA-256 of the plain form", compact, err);
    if (!file->is_compact && compact)
        return fail_fact(file, S3R_COMPACT_FACT, "nothing in a file that is not compact",
                         compact, err);
    return S3R_OK;
}

static s3r_status check_facts(s3r_mask_file *file, s3r_error *err)
{
    const json_t *normalize = json_object_get(file->facts, "normalize");
    const json_t *rate = json_object_get(file->facts, "sample_rate");
    S3R_TRY(check_backbone(file, err));
    S3R_TRY(check_text(file, file->facts, "task", &file->task, err));
    S3R_TRY(check_text(file, file->facts, "method", &file->method, err));
    S3R_TRY(check_optional_texts(file, err));
    file->identifies_languages = strcmp(file->task, S3R_TASK_LID) == 0;
    file->has_head = file->identifies_languages || strcmp(file->task, S3R_TASK_CTC) == 0;
    if (!file->has_head && strcmp(file->task, S3R_TASK_NONE) != 0)
        return fail_fact(file, "task", "ctc, lid or none",
                         json_object_get(file->facts, "task"), err);
    S3R_TRY(check_compact_fact(file, err));
    if (!json_is_boolean(normalize))
        return fail_fact(file, "normalize", "true or false", normalize, err);
    if (!is_count(rate, UINT32_MAX))
        return fail_fact(file, "sample_rate", "a number of Hz", rate, err);
    S3R_TRY(check_matrix_facts(file, err));
    S3R_TRY(check_lora_fact(file, err));
    return check_adapter_fact(file, err);
}

/* ----------------------------------------------------------------------------- tensors
 */

static s3r_status check_f32(const s3r_mask_file *file, const char *name,
                            const s3r_tensor *tensor, unsigned rank, s3r_error *err)
{
    char expected[32];
    if (tensor && tensor->dtype == S3R_DTYPE_F32 && tensor->rank == rank)
        return S3R_OK;
    snprintf(expected, sizeof expected, "F32 of %u dimension%s", rank,
             rank == 1 ? "" : "s");
    return fail_tensor(file, name, expected, tensor, err);
}

/* A fact of another task. */
static s3r_status check_absent(const s3r_mask_file *file, const char *key, s3r_error *err)
{
    char expected[64];
    const json_t *value = json_object_get(file->facts, key);
    if (!value || json_is_null(value))
        return S3R_OK;
    snprintf(expected, sizeof expected, "null, since the task is %s", file->task);
    return fail_fact(file, key, expected, value, err);
}

static s3r_status check_vocabulary(const s3r_mask_file *file, size_t labels,
                                   s3r_error *err)
{
    const json_t *object = json_object_get(file->facts, "vocabulary");
    s3r_vocabulary vocabulary;
    S3R_TRY(check_absent(file, "languages", err));
    if (!json_is_object(object))
        return fail_fact(file, "vocabulary", "an object", object, err);
    S3R_TRY(s3r_vocabulary_from_json(&vocabulary, object, file->path, err));
    s3r_status status = s3r_vocabulary_check_head(&vocabulary, labels, err);
    s3r_vocabulary_close(&vocabulary);
    return status;
}

static s3r_status check_languages(const s3r_mask_file *file, size_t rows, s3r_error *err)
{
    const json_t *array = json_object_get(file->facts, "languages");
    s3r_language_list languages;
    S3R_TRY(check_absent(file, "vocabulary", err));
    S3R_TRY(s3r_language_list_from_json(&languages, array, file->path, err));
    size_t count = languages.count;
    s3r_language_list_release(&languages);
    if (count == rows)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: facts: \"languages\": expected %zu as head/weight has rows, "
                    "found %zu",
                    file->path, rows, count);
}

static s3r_status check_head(const s3r_mask_file *file, s3r_error *err)
{
    const s3r_tensor *weight = s3r_mask_file_find(file, "head/weight");
    const s3r_tensor *bias = s3r_mask_file_find(file, "head/bias");
    S3R_TRY(check_f32(file, "head/weight", weight, 2, err));
    S3R_TRY(check_f32(file, "head/bias", bias, 1, err));
    if (weight->shape[0] == 0 || weight->shape[1] == 0 ||
        bias->shape[0] != weight->shape[0])
        return fail_tensor(file, "head/bias", "one value a row of head/weight", bias,
                           err);
    return file->identifies_languages ? check_languages(file, weight->shape[0], err)
                                      : check_vocabulary(file, weight->shape[0], err);
}

/* Without a head there is nothing that would need one. */
static s3r_status check_no_head(const s3r_mask_file *file, s3r_error *err)
{
    const s3r_tensor *weight = s3r_mask_file_find(file, "head/weight");
    const s3r_tensor *bias = s3r_mask_file_find(file, "head/bias");
    if (weight || bias)
        return fail_tensor(file, weight ? "head/weight" : "head/bias",
                           "no head, since the task is none", weight ? weight : bias,
                           err);
    S3R_TRY(check_absent(file, "vocabulary", err));
    return check_absent(file, "languages", err);
}

/* The bits of a matrix: as many as its elements, none beyond them, and as many removed
 * as the facts say (to the element that rounding may cost). */
static s3r_status check_mask(const s3r_mask_file *file, size_t index, s3r_error *err)
{
    const char *name;
    char expected[64];
    size_t rows, cols;
    s3r_mask_file_matrix(file, index, &name, &rows, &cols);
    size_t elements = rows * cols, bytes = s3r_mask_packed_bytes(rows, cols);
    const s3r_tensor *tensor = s3r_mask_file_find_part(file, S3R_MASK_PREFIX, name, "");
    snprintf(expected, sizeof expected, "U8 [%zu] (the bits of %zu x %zu)", bytes, rows,
             cols);
    if (!tensor || tensor->dtype != S3R_DTYPE_U8 || tensor->rank != 1 ||
        tensor->shape[0] != bytes)
        return fail_tensor(file, name, expected, tensor, err);
    const uint8_t *packed = tensor->data;
    if (elements % 8 && packed[bytes - 1] >> elements % 8)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: \"%s\": expected no bits beyond element %zu", file->path,
                        tensor->name, elements);
    size_t removed = elements - s3r_packed_kept_count(packed, bytes);
    return s3r_mask_file_check_removed(file, index, removed, err);
}

/* Every matrix is there once. */
static s3r_status check_name(const s3r_mask_file *file, size_t index, s3r_error *err)
{
    const char *name;
    size_t rows, cols;
    s3r_mask_file_matrix(file, index, &name, &rows, &cols);
    for (size_t other = 0; other < index; other++) {
        const char *before;
        s3r_mask_file_matrix(file, other, &before, &rows, &cols);
        if (strcmp(before, name) == 0)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: facts: \"matrices\": %s is there "
                            "twice",
                            file->path, name);
    }
    return S3R_OK;
}

/* The coded masks: as many bytes as the streams need.  What they say, the backbone's
 * weights must tell. */
static s3r_status check_compact(const s3r_mask_file *file, s3r_error *err)
{
    const s3r_tensor *tensor = s3r_mask_file_find(file, S3R_COMPACT_TENSOR);
    size_t count = s3r_mask_file_matrix_count(file);
    if (!tensor || tensor->dtype != S3R_DTYPE_U8 || tensor->rank != 1)
        return fail_tensor(file, S3R_COMPACT_TENSOR, "U8 of 1 dimension", tensor, err);
    s3r_weighed_mask *shapes = s3r_alloc(count, sizeof *shapes);
    if (!shapes)
        return s3r_fail_memory(err, "the shapes of masks", count * sizeof *shapes);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        s3r_mask_file_matrix(file, i, &name, &shapes[i].mask.rows, &shapes[i].mask.cols);
    }
    s3r_status status = s3r_masks_check_size(shapes, count, tensor->data,
                                             tensor->size_bytes, file->path, err);
    s3r_free(shapes);
    return status;
}

static bool skip_prefix(const char **name, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(*name, prefix, length) != 0)
        return false;
    *name += length;
    return true;
}

/* Copies name without suffix to out [bytes]; false when it does not end so. */
static bool cut_suffix(const char *name, const char *suffix, char *out, size_t bytes)
{
    size_t length = strlen(name), tail = strlen(suffix);
    if (length <= tail || strcmp(name + length - tail, suffix) != 0 ||
        length - tail >= bytes)
        return false;
    memcpy(out, name, length - tail);
    out[length - tail] = '\0';
    return true;
}

/* One half of a low-rank update; `name` without the prefix. */
static s3r_status check_lora(const s3r_mask_file *file, const s3r_tensor *tensor,
                             const char *name, s3r_error *err)
{
    char parameter[256], expected[64];
    const json_t *lora = json_object_get(file->facts, "lora");
    size_t rank = (size_t)json_integer_value(json_object_get(lora, "rank"));
    if (rank == 0)
        return fail_fact(file, "lora", "an object, since there are low-rank updates",
                         lora, err);
    S3R_TRY(check_f32(file, tensor->name, tensor, 2, err));
    bool is_down = cut_suffix(name, "/down", parameter, sizeof parameter);
    if (!is_down && !cut_suffix(name, "/up", parameter, sizeof parameter))
        return fail_tensor(file, tensor->name, "a name that ends in /down or /up", tensor,
                           err);
    if (!s3r_mask_file_find_part(file, S3R_LORA_PREFIX, parameter,
                                 is_down ? "/up" : "/down"))
        return fail_tensor(file, tensor->name,
                           is_down ? "/up beside it" : "/down beside it", NULL, err);
    snprintf(expected, sizeof expected, "rank %zu", rank);
    if (tensor->shape[is_down ? 0 : 1] != rank)
        return fail_tensor(file, tensor->name, expected, tensor, err);
    return S3R_OK;
}

/* One part of an adapter, "BLOCK/PART"; the others must be there too. */
static s3r_status check_adapter(const s3r_mask_file *file, const s3r_tensor *tensor,
                                const char *name, s3r_error *err)
{
    static const char *const parts[] = {"/norm.weight", "/norm.bias", "/down.weight",
                                        "/down.bias",   "/up.weight", "/up.bias"};
    char block[24] = "", missing[64];
    bool is_known = false;
    if (!json_is_object(json_object_get(file->facts, "adapter")))
        return fail_fact(file, "adapter", "an object, since there are adapters",
                         json_object_get(file->facts, "adapter"), err);
    for (size_t i = 0; i < S3R_ARRAY_LEN(parts) && !is_known; i++) {
        is_known = cut_suffix(name, parts[i], block, sizeof block);
        if (is_known)
            S3R_TRY(check_f32(file, tensor->name, tensor, i == 2 || i == 4 ? 2 : 1, err));
    }
    if (!is_known || strspn(block, "0123456789") != strlen(block))
        return fail_tensor(file, tensor->name, "adapter/BLOCK/PART", tensor, err);
    for (size_t i = 0; i < S3R_ARRAY_LEN(parts); i++) {
        snprintf(missing, sizeof missing, "adapter/%s%s", block, parts[i]);
        if (!s3r_mask_file_find(file, missing))
            return fail_tensor(file, missing, "a tensor", NULL, err);
    }
    return S3R_OK;
}

static bool is_announced(const s3r_mask_file *file, const char *matrix)
{
    const char *name;
    size_t rows, cols;
    for (size_t i = 0; s3r_mask_file_matrix(file, i, &name, &rows, &cols); i++)
        if (strcmp(name, matrix) == 0)
            return true;
    return false;
}

static s3r_status check_tensor(const s3r_mask_file *file, const s3r_tensor *tensor,
                               s3r_error *err)
{
    const char *name = tensor->name;
    if (file->is_compact && strcmp(name, S3R_COMPACT_TENSOR) == 0)
        return S3R_OK;
    if (skip_prefix(&name, S3R_MASK_PREFIX)) {
        if (file->is_compact)
            return fail_tensor(file, tensor->name, "coded masks alone in a compact file",
                               tensor, err);
        if (is_announced(file, name))
            return S3R_OK;
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: \"%s\": expected an entry in \"matrices\" of the facts",
                        file->path, tensor->name);
    }
    if (skip_prefix(&name, S3R_VALUES_PREFIX)) {
        if (tensor->dtype == S3R_DTYPE_F32)
            return S3R_OK;
        return fail_tensor(file, tensor->name, "F32", tensor, err);
    }
    if (skip_prefix(&name, S3R_LORA_PREFIX))
        return check_lora(file, tensor, name, err);
    if (skip_prefix(&name, S3R_ADAPTER_PREFIX))
        return check_adapter(file, tensor, name, err);
    if (strcmp(name, "head/weight") == 0 || strcmp(name, "head/bias") == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: \"%s\": no such tensor in format %u (a newer file?)", file->path,
                    name, file->sealed.version);
}

s3r_status s3r_mask_file_check(s3r_mask_file *file, s3r_error *err)
{
    const s3r_safetensors *container = &file->sealed.container;
    if (container->tensor_count > MAX_TENSORS)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: expected at most %u tensors, found %zu",
                        file->path, MAX_TENSORS, container->tensor_count);
    S3R_TRY(check_facts(file, err));
    S3R_TRY(file->has_head ? check_head(file, err) : check_no_head(file, err));
    size_t matrices = s3r_mask_file_matrix_count(file);
    if (matrices > MAX_TENSORS)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: expected at most %u masked matrices, found %zu", file->path,
                        MAX_TENSORS, matrices);
    if (file->is_compact)
        S3R_TRY(check_compact(file, err));
    for (size_t i = 0; i < matrices; i++) {
        S3R_TRY(check_name(file, i, err));
        if (!file->is_compact)
            S3R_TRY(check_mask(file, i, err));
    }
    for (size_t i = 0; i < container->tensor_count; i++)
        S3R_TRY(check_tensor(file, &container->tensors[i], err));
    return S3R_OK;
}
