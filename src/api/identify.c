/*
 * Which language is spoken: utterances are loaded and run in batches by
 * tasks/frame_features.h, which gives their frames in order; each utterance's are summed
 * and judged, and its result is reported when the next one begins.
 */
#include "s3r/identify.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/handles.h"
#include "api/options_check.h"
#include "data/manifest_languages.h"
#include "tasks/frame_features.h"
#include "tasks/language_head.h"

void s3r_identify_options_init(s3r_identify_options *options)
{
    *options = (s3r_identify_options){.struct_size = sizeof *options,
                                      .window_s = 40,
                                      .context_s = 4,
                                      .batch_s = 40,
                                      .raw_rate_hz = 16000,
                                      .allow_ffmpeg = true};
}

typedef struct identify_run {
    s3r_context *context;
    const s3r_model *model;
    const s3r_identify_options *options;
    s3r_result_fn result;
    void *result_context;
    const s3r_utterance **items;
    size_t count;
    s3r_frame_features features;
    s3r_language_pool pool; /* of the utterance `next` */
    double *probabilities;  /* [languages], in the order of the head */
    s3r_language *sorted;   /* [languages] */
    size_t first, next;     /* of the batch; not yet reported */
    double *seconds;        /* [count] of audio, as far as is known */
    double done_s, total_s;
    size_t failed;
    s3r_status status; /* not OK: a result was not taken */
} identify_run;

/* ---- results ---- */

/* The likeliest first; of equals the first by name, so that no bit depends on qsort. */
static int compare_languages(const void *a, const void *b)
{
    const s3r_language *x = a, *y = b;
    if (x->probability != y->probability)
        return x->probability > y->probability ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void sort_languages(const identify_run *run)
{
    const s3r_language_list *languages = &run->model->route.languages;
    for (size_t c = 0; c < languages->count; c++)
        run->sorted[c] = (s3r_language){languages->names[c], run->probabilities[c]};
    qsort(run->sorted, languages->count, sizeof *run->sorted, compare_languages);
}

/* Reports the utterance `next`: failed with a message, or judged by its frames. */
static void report(identify_run *run, s3r_status status, const char *message)
{
    double rate = run->features.sample_rate_hz;
    s3r_result result = {.index = run->next,
                         .path = run->items[run->next]->audio_path,
                         .part_count = 1,
                         .status = status,
                         .message = message,
                         .duration_s = run->seconds[run->next],
                         .frame_count = run->pool.frames,
                         .frame_s = (double)run->features.frame_stride / rate,
                         .confidence = 1.0};
    if (status == S3R_OK) {
        sort_languages(run);
        result.languages = run->sorted;
        result.language_count = run->model->route.languages.count;
        result.confidence = run->sorted[0].probability;
    } else {
        run->failed++;
    }
    if (run->status == S3R_OK)
        run->status = run->result(run->result_context, &result);
    run->done_s += run->seconds[run->next++];
    s3r_language_pool_clear(&run->pool);
}

static void judge(identify_run *run)
{
    s3r_error why;
    const char *path = run->items[run->next]->audio_path;
    const s3r_linear_weights *head = &run->model->weights.lm_head;
    if (s3r_language_pool_judge(&run->pool, head, run->probabilities)) {
        report(run, S3R_OK, "");
        return;
    }
    s3r_fail(&why, S3R_ERR_DATA, "%s: %s", path,
             run->pool.frames == 0
                 ? "it is shorter than a frame, so no language can be heard"
                 : "expected finite probabilities (damaged audio or weights)");
    report(run, S3R_ERR_DATA, why.message);
}

/* Judges all utterances before this one that were not reported. */
static void advance(identify_run *run, size_t to)
{
    while (run->next < to)
        judge(run);
}

/* ---- the sink ---- */

static void note_length(void *context, size_t item, size_t sample_count)
{
    identify_run *run = context;
    run->seconds[run->first + item] =
        (double)sample_count / (double)run->features.sample_rate_hz;
}

static s3r_status take_rows(void *context, size_t item, const float *rows, size_t stride,
                            size_t count, s3r_error *err)
{
    identify_run *run = context;
    advance(run, run->first + item);
    s3r_language_pool_add(&run->pool, rows, stride, count);
    return run->status == S3R_OK
               ? S3R_OK
               : s3r_fail(err, run->status, "%s: the result was not taken",
                          run->items[run->next - 1]->audio_path);
}

static void take_failure(void *context, size_t item, s3r_status status,
                         const char *message)
{
    identify_run *run = context;
    advance(run, run->first + item);
    report(run, status, message);
}

static bool goes_on(void *context)
{
    const identify_run *run = context;
    const s3r_identify_options *options = run->options;
    return !options->progress ||
           options->progress(options->progress_context, run->done_s, run->total_s);
}

/* ---- the run ---- */

static s3r_status run_batches(identify_run *run, s3r_error *err)
{
    const s3r_frame_sink sink = {.loaded = note_length,
                                 .rows = take_rows,
                                 .failed = take_failure,
                                 .goes_on = goes_on,
                                 .context = run};
    while (run->first < run->count) {
        size_t taken;
        if (!goes_on(run))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        S3R_TRY(s3r_frame_features_run(&run->features, run->items + run->first,
                                       run->count - run->first, &sink, &taken, err));
        run->first += taken;
        advance(run, run->first);
        if (run->status != S3R_OK)
            return s3r_fail(err, run->status, "%s: the result was not taken",
                            run->items[run->next - 1]->audio_path);
    }
    (void)goes_on(run);
    return S3R_OK;
}

static s3r_status open_run(identify_run *run, s3r_error *err)
{
    const s3r_model *model = run->model;
    size_t languages = model->route.languages.count;
    s3r_tape *tape = &run->context->tape;
    tape->is_bf16 = model->is_bf16;
    tape->is_recording = tape->is_training = false;
    const s3r_frame_features_options options = {.tape = tape,
                                                .config = &model->config,
                                                .weights = &model->weights,
                                                .layer = model->config.block_count,
                                                .batch_s = run->options->batch_s,
                                                .window_s = run->options->window_s,
                                                .context_s = run->options->context_s,
                                                .raw_rate_hz = run->options->raw_rate_hz,
                                                .allow_ffmpeg =
                                                    run->options->allow_ffmpeg,
                                                .may_be_infinite = true};
    S3R_TRY(s3r_frame_features_open(&run->features, &options, err));
    run->seconds = s3r_alloc(run->count, sizeof *run->seconds);
    run->probabilities = s3r_alloc(languages, sizeof *run->probabilities);
    run->sorted = s3r_alloc(languages, sizeof *run->sorted);
    if (!run->seconds || !run->probabilities || !run->sorted)
        return s3r_fail_memory(err, "the languages", languages);
    for (size_t i = 0; i < run->count; i++) {
        double seconds = run->items[i]->duration_s;
        if (seconds < 0)
            seconds = s3r_audio_probe_seconds(run->items[i]->audio_path);
        run->total_s += fmax(seconds, 0.0);
    }
    return s3r_language_pool_init(&run->pool, model->config.hidden_size, err);
}

static s3r_status check(const s3r_model *model, const s3r_identify_options *options,
                        s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("identify options", sizeof *options,
                                   options->struct_size, err));
    S3R_TRY(s3r_options_check_windows(options->window_s, options->context_s,
                                      options->batch_s, err));
    return s3r_model_check_languages(model, err);
}

/* Runs `count` utterances that lie one after another. */
static s3r_status run_utterances(identify_run *run, const s3r_utterance *utterances,
                                 size_t count, s3r_error *err)
{
    run->count = count;
    run->items = s3r_alloc(count, sizeof *run->items);
    if (!run->items)
        return s3r_fail_memory(err, "the files", count * sizeof *run->items);
    for (size_t i = 0; i < count; i++)
        run->items[i] = &utterances[i];
    s3r_status status = open_run(run, err);
    if (status == S3R_OK)
        status = run_batches(run, err);
    s3r_language_pool_release(&run->pool);
    s3r_frame_features_close(&run->features);
    s3r_free(run->seconds);
    s3r_free(run->probabilities);
    s3r_free(run->sorted);
    s3r_free(run->items);
    return status;
}

s3r_status s3r_identify(s3r_context *context, const s3r_model *model,
                        const char *const *paths, size_t path_count,
                        const s3r_identify_options *options, s3r_result_fn result,
                        void *result_context, s3r_error *err)
{
    s3r_identify_options defaults;
    s3r_identify_options_init(&defaults);
    identify_run run = {.context = context,
                        .model = model,
                        .options = options ? options : &defaults,
                        .result = result,
                        .result_context = result_context};
    S3R_TRY(check(model, run.options, err));
    s3r_utterance *utterances = s3r_alloc(path_count, sizeof *utterances);
    if (!utterances)
        return s3r_fail_memory(err, "the files", path_count * sizeof *utterances);
    for (size_t i = 0; i < path_count; i++)
        utterances[i] =
            (s3r_utterance){.id = paths[i], .audio_path = paths[i], .duration_s = -1.0};
    s3r_status status = run_utterances(&run, utterances, path_count, err);
    s3r_free(utterances);
    if (status == S3R_OK && run.failed > 0)
        return s3r_fail(err, S3R_ERR_PARTIAL, "%zu of %zu files failed", run.failed,
                        path_count);
    return status;
}

/* ---- against the languages that are known ---- */

typedef struct comparison {
    const s3r_language_list *languages;
    const s3r_manifest *manifest;
    s3r_identify_summary *summary;
    s3r_result_fn result;
    void *result_context;
} comparison;

static s3r_status compare(void *context, const s3r_result *result)
{
    const comparison *c = context;
    s3r_identify_summary *summary = c->summary;
    size_t spoken = 0, named = 0;
    if (result->status == S3R_OK) {
        const char *language = c->manifest->items[result->index].language;
        bool is_known =
            s3r_language_list_find(c->languages, language, &spoken) &&
            s3r_language_list_find(c->languages, result->languages[0].name, &named);
        assert(is_known); /* both were checked */
        (void)is_known;
        summary->confusion[spoken * summary->language_count + named]++;
        summary->utterances++;
        summary->right += spoken == named;
        summary->duration_s += result->duration_s;
    } else {
        summary->failed++;
    }
    return c->result ? c->result(c->result_context, result) : S3R_OK;
}

void s3r_identify_count(const s3r_identify_summary *summary, size_t language,
                        size_t *utterances, size_t *right)
{
    const size_t *row = summary->confusion + language * summary->language_count;
    *utterances = 0;
    for (size_t c = 0; c < summary->language_count; c++)
        *utterances += row[c];
    *right = row[language];
}

static void finish_summary(s3r_identify_summary *summary)
{
    size_t spoken = 0;
    double sum = 0;
    for (size_t c = 0; c < summary->language_count; c++) {
        size_t utterances, right;
        s3r_identify_count(summary, c, &utterances, &right);
        spoken += utterances > 0;
        sum += utterances > 0 ? (double)right / (double)utterances : 0.0;
    }
    summary->accuracy =
        (double)summary->right / (double)S3R_MAX(summary->utterances, (size_t)1);
    summary->mean_accuracy = sum / (double)S3R_MAX(spoken, (size_t)1);
}

void s3r_identify_summary_release(s3r_identify_summary *summary)
{
    s3r_free(summary->confusion);
    *summary = (s3r_identify_summary){0};
}

static s3r_status run_manifest(identify_run *run, comparison *c, s3r_error *err)
{
    const s3r_manifest *manifest = c->manifest;
    size_t count = c->languages->count, index;
    for (size_t i = 0; i < manifest->count; i++)
        S3R_TRY(s3r_utterance_language(&index, &manifest->items[i], manifest->path,
                                       c->languages, err));
    c->summary->language_count = count;
    c->summary->confusion = s3r_alloc(count, count * sizeof(size_t));
    if (!c->summary->confusion)
        return s3r_fail_memory(err, "the confusions", count * count * sizeof(size_t));
    S3R_TRY(run_utterances(run, manifest->items, manifest->count, err));
    finish_summary(c->summary);
    if (c->summary->utterances == 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: every utterance failed", manifest->path);
    if (run->failed > 0)
        return s3r_fail(err, S3R_ERR_PARTIAL, "%zu of %zu utterances failed", run->failed,
                        manifest->count);
    return S3R_OK;
}

s3r_status s3r_identify_manifest(s3r_context *context, const s3r_model *model,
                                 const char *manifest_path,
                                 const s3r_identify_options *options,
                                 s3r_result_fn result, void *result_context,
                                 s3r_identify_summary *summary, s3r_error *err)
{
    s3r_manifest manifest;
    s3r_identify_options defaults;
    s3r_identify_options_init(&defaults);
    comparison c = {.languages = &model->route.languages,
                    .manifest = &manifest,
                    .summary = summary,
                    .result = result,
                    .result_context = result_context};
    identify_run run = {.context = context,
                        .model = model,
                        .options = options ? options : &defaults,
                        .result = compare,
                        .result_context = &c};
    *summary = (s3r_identify_summary){0};
    S3R_TRY(check(model, run.options, err));
    S3R_TRY(s3r_manifest_open(&manifest, manifest_path, err));
    s3r_status status = run_manifest(&run, &c, err);
    s3r_manifest_close(&manifest);
    if (status != S3R_OK && status != S3R_ERR_PARTIAL)
        s3r_identify_summary_release(summary);
    return status;
}
