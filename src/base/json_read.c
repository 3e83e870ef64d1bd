/*
 * JSON objects from memory and from files, by jansson.
 */
#include "base/json_read.h"

#include "base/file.h"

#define MAX_FILE_BYTES ((size_t)64 << 20)

static bool is_memory_failure(const json_error_t *error)
{
    /* Some paths of jansson run out of memory without filling the record. */
    return error->text[0] == '\0' || json_error_code(error) == json_error_out_of_memory;
}

s3r_status s3r_json_parse_object(json_t **out, const void *bytes, size_t size,
                                 const char *label, s3r_error *err)
{
    json_error_t error = {0};
    json_t *root = json_loadb(size ? bytes : "", size, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        if (is_memory_failure(&error))
            return s3r_fail_memory(err, label, size);
        return s3r_fail(err, S3R_ERR_MODEL, "%s: line %d, column %d: %s", label,
                        error.line, error.column, error.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return s3r_fail(err, S3R_ERR_MODEL, "%s: expected a JSON object, found an array",
                        label);
    }
    *out = root;
    return S3R_OK;
}

s3r_status s3r_json_file_load(json_t **out, const char *path, s3r_error *err)
{
    s3r_file_map map;
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_MODEL, err));
    size_t mark = s3r_byte_order_mark(map.data, map.size);
    s3r_status status =
        map.size > MAX_FILE_BYTES
            ? s3r_fail(err, S3R_ERR_MODEL, "%s: expected at most %zu bytes, found %zu",
                       path, MAX_FILE_BYTES, map.size)
            : s3r_json_parse_object(out, map.size > mark ? map.data + mark : NULL,
                                    map.size - mark, path, err);
    s3r_file_map_close(&map);
    return status;
}
