/*
 * s3r train: settings from the command line to the library, and a run on the terminal.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <s3r/train.h>

#include "interrupt.h"
#include "verb.h"

#define MAX_SETTINGS 24

typedef struct train_options {
    const char *model, *vocabulary, *train, *dev, *out, *config;
    const char *preset, *compat;
    /* Shorthands of settings. */
    const char *method, *sparsity, *init, *modules, *seed, *steps, *lr, *precision;
    size_t memory;
    int resume; /* index into "never|auto" */
    bool is_plan;
} train_options;

/* Options that stand for a setting. */
static const struct {
    size_t offset;
    const char *key;
} shorthands[] = {
    {offsetof(train_options, method), "method"},
    {offsetof(train_options, sparsity), "mask.sparsity"},
    {offsetof(train_options, init), "mask.init"},
    {offsetof(train_options, modules), "mask.modules"},
    {offsetof(train_options, seed), "seed"},
    {offsetof(train_options, steps), "schedule.steps"},
    {offsetof(train_options, lr), "optimizer.lr"},
    {offsetof(train_options, precision), "precision"},
};
#define SHORTHAND_COUNT (sizeof shorthands / sizeof shorthands[0])

/* "key=value" texts: shorthands, then what was written out. */
typedef struct setting_list {
    const char **items;
    size_t count;
    char *owned[SHORTHAND_COUNT];
    size_t owned_count;
} setting_list;

static void settings_release(setting_list *list)
{
    for (size_t i = 0; i < list->owned_count; i++)
        free(list->owned[i]);
    free(list->items);
}

static s3r_status settings_make(setting_list *list, const s3r_command *command,
                                s3r_error *err)
{
    const char *options = command->options;
    *list = (setting_list){0};
    list->items =
        calloc(SHORTHAND_COUNT + command->positional_count + 1, sizeof *list->items);
    for (size_t i = 0; list->items && i < SHORTHAND_COUNT; i++) {
        const char *value;
        memcpy(&value, options + shorthands[i].offset, sizeof(value));
        if (!value)
            continue;
        size_t bytes = strlen(shorthands[i].key) + strlen(value) + 2;
        char *text = malloc(bytes);
        if (!text)
            return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
        snprintf(text, bytes, "%s=%s", shorthands[i].key, value);
        list->items[list->count++] = list->owned[list->owned_count++] = text;
    }
    if (!list->items)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
    for (size_t i = 0; i < command->positional_count; i++)
        list->items[list->count++] = command->positionals[i];
    return S3R_OK;
}

/* ---- watching ---- */

typedef struct watcher {
    s3r_terminal *terminal;
    s3r_progress progress;
    s3r_train_event_kind bar; /* what the bar that stands shows */
    bool has_bar;
    double loss;
    char label[96];
    size_t first_step;
} watcher;

static void end_bar(watcher *w)
{
    if (w->has_bar)
        s3r_progress_end(&w->progress);
    w->has_bar = false;
}

static void draw(watcher *w, s3r_train_event_kind kind, const char *label, double done,
                 double total)
{
    if (!w->has_bar || w->bar != kind) {
        end_bar(w);
        s3r_progress_start(&w->progress, w->terminal, label, total);
        w->bar = kind;
        w->has_bar = true;
    }
    s3r_progress_update(&w->progress, done);
}

static void show_step(watcher *w, const s3r_train_event *event)
{
    /* Smoothed for the eye; the logs have the numbers. */
    w->loss = event->step == w->first_step + 1 ? event->loss
                                               : 0.95 * w->loss + 0.05 * event->loss;
    snprintf(w->label, sizeof w->label, "step %zu/%zu  loss %.3g  blank %.0f%%",
             event->step, event->steps, w->loss, 100.0 * event->blank_ratio);
    draw(w, S3R_TRAIN_STEP, w->label, (double)(event->step - w->first_step),
         (double)(event->steps - w->first_step));
}

static bool watch(void *context, const s3r_train_event *event)
{
    watcher *w = context;
    switch (event->kind) {
    case S3R_TRAIN_PREPARING:
        draw(w, event->kind, "reading data", (double)event->done, (double)event->total);
        break;
    case S3R_TRAIN_STARTED:
        end_bar(w);
        w->first_step = event->step;
        if (event->step > 0)
            s3r_print_note(w->terminal, "going on after step %zu of %zu", event->step,
                           event->steps);
        break;
    case S3R_TRAIN_STEP:
        show_step(w, event);
        break;
    case S3R_TRAIN_EVALUATED:
        s3r_print_note(w->terminal,
                       "step %zu: dev %s %.2f%%%s  loss %.3g  blank %.0f%%  mask changed "
                       "%.2f%%  %zu MiB",
                       event->step, event->metric_name, 100.0 * event->metric,
                       event->is_best ? " (best)" : "", event->loss,
                       100.0 * event->blank_ratio, 100.0 * event->mask_changed,
                       event->memory_bytes >> 20);
        break;
    case S3R_TRAIN_WARNING:
        s3r_print_warning(w->terminal, "%s", event->text);
        break;
    case S3R_TRAIN_EVALUATING:
    case S3R_TRAIN_SAVED:
        break;
    }
    return !s3r_interrupted();
}

/* ---- the forecast ---- */

static void print_duration(const char *name, double seconds)
{
    if (seconds < 120.0)
        printf("%-22s %.3g s\n", name, seconds);
    else if (seconds < 7200.0)
        printf("%-22s %.1f min\n", name, seconds / 60.0);
    else
        printf("%-22s %.1f h\n", name, seconds / 3600.0);
}

static void print_forecast(const s3r_train_forecast *f)
{
    printf("%-22s %zu utterances, %.1f min\n", "training data", f->utterances,
           f->train_s / 60.0);
    if (f->dev_utterances > 0)
        printf("%-22s %zu utterances, %.1f min\n", "dev data", f->dev_utterances,
               f->dev_s / 60.0);
    printf("%-22s %zu\n", "trained parameters", f->trained_parameters);
    if (f->masked_elements > 0)
        printf("%-22s %zu of %zu connections (%.2f%%)\n", "removed", f->removed_elements,
               f->masked_elements,
               100.0 * (double)f->removed_elements / (double)f->masked_elements);
    printf("%-22s %zu MiB (limit %zu MiB)\n", "memory", f->memory_bytes >> 20,
           f->memory_limit_bytes >> 20);
    printf("%-22s %zu MiB each\n", "checkpoints", f->checkpoint_bytes >> 20);
    if (f->step_s <= 0.0)
        return;
    print_duration("time a step", f->step_s);
    printf("%-22s %zu\n", "steps", f->steps);
    if (f->evaluations > 0)
        print_duration("time an evaluation", f->evaluation_s);
    if (f->evaluations > 0)
        printf("%-22s %zu\n", "evaluations", f->evaluations);
    print_duration("total", f->total_s);
}

static s3r_status print_forecast_json(const s3r_train_forecast *f, s3r_error *err)
{
    json_t *object =
        json_pack("{sI, sI, sf, sf, sI, sI, sI, sI, sf, sf, sI, sf, sI, sI, sI}",
                  "utterances", (json_int_t)f->utterances, "dev_utterances",
                  (json_int_t)f->dev_utterances, "train_s", f->train_s, "dev_s", f->dev_s,
                  "trained_parameters", (json_int_t)f->trained_parameters,
                  "masked_elements", (json_int_t)f->masked_elements, "removed_elements",
                  (json_int_t)f->removed_elements, "steps", (json_int_t)f->steps,
                  "step_s", f->step_s, "evaluation_s", f->evaluation_s, "evaluations",
                  (json_int_t)f->evaluations, "total_s", f->total_s, "memory_bytes",
                  (json_int_t)f->memory_bytes, "memory_limit_bytes",
                  (json_int_t)f->memory_limit_bytes, "checkpoint_bytes",
                  (json_int_t)f->checkpoint_bytes);
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (!text)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
    puts(text);
    free(text);
    return S3R_OK;
}

static s3r_status run_plan(const s3r_command *command, s3r_context *context,
                           const s3r_train_options *options, s3r_error *err)
{
    s3r_train_forecast forecast;
    s3r_status status = s3r_train_plan(context, options, &forecast, err);
    /* A run that does not fit is still told as far as it is known. */
    if (forecast.memory_bytes == 0)
        return status;
    if (command->global.is_json) {
        s3r_status printed = print_forecast_json(&forecast, err);
        return status == S3R_OK ? printed : status;
    }
    print_forecast(&forecast);
    return status;
}

/* ---- the verb ---- */

static s3r_status run_training(const s3r_command *command, s3r_context *context,
                               const s3r_train_options *options, s3r_error *err)
{
    bool finished = false;
    const train_options *mine = command->options;
    s3r_status status = s3r_train(context, options, &finished, err);
    if (status != S3R_OK)
        return status;
    if (finished)
        printf("%s/best.s3m\n", mine->out);
    else
        s3r_print_note(command->terminal,
                       "a checkpoint was written; the same command with --resume auto "
                       "goes on");
    return S3R_OK;
}

static s3r_status run_with(const s3r_command *command, const setting_list *settings,
                           s3r_error *err)
{
    const train_options *mine = command->options;
    watcher w = {.terminal = command->terminal};
    s3r_train_options options;
    s3r_context_options machine;
    s3r_context *context = NULL;
    s3r_train_options_init(&options);
    options.model = mine->model;
    options.vocabulary = mine->vocabulary;
    options.train = mine->train;
    options.dev = mine->dev;
    options.folder = mine->is_plan && !mine->out ? "." : mine->out;
    options.config_path = mine->config;
    options.compat = mine->compat;
    options.preset = mine->preset;
    options.overrides = settings->items;
    options.override_count = settings->count;
    options.may_resume = mine->resume == 1;
    options.watch = watch;
    options.watch_context = &w;
    options.memory_limit = mine->memory;
    s3r_context_options_init(&machine);
    machine.thread_count = command->global.threads;
    machine.cpu_level = s3r_cpu_choice_names[command->global.cpu];
    s3r_status status = s3r_context_create(&context, &machine, err);
    if (status != S3R_OK)
        return status;
    s3r_interrupt_defer();
    status = mine->is_plan ? run_plan(command, context, &options, err)
                           : run_training(command, context, &options, err);
    end_bar(&w);
    s3r_context_destroy(context);
    return status;
}

static s3r_status run_train(const s3r_command *command, s3r_error *err)
{
    setting_list settings;
    s3r_status status = settings_make(&settings, command, err);
    if (status == S3R_OK)
        status = run_with(command, &settings, err);
    settings_release(&settings);
    return status;
}

#define TEXT(long_name, short_name, field, value_name, text)                             \
    {                                                                                    \
        .name = long_name, .letter = short_name, .type = S3R_OPTION_STRING,              \
        .offset = offsetof(train_options, field), .argument = value_name, .help = text   \
    }

static const s3r_option options[] = {
    TEXT("model", 'm', model, "MODEL", "The backbone: a folder or a file."),
    TEXT("train", 0, train, "FILE", "Manifest of the training data (s3r data prepare)."),
    TEXT("dev", 0, dev, "FILE",
         "Manifest that chooses the best step. Without it the last mask is the result."),
    TEXT("out", 'o', out, "FOLDER", "The run folder."),
    TEXT("vocab", 0, vocabulary, "FOLDER",
         "The vocabulary (s3r vocab build); else the backbone's own."),
    TEXT("config", 'c', config, "FILE", "Settings as YAML."),
    TEXT("preset", 0, preset, "NAME", "The paper's settings: 10m, 1h, 10h or xlsr."),
    TEXT("compat", 0, compat, "NAME",
         "original: what the original code does where it differs from the paper."),
    TEXT("method", 0, method, "NAME",
         "mask, weights, head, adapter, lora, bias, magnitude or mask+weights."),
    TEXT("sparsity", 0, sparsity, "PART", "Part of the connections that is removed."),
    TEXT("init", 0, init, "NAME", "First scores: ori, ri or wmi."),
    TEXT("modules", 0, modules, "LIST",
         "What is masked: ffn, attention, both, or a list such as q,v,fc1."),
    TEXT("seed", 0, seed, "N", "Of everything random."),
    TEXT("steps", 0, steps, "N", "Updates in all."),
    TEXT("lr", 0, lr, "RATE", "Learning rate at its peak."),
    TEXT("dtype", 'd', precision, "TYPE", "Of matrix products: f32 or bf16."),
    {.name = "resume",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(train_options, resume),
     .values = "never|auto",
     .fallback = "never",
     .help = "auto: go on from the newest checkpoint in the run folder."},
    {.name = "max-memory",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(train_options, memory),
     .argument = "BYTES",
     .help = "Memory that the run may need, for example 4G; 0 is what is available."},
    {.name = "plan",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(train_options, is_plan),
     .help = "Only say what the run would take: memory, time, steps."},
};

static const char *const examples[] = {
    "s3r train -m wav2vec2-base --vocab vocab --train train.jsonl --dev dev.jsonl "
    "--preset 10m -o run",
    "s3r train -m wav2vec2-base --vocab vocab --train train.jsonl --dev dev.jsonl "
    "--method weights -o run-ft optimizer.lr=1e-4 batch.seconds=60",
    NULL};

const s3r_verb s3r_verb_train = {
    .name = "train",
    .summary = "Learn which connections of a backbone to keep, or a baseline",
    .description =
        "Adapts a backbone to transcribed speech and writes a mask file: which "
        "connections are kept, the head and the vocabulary. The backbone itself does not "
        "change. Other methods (weights, adapter, lora, bias, head, magnitude) are there "
        "to compare with.\n\nSettings are given as KEY=VALUE or in a YAML file; "
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
