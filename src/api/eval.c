/*
 * Scoring a manifest: utterances are decoded in parallel, some seconds of audio at a
 * time, run through the network and reported in order, with those that failed in between.
 */
#include <math.h>
#include <string.h>

#include "api/decoder.h"
#include "api/eval_emissions.h"
#include "api/eval_tally.h"
#include "api/output_name.h"
#include "api/handles.h"
#include "api/transcribe_search.h"
#include "data/manifest.h"
#include "tasks/ctc_evaluate.h"

#define MAX_BATCH_UTTERANCES 256u
/* A day.  An input without an end must not fill the disk. */
#define LONGEST_SECONDS ((size_t)24 * 3600)

/* One utterance of the batch. */
typedef struct eval_job {
    size_t index; /* in the manifest */
    s3r_audio audio;
    s3r_status status;
    s3r_error error;
} eval_job;

typedef struct eval_run {
    s3r_context *context;
    const s3r_model *model;
    const s3r_eval_options *options;
    const s3r_manifest *manifest;
    s3r_emissions_fn take; /* NULL = none */
    void *take_context;
    s3r_eval_tally tally;
    s3r_evaluation evaluation;
    double *seconds; /* [utterances] as far as is known, else 0 */
    double done_s, total_s;
    eval_job *jobs;
    size_t job_count, reported; /* jobs of the batch; of them reported */
    s3r_audio_cache recording;  /* the last one that an utterance was cut from */
    s3r_evaluation_item *items; /* [batch] what could be loaded */
    size_t *item_jobs;          /* [batch] its job */
} eval_run;

static double job_seconds(const eval_run *run, const eval_job *job)
{
    return (double)job->audio.sample_count / (double)run->model->config.sample_rate;
}

/* ---- results ---- */

static s3r_status report_failure(eval_run *run, const eval_job *job, s3r_error *err)
{
    const s3r_utterance *utterance = &run->manifest->items[job->index];
    const s3r_eval_utterance result = {.index = job->index,
                                       .id = utterance->id,
                                       .status = job->status,
                                       .message = job->error.message,
                                       .duration_s = job_seconds(run, job)};
    return s3r_eval_tally_add(&run->tally, &result, err);
}

/* Reports the failed jobs before `end`; everything before was reported. */
static s3r_status report_failures(eval_run *run, size_t end, s3r_error *err)
{
    for (; run->reported < end; run->reported++)
        if (run->jobs[run->reported].status != S3R_OK)
            S3R_TRY(report_failure(run, &run->jobs[run->reported], err));
    return S3R_OK;
}

static s3r_status take_score(void *context, const s3r_utterance_score *score,
                             s3r_error *err)
{
    eval_run *run = context;
    size_t index = run->item_jobs[score->item];
    eval_job *job = &run->jobs[index];
    S3R_TRY(report_failures(run, index, err));
    run->reported = index + 1;
    if (!score->is_finite) {
        job->status = s3r_fail(&job->error, S3R_ERR_DATA,
                               "%s: expected finite log-probabilities (damaged audio or "
                               "weights)",
                               run->manifest->items[job->index].audio_path);
        return report_failure(run, job, err);
    }
    s3r_eval_utterance result = {.index = job->index,
                                 .id = run->manifest->items[job->index].id,
                                 .message = "",
                                 .duration_s = job_seconds(run, job),
                                 .reference = score->reference,
                                 .hypothesis = score->hypothesis};
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++) {
        const s3r_error_counts *counts = &score->counts[i];
        result.counts[i] = (s3r_eval_counts){counts->substitutions, counts->deletions,
                                             counts->insertions, counts->reference};
    }
    if (run->take)
        S3R_TRY(run->take(run->take_context, score->log_probs, score->frames,
                          score->reference, err));
    run->tally.frames += score->frames;
    run->tally.blank_frames += score->blank_frames;
    return s3r_eval_tally_add(&run->tally, &result, err);
}

static bool report_progress(void *context)
{
    const eval_run *run = context;
    const s3r_eval_options *options = run->options;
    return !options->progress ||
           options->progress(options->progress_context, run->done_s, run->total_s);
}

/* ---- batches ---- */

static s3r_audio_options audio_options(const eval_run *run)
{
    s3r_audio_options audio;
    s3r_audio_options_init(&audio);
    audio.sample_rate_hz = (uint32_t)run->model->config.sample_rate;
    audio.allow_ffmpeg = run->options->allow_ffmpeg;
    audio.max_sample_count = LONGEST_SECONDS * run->model->config.sample_rate;
    return audio;
}

/* Whole files, in parallel; what is cut from one has its turn after them. */
static void load_job(void *context, size_t task, size_t worker)
{
    const eval_run *run = context;
    eval_job *job = &run->jobs[task];
    const s3r_utterance *utterance = &run->manifest->items[job->index];
    s3r_audio_options audio = audio_options(run);
    (void)worker;
    if (utterance->offset_s <= 0)
        job->status = s3r_utterance_load(&job->audio, utterance, &audio, &job->error);
}

static void load_cut_jobs(eval_run *run)
{
    s3r_audio_options audio = audio_options(run);
    for (size_t i = 0; i < run->job_count; i++) {
        eval_job *job = &run->jobs[i];
        const s3r_utterance *utterance = &run->manifest->items[job->index];
        if (utterance->offset_s > 0)
            job->status = s3r_utterance_load_cached(&job->audio, &run->recording,
                                                    utterance, &audio, &job->error);
    }
}

/* Takes the next utterances that have a text; returns where the ones after begin. */
static size_t choose_jobs(eval_run *run, size_t first)
{
    double total = 0;
    size_t at = first;
    run->job_count = run->reported = 0;
    for (; at < run->manifest->count && run->job_count < MAX_BATCH_UTTERANCES; at++) {
        if (!s3r_utterance_has_text(&run->manifest->items[at]))
            continue;
        if (run->job_count > 0 && total + run->seconds[at] > run->options->batch_s)
            break;
        total += run->seconds[at];
        run->jobs[run->job_count++] = (eval_job){.index = at};
    }
    return at;
}

static s3r_status run_jobs(eval_run *run, s3r_error *err)
{
    size_t count = 0;
    s3r_pool_run(run->context->pool, run->job_count, load_job, run);
    load_cut_jobs(run);
    for (size_t i = 0; i < run->job_count; i++) {
        const eval_job *job = &run->jobs[i];
        if (job->status != S3R_OK)
            continue;
        run->item_jobs[count] = i;
        run->items[count++] = (s3r_evaluation_item){
            .wave = s3r_waveform_make(&run->model->config, job->audio.samples,
                                      job->audio.sample_count),
            .reference = run->manifest->items[job->index].text};
    }
    S3R_TRY(s3r_ctc_evaluate(&run->evaluation, run->items, count, err));
    return report_failures(run, run->job_count, err);
}

static s3r_status run_manifest(eval_run *run, s3r_error *err)
{
    s3r_status status = S3R_OK;
    for (size_t next = 0; next < run->manifest->count && status == S3R_OK;) {
        size_t first = next;
        next = choose_jobs(run, first);
        status = run_jobs(run, err);
        for (size_t i = 0; i < run->job_count; i++)
            s3r_audio_release(&run->jobs[i].audio);
        for (size_t i = first; i < next; i++)
            run->done_s +=
                s3r_utterance_has_text(&run->manifest->items[i]) ? run->seconds[i] : 0;
    }
    if (status != S3R_OK)
        return status;
    (void)report_progress(run);
    return s3r_eval_tally_finish(&run->tally, err);
}

/* ---- the call ---- */

static void set_evaluation(eval_run *run)
{
    const s3r_model *model = run->model;
    s3r_tape *tape = &run->context->tape;
    tape->is_bf16 = model->is_bf16;
    tape->is_recording = tape->is_training = false;
    run->evaluation = (s3r_evaluation){
        .tape = tape,
        .config = &model->config,
        .weights = &model->weights,
        .vocabulary = &model->vocabulary,
        .search = run->options->decoder ? &run->options->decoder->search : NULL,
        .keeps_emissions = run->take != NULL,
        .normalization = (s3r_normalization)run->options->normalization,
        .score = take_score,
        .score_context = run,
        .goes_on = report_progress,
        .goes_on_context = run};
    memcpy(run->evaluation.wants_unit, run->options->metrics,
           sizeof run->evaluation.wants_unit);
    s3r_evaluation_set_seconds(&run->evaluation, run->options->batch_s,
                               run->options->window_s, run->options->context_s);
}

/* Lengths as far as manifest and headers tell.  Counts what has no text. */
static s3r_status measure(eval_run *run, s3r_error *err)
{
    size_t count = run->manifest->count;
    for (size_t i = 0; i < count; i++) {
        const s3r_utterance *utterance = &run->manifest->items[i];
        if (!s3r_utterance_has_text(utterance)) {
            run->tally.summary->skipped++;
            continue;
        }
        double seconds = utterance->duration_s;
        if (seconds < 0)
            seconds = s3r_audio_probe_seconds(utterance->audio_path);
        run->seconds[i] = fmax(seconds, 0.0);
        run->total_s += run->seconds[i];
    }
    if (run->tally.summary->skipped == count)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected utterances with a text, found none",
                        run->manifest->path);
    return S3R_OK;
}

static s3r_status run_eval(eval_run *run, s3r_error *err)
{
    run->seconds = s3r_alloc(run->manifest->count, sizeof *run->seconds);
    run->jobs = s3r_alloc(MAX_BATCH_UTTERANCES, sizeof *run->jobs);
    run->items = s3r_alloc(MAX_BATCH_UTTERANCES, sizeof *run->items);
    run->item_jobs = s3r_alloc(MAX_BATCH_UTTERANCES, sizeof *run->item_jobs);
    if (!run->seconds || !run->jobs || !run->items || !run->item_jobs)
        return s3r_fail_memory(err, "a batch", MAX_BATCH_UTTERANCES * sizeof *run->jobs);
    run->tally.has_letters = !run->model->vocabulary.is_phonemes;
    S3R_TRY(s3r_eval_tally_open(&run->tally, run->manifest->count, err));
    S3R_TRY(measure(run, err));
    set_evaluation(run);
    return run_manifest(run, err);
}

s3r_status s3r_eval_emissions(s3r_context *context, const s3r_model *model,
                              const char *manifest_path, const s3r_eval_options *options,
                              s3r_eval_fn result, void *result_context,
                              s3r_eval_summary *summary, s3r_emissions_fn take,
                              void *take_context, s3r_error *err)
{
    s3r_manifest manifest;
    s3r_eval_options defaults;
    s3r_eval_options_init(&defaults);
    eval_run run = {.context = context,
                    .model = model,
                    .options = options ? options : &defaults,
                    .manifest = &manifest,
                    .take = take,
                    .take_context = take_context};
    run.tally = (s3r_eval_tally){.options = run.options,
                                 .result = result,
                                 .result_context = result_context,
                                 .summary = summary};
    S3R_TRY(s3r_eval_options_check(run.options, err));
    S3R_TRY(s3r_model_check_labels(model, "there is no text to score", err));
    if (run.options->table_path)
        S3R_TRY(s3r_output_check_inputs(run.options->table_path, &manifest_path, 1, err));
    S3R_TRY(s3r_job_search_check(run.options->decoder, model, err));
    S3R_TRY(s3r_manifest_open(&manifest, manifest_path, err));
    s3r_status status = run_eval(&run, err);
    s3r_eval_tally_release(&run.tally);
    s3r_audio_cache_release(&run.recording);
    s3r_free(run.seconds);
    s3r_free(run.jobs);
    s3r_free(run.items);
    s3r_free(run.item_jobs);
    s3r_manifest_close(&manifest);
    return status;
}

s3r_status s3r_eval(s3r_context *context, const s3r_model *model,
                    const char *manifest_path, const s3r_eval_options *options,
                    s3r_eval_fn result, void *result_context, s3r_eval_summary *summary,
                    s3r_error *err)
{
    return s3r_eval_emissions(context, model, manifest_path, options, result,
                              result_context, summary, NULL, NULL, err);
}
