/*
 * What a person sees of a training run.
 */
#include "train_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "interrupt.h"
#include "line_text.h"
#include "session.h"

/* ---- settings ---- */

static char *make_setting(const char *key, const char *value)
{
    size_t bytes = strlen(key) + strlen(value) + 2;
    char *text = malloc(bytes);
    if (text)
        snprintf(text, bytes, "%s=%s", key, value);
    return text;
}

s3r_status s3r_setting_list_make(s3r_setting_list *list, const s3r_command *command,
                                 const s3r_setting_shorthand *shorthands, size_t count,
                                 s3r_error *err)
{
    const char *options = command->options;
    *list = (s3r_setting_list){0};
    list->items = calloc(count + command->positional_count + 1, sizeof *list->items);
    list->owned = calloc(count + 1, sizeof *list->owned);
    bool is_complete = list->items && list->owned;
    for (size_t i = 0; is_complete && i < count; i++) {
        const char *value;
        memcpy(&value, options + shorthands[i].offset, sizeof(value));
        char *text = value ? make_setting(shorthands[i].key, value) : NULL;
        is_complete = !value || text;
        if (text)
            list->items[list->count++] = list->owned[list->owned_count++] = text;
    }
    if (!is_complete)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
    for (size_t i = 0; i < command->positional_count; i++)
        list->items[list->count++] = command->positionals[i];
    return S3R_OK;
}

void s3r_setting_list_release(s3r_setting_list *list)
{
    for (size_t i = 0; i < list->owned_count; i++)
        free(list->owned[i]);
    free(list->owned);
    free(list->items);
}

/* ---- watching ---- */

typedef struct watcher {
    s3r_terminal *terminal;
    s3r_progress progress;
    s3r_train_event_kind bar; /* what the bar that stands shows */
    size_t bar_total;
    bool has_bar;
    double loss;
    char label[96];
    size_t first_step, step;
    /* The last evaluation that was the best of the run. */
    bool has_best;
    double best;
    size_t best_step;
    char metric_name[32];
} watcher;

static void end_bar(watcher *w)
{
    if (w->has_bar)
        s3r_progress_end(&w->progress);
    w->has_bar = false;
}

static void draw(watcher *w, s3r_train_event_kind kind, const char *label, double done,
                 size_t total)
{
    if (!w->has_bar || w->bar != kind || w->bar_total != total) {
        end_bar(w);
        s3r_progress_start(&w->progress, w->terminal, label, (double)total);
        w->bar = kind;
        w->bar_total = total;
        w->has_bar = true;
    }
    s3r_progress_update(&w->progress, done);
}

static void note_best(watcher *w, const s3r_train_event *event)
{
    if (!event->is_best || !isfinite(event->metric))
        return;
    w->has_best = true;
    w->best = event->metric;
    w->best_step = event->step;
    snprintf(w->metric_name, sizeof w->metric_name, "%s", event->metric_name);
}

static const char *ratio_label(const s3r_train_event *event)
{
    return strcmp(event->ratio_name, "blank_ratio") == 0 ? "blank" : event->ratio_name;
}

static void show_step(watcher *w, const s3r_train_event *event)
{
    /* Smoothed for the eye; the logs have the numbers. */
    w->loss = event->step == w->first_step + 1 ? event->loss
                                               : 0.95 * w->loss + 0.05 * event->loss;
    snprintf(w->label, sizeof w->label, "step %zu/%zu  loss %.3g  %s %.0f%%", event->step,
             event->steps, w->loss, ratio_label(event), 100.0 * event->ratio);
    draw(w, S3R_TRAIN_STEP, w->label, (double)(event->step - w->first_step),
         event->steps - w->first_step);
}

static void show_evaluation(watcher *w, const s3r_train_event *event)
{
    char loss[48] = "", changed[48] = "";
    if (isfinite(event->loss))
        snprintf(loss, sizeof loss, "  loss %.3g", event->loss);
    if (event->learns_masks)
        snprintf(changed, sizeof changed, "  mask changed %.2f%%",
                 100.0 * event->mask_changed);
    s3r_print_note(w->terminal, "step %zu: dev %s %.2f%%%s%s  %s %.0f%%%s  %zu MiB",
                   event->step, event->metric_name, 100.0 * event->metric,
                   event->is_best ? " (best)" : "", loss, ratio_label(event),
                   100.0 * event->ratio, changed, event->memory_bytes >> 20);
}

static bool watch(void *context, const s3r_train_event *event)
{
    watcher *w = context;
    if (event->kind == S3R_TRAIN_STARTED || event->kind == S3R_TRAIN_STEP)
        w->step = event->step;
    if (event->kind == S3R_TRAIN_EVALUATED)
        note_best(w, event);
    switch (event->kind) {
    case S3R_TRAIN_PREPARING:
        draw(w, event->kind, "reading data", (double)event->done, event->total);
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
        show_evaluation(w, event);
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
    print_duration("before the first step", f->prepare_s);
    print_duration("time a step", f->step_s);
    printf("%-22s %zu\n", "steps", f->steps);
    if (f->evaluations > 0)
        print_duration("time an evaluation", f->evaluation_s);
    if (f->evaluations > 0)
        printf("%-22s %zu\n", "evaluations", f->evaluations);
    print_duration("time a checkpoint", f->checkpoint_s);
    print_duration("total", f->total_s);
}

static s3r_status print_forecast_json(const s3r_train_forecast *f, s3r_error *err)
{
    json_t *object = json_pack(
        "{sI, sI, sf, sf, sI, sI, sI, sI, sf, sf, sI, sf, sf, sI, sf, sI, sI, sI}",
        "utterances", (json_int_t)f->utterances, "dev_utterances",
        (json_int_t)f->dev_utterances, "train_s", f->train_s, "dev_s", f->dev_s,
        "trained_parameters", (json_int_t)f->trained_parameters, "masked_elements",
        (json_int_t)f->masked_elements, "removed_elements",
        (json_int_t)f->removed_elements, "steps", (json_int_t)f->steps, "step_s",
        f->step_s, "evaluation_s", f->evaluation_s, "evaluations",
        (json_int_t)f->evaluations, "prepare_s", f->prepare_s, "checkpoint_s",
        f->checkpoint_s, "checkpoints", (json_int_t)f->checkpoints, "total_s", f->total_s,
        "memory_bytes", (json_int_t)f->memory_bytes, "memory_limit_bytes",
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

/* ---- the run ---- */

/* path NULL: the run was interrupted. */
static s3r_status print_result_json(const watcher *w, const char *path, s3r_error *err)
{
    json_t *metric = w->has_best ? json_real(w->best) : json_null();
    json_t *metric_step =
        w->has_best ? json_integer((json_int_t)w->best_step) : json_null();
    char *text = s3r_json_line(
        json_pack("{s:o, s:b, s:I, s:s?, s:o, s:o}", "result", s3r_json_from_bytes(path),
                  "finished", path != NULL, "step", (json_int_t)w->step, "metric_name",
                  w->has_best ? w->metric_name : NULL, "metric", metric, "metric_step",
                  metric_step));
    if (!text)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
    fputs(text, stdout);
    free(text);
    return S3R_OK;
}

static s3r_status run_training(const s3r_command *command, s3r_context *context,
                               const s3r_train_options *options, const char *result,
                               s3r_error *err)
{
    bool finished = false;
    const watcher *w = options->watch_context;
    s3r_status status = s3r_train(context, options, &finished, err);
    if (status != S3R_OK)
        return status;
    size_t bytes = strlen(options->folder) + strlen(result) + 2;
    char *path = malloc(bytes);
    if (!path)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
    snprintf(path, bytes, "%s/%s", options->folder, result);
    if (command->global.is_json)
        status = print_result_json(w, finished ? path : NULL, err);
    else if (finished)
        puts(path);
    free(path);
    if (finished || status != S3R_OK)
        return status;
    s3r_print_note(command->terminal, "a checkpoint was written; the same command with "
                                      "--resume auto goes on");
    return s3r_cli_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
}

s3r_status s3r_train_run(const s3r_command *command, const s3r_train_options *options,
                         const s3r_train_verb_options *common, const char *result,
                         s3r_error *err)
{
    watcher w = {.terminal = command->terminal};
    s3r_train_options watched = *options;
    s3r_session session;
    char model[S3R_MODEL_PATH_BYTES];
    s3r_status status = S3R_OK;
    if (options->model || !options->pretrains) {
        status = s3r_session_find_model(command, options->model, model, err);
        watched.model = model;
    }
    if (status != S3R_OK)
        return status;
    watched.watch = watch;
    watched.watch_context = &w;
    watched.may_resume = common->resume == 1;
    watched.memory_limit = common->memory;
    status = s3r_session_open_context(&session, command, err);
    if (status != S3R_OK)
        return status;
    s3r_interrupt_defer();
    status = common->is_plan
                 ? run_plan(command, session.context, &watched, err)
                 : run_training(command, session.context, &watched, result, err);
    end_bar(&w);
    s3r_session_close(&session);
    return status;
}
