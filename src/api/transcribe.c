/*
 * Batches of files through the network.
 *
 * Files are taken in the order of the list until their audio reaches the batch length,
 * decoded in parallel, run together, and reported in order; a long file runs alone, in
 * windows.  Whether a file is long depends on itself only, so that its numbers do not
 * depend on its neighbours.
 */
#include <math.h>
#include <string.h>

#include "api/options_check.h"
#include "api/windowed_inference.h"
#include "api/output_name.h"
#include "api/transcribe_files.h"
#include "audio/audio_normalize.h"
#include "base/file.h"

#define MAX_BATCH_FILES  256u
#define MAX_BATCH_ARRAYS 256u /* .npy files open at once */

void s3r_transcribe_options_init(s3r_transcribe_options *options)
{
    *options = (s3r_transcribe_options){.struct_size = sizeof *options,
                                        .window_s = 40,
                                        .context_s = 4,
                                        .batch_s = 40,
                                        .raw_rate_hz = 16000,
                                        .temperature = 1,
                                        .allow_ffmpeg = true,
                                        .layer = S3R_LAYER_LAST};
}

typedef struct transcribe_run {
    s3r_context *context;
    const s3r_model *model;
    const s3r_transcribe_options *options;
    const char *const *paths;
    size_t path_count;
    s3r_inference inference;
    s3r_file_job *jobs; /* of the batch */
    size_t job_count;
    size_t *wave_jobs;      /* [batch] job of each waveform that runs */
    bool is_long;           /* what runs now is one long file */
    double done_s, total_s; /* files that were reported; all, as far as headers tell */
    double window_s;        /* done of the long file */
    size_t failed;
} transcribe_run;

/* ---- checks ---- */

static s3r_status check_layer(const s3r_model *model,
                              const s3r_transcribe_options *options, s3r_error *err)
{
    int blocks = (int)model->config.block_count;
    if (options->features_folder &&
        (options->layer < S3R_LAYER_ALL || options->layer > blocks))
        return s3r_fail(err, S3R_ERR_USAGE, "layer: expected 0 to %d, found %d", blocks,
                        options->layer);
    return S3R_OK;
}

static s3r_status check_options(const s3r_model *model,
                                const s3r_transcribe_options *options, s3r_error *err)
{
    const char *path = s3r_checkpoint_path(model->checkpoint);
    S3R_TRY(s3r_options_check_size("transcribe options", sizeof *options,
                                   options->struct_size, err));
    S3R_TRY(s3r_options_check_windows(options->window_s, options->context_s,
                                      options->batch_s, err));
    S3R_TRY(check_layer(model, options, err));
    S3R_TRY(s3r_job_search_check(options->decoder, model, err));
    S3R_TRY(s3r_options_check_temperature(options->temperature, err));
    if (options->decoder && options->voice_only)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "voice_only (--vad): expected no decoder, which looks at all frames");
    bool wants_head = !options->features_folder || options->emissions_folder;
    if (wants_head)
        S3R_TRY(s3r_model_check_head(model, "features can be written, text cannot", err));
    if (!options->features_folder && !model->has_vocabulary)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: no vocab.json or dict.*.txt beside the weights, so labels "
                        "have no text",
                        path);
    return S3R_OK;
}

/* Two outputs must not go to one file. */
static s3r_status check_output_names(const transcribe_run *run, s3r_error *err)
{
    const char *emissions = run->options->emissions_folder;
    const char *features = run->options->features_folder;
    if (!emissions && !features)
        return S3R_OK;
    if (emissions && features && strcmp(emissions, features) == 0)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "emissions and features: expected two folders, found %s for both",
                        features);
    return s3r_output_names_check(run->paths, run->path_count, ".npy", err);
}

static s3r_status make_folders(const s3r_transcribe_options *options, s3r_error *err)
{
    if (options->emissions_folder)
        S3R_TRY(s3r_folder_create(options->emissions_folder, err));
    if (options->features_folder)
        S3R_TRY(s3r_folder_create(options->features_folder, err));
    if (options->emissions_folder && options->features_folder &&
        s3r_path_is_same(options->emissions_folder, options->features_folder))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "emissions and features: expected two folders, %s and %s are one",
                        options->emissions_folder, options->features_folder);
    return S3R_OK;
}

/* ---- the network ---- */

/* A failure of one file ends a run of that file alone; in a batch the others go on. */
static s3r_status end_rows(transcribe_run *run, const s3r_file_job *job,
                           const s3r_frame_rows *rows)
{
    if (!run->is_long)
        return S3R_OK;
    run->window_s = (double)(rows->first_frame + rows->count) *
                    (double)s3r_config_stride(&run->model->config) /
                    (double)run->model->config.sample_rate;
    return job->status;
}

static s3r_status take_log_probs(void *context, const s3r_frame_rows *rows,
                                 s3r_error *err)
{
    transcribe_run *run = context;
    s3r_file_job *job = &run->jobs[run->wave_jobs[rows->utterance]];
    (void)err;
    s3r_file_job_log_probs(job, rows);
    return end_rows(run, job, rows);
}

static s3r_status take_hidden(void *context, size_t layer, const s3r_frame_rows *rows,
                              s3r_error *err)
{
    transcribe_run *run = context;
    s3r_file_job *job = &run->jobs[run->wave_jobs[rows->utterance]];
    (void)err;
    s3r_file_job_hidden(job, layer, rows);
    return end_rows(run, job, rows);
}

static bool report_progress(void *context)
{
    const transcribe_run *run = context;
    const s3r_transcribe_options *options = run->options;
    if (!options->progress)
        return true;
    return options->progress(options->progress_context, run->done_s + run->window_s,
                             run->total_s);
}

static void set_inference(transcribe_run *run)
{
    run->inference = s3r_windowed_inference(
        run->context, run->model, run->options->window_s, run->options->context_s);
    run->inference.sink_context = run->inference.goes_on_context = run;
    run->inference.goes_on = report_progress;
    if (!run->options->features_folder || run->options->emissions_folder)
        run->inference.log_probs = take_log_probs;
    if (run->options->features_folder)
        run->inference.hidden = take_hidden;
}

static s3r_waveform wave_of(const transcribe_run *run, const s3r_file_job *job)
{
    return s3r_waveform_make(&run->model->config, job->audio.samples,
                             job->audio.sample_count);
}

/* Runs a long file; a failure of its own is for its result. */
static s3r_status run_long(transcribe_run *run, size_t job, s3r_error *err)
{
    s3r_waveform wave = wave_of(run, &run->jobs[job]);
    run->wave_jobs[0] = job;
    run->is_long = run->jobs[job].search.is_streamed = true;
    s3r_status status = s3r_inference_long(&run->inference, &wave, 0, err);
    run->is_long = false;
    return run->jobs[job].status != S3R_OK ? S3R_OK : status;
}

/* Runs what of the batch could be loaded. */
static s3r_status run_batch(transcribe_run *run, s3r_waveform *waves, s3r_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < run->job_count; i++) {
        const s3r_file_job *job = &run->jobs[i];
        if (job->status != S3R_OK || s3r_inference_is_long(&run->inference, job->frames))
            continue;
        run->wave_jobs[count] = i;
        waves[count++] = wave_of(run, job);
    }
    S3R_TRY(s3r_inference_batch(&run->inference, waves, count, err));
    for (size_t i = 0; i < run->job_count; i++) {
        const s3r_file_job *job = &run->jobs[i];
        if (job->status == S3R_OK && s3r_inference_is_long(&run->inference, job->frames))
            S3R_TRY(run_long(run, i, err));
    }
    return S3R_OK;
}

/* ---- files ---- */

static void load_job(void *context, size_t task, size_t worker)
{
    transcribe_run *run = context;
    (void)worker;
    s3r_file_job_start(&run->jobs[task], run->model, run->options);
}

static void search_job(void *context, size_t task, size_t worker)
{
    transcribe_run *run = context;
    s3r_file_job *job = &run->jobs[task];
    (void)worker;
    if (job->status == S3R_OK)
        job->status = s3r_job_search_finish(&job->search, &job->error);
}

/* How many files may run together for the arrays that each writes. */
static size_t most_files(const transcribe_run *run)
{
    const s3r_transcribe_options *options = run->options;
    size_t arrays = options->emissions_folder ? 1 : 0;
    if (options->features_folder)
        arrays +=
            options->layer == S3R_LAYER_ALL ? run->model->config.block_count + 1 : 1;
    size_t files = MAX_BATCH_ARRAYS / S3R_MAX(arrays, (size_t)1);
    return S3R_MIN(S3R_MAX(files, (size_t)1), (size_t)MAX_BATCH_FILES);
}

/* How many files from `first` on run together: at least one, and a long one alone. */
static size_t choose_batch(const transcribe_run *run, const double *seconds, size_t first)
{
    double total = 0;
    size_t count = 0, most = most_files(run);
    while (first + count < run->path_count && count < most) {
        double length = seconds[first + count];
        bool is_alone = length < 0 || length > run->options->batch_s;
        if (count > 0 && (is_alone || total + length > run->options->batch_s))
            break;
        total += length;
        count++;
        if (is_alone)
            break;
    }
    return count;
}

static s3r_status report_jobs(transcribe_run *run, s3r_result_fn result,
                              void *result_context, s3r_error *err)
{
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < run->job_count; i++) {
        s3r_file_job *job = &run->jobs[i];
        if (status == S3R_OK)
            status = s3r_file_job_finish(job, run->model, result, result_context, err);
        run->failed += job->status != S3R_OK;
        run->done_s +=
            (double)job->audio.sample_count / (double)run->model->config.sample_rate;
        s3r_file_job_release(job);
    }
    run->window_s = 0;
    return status;
}

static s3r_status run_files(transcribe_run *run, const double *seconds,
                            s3r_waveform *waves, s3r_result_fn result,
                            void *result_context, s3r_error *err)
{
    for (size_t first = 0; first < run->path_count;) {
        if (!report_progress(run))
            return s3r_fail(err, S3R_ERR_RUNTIME, "interrupted");
        run->job_count = choose_batch(run, seconds, first);
        for (size_t i = 0; i < run->job_count; i++)
            run->jobs[i] =
                (s3r_file_job){.path = run->paths[first + i], .index = first + i};
        s3r_pool_run(run->context->pool, run->job_count, load_job, run);
        s3r_status status = run_batch(run, waves, err);
        if (status != S3R_OK) {
            for (size_t i = 0; i < run->job_count; i++)
                s3r_file_job_release(&run->jobs[i]);
            return status;
        }
        if (run->options->decoder)
            s3r_pool_run(run->context->pool, run->job_count, search_job, run);
        S3R_TRY(report_jobs(run, result, result_context, err));
        first += run->job_count;
    }
    (void)report_progress(run);
    return S3R_OK;
}

static double *probe_files(transcribe_run *run)
{
    double *seconds = s3r_alloc(run->path_count, sizeof *seconds);
    for (size_t i = 0; seconds && i < run->path_count; i++) {
        seconds[i] = s3r_audio_probe_seconds(run->paths[i]);
        run->total_s += fmax(seconds[i], 0.0);
    }
    return seconds;
}

s3r_status s3r_transcribe(s3r_context *context, const s3r_model *model,
                          const char *const *paths, size_t path_count,
                          const s3r_transcribe_options *options, s3r_result_fn result,
                          void *result_context, s3r_error *err)
{
    s3r_transcribe_options defaults;
    s3r_transcribe_options_init(&defaults);
    transcribe_run run = {.context = context,
                          .model = model,
                          .options = options ? options : &defaults,
                          .paths = paths,
                          .path_count = path_count};
    S3R_TRY(check_options(model, run.options, err));
    S3R_TRY(check_output_names(&run, err));
    S3R_TRY(make_folders(run.options, err));
    set_inference(&run);
    double *seconds = probe_files(&run);
    s3r_waveform *waves = s3r_alloc(MAX_BATCH_FILES, sizeof *waves);
    run.jobs = s3r_alloc(MAX_BATCH_FILES, sizeof *run.jobs);
    run.wave_jobs = s3r_alloc(MAX_BATCH_FILES, sizeof *run.wave_jobs);
    s3r_status status = S3R_OK;
    if (!seconds || !waves || !run.jobs || !run.wave_jobs)
        status = s3r_fail_memory(err, "a batch", MAX_BATCH_FILES * sizeof *run.jobs);
    else
        status = run_files(&run, seconds, waves, result, result_context, err);
    s3r_free(seconds);
    s3r_free(waves);
    s3r_free(run.jobs);
    s3r_free(run.wave_jobs);
    if (status == S3R_OK && run.failed > 0)
        return s3r_fail(err, S3R_ERR_PARTIAL, "%zu of %zu files failed", run.failed,
                        path_count);
    return status;
}
