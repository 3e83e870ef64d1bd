/*
 * Reading fields of JSON objects, with messages that name file, key, expected and found.
 */
#include "model/model_config_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES    80u
#define EXPECTED_BYTES 120u

const json_t *s3r_config_get(const s3r_config_node *node, const char *key)
{
    const json_t *value = json_object_get(node->object, key);
    const char *text = json_string_value(value);
    bool is_reference = text && strncmp(text, "${", 2) == 0;
    return json_is_null(value) || is_reference ? NULL : value;
}

/* The value as JSON, cut when long. */
static void describe(char *out, const json_t *value)
{
    if (!value) {
        snprintf(out, VALUE_BYTES, "nothing");
        return;
    }
    size_t length = json_dumpb(value, out, VALUE_BYTES - 1, JSON_ENCODE_ANY);
    if (length == 0)
        snprintf(out, VALUE_BYTES, "something else");
    else if (length < VALUE_BYTES)
        out[length] = '\0';
    else
        snprintf(out, VALUE_BYTES, "%s of %zu characters",
                 json_is_string(value) ? "a text" : "a value", length);
}

s3r_status s3r_config_fail(const s3r_config_node *node, const char *key,
                           const char *expected, const json_t *found, s3r_error *err)
{
    char value[VALUE_BYTES];
    describe(value, found);
    return s3r_fail(err, S3R_ERR_MODEL, "%s: \"%s%s\": expected %s, found %s",
                    node->label, node->path, key, expected, value);
}

s3r_status s3r_config_read_count(size_t *out, const s3r_config_node *node,
                                 const char *key, double low, double high, s3r_error *err)
{
    const json_t *value = s3r_config_get(node, key);
    if (!value)
        return S3R_OK;
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= low && number <= high) ||
        floor(number) != number) {
        char expected[EXPECTED_BYTES];
        snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f", low,
                 high);
        return s3r_config_fail(node, key, expected, value, err);
    }
    *out = (size_t)number;
    return S3R_OK;
}

static s3r_status read_real(double *out, const s3r_config_node *node,
                            const s3r_config_field *field, s3r_error *err)
{
    const json_t *value = s3r_config_get(node, field->key);
    if (!value)
        return S3R_OK;
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= field->low && number <= field->high)) {
        char expected[EXPECTED_BYTES];
        snprintf(expected, sizeof expected, "a number from %g to %g", field->low,
                 field->high);
        return s3r_config_fail(node, field->key, expected, value, err);
    }
    *out = number;
    return S3R_OK;
}

s3r_status s3r_config_read_flag(bool *out, const s3r_config_node *node, const char *key,
                                s3r_error *err)
{
    const json_t *value = s3r_config_get(node, key);
    if (!value)
        return S3R_OK;
    json_int_t number = json_integer_value(value);
    bool is_number = json_is_integer(value) && (number == 0 || number == 1);
    if (!json_is_boolean(value) && !is_number)
        return s3r_config_fail(node, key, "true or false", value, err);
    *out = json_is_true(value) || number == 1;
    return S3R_OK;
}

s3r_status s3r_config_read_text(const char **out, const s3r_config_node *node,
                                const char *key, s3r_error *err)
{
    const json_t *value = s3r_config_get(node, key);
    if (!value)
        return S3R_OK;
    if (!json_is_string(value))
        return s3r_config_fail(node, key, "a text", value, err);
    *out = json_string_value(value);
    return S3R_OK;
}

s3r_status s3r_config_expect_text(const s3r_config_node *node, const char *key,
                                  const char *only, s3r_error *err)
{
    const char *text = only;
    S3R_TRY(s3r_config_read_text(&text, node, key, err));
    if (strcmp(text, only) == 0)
        return S3R_OK;
    char expected[EXPECTED_BYTES];
    snprintf(expected, sizeof expected, "\"%s\" (nothing else is supported)", only);
    return s3r_config_fail(node, key, expected, s3r_config_get(node, key), err);
}

s3r_status s3r_config_expect_flag(const s3r_config_node *node, const char *key, bool only,
                                  s3r_error *err)
{
    bool flag = only;
    S3R_TRY(s3r_config_read_flag(&flag, node, key, err));
    if (flag == only)
        return S3R_OK;
    return s3r_config_fail(node, key,
                           only ? "true (nothing else is supported)"
                                : "false (nothing else is supported)",
                           s3r_config_get(node, key), err);
}

s3r_status s3r_config_read_fields(s3r_model_config *config, const s3r_config_node *node,
                                  const s3r_config_field *fields, size_t count,
                                  s3r_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const s3r_config_field *field = &fields[i];
        void *member = (char *)config + field->offset;
        switch (field->kind) {
        case S3R_FIELD_COUNT:
            S3R_TRY(s3r_config_read_count(member, node, field->key, field->low,
                                          field->high, err));
            break;
        case S3R_FIELD_REAL:
            S3R_TRY(read_real(member, node, field, err));
            break;
        case S3R_FIELD_FLAG:
            S3R_TRY(s3r_config_read_flag(member, node, field->key, err));
            break;
        }
    }
    return S3R_OK;
}
