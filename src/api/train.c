/*
 * Training through the public interface: settings from all their sources, then the
 * trainer.
 */
#include "s3r/train.h"

#include <string.h>

#include "api/handles.h"
#include "api/options_check.h"
#include "model/model_init.h"
#include "model/model_shape.h"
#include "train/trainer.h"

void s3r_train_options_init(s3r_train_options *options)
{
    *options = (s3r_train_options){.struct_size = sizeof *options};
}

/* The command line.  The method comes first, since other values depend on it. */
static s3r_status read_overrides(s3r_train_config *config,
                                 const s3r_train_options *options, s3r_error *err)
{
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < options->override_count; i++)
            if ((strncmp(options->overrides[i], "method=", 7) == 0) == (pass == 0))
                S3R_TRY(s3r_train_config_set(config, options->overrides[i], err));
    return s3r_train_config_check_used(
        config, options->overrides, options->override_count, options->dev != NULL, err);
}

/* Later sources win: --compat, --preset, the file, the command line. */
static s3r_status read_settings(s3r_train_config *config,
                                const s3r_train_options *options, s3r_error *err)
{
    s3r_train_config_init(config);
    if (options->compat)
        S3R_TRY(s3r_train_config_compat(config, options->compat, err));
    if (options->preset)
        S3R_TRY(s3r_train_config_preset(config, options->preset, err));
    if (options->config_path)
        S3R_TRY(s3r_train_config_load(config, options->config_path, err));
    S3R_TRY(read_overrides(config, options, err));
    return s3r_train_config_check(config, err);
}

static s3r_status check_options(const s3r_train_options *options, s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("training options", sizeof *options,
                                   options ? options->struct_size : 0, err));
    if (!options->train || !options->folder)
        return s3r_fail(err, S3R_ERR_USAGE, "training needs %s",
                        !options->train ? "training data (--train)"
                                        : "a run folder (-o)");
    return S3R_OK;
}

static s3r_status read_shape(s3r_model_shape *shape, const char *const *settings,
                             size_t setting_count, s3r_error *err)
{
    s3r_model_shape_init(shape);
    for (size_t i = 0; i < setting_count; i++) {
        const char *equals = strchr(settings[i], '=');
        if (!equals)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "shape: expected key=value, found \"%.200s\"", settings[i]);
        char *key = s3r_strndup(settings[i], (size_t)(equals - settings[i]));
        if (!key)
            return s3r_fail_memory(err, "a shape", strlen(settings[i]));
        s3r_status status = s3r_model_shape_set(shape, key, equals + 1, "shape", err);
        s3r_free(key);
        S3R_TRY(status);
    }
    return S3R_OK;
}

static s3r_status make_config(s3r_model_config *config, const char *const *settings,
                              size_t setting_count, s3r_error *err)
{
    s3r_model_shape shape;
    S3R_TRY(read_shape(&shape, settings, setting_count, err));
    return s3r_model_shape_config(&shape, "shape", config, err);
}

static s3r_status open_trainer(s3r_trainer **trainer, s3r_context *context,
                               const s3r_train_options *options, bool is_plan,
                               s3r_error *err)
{
    s3r_model_config config;
    s3r_fresh_start fresh = {.config = &config};
    S3R_TRY(check_options(options, err));
    s3r_trainer_options inner = {.model = options->model,
                                 .vocabulary = options->vocabulary,
                                 .train = options->train,
                                 .dev = options->dev,
                                 .train_labels = options->train_labels,
                                 .dev_labels = options->dev_labels,
                                 .folder = options->folder,
                                 .may_resume = options->may_resume,
                                 .is_plan = is_plan,
                                 .memory_limit = options->memory_limit,
                                 .pool = context->pool,
                                 .kernels = context->kernels,
                                 .watch = options->watch,
                                 .watch_context = options->watch_context};
    S3R_TRY(read_settings(&inner.config, options, err));
    if (options->pretrains != (inner.config.method == S3R_METHOD_PRETRAIN))
        return s3r_fail(err, S3R_ERR_USAGE,
                        options->pretrains
                            ? "method: expected pretrain, found another (s3r train)"
                            : "method: expected one for labelled speech, found pretrain "
                              "(s3r pretrain)");
    if (!options->model) {
        if (!options->pretrains)
            return s3r_fail(err, S3R_ERR_USAGE, "training needs a backbone (--model)");
        S3R_TRY(make_config(&config, options->shape, options->shape_count, err));
        inner.fresh = &fresh;
    }
    return s3r_trainer_open(trainer, &inner, err);
}

s3r_status s3r_train(s3r_context *context, const s3r_train_options *options,
                     bool *finished, s3r_error *err)
{
    s3r_trainer *trainer = NULL;
    bool is_finished = false;
    S3R_TRY(open_trainer(&trainer, context, options, false, err));
    s3r_status status = s3r_trainer_run(trainer, &is_finished, err);
    s3r_trainer_close(trainer);
    if (finished)
        *finished = is_finished;
    return status;
}

s3r_status s3r_train_plan(s3r_context *context, const s3r_train_options *options,
                          s3r_train_forecast *forecast, s3r_error *err)
{
    s3r_trainer *trainer = NULL;
    *forecast = (s3r_train_forecast){0};
    S3R_TRY(open_trainer(&trainer, context, options, true, err));
    s3r_status status = s3r_trainer_plan(trainer, forecast, err);
    s3r_trainer_close(trainer);
    return status;
}

s3r_status s3r_model_create(const char *folder, const char *const *settings,
                            size_t setting_count, uint64_t seed, s3r_error *err)
{
    s3r_model_config config;
    S3R_TRY(make_config(&config, settings, setting_count, err));
    return s3r_model_init(&config, seed, NULL, folder, err);
}

bool s3r_model_shape_setting(size_t index, const char **key, const char **help)
{
    *key = s3r_model_shape_key(index);
    *help = *key ? s3r_model_shape_help(index) : NULL;
    return *key != NULL;
}

bool s3r_train_setting(size_t index, const char **key, const char **fallback,
                       const char **help)
{
    return s3r_train_config_key(index, key, fallback, help);
}
