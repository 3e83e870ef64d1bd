/*
 * Writing safetensors: header first, then the data of each tensor in the given order.
 *
 * Everything that could make a reader refuse the file (a repeated name, a size that does
 * not match the shape, a text that is not UTF-8) is refused here, before the first byte.
 */
#include "checkpoint/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define MAX_HEADER_BYTES 100000000u
#define HEADER_ALIGNMENT 8u

static s3r_status check_tensor(const char *path, const s3r_tensor *tensor,
                               const json_t *root, s3r_error *err)
{
    size_t bytes = s3r_dtype_size(tensor->dtype);
    bool is_fitting = tensor->rank <= S3R_MAX_RANK;
    for (unsigned i = 0; is_fitting && i < tensor->rank; i++)
        is_fitting = s3r_size_mul(bytes, tensor->shape[i], &bytes);
    if (!is_fitting || bytes != tensor->size_bytes)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: \"%s\": expected %zu bytes by shape and dtype, found %zu",
                        path, tensor->name, bytes, tensor->size_bytes);
    if (strcmp(tensor->name, "__metadata__") == 0 || json_object_get(root, tensor->name))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: the tensor name \"%s\" is reserved or used twice", path,
                        tensor->name);
    return S3R_OK;
}

static s3r_status check_metadata(const char *path, json_t *metadata, s3r_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return s3r_fail(err, S3R_ERR_USAGE, "%s: metadata: expected an object", path);
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return s3r_fail(err, S3R_ERR_USAGE, "%s: metadata: \"%s\": expected a string",
                            path, key);
    }
    return S3R_OK;
}

/* {"dtype":..,"shape":[..],"data_offsets":[begin,end]}; NULL when there is no memory. */
static json_t *describe_tensor(const s3r_tensor *tensor, size_t begin)
{
    json_t *shape = json_array();
    bool is_complete = shape != NULL;
    for (unsigned i = 0; is_complete && i < tensor->rank; i++)
        is_complete =
            json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i])) == 0;
    if (!is_complete) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s,s:o,s:[I,I]}", "dtype", s3r_dtype_name(tensor->dtype), "shape",
                     shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)(begin + tensor->size_bytes));
}

static s3r_status fill_header(json_t *root, const char *path, const s3r_tensor *tensors,
                              size_t tensor_count, json_t *metadata, s3r_error *err)
{
    size_t offset = 0;
    if (metadata) {
        S3R_TRY(check_metadata(path, metadata, err));
        if (json_object_set(root, "__metadata__", metadata) != 0)
            return s3r_fail_memory(err, "a safetensors header", 0);
    }
    for (size_t i = 0; i < tensor_count; i++) {
        size_t end;
        S3R_TRY(check_tensor(path, &tensors[i], root, err));
        if (!s3r_size_add(offset, tensors[i].size_bytes, &end) || end > INT64_MAX)
            return s3r_fail(err, S3R_ERR_USAGE, "%s: the tensors are too large", path);
        json_t *entry = describe_tensor(&tensors[i], offset);
        if (!entry)
            return s3r_fail_memory(err, "a safetensors header", 0);
        if (json_object_set_new(root, tensors[i].name, entry) != 0)
            return s3r_fail(err, S3R_ERR_RESOURCE,
                            "%s: the tensor name \"%s\" is not UTF-8, or out of memory",
                            path, tensors[i].name);
        offset = end;
    }
    return S3R_OK;
}

/* Length field, JSON and padding in one new block (s3r_free). */
static s3r_status encode_header(unsigned char **out, size_t *out_bytes,
                                const json_t *root, const char *path, s3r_error *err)
{
    size_t json_bytes = json_dumpb(root, NULL, 0, JSON_COMPACT);
    if (json_bytes == 0)
        return s3r_fail_memory(err, "a safetensors header", 0);
    size_t padded = S3R_CEIL_DIV(json_bytes, (size_t)HEADER_ALIGNMENT) * HEADER_ALIGNMENT;
    if (padded > MAX_HEADER_BYTES)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: safetensors header: expected at most %u bytes, found %zu",
                        path, MAX_HEADER_BYTES, padded);
    unsigned char *header = s3r_alloc(padded + HEADER_ALIGNMENT, 1);
    if (!header)
        return s3r_fail_memory(err, "a safetensors header", padded);
    memset(header + HEADER_ALIGNMENT, ' ', padded);
    for (unsigned i = 0; i < HEADER_ALIGNMENT; i++)
        header[i] = (unsigned char)(padded >> (8 * i));
    char *text = (char *)header + HEADER_ALIGNMENT;
    if (json_dumpb(root, text, json_bytes, JSON_COMPACT) != json_bytes) {
        s3r_free(header);
        return s3r_fail_memory(err, "a safetensors header", padded);
    }
    *out = header;
    *out_bytes = padded + HEADER_ALIGNMENT;
    return S3R_OK;
}

static s3r_status make_header(unsigned char **out, size_t *out_bytes, const char *path,
                              const s3r_tensor *tensors, size_t tensor_count,
                              json_t *metadata, s3r_error *err)
{
    json_t *root = json_object();
    if (!root)
        return s3r_fail_memory(err, "a safetensors header", 0);
    s3r_status status = fill_header(root, path, tensors, tensor_count, metadata, err);
    if (status == S3R_OK)
        status = encode_header(out, out_bytes, root, path, err);
    json_decref(root);
    return status;
}

/* Counts what a source supplies. */
typedef struct counted_writer {
    s3r_file_writer *file;
    size_t written;
    size_t expected;
    const char *path;
    const char *name;
} counted_writer;

static s3r_status write_counted(void *write_context, const void *bytes, size_t size,
                                s3r_error *err)
{
    counted_writer *writer = write_context;
    if (size > writer->expected - writer->written)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: \"%s\": expected %zu bytes, the source supplies more",
                        writer->path, writer->name, writer->expected);
    writer->written += size;
    return s3r_file_writer_write(writer->file, bytes, size, err);
}

static s3r_status write_tensors(s3r_file_writer *file, const char *path,
                                const s3r_tensor *tensors, size_t tensor_count,
                                s3r_tensor_source_fn source, void *source_context,
                                s3r_error *err)
{
    for (size_t i = 0; i < tensor_count; i++) {
        counted_writer writer = {.file = file,
                                 .expected = tensors[i].size_bytes,
                                 .path = path,
                                 .name = tensors[i].name};
        if (source)
            S3R_TRY(source(source_context, i, write_counted, &writer, err));
        else if (writer.expected > 0)
            S3R_TRY(write_counted(&writer, tensors[i].data, writer.expected, err));
        if (writer.written != writer.expected)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "%s: \"%s\": expected %zu bytes, the source supplied %zu",
                            path, writer.name, writer.expected, writer.written);
    }
    return S3R_OK;
}

s3r_status s3r_safetensors_save(const char *path, const s3r_tensor *tensors,
                                size_t tensor_count, json_t *metadata,
                                s3r_tensor_source_fn source, void *source_context,
                                s3r_error *err)
{
    unsigned char *header = NULL;
    size_t header_bytes = 0;
    s3r_file_writer *file = NULL;
    S3R_TRY(
        make_header(&header, &header_bytes, path, tensors, tensor_count, metadata, err));
    s3r_status status = s3r_file_writer_open(&file, path, err);
    if (status == S3R_OK)
        status = s3r_file_writer_write(file, header, header_bytes, err);
    if (status == S3R_OK)
        status =
            write_tensors(file, path, tensors, tensor_count, source, source_context, err);
    s3r_free(header);
    if (status == S3R_OK)
        return s3r_file_writer_commit(file, err);
    s3r_file_writer_abort(file);
    return status;
}
