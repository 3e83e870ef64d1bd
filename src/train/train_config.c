/*
 * Settings from all their sources, in the order of the header.
 *
 * Presets and --compat are tables of (key, value), so that docs/training.md can list
 * them and nothing else changes.  The columns "original" hold what spec 1.5 and 1.9 find
 * in the original's code.
 */
#include "train/train_config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/config_value.h"
#include "train/config_yaml.h"

/* Phases are decimal fractions; their sum misses 1 by a few roundings. */
#define SUM_TOLERANCE 1e-9

static const struct {
    const char *key, *original;
} compat_values[] = {
    {"mask.init", "ri"},       {"also.mask_embedding", "true"},
    {"adapter.kind", "asr"},   {"schedule.steps", "13000"},
    {"dropout.hidden", "0.1"}, {"dropout.attention", "0.1"},
};

/* What the original has for weight fine-tuning, and else the default. (spec 1.9) */
#define FINAL_SCALE_KEY     "schedule.final_scale"
#define FINAL_SCALE_WEIGHTS "0.05"

static const struct {
    const char *presets, *key, *paper, *original; /* original NULL = as the paper */
} preset_values[] = {
    {"10m", "schedule.steps", "12000", "13000"},
    {"10m", "augment.channel_prob", "0.25", NULL},
    {"10m", "dropout.layer_drop", "0.1", NULL},
    {"1h", "schedule.steps", "15000", NULL},
    {"1h", "augment.channel_prob", "0.25", NULL},
    {"1h", "dropout.layer_drop", "0.1", NULL},
    {"10h", "schedule.steps", "20000", NULL},
    {"10h", "augment.channel_prob", "0.5", NULL},
    {"10h", "dropout.layer_drop", "0.05", NULL},
    {"10h", "mask.sparsity", "0.1", "0.3"},
    {"xlsr", "schedule.steps", "12000", "13000"},
    {"xlsr", "augment.time_prob", "0.75", NULL},
    {"xlsr", "augment.channel_prob", "0.25", NULL},
    {"xlsr", "dropout.layer_drop", "0.1", NULL},
    {"xlsr", "dropout.hidden", "0", NULL},
    {"xlsr", "dropout.attention", "0", NULL},
    {"xlsr", "eval.metric", "per", NULL},
    /* 2 devices x 4 accumulated x 75 s */
    {"10m|1h|10h|xlsr", "batch.seconds", "75", NULL},
    {"10m|1h|10h|xlsr", "batch.accumulate", "8", NULL},
    /* Pretraining (spec 2.10). */
    {"hubert", "pretrain.objective", "hubert", NULL},
    {"hubert", "augment.time_prob", "0.8", NULL},
    {"wav2vec2", "pretrain.objective", "wav2vec2", NULL},
    {"wav2vec2", "augment.time_prob", "0.65", NULL},
    {"hubert|wav2vec2", "method", "pretrain", NULL},
    {"hubert|wav2vec2", "augment.channel_prob", "0", NULL},
    {"hubert|wav2vec2", "optimizer.lr", "5e-4", NULL},
    {"hubert|wav2vec2", "optimizer.eps", "1e-6", NULL},
    {"hubert|wav2vec2", "optimizer.weight_decay", "0.01", NULL},
    {"hubert|wav2vec2", "schedule.kind", "linear", NULL},
    {"hubert|wav2vec2", "schedule.warmup", "0.08", NULL},
    {"hubert|wav2vec2", "schedule.init_scale", "0", NULL},
    {"hubert|wav2vec2", "schedule.final_scale", "0", NULL},
    {"hubert|wav2vec2", "schedule.steps", "400000", NULL},
    {"hubert|wav2vec2", "batch.max_seconds", "15.6", NULL},
    {"hubert|wav2vec2", "batch.min_seconds", "0.5", NULL},
    {"hubert|wav2vec2", "dropout.hidden", "0.1", NULL},
    {"hubert|wav2vec2", "dropout.attention", "0.1", NULL},
    {"hubert|wav2vec2", "dropout.activation", "0", NULL},
    {"hubert|wav2vec2", "dropout.projection", "0.1", NULL},
    {"hubert|wav2vec2", "dropout.layer_drop", "0.05", NULL},
};

static void assign(s3r_train_config *config, const char *name, const char *text)
{
    const s3r_config_key *key = s3r_config_key_at(s3r_config_key_find(name));
    assert(key);
    s3r_status status = s3r_config_value_read(key, config, text, false, NULL);
    assert(status == S3R_OK); /* our own tables */
    (void)status;
}

void s3r_train_config_init(s3r_train_config *config)
{
    const s3r_config_key *key;
    memset(config, 0, sizeof *config);
    for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++)
        assign(config, key->key, key->fallback);
}

/* Whether a name is in a list such as "10m|1h". */
static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == '|' || !at[length]))
            return true;
    return false;
}

static void apply_preset(s3r_train_config *config)
{
    if (strcmp(config->preset, "none") == 0)
        return;
    for (size_t i = 0; i < S3R_ARRAY_LEN(preset_values); i++) {
        const char *original = preset_values[i].original;
        if (is_listed(preset_values[i].presets, config->preset))
            assign(config, preset_values[i].key,
                   config->is_original && original ? original : preset_values[i].paper);
    }
}

static const char *final_scale_of(bool is_original, s3r_method method)
{
    return is_original && method == S3R_METHOD_WEIGHTS
               ? FINAL_SCALE_WEIGHTS
               : s3r_config_key_at(s3r_config_key_find(FINAL_SCALE_KEY))->fallback;
}

/* The one value of compat that depends on the method: it moves with both while nobody
 * has chosen another. */
static void follow_method(s3r_train_config *config, bool was_original, s3r_method before)
{
    s3r_train_config usual = *config;
    assign(&usual, FINAL_SCALE_KEY, final_scale_of(was_original, before));
    if (memcmp(&usual.schedule.final_scale, &config->schedule.final_scale,
               sizeof(double)) == 0)
        assign(config, FINAL_SCALE_KEY,
               final_scale_of(config->is_original, config->method));
}

static void apply_compat(s3r_train_config *config, bool was_original)
{
    follow_method(config, was_original, config->method);
    for (size_t i = 0; i < S3R_ARRAY_LEN(compat_values); i++) {
        const char *name = compat_values[i].key;
        if (config->is_original)
            assign(config, name, compat_values[i].original);
        else if (was_original)
            assign(config, name, s3r_config_key_at(s3r_config_key_find(name))->fallback);
    }
    apply_preset(config);
}

/* Stores a value of `compat` or `preset` and what follows from it. */
static s3r_status choose(s3r_train_config *config, const char *name, const char *text,
                         s3r_error *err)
{
    bool was_original = config->is_original;
    const s3r_config_key *key = s3r_config_key_at(s3r_config_key_find(name));
    S3R_TRY(
        s3r_fail_prefix(err, s3r_config_value_read(key, config, text, false, err), name));
    if (strcmp(name, "compat") == 0)
        apply_compat(config, was_original);
    else
        apply_preset(config);
    return S3R_OK;
}

s3r_status s3r_train_config_compat(s3r_train_config *config, const char *name,
                                   s3r_error *err)
{
    return choose(config, "compat", name, err);
}

s3r_status s3r_train_config_preset(s3r_train_config *config, const char *name,
                                   s3r_error *err)
{
    return choose(config, "preset", name, err);
}

static s3r_status fail_at(s3r_status status, const char *label, size_t line,
                          const char *key, s3r_error *err)
{
    char prefix[512];
    snprintf(prefix, sizeof prefix, "%.380s:%zu: \"%s\"", label, line, key);
    return s3r_fail_prefix(err, status, prefix);
}

/* compat and preset of a file come first, whatever their line: they change other keys.
 * One that was chosen before (on the command line) must not be another one. */
static s3r_status apply_choice(s3r_train_config *config,
                               const s3r_config_setting *setting, const char *name,
                               const char *label, s3r_error *err)
{
    char before[S3R_CONFIG_VALUE_BYTES];
    const s3r_config_key *key = s3r_config_key_at(s3r_config_key_find(name));
    if (!setting->line)
        return S3R_OK;
    s3r_config_value_write(key, config, before);
    s3r_status status = S3R_OK;
    if (strcmp(before, "none") != 0 && strcmp(before, setting->text) != 0)
        status = s3r_fail(err, S3R_ERR_USAGE,
                          "expected %s as chosen on the command line, found %.40s",
                          before, setting->text);
    else
        status = choose(config, name, setting->text, err);
    return fail_at(status, label, setting->line, name, err);
}

/* The method comes before all keys that it could change: in files by the order of the
 * table. */
static s3r_status read_setting(s3r_train_config *config, const s3r_config_key *key,
                               const char *text, bool is_quoted, s3r_error *err)
{
    s3r_method before = config->method;
    S3R_TRY(s3r_config_value_read(key, config, text, is_quoted, err));
    if (config->method != before)
        follow_method(config, config->is_original, before);
    return S3R_OK;
}

static s3r_status apply_settings(s3r_train_config *config,
                                 const s3r_config_settings *settings, const char *label,
                                 s3r_error *err)
{
    static const char *const first[] = {"compat", "preset"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(first); i++)
        S3R_TRY(apply_choice(config, &settings->items[s3r_config_key_find(first[i])],
                             first[i], label, err));
    for (size_t i = S3R_ARRAY_LEN(first); i < s3r_config_key_count(); i++) {
        const s3r_config_setting *setting = &settings->items[i];
        const s3r_config_key *key = s3r_config_key_at(i);
        if (!setting->line)
            continue;
        S3R_TRY(fail_at(read_setting(config, key, setting->text, setting->is_quoted, err),
                        label, setting->line, key->key, err));
    }
    return S3R_OK;
}

s3r_status s3r_train_config_parse(s3r_train_config *config, const char *text, size_t size,
                                  const char *label, s3r_error *err)
{
    s3r_config_settings settings;
    s3r_train_config changed = *config;
    S3R_TRY(s3r_config_settings_parse(&settings, text, size, label, err));
    s3r_status status = apply_settings(&changed, &settings, label, err);
    s3r_config_settings_release(&settings);
    if (status == S3R_OK)
        *config = changed;
    return status;
}

s3r_status s3r_train_config_load(s3r_train_config *config, const char *path,
                                 s3r_error *err)
{
    s3r_file_map map;
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_USAGE, err));
    s3r_status status =
        s3r_train_config_parse(config, (const char *)map.data, map.size, path, err);
    s3r_file_map_close(&map);
    return status;
}

s3r_status s3r_train_config_set(s3r_train_config *config, const char *assignment,
                                s3r_error *err)
{
    const char *equals = strchr(assignment, '=');
    size_t length = equals ? (size_t)(equals - assignment) : 0;
    char name[64];
    if (length == 0)
        return s3r_fail(err, S3R_ERR_USAGE, "\"%.200s\": expected key.sub=value",
                        assignment);
    snprintf(name, sizeof name, "%.*s", (int)S3R_MIN(length, sizeof name - 1),
             assignment);
    const s3r_config_key *key = s3r_config_key_at(s3r_config_key_find(name));
    if (!key || length >= sizeof name) {
        const char *near = s3r_config_closest(name);
        return s3r_fail(err, S3R_ERR_USAGE, "\"%.200s\": unknown key \"%s\"%s%s%s",
                        assignment, name, near ? "; did you mean \"" : "",
                        near ? near : "", near ? "\"?" : "");
    }
    if (strcmp(name, "compat") == 0 || strcmp(name, "preset") == 0)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "\"%.200s\": expected --%s (it changes other keys and comes before "
            "them), found an override",
            assignment, name);
    return s3r_fail_prefix(err, read_setting(config, key, equals + 1, false, err), name);
}

/* ---- checks ---- */

#define METHOD(name) (1u << S3R_METHOD_##name)

/* Keys that begin so are looked at by these methods only; the first that fits. */
static const struct {
    const char *prefix;
    unsigned methods;
} users[] = {
    {"mask.init", METHOD(MASK) | METHOD(MASK_WEIGHTS)},
    {"mask.gradient", METHOD(MASK) | METHOD(MASK_WEIGHTS)},
    {"mask.", METHOD(MASK) | METHOD(MASK_WEIGHTS) | METHOD(MAGNITUDE)},
    {"adapter.", METHOD(ADAPTER)},
    {"lora.", METHOD(LORA)},
    {"pretrain.", METHOD(PRETRAIN)},
    {"also.", ~METHOD(PRETRAIN)},
    {"cache.features=", ~METHOD(PRETRAIN)}, /* it trains the extractor */
    {"eval.metric=", ~METHOD(PRETRAIN)},
    {"language=", ~METHOD(PRETRAIN)},
    {"optimizer.head_lr=", ~METHOD(PRETRAIN)},
};

/* What another value of the same settings makes useless; NULL when nothing does. */
static const char *find_obstacle(const s3r_train_config *config, const char *assignment)
{
    static const char *const marks[] = {"hubert: ", "wav2vec2: "}; /* of helps */
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(assignment, "="), assignment);
    if (strcmp(name, "mask.init_scale") == 0 && config->mask.init != S3R_INIT_WMI)
        return "mask.init is not wmi";
    const s3r_config_key *key = s3r_config_key_at(s3r_config_key_find(name));
    bool is_contrastive = config->pretrain.objective == S3R_OBJECTIVE_WAV2VEC2;
    if (!key || config->method != S3R_METHOD_PRETRAIN)
        return NULL;
    const char *other = marks[!is_contrastive];
    if (strncmp(key->help, other, strlen(other)) != 0)
        return NULL;
    return is_contrastive ? "the objective is wav2vec2" : "the objective is hubert";
}

static s3r_status check_used(const s3r_train_config *config, const char *assignment,
                             bool has_dev, s3r_error *err)
{
    char method[S3R_CONFIG_VALUE_BYTES];
    int length = (int)strcspn(assignment, "=");
    size_t i = 0;
    while (i < S3R_ARRAY_LEN(users) &&
           strncmp(assignment, users[i].prefix, strlen(users[i].prefix)) != 0)
        i++;
    if (i < S3R_ARRAY_LEN(users) && !(users[i].methods & 1u << config->method)) {
        s3r_config_value_write(s3r_config_key_at(s3r_config_key_find("method")), config,
                               method);
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%.*s: the method %s has no use for it (leave it out, or choose "
                        "another method)",
                        length, assignment, method);
    }
    const char *obstacle = find_obstacle(config, assignment);
    if (obstacle)
        return s3r_fail(err, S3R_ERR_USAGE, "%.*s: of no use, since %s: leave it out",
                        length, assignment, obstacle);
    if (config->task == S3R_TASK_CHOICE_LID &&
        strncmp(assignment, "eval.metric=", 12) == 0)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "%.*s: the task lid has no use for it: it counts utterances whose "
            "language is named wrong",
            length, assignment);
    if (!has_dev && strncmp(assignment, "eval.", 5) == 0)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%.*s: there is nothing to evaluate: leave it out, or name dev "
                        "data with --dev",
                        length, assignment);
    return S3R_OK;
}

s3r_status s3r_train_config_check_used(const s3r_train_config *config,
                                       const char *const *assignments, size_t count,
                                       bool has_dev, s3r_error *err)
{
    for (size_t i = 0; i < count; i++)
        S3R_TRY(check_used(config, assignments[i], has_dev, err));
    return S3R_OK;
}

static s3r_status check_values(const s3r_train_config *config, s3r_error *err)
{
    s3r_train_config scratch = *config;
    const s3r_config_key *key;
    for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++) {
        char text[S3R_CONFIG_VALUE_BYTES];
        s3r_config_value_write(key, config, text);
        S3R_TRY(s3r_fail_prefix(
            err, s3r_config_value_read(key, &scratch, text, false, err), key->key));
    }
    return S3R_OK;
}

static s3r_status check_schedule(const s3r_train_config *config, s3r_error *err)
{
    double sum = config->schedule.warmup + config->schedule.hold + config->schedule.decay;
    if (config->schedule.kind == S3R_SCHEDULE_TRI_STAGE &&
        (sum < 1 - SUM_TOLERANCE || sum > 1 + SUM_TOLERANCE))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "schedule: expected warmup + hold + decay = 1, found %.15g + "
                        "%.15g + %.15g = %.15g",
                        config->schedule.warmup, config->schedule.hold,
                        config->schedule.decay, sum);
    if (config->schedule.kind == S3R_SCHEDULE_TRI_STAGE &&
        config->schedule.final_scale == 0)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "schedule.final_scale: expected more than 0 for tri_stage, whose "
                        "decay is exponential; found 0");
    if (config->eval.start > config->schedule.steps)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "eval.start: expected at most schedule.steps = %zu, found %zu",
                        config->schedule.steps, config->eval.start);
    return S3R_OK;
}

s3r_status s3r_train_config_check(const s3r_train_config *config, s3r_error *err)
{
    S3R_TRY(check_values(config, err));
    S3R_TRY(check_schedule(config, err));
    if (config->task != S3R_TASK_CHOICE_CTC && config->method == S3R_METHOD_PRETRAIN)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "task: expected ctc with the method pretrain, which has no task, "
                        "found lid");
    if (config->method == S3R_METHOD_PRETRAIN && config->augment.time_prob == 0)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "augment.time_prob: expected more than 0 for pretraining, which "
                        "learns from masked frames");
    if (config->batch.min_seconds > config->batch.max_seconds)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "batch.min_seconds: expected at most batch.max_seconds = %.15g, "
                        "found %.15g",
                        config->batch.max_seconds, config->batch.min_seconds);
    if (config->mask.sparsity.count > 1 && config->mask.scope == S3R_SCOPE_GLOBAL)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "mask.sparsity: expected one number with mask.scope: global, found "
            "%zu",
            config->mask.sparsity.count);
    return S3R_OK;
}

bool s3r_train_config_key(size_t index, const char **key, const char **fallback,
                          const char **help)
{
    const s3r_config_key *found = s3r_config_key_at(index);
    if (!found)
        return false;
    *key = found->key;
    *fallback = found->fallback;
    *help = found->help;
    return true;
}
