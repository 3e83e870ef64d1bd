/*
 * The identity of a run: hashes, and texts where people want to know what differs.
 */
#include "train/train_identity.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_text.h"
#include "text/vocabulary_encode.h"

#define LINE_BYTES 128

static const struct {
    const char *key, *what;
} names[S3R_IDENTITY_PARTS] = {
    [S3R_IDENTITY_BACKBONE] = {"backbone", "another backbone"},
    [S3R_IDENTITY_VOCABULARY] = {"vocabulary", "another vocabulary"},
    [S3R_IDENTITY_START] = {"start", "another mask embedding or head to start from"},
    [S3R_IDENTITY_LABELS] = {"labels", "other frame labels"},
    [S3R_IDENTITY_DEV_LABELS] = {"dev_labels", "other frame labels of dev"},
    [S3R_IDENTITY_TRAIN] = {"train", "other training data"},
    [S3R_IDENTITY_DEV] = {"dev", "other dev data"},
};

/* ---- making ---- */

static void finish(struct sha256_ctx *hash, char text[S3R_MODEL_HASH_BYTES])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(hash, sizeof digest, digest);
    s3r_bytes_to_hex(text, digest, sizeof digest);
}

static s3r_status hash_vocabulary(const s3r_vocabulary *vocabulary, char *out,
                                  s3r_error *err)
{
    struct sha256_ctx hash;
    if (vocabulary->count == 0) /* of pretraining */
        return S3R_OK;
    json_t *object = s3r_vocabulary_to_json(vocabulary);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(object);
    if (!text)
        return s3r_fail_memory(err, "the identity of the vocabulary", vocabulary->count);
    sha256_init(&hash);
    sha256_update(&hash, strlen(text), (const uint8_t *)text);
    finish(&hash, out);
    free(text);
    return S3R_OK;
}

static void hash_start(const s3r_train_model *model, const s3r_trainable *trainable,
                       char *out)
{
    struct sha256_ctx hash;
    const s3r_weight *embedding = &model->weights.mask_embedding;
    sha256_init(&hash);
    if (embedding->data)
        sha256_update(
            &hash, embedding->rows * embedding->cols * s3r_dtype_size(embedding->dtype),
            embedding->data);
    for (size_t i = 0; model->has_own_head && i < trainable->count; i++)
        if (trainable->items[i].is_head)
            sha256_update(&hash, trainable->items[i].count * sizeof(float),
                          (const uint8_t *)trainable->items[i].values);
    finish(&hash, out);
}

/* What says where a model comes from is no part of what it computes. */
static json_t *configuration_of(const s3r_model_config *config)
{
    json_t *json = s3r_model_config_to_json(config, NULL);
    json_t *input = s3r_model_config_to_preprocessor(config, NULL);
    bool is_complete =
        json && input && json_object_update(json, input) == 0 &&
        json_object_set_new(json, "normalize_eps", json_real(config->normalize_eps)) == 0;
    json_decref(input);
    if (!is_complete) {
        json_decref(json);
        return NULL;
    }
    (void)json_object_del(json, "license");
    (void)json_object_del(json, "architectures");
    return json;
}

void s3r_train_identity_set(s3r_train_identity *identity, s3r_identity_part part,
                            const char *hash)
{
    snprintf(identity->parts[part], S3R_MODEL_HASH_BYTES, "%s", hash);
}

s3r_status s3r_train_identity_make(s3r_train_identity *out,
                                   const s3r_train_config *config,
                                   const s3r_train_model *model,
                                   const s3r_trainable *trainable, s3r_error *err)
{
    *out = (s3r_train_identity){0};
    s3r_train_identity_set(out, S3R_IDENTITY_BACKBONE, model->hash);
    hash_start(model, trainable, out->parts[S3R_IDENTITY_START]);
    s3r_status status =
        hash_vocabulary(&model->vocabulary, out->parts[S3R_IDENTITY_VOCABULARY], err);
    if (status == S3R_OK)
        status = s3r_train_config_recipe(config, &out->settings, err);
    if (status == S3R_OK && !(out->configuration = configuration_of(&model->config)))
        status = s3r_fail_memory(err, "the identity of the model", 0);
    if (status != S3R_OK)
        s3r_train_identity_release(out);
    return status;
}

void s3r_train_identity_release(s3r_train_identity *identity)
{
    s3r_free(identity->settings);
    json_decref(identity->configuration);
    *identity = (s3r_train_identity){0};
}

/* ---- writing ---- */

bool s3r_train_identity_write(const s3r_train_identity *identity, json_t *facts)
{
    bool is_complete =
        json_object_set_new(facts, "settings", json_string(identity->settings)) == 0 &&
        json_object_set(facts, "configuration", identity->configuration) == 0;
    for (size_t i = 0; is_complete && i < S3R_IDENTITY_PARTS; i++)
        is_complete = json_object_set_new(facts, names[i].key,
                                          json_string(identity->parts[i])) == 0;
    return is_complete;
}

/* ---- comparing ---- */

/* A setting of a recipe's text: "mask.init" and "ori". */
typedef struct setting_walk {
    const char *rest;
    char section[32];
    char name[96];
    const char *value; /* [value_length] in the text */
    size_t value_length;
} setting_walk;

/* The next setting; false at the end.  Comments are no part of what a run is. */
static bool walk_on(setting_walk *walk)
{
    while (*walk->rest) {
        const char *line = walk->rest;
        size_t length = strcspn(line, "\n"), indent = strspn(line, " ");
        walk->rest += length + (line[length] == '\n');
        const char *colon = memchr(line, ':', length);
        if (length == 0 || line[indent] == '#' || !colon)
            continue;
        int name = (int)(colon - line - (ptrdiff_t)indent);
        const char *value = colon + 1 + strspn(colon + 1, " ");
        if (indent == 0 && value >= line + length) {
            snprintf(walk->section, sizeof walk->section, "%.*s.", name, line);
            continue;
        }
        snprintf(walk->name, sizeof walk->name, "%s%.*s", indent ? walk->section : "",
                 name, line + indent);
        walk->value = value;
        walk->value_length = (size_t)(line + length - value);
        return true;
    }
    return false;
}

/* Finds the setting of that name in a text. */
static bool find_setting(setting_walk *walk, const char *text, const char *name)
{
    *walk = (setting_walk){.rest = text};
    while (walk_on(walk))
        if (strcmp(walk->name, name) == 0)
            return true;
    return false;
}

/* The first setting of `text` that `other` has otherwise or not at all; false when there
 * is none.  *found then is that of `other`, with a value_length of 0 when it has none. */
static bool find_difference(setting_walk *walk, setting_walk *found, const char *text,
                            const char *other)
{
    *walk = (setting_walk){.rest = text};
    while (walk_on(walk)) {
        if (!find_setting(found, other, walk->name)) {
            found->value_length = 0;
            return true;
        }
        if (walk->value_length != found->value_length ||
            memcmp(walk->value, found->value, found->value_length) != 0)
            return true;
    }
    return false;
}

static void show_value(char out[LINE_BYTES], const setting_walk *walk)
{
    snprintf(out, LINE_BYTES, "%.*s",
             (int)S3R_MIN(walk->value_length, (size_t)LINE_BYTES - 1),
             walk->value_length ? walk->value : "");
    if (!out[0])
        strcpy(out, "nothing");
}

static s3r_status check_settings(const s3r_train_identity *identity, const json_t *facts,
                                 const char *path, s3r_error *err)
{
    setting_walk then, now;
    char expected[LINE_BYTES], found[LINE_BYTES];
    const char *old = json_string_value(json_object_get(facts, "settings"));
    if (!old)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: \"settings\": expected a text", path);
    if (!find_difference(&then, &now, old, identity->settings) &&
        !find_difference(&now, &then, identity->settings, old))
        return S3R_OK;
    show_value(expected, &then);
    show_value(found, &now);
    return s3r_fail(err, S3R_ERR_USAGE,
                    "%s: cannot resume with other settings: %s: expected %s, found %s "
                    "(start a new run folder, or give the settings it was made with)",
                    path, then.value_length ? then.name : now.name, expected, found);
}

static s3r_status fail_key(const char *path, const char *key, const json_t *then,
                           const json_t *now, s3r_error *err)
{
    char *old = json_dumps(then, JSON_COMPACT | JSON_ENCODE_ANY);
    char *new = json_dumps(now, JSON_COMPACT | JSON_ENCODE_ANY);
    s3r_status status =
        s3r_fail(err, S3R_ERR_USAGE,
                 "%s: cannot resume with another configuration of the model: \"%s\": "
                 "expected %.80s, found %.80s",
                 path, key, old ? old : "nothing", new ? new : "nothing");
    free(old);
    free(new);
    return status;
}

static s3r_status check_configuration(const s3r_train_identity *identity,
                                      const json_t *facts, const char *path,
                                      s3r_error *err)
{
    json_t *then = json_object_get(facts, "configuration"),
           *now = identity->configuration;
    if (json_equal(then, now))
        return S3R_OK;
    for (void *at = json_object_iter(now); at; at = json_object_iter_next(now, at)) {
        const char *key = json_object_iter_key(at);
        const json_t *before = json_object_get(then, key);
        if (!before || !json_equal(before, json_object_iter_value(at)))
            return fail_key(path, key, before, json_object_iter_value(at), err);
    }
    for (void *at = json_object_iter(then); at; at = json_object_iter_next(then, at))
        if (!json_object_get(now, json_object_iter_key(at)))
            return fail_key(path, json_object_iter_key(at), json_object_iter_value(at),
                            NULL, err);
    return fail_key(path, "configuration", then, now, err);
}

static s3r_status check_part(const s3r_train_identity *identity, size_t part,
                             const json_t *facts, const char *path, s3r_error *err)
{
    const char *then = json_string_value(json_object_get(facts, names[part].key));
    const char *now = identity->parts[part];
    if (then && strcmp(then, now) == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "%s: cannot resume: it was made with %s: expected %.64s, found "
                    "%.64s (start a new run folder, or give what it was made with)",
                    path, names[part].what, then && *then ? then : "nothing",
                    *now ? now : "nothing");
}

s3r_status s3r_train_identity_check(const s3r_train_identity *identity,
                                    const json_t *facts, bool is_data, const char *path,
                                    s3r_error *err)
{
    size_t first = is_data ? S3R_IDENTITY_TRAIN : 0;
    size_t end = is_data ? S3R_IDENTITY_PARTS : S3R_IDENTITY_TRAIN;
    if (!is_data)
        S3R_TRY(check_settings(identity, facts, path, err));
    for (size_t i = first; i < end; i++)
        S3R_TRY(check_part(identity, i, facts, path, err));
    return is_data ? S3R_OK : check_configuration(identity, facts, path, err);
}
