/*
 * The effective settings as YAML, with a comment a key: what a run writes as config.yaml
 * and what a user may edit and read again.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "train/config_value.h"

typedef struct text_buffer {
    char *text;
    size_t used, capacity;
} text_buffer;

static bool append(text_buffer *buffer, const char *format, ...) S3R_PRINTF(2, 3);

static bool append(text_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t needed = buffer->used + (size_t)length + 1;
    if (needed > buffer->capacity) {
        size_t capacity = 2 * needed + 8192;
        char *grown = s3r_realloc(buffer->text, buffer->capacity, capacity, 1);
        if (!grown)
            return false;
        buffer->text = grown;
        buffer->capacity = capacity;
    }
    va_start(args, format);
    vsnprintf(buffer->text + buffer->used, (size_t)length + 1, format, args);
    va_end(args);
    buffer->used += (size_t)length;
    return true;
}

/* A value as YAML: lists in brackets; a language in quotes, because other readers take
 * the plain word "no" (Norwegian) for a switch. */
static void yaml_value(const s3r_config_key *key, const s3r_train_config *config,
                       char *text)
{
    char value[S3R_CONFIG_VALUE_BYTES];
    s3r_config_value_write(key, config, value);
    const char *left = "", *right = "";
    if (strchr(value, ',')) {
        left = "[";
        right = "]";
    } else if (key->type == S3R_CONFIG_LANGUAGE) {
        left = right = "\"";
    }
    snprintf(text, S3R_CONFIG_VALUE_BYTES + 4, "%s%s%s", left, value, right);
}

static bool append_key(text_buffer *buffer, const s3r_config_key *key, const char *indent,
                       const s3r_train_config *config)
{
    char value[S3R_CONFIG_VALUE_BYTES + 4], expected[512];
    const char *dot = strrchr(key->key, '.');
    yaml_value(key, config, value);
    s3r_config_value_expected(key, expected, sizeof expected);
    return append(buffer, "%s# %s\n%s# %s\n%s%s: %s\n", indent, key->help, indent,
                  expected, indent, dot ? dot + 1 : key->key, value);
}

static bool is_in_section(const s3r_config_key *key, const char *section)
{
    const char *dot = strchr(key->key, '.');
    if (!section || !dot)
        return !section && !dot;
    size_t length = (size_t)(dot - key->key);
    return strlen(section) == length && memcmp(section, key->key, length) == 0;
}

static bool append_section(text_buffer *buffer, const char *section,
                           const s3r_train_config *config)
{
    const s3r_config_key *key;
    for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++) {
        if (is_in_section(key, section) &&
            !append_key(buffer, key, section ? "  " : "", config))
            return false;
    }
    return true;
}

s3r_status s3r_train_config_text(const s3r_train_config *config, char **text,
                                 s3r_error *err)
{
    text_buffer buffer = {0};
    const char *section;
    bool fits =
        append(&buffer, "# Settings of a training run: s3r train -c THIS_FILE\n") &&
        append_section(&buffer, NULL, config);
    for (size_t i = 0; fits && (section = s3r_config_section_at(i)) != NULL; i++)
        fits = append(&buffer, "\n# %s\n%s:\n", s3r_config_section_help(i), section) &&
               append_section(&buffer, section, config);
    if (!fits) {
        s3r_free(buffer.text);
        return s3r_fail_memory(err, "the text of the configuration", buffer.capacity);
    }
    *text = buffer.text;
    return S3R_OK;
}
