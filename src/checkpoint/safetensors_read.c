/*
 * Reading safetensors: a u64 header length, a JSON header, the data.  (spec 3.1)
 *
 * The header is checked completely before anything is handed out, and the data is never
 * touched, so that opening a file costs the same for a megabyte and a gigabyte.  Holes
 * and overlaps are found on a copy of the ranges sorted by where they begin.
 */
#include "checkpoint/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/json_read.h"

#define LENGTH_BYTES     8u
#define MAX_HEADER_BYTES 100000000u

typedef struct data_range {
    size_t begin, end;
    const char *name;
} data_range;

/* What every check needs to name its finding. */
typedef struct header_context {
    const char *label;
    size_t data_bytes;
    const unsigned char *data;
    s3r_error *err;
} header_context;

static s3r_status read_header_length(size_t *out, const unsigned char *bytes, size_t size,
                                     const char *label, s3r_error *err)
{
    if (size < LENGTH_BYTES)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: safetensors: expected at least %u bytes, found %zu", label,
                        LENGTH_BYTES, size);
    uint64_t length = 0;
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        length |= (uint64_t)bytes[i] << (8 * i);
    if (length > MAX_HEADER_BYTES)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: safetensors header: expected at most %u bytes, found %llu "
                        "(is this a safetensors file?)",
                        label, MAX_HEADER_BYTES, (unsigned long long)length);
    if (length > size - LENGTH_BYTES)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: safetensors header: expected %llu bytes, the file ends "
                        "after %zu (an incomplete download?)",
                        label, (unsigned long long)length, size - LENGTH_BYTES);
    if (length == 0 || bytes[LENGTH_BYTES] != '{')
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: safetensors header: expected a JSON object", label);
    *out = (size_t)length;
    return S3R_OK;
}

static s3r_status check_metadata(const header_context *context, json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return s3r_fail(context->err, S3R_ERR_MODEL,
                        "%s: \"__metadata__\": expected a JSON object", context->label);
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return s3r_fail(context->err, S3R_ERR_MODEL,
                            "%s: \"__metadata__\": \"%s\": expected a string",
                            context->label, key);
    }
    return S3R_OK;
}

/* A non-negative JSON integer that fits in size_t. */
static bool read_size(size_t *out, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (unsigned long long)json_integer_value(value) > SIZE_MAX)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static s3r_status read_shape(const header_context *context, s3r_tensor *tensor,
                             const json_t *shape)
{
    size_t bytes = s3r_dtype_size(tensor->dtype);
    if (!json_is_array(shape) || json_array_size(shape) > S3R_MAX_RANK)
        return s3r_fail(context->err, S3R_ERR_MODEL,
                        "%s: \"%s\": shape: expected an array of at most %u sizes",
                        context->label, tensor->name, S3R_MAX_RANK);
    tensor->rank = (unsigned)json_array_size(shape);
    for (unsigned i = 0; i < tensor->rank; i++) {
        if (!read_size(&tensor->shape[i], json_array_get(shape, i)))
            return s3r_fail(context->err, S3R_ERR_MODEL,
                            "%s: \"%s\": shape[%u]: expected a non-negative integer",
                            context->label, tensor->name, i);
        if (!s3r_size_mul(bytes, tensor->shape[i], &bytes))
            return s3r_fail(context->err, S3R_ERR_MODEL,
                            "%s: \"%s\": shape: the product of the sizes overflows",
                            context->label, tensor->name);
    }
    tensor->size_bytes = bytes;
    return S3R_OK;
}

static s3r_status read_offsets(const header_context *context, s3r_tensor *tensor,
                               data_range *range, const json_t *offsets)
{
    range->name = tensor->name;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !read_size(&range->begin, json_array_get(offsets, 0)) ||
        !read_size(&range->end, json_array_get(offsets, 1)))
        return s3r_fail(context->err, S3R_ERR_MODEL,
                        "%s: \"%s\": data_offsets: expected two non-negative integers",
                        context->label, tensor->name);
    if (range->begin > range->end || range->end > context->data_bytes)
        return s3r_fail(context->err, S3R_ERR_MODEL,
                        "%s: \"%s\": data_offsets: expected a range within %zu bytes of "
                        "data, found [%zu,%zu]",
                        context->label, tensor->name, context->data_bytes, range->begin,
                        range->end);
    if (range->end - range->begin != tensor->size_bytes)
        return s3r_fail(
            context->err, S3R_ERR_MODEL,
            "%s: \"%s\": data_offsets: expected %zu bytes by shape and dtype, "
            "found %zu",
            context->label, tensor->name, tensor->size_bytes, range->end - range->begin);
    tensor->data = context->data + range->begin;
    return S3R_OK;
}

static s3r_status read_tensor(const header_context *context, s3r_tensor *tensor,
                              data_range *range, const char *name, const json_t *info)
{
    tensor->name = s3r_strdup(name);
    if (!tensor->name)
        return s3r_fail_memory(context->err, "a tensor name", strlen(name));
    if (!json_is_object(info))
        return s3r_fail(context->err, S3R_ERR_MODEL, "%s: \"%s\": expected a JSON object",
                        context->label, name);
    const json_t *dtype = json_object_get(info, "dtype");
    if (!json_is_string(dtype))
        return s3r_fail(context->err, S3R_ERR_MODEL,
                        "%s: \"%s\": dtype: expected a string", context->label, name);
    if (!s3r_dtype_from_name(json_string_value(dtype), &tensor->dtype))
        return s3r_fail(context->err, S3R_ERR_MODEL,
                        "%s: \"%s\": dtype: expected F32, F16, BF16, ..., found \"%s\"",
                        context->label, name, json_string_value(dtype));
    S3R_TRY(read_shape(context, tensor, json_object_get(info, "shape")));
    return read_offsets(context, tensor, range, json_object_get(info, "data_offsets"));
}

static int compare_ranges(const void *a, const void *b)
{
    const data_range *left = a, *right = b;
    if (left->begin != right->begin)
        return left->begin < right->begin ? -1 : 1;
    return (left->end > right->end) - (left->end < right->end);
}

static s3r_status check_contiguous(const header_context *context, data_range *ranges,
                                   size_t count)
{
    size_t end = 0;
    if (count > 0)
        qsort(ranges, count, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].begin != end)
            return s3r_fail(context->err, S3R_ERR_MODEL,
                            "%s: \"%s\": data_offsets: expected to begin at %zu, found "
                            "%zu: the data has %s",
                            context->label, ranges[i].name, end, ranges[i].begin,
                            ranges[i].begin > end ? "a hole" : "an overlap");
        end = ranges[i].end;
    }
    if (end != context->data_bytes)
        return s3r_fail(context->err, S3R_ERR_MODEL,
                        "%s: expected %zu bytes of data, found %zu", context->label, end,
                        context->data_bytes);
    return S3R_OK;
}

/* Fills out from the header; what was made so far stays in out on failure. */
static s3r_status read_entries(const header_context *context, s3r_safetensors *out,
                               data_range *ranges, json_t *root)
{
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        if (strcmp(key, "__metadata__") == 0) {
            S3R_TRY(check_metadata(context, value));
            out->metadata = json_incref(value);
            continue;
        }
        size_t index = out->tensor_count++;
        S3R_TRY(read_tensor(context, &out->tensors[index], &ranges[index], key, value));
    }
    return check_contiguous(context, ranges, out->tensor_count);
}

s3r_status s3r_safetensors_parse(s3r_safetensors *out, const void *bytes, size_t size,
                                 const char *label, s3r_error *err)
{
    size_t header_bytes = 0;
    json_t *root;
    S3R_TRY(read_header_length(&header_bytes, bytes, size, label, err));
    const unsigned char *header = (const unsigned char *)bytes + LENGTH_BYTES;
    S3R_TRY(s3r_json_parse_object(&root, header, header_bytes, label, err));
    header_context context = {.label = label,
                              .data_bytes = size - LENGTH_BYTES - header_bytes,
                              .data = header + header_bytes,
                              .err = err};
    s3r_safetensors file = {0};
    size_t entry_count = json_object_size(root);
    file.tensors = s3r_alloc(entry_count, sizeof *file.tensors);
    data_range *ranges = s3r_alloc(entry_count, sizeof *ranges);
    s3r_status status = file.tensors && ranges
                            ? read_entries(&context, &file, ranges, root)
                            : s3r_fail_memory(err, "the list of tensors",
                                              entry_count * sizeof *file.tensors);
    s3r_free(ranges);
    json_decref(root);
    if (status == S3R_OK)
        *out = file;
    else
        s3r_safetensors_release(&file);
    return status;
}

void s3r_safetensors_release(s3r_safetensors *file)
{
    for (size_t i = 0; i < file->tensor_count; i++)
        s3r_free((void *)(uintptr_t)file->tensors[i].name);
    s3r_free(file->tensors);
    json_decref(file->metadata);
    *file = (s3r_safetensors){0};
}
