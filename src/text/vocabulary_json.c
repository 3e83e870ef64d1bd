/*
 * A vocabulary as one JSON object, as mask files carry it:
 *
 *   labels                       array of strings, in the order of ids
 *   special                      array of the ids of special labels, ascending
 *   blank                        id
 *   delimiter, unknown           id or null
 *   delimiter_text               string
 *   lower_case_output, phonemes  true or false
 *
 * What labels print follows from these.  Mask files come from strangers: everything is
 * checked, nothing is guessed.
 */
#include <string.h>

#include "base/memory.h"
#include "text/vocabulary_encode.h"
#include "text/vocabulary_read.h"

#define MAX_LABELS ((size_t)1 << 20)

static json_t *id_or_null(uint32_t id)
{
    return id == S3R_NO_LABEL ? json_null() : json_integer(id);
}

/* Fills two arrays; false without memory. */
static bool list_labels(const s3r_vocabulary *vocabulary, json_t *labels, json_t *special)
{
    for (size_t i = 0; i < vocabulary->count; i++) {
        if (json_array_append_new(labels, json_string(vocabulary->labels[i])) != 0)
            return false;
        if (vocabulary->is_special[i] &&
            json_array_append_new(special, json_integer((json_int_t)i)) != 0)
            return false;
    }
    return true;
}

json_t *s3r_vocabulary_to_json(const s3r_vocabulary *vocabulary)
{
    json_t *labels = json_array(), *special = json_array();
    if (!labels || !special || !list_labels(vocabulary, labels, special)) {
        json_decref(labels);
        json_decref(special);
        return NULL;
    }
    /* Takes the arrays even when it fails. */
    return json_pack("{s:o, s:o, s:I, s:o, s:o, s:s, s:b, s:b}", "labels", labels,
                     "special", special, "blank", (json_int_t)vocabulary->blank_id,
                     "delimiter", id_or_null(vocabulary->delimiter_id), "unknown",
                     id_or_null(vocabulary->unknown_id), "delimiter_text",
                     vocabulary->delimiter_text, "lower_case_output",
                     vocabulary->is_lower_case_output, "phonemes",
                     vocabulary->is_phonemes);
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
        [JSON_STRING] = "a string",  [JSON_INTEGER] = "a whole number",
        [JSON_REAL] = "a number",    [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null"};
    return value ? names[json_typeof(value)] : "nothing";
}

static s3r_status wrong_type(const char *label, const char *key, const char *expected,
                             const json_t *found, s3r_error *err)
{
    return s3r_fail(err, S3R_ERR_MODEL, "%s: vocabulary: \"%s\": expected %s, found %s",
                    label, key, expected, type_name(found));
}

/* A string without NUL, copied. */
static s3r_status read_string(char **out, const json_t *value, const char *key,
                              const char *label, s3r_error *err)
{
    if (!json_is_string(value))
        return wrong_type(label, key, "a string", value, err);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: vocabulary: \"%s\": expected text, found a NUL character",
                        label, key);
    *out = s3r_strdup(json_string_value(value));
    return *out ? S3R_OK : s3r_fail_memory(err, "a label", json_string_length(value));
}

static s3r_status read_bool(bool *out, const json_t *object, const char *key,
                            const char *label, s3r_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return wrong_type(label, key, "true or false", value, err);
    *out = json_is_true(value);
    return S3R_OK;
}

/* An id below count. */
static s3r_status read_id(uint32_t *out, const json_t *value, const char *key,
                          size_t count, const char *label, s3r_error *err)
{
    if (!json_is_integer(value))
        return wrong_type(label, key, "an id", value, err);
    json_int_t id = json_integer_value(value);
    if (id < 0 || (unsigned long long)id >= count)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: vocabulary: \"%s\": expected an id below %zu, found %lld",
                        label, key, count, (long long)id);
    *out = (uint32_t)id;
    return S3R_OK;
}

static s3r_status read_optional_id(uint32_t *out, const json_t *object, const char *key,
                                   size_t count, const char *label, s3r_error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = S3R_NO_LABEL;
    return json_is_null(value) ? S3R_OK : read_id(out, value, key, count, label, err);
}

static s3r_status read_labels(s3r_vocabulary *out, const json_t *object,
                              const char *label, s3r_error *err)
{
    const json_t *labels = json_object_get(object, "labels");
    if (!json_is_array(labels))
        return wrong_type(label, "labels", "an array of strings", labels, err);
    size_t count = json_array_size(labels);
    if (count == 0 || count > MAX_LABELS)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: vocabulary: expected 1 to %zu labels, found %zu", label,
                        MAX_LABELS, count);
    S3R_TRY(s3r_vocabulary_reserve(out, count, err));
    for (size_t i = 0; i < count; i++)
        S3R_TRY(read_string(&out->labels[i], json_array_get(labels, i), "labels", label,
                            err));
    return S3R_OK;
}

static s3r_status read_special(s3r_vocabulary *out, const json_t *object,
                               const char *label, s3r_error *err)
{
    const json_t *special = json_object_get(object, "special");
    if (!json_is_array(special))
        return wrong_type(label, "special", "an array of ids", special, err);
    for (size_t i = 0, next = 0; i < json_array_size(special); i++) {
        uint32_t id = 0;
        S3R_TRY(
            read_id(&id, json_array_get(special, i), "special", out->count, label, err));
        if (id < next)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: vocabulary: \"special\": expected ascending ids, found "
                            "%lu out of order",
                            label, (unsigned long)id);
        out->is_special[id] = true;
        next = (size_t)id + 1;
    }
    return S3R_OK;
}

static s3r_status read_all(s3r_vocabulary *out, const json_t *object, const char *label,
                           s3r_error *err)
{
    if (!json_is_object(object))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: vocabulary: expected an object, found %s", label,
                        type_name(object));
    out->path = s3r_strdup(label);
    if (!out->path)
        return s3r_fail_memory(err, "a path", strlen(label) + 1);
    S3R_TRY(read_labels(out, object, label, err));
    S3R_TRY(read_special(out, object, label, err));
    S3R_TRY(read_id(&out->blank_id, json_object_get(object, "blank"), "blank", out->count,
                    label, err));
    S3R_TRY(read_optional_id(&out->delimiter_id, object, "delimiter", out->count, label,
                             err));
    S3R_TRY(
        read_optional_id(&out->unknown_id, object, "unknown", out->count, label, err));
    S3R_TRY(read_string(&out->delimiter_text, json_object_get(object, "delimiter_text"),
                        "delimiter_text", label, err));
    S3R_TRY(
        read_bool(&out->is_lower_case_output, object, "lower_case_output", label, err));
    S3R_TRY(read_bool(&out->is_phonemes, object, "phonemes", label, err));
    if (out->delimiter_id != S3R_NO_LABEL &&
        (out->delimiter_id == out->blank_id || out->is_special[out->delimiter_id]))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: vocabulary: \"delimiter\": expected a label of its own, "
                        "found the blank or a special label (id %lu)",
                        label, (unsigned long)out->delimiter_id);
    return s3r_vocabulary_set_printed(out, err);
}

s3r_status s3r_vocabulary_from_json(s3r_vocabulary *out, const json_t *object,
                                    const char *label, s3r_error *err)
{
    *out = (s3r_vocabulary){0};
    s3r_status status = read_all(out, object, label, err);
    if (status != S3R_OK)
        s3r_vocabulary_close(out);
    return status;
}
