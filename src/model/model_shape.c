/*
 * Settings by a table; the configuration goes through config.json's reader, so that its
 * checks hold here too.
 */
#include "model/model_shape.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/closest_name.h"
#include "model/conv_layers_text.h"

#define COUNT_MAX 65536u

typedef enum shape_kind { SHAPE_TEXT, SHAPE_COUNT, SHAPE_SWITCH } shape_kind;

typedef struct shape_key {
    const char *key;
    shape_kind kind;
    size_t offset;
    const char *help;
    const char *choices[4]; /* of texts; none = any */
} shape_key;

#define AT(member) offsetof(s3r_model_shape, member)

static const shape_key keys[] = {
    {"family", SHAPE_TEXT, AT(family), "whose folder it becomes", {"hubert", "wav2vec2"}},
    {"conv", SHAPE_TEXT, AT(conv), "extractor: (channels, kernel, stride) a layer", {0}},
    {"extractor_norm",
     SHAPE_TEXT,
     AT(extractor_norm),
     "group norm after the first convolution, or layer norm after each",
     {"group", "layer"}},
    {"conv_bias", SHAPE_SWITCH, AT(conv_bias), "biases in the extractor", {0}},
    {"hidden_size", SHAPE_COUNT, AT(hidden_size), "width of the encoder", {0}},
    {"ffn_size", SHAPE_COUNT, AT(ffn_size), "width of its feed-forward parts", {0}},
    {"blocks", SHAPE_COUNT, AT(blocks), "number of blocks", {0}},
    {"heads", SHAPE_COUNT, AT(heads), "attention heads; divide the width", {0}},
    {"pos_conv_kernel",
     SHAPE_COUNT,
     AT(pos_conv_kernel),
     "kernel of the positional convolution",
     {0}},
    {"pos_conv_groups",
     SHAPE_COUNT,
     AT(pos_conv_groups),
     "its groups; divide the width",
     {0}},
    {"pre_norm", SHAPE_SWITCH, AT(pre_norm), "norms before, not after, each part", {0}},
    {"normalize",
     SHAPE_SWITCH,
     AT(normalize),
     "audio to mean 0 and variance 1 first",
     {0}},
    {"license", SHAPE_TEXT, AT(license), "SPDX name for config.json", {0}},
};

void s3r_model_shape_init(s3r_model_shape *shape)
{
    *shape = (s3r_model_shape){
        .family = "hubert",
        .conv = "[(256, 10, 5)] + [(256, 3, 2)] * 4 + [(256, 2, 2)] * 2",
        .extractor_norm = "group",
        .hidden_size = 320,
        .ffn_size = 1280,
        .blocks = 8,
        .heads = 5,
        .pos_conv_kernel = 128,
        .pos_conv_groups = 16};
}

const char *s3r_model_shape_key(size_t index)
{
    return index < S3R_ARRAY_LEN(keys) ? keys[index].key : NULL;
}

const char *s3r_model_shape_help(size_t index)
{
    return index < S3R_ARRAY_LEN(keys) ? keys[index].help : NULL;
}

/* ---- setting ---- */

static s3r_status fail_value(const char *label, const char *key, const char *expected,
                             const char *value, s3r_error *err)
{
    return s3r_fail(err, S3R_ERR_USAGE, "%s: %s: expected %s, found \"%s\"", label, key,
                    expected, value);
}

static s3r_status set_text(s3r_model_shape *shape, const shape_key *key,
                           const char *value, const char *label, s3r_error *err)
{
    bool is_known = !key->choices[0];
    for (size_t i = 0; i < S3R_ARRAY_LEN(key->choices) && key->choices[i]; i++)
        is_known = is_known || strcmp(key->choices[i], value) == 0;
    if (!is_known) {
        char expected[S3R_SHAPE_TEXT_BYTES];
        snprintf(expected, sizeof expected, "%s or %s", key->choices[0], key->choices[1]);
        return fail_value(label, key->key, expected, value, err);
    }
    if (strlen(value) >= S3R_SHAPE_TEXT_BYTES)
        return fail_value(label, key->key, "a shorter text", value, err);
    memcpy((char *)shape + key->offset, value, strlen(value) + 1);
    return S3R_OK;
}

static s3r_status set_count(s3r_model_shape *shape, const shape_key *key,
                            const char *value, const char *label, s3r_error *err)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    bool is_digits = value[0] >= '0' && value[0] <= '9' && *end == '\0';
    if (!is_digits || errno != 0 || number < 1 || number > COUNT_MAX)
        return fail_value(label, key->key, "a number from 1 to 65536", value, err);
    *(size_t *)(void *)((char *)shape + key->offset) = number;
    return S3R_OK;
}

static s3r_status set_switch(s3r_model_shape *shape, const shape_key *key,
                             const char *value, const char *label, s3r_error *err)
{
    bool is_true = strcmp(value, "true") == 0;
    if (!is_true && strcmp(value, "false") != 0)
        return fail_value(label, key->key, "true or false", value, err);
    *(bool *)((char *)shape + key->offset) = is_true;
    return S3R_OK;
}

s3r_status s3r_model_shape_set(s3r_model_shape *shape, const char *key, const char *value,
                               const char *label, s3r_error *err)
{
    static s3r_status (*const set[])(s3r_model_shape *, const shape_key *, const char *,
                                     const char *,
                                     s3r_error *) = {set_text, set_count, set_switch};
    const char *near = NULL;
    for (size_t i = 0; i < S3R_ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i].key, key) == 0)
            return set[keys[i].kind](shape, &keys[i], value, label, err);
        near = s3r_closest_name(key, near, keys[i].key);
    }
    return s3r_fail(err, S3R_ERR_USAGE, "%s: unknown setting \"%s\"%s%s%s", label, key,
                    near ? " (did you mean \"" : "", near ? near : "",
                    near ? "\"?)" : "");
}

/* ---- the configuration ---- */

static json_t *list_of(const s3r_conv_config *layers, size_t count, size_t offset)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        size_t value;
        memcpy(&value, (const char *)&layers[i] + offset, sizeof value);
        if (json_array_append_new(list, json_integer((json_int_t)value)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *make_json(const s3r_model_shape *shape, const s3r_conv_config *layers,
                         size_t count)
{
    /* A NULL for "o" makes the whole NULL and frees the rest. */
    json_t *out = json_pack(
        "{s:s, s:s, s:b, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o}",
        "model_type", shape->family, "feat_extract_norm", shape->extractor_norm,
        "conv_bias", shape->conv_bias, "do_stable_layer_norm", shape->pre_norm,
        "hidden_size", (int)shape->hidden_size, "intermediate_size", (int)shape->ffn_size,
        "num_hidden_layers", (int)shape->blocks, "num_attention_heads", (int)shape->heads,
        "num_conv_pos_embeddings", (int)shape->pos_conv_kernel,
        "num_conv_pos_embedding_groups", (int)shape->pos_conv_groups,
        "num_feat_extract_layers", (int)count, "conv_dim",
        list_of(layers, count, offsetof(s3r_conv_config, dim)), "conv_kernel",
        list_of(layers, count, offsetof(s3r_conv_config, kernel)), "conv_stride",
        list_of(layers, count, offsetof(s3r_conv_config, stride)));
    if (out && shape->license[0] &&
        json_object_set_new(out, "license", json_string(shape->license)) != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* Spec 2.10. */
static void set_training(s3r_model_config *config)
{
    bool is_hubert = config->family == S3R_FAMILY_HUBERT;
    config->hidden_dropout = config->attention_dropout = config->feat_proj_dropout = 0.1;
    config->activation_dropout = 0.0;
    config->final_dropout = 0.0;
    config->layerdrop = 0.05;
    config->mask_time_prob = is_hubert ? 0.80 : 0.65;
    config->mask_time_length = 10;
    config->mask_time_min_masks = 2;
    config->mask_feature_prob = 0.0;
}

/* The reader of config.json would say the same in its own words. */
static s3r_status check_divides(const s3r_model_shape *shape, const char *label,
                                const char *key, size_t divisor, s3r_error *err)
{
    if (divisor > 0 && shape->hidden_size % divisor == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "%s: %s: expected a divisor of hidden_size %zu, found %zu", label,
                    key, shape->hidden_size, divisor);
}

s3r_status s3r_model_shape_config(const s3r_model_shape *shape, const char *label,
                                  s3r_model_config *out, s3r_error *err)
{
    s3r_conv_config layers[S3R_MAX_CONV_LAYERS];
    size_t count;
    if (!s3r_conv_layers_from_text(layers, &count, shape->conv))
        return fail_value(label, "conv",
                          "lists of (channels, kernel, stride) as \"[(256, 10, 5)] + "
                          "[(256, 3, 2)] * 4\"",
                          shape->conv, err);
    S3R_TRY(check_divides(shape, label, "heads", shape->heads, err));
    S3R_TRY(check_divides(shape, label, "pos_conv_groups", shape->pos_conv_groups, err));
    json_t *config = make_json(shape, layers, count);
    json_t *preprocessor =
        json_pack("{s:b, s:i}", "do_normalize", shape->normalize, "sampling_rate", 16000);
    const s3r_config_source source = {.config = config,
                                      .preprocessor = preprocessor,
                                      .config_label = label,
                                      .preprocessor_label = label};
    s3r_status status = config && preprocessor
                            ? s3r_model_config_parse(out, &source, err)
                            : s3r_fail_memory(err, "a configuration", sizeof *out);
    json_decref(config);
    json_decref(preprocessor);
    if (status == S3R_OK)
        set_training(out);
    return status;
}
