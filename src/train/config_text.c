/*
 * The effective settings as YAML, with a comment a key: what a run writes as config.yaml
 * and what a user may edit and read again.
 */
#include <stdio.h>
#include <string.h>

#include "base/text_buffer.h"
#include "train/config_value.h"

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

static void add_key(s3r_text_buffer *buffer, const s3r_config_key *key,
                    const char *indent, const s3r_train_config *config)
{
    char value[S3R_CONFIG_VALUE_BYTES + 4], expected[512];
    const char *dot = strrchr(key->key, '.');
    yaml_value(key, config, value);
    s3r_config_value_expected(key, expected, sizeof expected);
    s3r_buffer_add(buffer, "%s# %s\n%s# %s\n%s%s: %s\n", indent, key->help, indent,
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

/* Keeping features changes bits only when it rounds them, or does not round what is
 * rounded otherwise. */
static bool is_usual_cache(const s3r_train_config *config)
{
    s3r_cache_choice choice = config->cache.features;
    if (config->precision == S3R_PRECISION_BF16)
        return choice == S3R_CACHE_AUTO || choice == S3R_CACHE_BF16;
    return choice != S3R_CACHE_BF16;
}

/* Settings that a resumed run may change. */
static bool touches_result(const s3r_config_key *key, const s3r_train_config *config)
{
    static const char *const untouching[] = {"checkpoint.every", "checkpoint.keep",
                                             "cache.memory_mb", "run.log_every"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(untouching); i++)
        if (strcmp(key->key, untouching[i]) == 0)
            return false;
    return strcmp(key->key, "cache.features") != 0 || !is_usual_cache(config);
}

static bool has_keys(const char *section, const s3r_train_config *config, bool is_recipe)
{
    const s3r_config_key *key;
    for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++)
        if (is_in_section(key, section) && (!is_recipe || touches_result(key, config)))
            return true;
    return false;
}

static void add_section(s3r_text_buffer *buffer, const char *section,
                        const s3r_train_config *config, bool is_recipe)
{
    const s3r_config_key *key;
    for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++) {
        if (is_in_section(key, section) && (!is_recipe || touches_result(key, config)))
            add_key(buffer, key, section ? "  " : "", config);
    }
}

static s3r_status write_text(const s3r_train_config *config, bool is_recipe, char **text,
                             s3r_error *err)
{
    s3r_text_buffer buffer = {0};
    const char *section;
    s3r_buffer_add_string(&buffer, S3R_TRAIN_CONFIG_HEAD "\n");
    add_section(&buffer, NULL, config, is_recipe);
    for (size_t i = 0; (section = s3r_config_section_at(i)) != NULL; i++) {
        if (!has_keys(section, config, is_recipe))
            continue;
        s3r_buffer_add(&buffer, "\n# %s\n%s:\n", s3r_config_section_help(i), section);
        add_section(&buffer, section, config, is_recipe);
    }
    return s3r_buffer_take(&buffer, text, "the text of the configuration", err);
}

s3r_status s3r_train_config_text(const s3r_train_config *config, char **text,
                                 s3r_error *err)
{
    return write_text(config, false, text, err);
}

s3r_status s3r_train_config_recipe(const s3r_train_config *config, char **text,
                                   s3r_error *err)
{
    return write_text(config, true, text, err);
}
