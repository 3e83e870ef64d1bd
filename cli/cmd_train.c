/*
 * s3r train: settings from the command line to the library, and a run on the terminal.
 */
#include <stdint.h>

#include "train_run.h"

typedef struct train_options {
    s3r_train_verb_options common; /* first: train_option_list.h counts on it */
    const char *model, *vocabulary, *train, *dev, *out, *config;
    const char *preset, *compat;
    /* Shorthands of settings. */
    const char *task, *method, *sparsity, *init, *modules;
} train_options;

/* Options that stand for a setting. */
static const s3r_setting_shorthand shorthands[] = {
    {offsetof(train_options, task), "task"},
    {offsetof(train_options, method), "method"},
    {offsetof(train_options, sparsity), "mask.sparsity"},
    {offsetof(train_options, init), "mask.init"},
    {offsetof(train_options, modules), "mask.modules"},
    S3R_TRAIN_VERB_SHORTHANDS,
};

/* ---- the verb ---- */

static s3r_status run_with(const s3r_command *command, const s3r_setting_list *settings,
                           s3r_error *err)
{
    const train_options *mine = command->options;
    s3r_train_options options;
    s3r_train_options_init(&options);
    options.model = mine->model;
    options.vocabulary = mine->vocabulary;
    options.train = mine->train;
    options.dev = mine->dev;
    options.folder = mine->common.is_plan && !mine->out ? "." : mine->out;
    options.config_path = mine->config;
    options.compat = mine->compat;
    options.preset = mine->preset;
    options.overrides = settings->items;
    options.override_count = settings->count;
    return s3r_train_run(command, &options, &mine->common, "best.s3m", err);
}

static s3r_status run_train(const s3r_command *command, s3r_error *err)
{
    s3r_setting_list settings;
    s3r_status status = s3r_setting_list_make(
        &settings, command, shorthands, sizeof shorthands / sizeof shorthands[0], err);
    if (status == S3R_OK)
        status = run_with(command, &settings, err);
    s3r_setting_list_release(&settings);
    return status;
}

#define STRING(long_name, short_name, field, value_name, words, may_not_repeat, text)    \
    {                                                                                    \
        .name = long_name, .letter = short_name, .type = S3R_OPTION_STRING,              \
        .is_once = may_not_repeat, .offset = offsetof(train_options, field),             \
        .argument = value_name, .suggested = words, .help = text                         \
    }
#define TEXT(long_name, short_name, field, value_name, text)                             \
    STRING(long_name, short_name, field, value_name, NULL, false, text)
/* The same with words that completion offers. */
#define WORD(long_name, short_name, field, value_name, words, text)                      \
    STRING(long_name, short_name, field, value_name, words, false, text)
#define ONCE(long_name, field, text) STRING(long_name, 0, field, "FILE", NULL, true, text)

static const s3r_option options[] = {
    TEXT("model", 'm', model, "MODEL",
         "The backbone: a folder, a file or the name of a shipped model. Without it the "
         "shipped one."),
    ONCE("train", train, "Manifest of the training data (s3r data prepare)."),
    ONCE("dev", dev,
         "Manifest that chooses the best step. Without it the last mask is the result."),
    TEXT("out", 'o', out, "FOLDER", "The run folder."),
    TEXT("vocab", 0, vocabulary, "FOLDER",
         "The vocabulary (s3r vocab build); else the backbone's own."),
    TEXT("config", 'c', config, "FILE", "Settings as YAML."),
    WORD("preset", 0, preset, "NAME", "10m|1h|10h|xlsr",
         "The paper's settings: 10m, 1h, 10h or xlsr."),
    WORD("compat", 0, compat, "NAME", "original",
         "original: what the original code does where it differs from the paper."),
    WORD("task", 0, task, "NAME", "ctc|lid",
         "ctc: to transcribe (the default); lid: which language is spoken."),
    WORD("method", 0, method, "NAME",
         "mask|weights|head|adapter|lora|bias|magnitude|mask+weights",
         "mask, weights, head, adapter, lora, bias, magnitude or mask+weights."),
    TEXT("sparsity", 0, sparsity, "PART", "Part of the connections that is removed."),
    WORD("init", 0, init, "NAME", "ori|ri|wmi", "First scores: ori, ri or wmi."),
    WORD("modules", 0, modules, "LIST", "ffn|attention|both",
         "What is masked: ffn, attention, both, or a list such as q,v,fc1."),
#include "train_option_list.h"
};

static const char *const examples[] = {
    "s3r train -m wav2vec2-base --vocab vocab --train train.jsonl --dev dev.jsonl "
    "--preset 10m -o run",
    "s3r train -m wav2vec2-base --vocab vocab --train train.jsonl --dev dev.jsonl "
    "--method weights -o run-ft optimizer.lr=1e-4 batch.seconds=60",
    "s3r train --task lid --train languages.jsonl --dev dev.jsonl -o run-lid", NULL};

const s3r_verb s3r_verb_train = {
    .name = "train",
    .summary = "Learn which connections of a backbone to keep, or a baseline",
    .description =
        "Adapts a backbone to transcribed speech and writes a mask file: which "
        "connections are kept, the head and the vocabulary. The backbone itself does not "
        "change. Other methods (weights, adapter, lora, bias, head, magnitude) are there "
        "to compare with.\n\nWith --task lid it learns which language is spoken: the "
        "languages are the \"lang\" of the manifest, whose texts are not looked "
        "at.\n\nSettings are given as KEY=VALUE or in a YAML file; "
        "docs/training.md lists them.\n\nCtrl-C and SIGTERM write a checkpoint; --resume "
        "auto goes on and gives the same bits as a run that was not interrupted.",
    .usage = "[KEY=VALUE...]",
    .positionals = {{"KEY=VALUE", NULL, "A setting."}},
    .min_positionals = 0,
    .max_positionals = SIZE_MAX,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .options_size = sizeof(train_options),
    .example = examples,
    .has_json = true,
    .run = run_train,
};
