/*
 * s3r pretrain: a backbone from unlabelled speech.
 */
#include <stdlib.h>
#include <string.h>

#include "train_run.h"

typedef struct pretrain_options {
    s3r_train_verb_options common; /* first: train_option_list.h counts on it */
    const char *model, *data, *dev, *labels, *dev_labels, *out, *config;
    s3r_string_list shape;
    int objective; /* index into "hubert|wav2vec2" */
} pretrain_options;

static const s3r_setting_shorthand shorthands[] = {
    S3R_TRAIN_VERB_SHORTHANDS,
};

static s3r_status run_with(const s3r_command *command, const s3r_setting_list *settings,
                           s3r_error *err)
{
    static const char *const presets[] = {"hubert", "wav2vec2"};
    static const char *const families[] = {"family=hubert", "family=wav2vec2"};
    const pretrain_options *mine = command->options;
    s3r_train_options options;
    /* The family is that of the objective unless the shape says otherwise. */
    const char **shape = calloc(mine->shape.count + 1, sizeof *shape);
    if (!shape)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the shape");
    shape[0] = families[mine->objective];
    for (size_t i = 0; i < mine->shape.count; i++)
        shape[i + 1] = mine->shape.items[i];
    s3r_train_options_init(&options);
    options.pretrains = true;
    options.model = mine->model;
    options.shape = shape;
    options.shape_count = mine->shape.count + 1;
    options.train = mine->data;
    options.dev = mine->dev;
    options.train_labels = mine->labels;
    options.dev_labels = mine->dev_labels;
    options.folder = mine->out;
    options.config_path = mine->config;
    options.preset = presets[mine->objective];
    options.overrides = settings->items;
    options.override_count = settings->count;
    s3r_status status = s3r_train_run(command, &options, &mine->common, "best", err);
    free(shape);
    return status;
}

static s3r_status run_pretrain(const s3r_command *command, s3r_error *err)
{
    const pretrain_options *mine = command->options;
    s3r_setting_list settings;
    if (!mine->out || !mine->data)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "pretrain: expected --data FILE and -o "
                            "FOLDER (see s3r help pretrain)");
    if (mine->objective == 1 && (mine->labels || mine->dev_labels))
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "%s: clusters are for the objective hubert",
                            mine->labels ? "--labels" : "--dev-labels");
    if (mine->model && mine->shape.count > 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--shape is for a fresh model; %s has its shape",
                            mine->model);
    s3r_status status = s3r_setting_list_make(
        &settings, command, shorthands, sizeof shorthands / sizeof shorthands[0], err);
    if (status == S3R_OK)
        status = run_with(command, &settings, err);
    s3r_setting_list_release(&settings);
    return status;
}

#define STRING(long_name, short_name, field, value_name, may_not_repeat, text)           \
    {                                                                                    \
        .name = long_name, .letter = short_name, .type = S3R_OPTION_STRING,              \
        .is_once = may_not_repeat, .offset = offsetof(pretrain_options, field),          \
        .argument = value_name, .help = text                                             \
    }
#define TEXT(long_name, short_name, field, value_name, text)                             \
    STRING(long_name, short_name, field, value_name, false, text)
#define ONCE(long_name, field, text) STRING(long_name, 0, field, "FILE", true, text)

static const s3r_option options[] = {
    ONCE("data", data, "Manifest of the speech; texts are not looked at."),
    ONCE("labels", labels,
         "Clusters of its frames (s3r kmeans), for the objective hubert."),
    ONCE("dev", dev,
         "Manifest that chooses the best step. Without it the last model is the result."),
    ONCE("dev-labels", dev_labels, "Clusters of its frames."),
    TEXT("out", 'o', out, "FOLDER", "The run folder."),
    {.name = "objective",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(pretrain_options, objective),
     .values = "hubert|wav2vec2",
     .fallback = "hubert",
     .help = "Masked prediction of clusters, or the contrastive objective."},
    TEXT("model", 'm', model, "MODEL",
         "The model to start from. Without it a fresh one is made in FOLDER/start."),
    {.name = "shape",
     .type = S3R_OPTION_LIST,
     .offset = offsetof(pretrain_options, shape),
     .argument = "KEY=VALUE",
     .help = "Shape of the fresh model, as in hidden_size=256; docs/pretraining.md lists "
             "the keys."},
    TEXT("config", 'c', config, "FILE", "Settings as YAML."),
#include "train_option_list.h"
};

static const char *const examples[] = {
    "s3r kmeans --data speech.jsonl --mfcc --clusters 100 -o targets",
    "s3r pretrain --data speech.jsonl --labels targets/speech.labels -o run "
    "--shape hidden_size=256 --steps 20000 --dtype bf16",
    NULL};

const s3r_verb s3r_verb_pretrain = {
    .name = "pretrain",
    .summary = "Train a backbone on unlabelled speech",
    .description =
        "Trains a whole network of the family without texts: by predicting the clusters "
        "of masked frames (hubert; clusters come from s3r kmeans), or by telling masked "
        "frames from others (wav2vec2). The result, FOLDER/best, is a Hugging Face "
        "folder like any other.\n\nSettings are given as KEY=VALUE or in a YAML file; "
        "docs/training.md lists them, docs/pretraining.md is the guide.\n\nCtrl-C and "
        "SIGTERM write a checkpoint; --resume auto goes on and gives the same bits as a "
        "run that was not interrupted.",
    .usage = "[KEY=VALUE...]",
    .positionals = {{"KEY=VALUE", NULL, "A setting."}},
    .min_positionals = 0,
    .max_positionals = SIZE_MAX,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .options_size = sizeof(pretrain_options),
    .example = examples,
    .has_json = true,
    .run = run_pretrain,
};
