/*
 * Batches of files through the network.
 *
 * Files are taken in the order of the list until their audio reaches the batch length,
 * decoded in parallel, run together, and reported in order; a long file runs alone, in
 * windows.  Whether a file is long depends on itself only, so that its numbers do not
 * depend on its neighbours.
 *
 * A job is a file in one model.  Jobs of one model run as a batch; those of several run
 * as lanes, which share what the models have in common.
 */
#include "api/transcribe_run.h"

#include <math.h>
#include <string.h>

#include "api/transcribe_files.h"
#include "api/transcribe_identify.h"
#include "api/windowed_inference.h"
#include "tasks/routed_inference.h"

#define MAX_BATCH_JOBS   256u
#define MAX_BATCH_ARRAYS 256u /* .npy files open at once */

typedef struct transcribe_run {
    s3r_context *context;
    const s3r_model *base;
    const s3r_transcribe_options *options;
    const s3r_transcribe_request *requests;
    size_t request_count;
    size_t first;          /* request of the batch */
    double *seconds;       /* [request_count] of the audio, as headers tell; negative: not
                              known */
    s3r_heard_file *files; /* of the batch, a request each */
    size_t file_count;
    s3r_file_job *jobs; /* of the batch, those of a file together */
    size_t job_count;
    size_t *waiting; /* [waiting_count] jobs that have not run yet */
    size_t waiting_count;
    size_t *running; /* job of each utterance or lane that runs */
    s3r_waveform *waves;
    size_t *wave_of_file;   /* [file_count] */
    size_t *chosen;         /* [file_count] its only lane; S3R_NO_LANE: all */
    bool is_long;           /* what runs now is one long file */
    double done_s, total_s; /* files that were reported; all, as far as headers tell */
    double window_s;        /* done of the long file */
    size_t failed;          /* requests */
} transcribe_run;

/* ---- the network ---- */

/* A failure of one file ends a run of that file alone; in a batch the others go on. */
static s3r_status end_rows(transcribe_run *run, const s3r_file_job *job,
                           const s3r_frame_rows *rows)
{
    const s3r_model_config *config = &run->base->config;
    if (!run->is_long)
        return S3R_OK;
    run->window_s = (double)(rows->first_frame + rows->count) *
                    (double)s3r_config_stride(config) / (double)config->sample_rate;
    return job->status;
}

static s3r_status take_log_probs(void *context, const s3r_frame_rows *rows,
                                 s3r_error *err)
{
    transcribe_run *run = context;
    s3r_file_job *job = &run->jobs[run->running[rows->utterance]];
    (void)err;
    s3r_file_job_log_probs(job, rows);
    return end_rows(run, job, rows);
}

static s3r_status take_hidden(void *context, size_t layer, const s3r_frame_rows *rows,
                              s3r_error *err)
{
    transcribe_run *run = context;
    s3r_file_job *job = &run->jobs[run->running[rows->utterance]];
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

static s3r_inference inference_of(transcribe_run *run, const s3r_model *model)
{
    const s3r_transcribe_options *options = run->options;
    s3r_inference inference = s3r_windowed_inference(
        run->context, model, options->window_s, options->context_s);
    inference.sink_context = inference.goes_on_context = run;
    inference.goes_on = report_progress;
    if (!options->features_folder || options->emissions_folder)
        inference.log_probs = take_log_probs;
    if (options->features_folder)
        inference.hidden = take_hidden;
    return inference;
}

static s3r_waveform wave_of(const s3r_file_job *job)
{
    return s3r_waveform_make(&job->model->config, job->file->audio.samples,
                             job->file->audio.sample_count);
}

/* Runs a long file; a failure of its own is for its result. */
static s3r_status run_long(transcribe_run *run, size_t job, s3r_error *err)
{
    s3r_inference inference = inference_of(run, run->jobs[job].model);
    s3r_waveform wave = wave_of(&run->jobs[job]);
    run->running[0] = job;
    run->is_long = run->jobs[job].search.is_streamed = true;
    s3r_status status = s3r_inference_long(&inference, &wave, 0, err);
    run->is_long = false;
    run->window_s = 0;
    return run->jobs[job].status != S3R_OK ? S3R_OK : status;
}

/* Runs the first `count` waiting jobs, which are of one model. */
static s3r_status run_one_model(transcribe_run *run, size_t count, s3r_error *err)
{
    s3r_inference inference = inference_of(run, run->jobs[run->waiting[0]].model);
    for (size_t i = 0; i < count; i++) {
        run->running[i] = run->waiting[i];
        run->waves[i] = wave_of(&run->jobs[run->waiting[i]]);
    }
    return s3r_inference_batch(&inference, run->waves, count, err);
}

/* Fills models, offsets [models + 1] and utterances of lanes from the first `count`
 * waiting jobs, model after model, and the waves of their files. */
static void set_lanes(transcribe_run *run, size_t count, s3r_lane_model *models,
                      size_t *offset, size_t *utterance, s3r_lanes *lanes,
                      size_t *wave_count)
{
    const s3r_model *last = NULL;
    *lanes = (s3r_lanes){.models = models, .utterance = utterance};
    *wave_count = 0;
    for (size_t f = 0; f < run->file_count; f++)
        run->wave_of_file[f] = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const s3r_file_job *job = &run->jobs[run->waiting[i]];
        size_t file = (size_t)(job->file - run->files);
        if (job->model != last) {
            offset[lanes->model_count] = i;
            models[lanes->model_count++] =
                (s3r_lane_model){&job->model->config, &job->model->weights};
            last = job->model;
        }
        if (run->wave_of_file[file] == SIZE_MAX) {
            run->waves[*wave_count] = wave_of(job);
            run->wave_of_file[file] = (*wave_count)++;
        }
        run->running[i] = run->waiting[i];
        utterance[i] = run->wave_of_file[file];
    }
    offset[lanes->model_count] = count;
    lanes->of_model = (s3r_ragged){lanes->model_count, offset};
}

/* Runs the first `count` waiting jobs, model after model, as lanes. */
static s3r_status run_lanes(transcribe_run *run, size_t count, s3r_error *err)
{
    const s3r_model *first = run->jobs[run->waiting[0]].model;
    s3r_inference inference = inference_of(run, first);
    s3r_lane_model *models = s3r_alloc(count, sizeof *models);
    size_t *offset = s3r_alloc(2 * count + 1, sizeof *offset), waves;
    s3r_status status;
    if (!models || !offset) {
        status = s3r_fail_memory(err, "the lanes", count * sizeof *models);
    } else {
        s3r_lanes lanes;
        set_lanes(run, count, models, offset, offset + count + 1, &lanes, &waves);
        lanes.max_rows = s3r_seconds_to_frames(first, run->options->batch_s);
        status = s3r_inference_lanes(&inference, &lanes, run->waves, waves, err);
    }
    s3r_free(models);
    s3r_free(offset);
    return status;
}

static bool may_share(const s3r_model *a, const s3r_model *b)
{
    const s3r_lane_model x = {&a->config, &a->weights}, y = {&b->config, &b->weights};
    return a == b || s3r_lanes_may_share(&x, &y);
}

/* Moves waiting jobs from `from` on that are of this model to `from` and behind; returns
 * the place after them.  The order of the others changes, which changes nothing else. */
static size_t bring_together(transcribe_run *run, size_t from, const s3r_model *model)
{
    for (size_t i = from; i < run->waiting_count; i++) {
        size_t job = run->waiting[i];
        if (run->jobs[job].model != model)
            continue;
        run->waiting[i] = run->waiting[from];
        run->waiting[from++] = job;
    }
    return from;
}

/* Runs the waiting jobs that may run with the first; the others go on waiting. */
static s3r_status run_together(transcribe_run *run, s3r_error *err)
{
    const s3r_model *first = run->jobs[run->waiting[0]].model;
    size_t count = bring_together(run, 0, first);
    bool has_several = false;
    for (size_t i = count; i < run->waiting_count && !run->options->features_folder;
         i++) {
        const s3r_model *model = run->jobs[run->waiting[i]].model;
        if (!may_share(first, model))
            continue;
        count = bring_together(run, count, model);
        i = count - 1;
        has_several = true;
    }
    S3R_TRY(has_several ? run_lanes(run, count, err) : run_one_model(run, count, err));
    run->waiting_count -= count;
    memmove(run->waiting, run->waiting + count,
            run->waiting_count * sizeof *run->waiting);
    return S3R_OK;
}

/* Runs what of the batch could be loaded. */
static s3r_status run_batch(transcribe_run *run, s3r_error *err)
{
    const s3r_inference inference = inference_of(run, run->base);
    run->waiting_count = 0;
    for (size_t i = 0; i < run->job_count; i++)
        if (run->jobs[i].status == S3R_OK &&
            !s3r_inference_is_long(&inference, run->jobs[i].file->frames))
            run->waiting[run->waiting_count++] = i;
    while (run->waiting_count > 0)
        S3R_TRY(run_together(run, err));
    for (size_t i = 0; i < run->job_count; i++)
        if (run->jobs[i].status == S3R_OK &&
            s3r_inference_is_long(&inference, run->jobs[i].file->frames))
            S3R_TRY(run_long(run, i, err));
    return S3R_OK;
}

/* ---- files ---- */

static void load_file(void *context, size_t task, size_t worker)
{
    transcribe_run *run = context;
    (void)worker;
    s3r_heard_file_load(&run->files[task], run->base, run->options);
}

static void start_job(void *context, size_t task, size_t worker)
{
    transcribe_run *run = context;
    s3r_file_job *job = &run->jobs[task];
    (void)worker;
    if (job->status == S3R_OK)
        s3r_file_job_start(job, run->options);
}

static void search_job(void *context, size_t task, size_t worker)
{
    transcribe_run *run = context;
    s3r_file_job *job = &run->jobs[task];
    (void)worker;
    if (job->status == S3R_OK)
        job->status = s3r_job_search_finish(&job->search, &job->error);
}

/* How many jobs may run together for the arrays that each writes. */
static size_t most_jobs(const transcribe_run *run)
{
    const s3r_transcribe_options *options = run->options;
    size_t arrays = options->emissions_folder ? 1 : 0;
    if (options->features_folder)
        arrays += options->layer == S3R_LAYER_ALL ? run->base->config.block_count + 1 : 1;
    size_t jobs = MAX_BATCH_ARRAYS / S3R_MAX(arrays, (size_t)1);
    return S3R_MIN(S3R_MAX(jobs, (size_t)1), (size_t)MAX_BATCH_JOBS);
}

/* How many requests from `first` on run together: at least one, and a long one alone. */
static size_t choose_batch(const transcribe_run *run, size_t first)
{
    double total = 0, most_s = run->options->batch_s;
    size_t count = 0, jobs = 0, most = most_jobs(run);
    for (; first + count < run->request_count; count++) {
        size_t more = run->requests[first + count].lane_count;
        double length = run->seconds[first + count];
        bool is_alone = length < 0 || length > most_s;
        if (count > 0 &&
            (is_alone || total + length * (double)more > most_s || jobs + more > most))
            break;
        total += length * (double)more;
        jobs += more;
        if (is_alone)
            return 1;
    }
    return count;
}

static void set_files(transcribe_run *run, size_t first)
{
    run->first = first;
    run->file_count = choose_batch(run, first);
    run->job_count = 0;
    for (size_t i = 0; i < run->file_count; i++) {
        const s3r_transcribe_request *request = &run->requests[first + i];
        run->files[i] = (s3r_heard_file){.path = request->path, .index = request->index};
        if (request->audio) {
            run->files[i].audio = *request->audio;
            run->files[i].is_borrowed = true;
        }
    }
}

static void set_job(transcribe_run *run, const s3r_heard_file *file,
                    const s3r_transcribe_lane *lane, size_t part, size_t part_count)
{
    s3r_file_job *job = &run->jobs[run->job_count++];
    *job = (s3r_file_job){.file = file,
                          .model = lane->error ? run->base : lane->model,
                          .mask = lane->mask,
                          .part = part,
                          .part_count = part_count};
    if (lane->error) {
        job->status = lane->error->code;
        job->error = *lane->error;
    }
}

static void set_jobs(transcribe_run *run)
{
    for (size_t i = 0; i < run->file_count; i++) {
        const s3r_transcribe_request *request = &run->requests[run->first + i];
        const s3r_heard_file *file = &run->files[i];
        size_t chosen = run->chosen[i];
        if (chosen != S3R_NO_LANE) {
            set_job(run, file, &request->lanes[chosen], 0, 1);
            continue;
        }
        for (size_t part = 0; part < request->lane_count; part++)
            set_job(run, file, &request->lanes[part], part, request->lane_count);
    }
}

/* ---- results ---- */

/* The job of [from, end) whose text is the surest; the first of equals. */
static size_t surest_job(const transcribe_run *run, size_t from, size_t end)
{
    size_t best = from;
    double best_sureness = -1;
    for (size_t i = from; i < end; i++) {
        double sureness = s3r_file_job_sureness(&run->jobs[i]);
        if (sureness > best_sureness) {
            best = i;
            best_sureness = sureness;
        }
    }
    return best;
}

/* Reports the jobs [from, end) of one file. */
static s3r_status report_file(transcribe_run *run, size_t from, size_t end,
                              s3r_result_fn result, void *result_context, s3r_error *err)
{
    const s3r_heard_file *file = run->jobs[from].file;
    bool has_failed = false;
    if (end - from > 1 &&
        run->requests[run->first + (size_t)(file - run->files)].picks_surest) {
        from = surest_job(run, from, end);
        end = from + 1;
        run->jobs[from].part = 0;
        run->jobs[from].part_count = 1;
    }
    for (size_t i = from; i < end; i++) {
        S3R_TRY(s3r_file_job_finish(&run->jobs[i], result, result_context, err));
        has_failed = has_failed || run->jobs[i].status != S3R_OK;
    }
    run->failed += has_failed;
    run->done_s +=
        (double)file->audio.sample_count / (double)run->base->config.sample_rate;
    return S3R_OK;
}

static s3r_status report_batch(transcribe_run *run, s3r_result_fn result,
                               void *result_context, s3r_error *err)
{
    for (size_t from = 0, end; from < run->job_count; from = end) {
        for (end = from + 1;
             end < run->job_count && run->jobs[end].file == run->jobs[from].file;)
            end++;
        S3R_TRY(report_file(run, from, end, result, result_context, err));
    }
    return S3R_OK;
}

static void release_batch(transcribe_run *run)
{
    for (size_t i = 0; i < run->job_count; i++)
        s3r_file_job_release(&run->jobs[i]);
    for (size_t i = 0; i < run->file_count; i++)
        s3r_heard_file_release(&run->files[i]);
}

static s3r_status run_requests(transcribe_run *run, s3r_result_fn result,
                               void *result_context, s3r_error *err)
{
    s3r_pool *pool = run->context->pool;
    for (size_t first = 0; first < run->request_count; first += run->file_count) {
        if (!report_progress(run))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        set_files(run, first);
        s3r_pool_run(pool, run->file_count, load_file, run);
        s3r_status status = s3r_choose_lanes(run->context, &run->requests[first],
                                             run->files, run->file_count, run->options,
                                             report_progress, run, run->chosen, err);
        if (status == S3R_OK) {
            set_jobs(run);
            s3r_pool_run(pool, run->job_count, start_job, run);
            status = run_batch(run, err);
        }
        if (status == S3R_OK && run->options->decoder)
            s3r_pool_run(pool, run->job_count, search_job, run);
        if (status == S3R_OK)
            status = report_batch(run, result, result_context, err);
        release_batch(run);
        if (status != S3R_OK)
            return status;
    }
    (void)report_progress(run);
    return S3R_OK;
}

/* Memory for batches; what there is is released by the caller. */
static s3r_status make_room(transcribe_run *run, s3r_error *err)
{
    size_t jobs = MAX_BATCH_JOBS;
    for (size_t i = 0; i < run->request_count; i++)
        jobs = S3R_MAX(jobs, run->requests[i].lane_count);
    run->seconds = s3r_alloc(run->request_count, sizeof *run->seconds);
    run->files = s3r_alloc(MAX_BATCH_JOBS, sizeof *run->files);
    run->wave_of_file = s3r_alloc(MAX_BATCH_JOBS, sizeof *run->wave_of_file);
    run->chosen = s3r_alloc(MAX_BATCH_JOBS, sizeof *run->chosen);
    run->jobs = s3r_alloc(jobs, sizeof *run->jobs);
    run->waves = s3r_alloc(jobs, sizeof *run->waves);
    run->waiting = s3r_alloc(jobs, sizeof *run->waiting);
    run->running = s3r_alloc(jobs, sizeof *run->running);
    if (!run->seconds || !run->files || !run->wave_of_file || !run->chosen ||
        !run->jobs || !run->waves || !run->waiting || !run->running)
        return s3r_fail_memory(err, "a batch", jobs * sizeof *run->jobs);
    for (size_t i = 0; i < run->request_count; i++) {
        const s3r_audio *audio = run->requests[i].audio;
        run->seconds[i] = audio ? (double)audio->sample_count / audio->sample_rate_hz
                                : s3r_audio_probe_seconds(run->requests[i].path);
        run->total_s += fmax(run->seconds[i], 0.0);
    }
    return S3R_OK;
}

s3r_status s3r_transcribe_requests(s3r_context *context, const s3r_model *base,
                                   const s3r_transcribe_request *requests, size_t count,
                                   const s3r_transcribe_options *options,
                                   s3r_result_fn result, void *result_context,
                                   size_t *failed, s3r_error *err)
{
    transcribe_run run = {.context = context,
                          .base = base,
                          .options = options,
                          .requests = requests,
                          .request_count = count};
    s3r_status status = make_room(&run, err);
    if (status == S3R_OK)
        status = run_requests(&run, result, result_context, err);
    void *const room[] = {run.seconds, run.files, run.wave_of_file, run.chosen,
                          run.jobs,    run.waves, run.waiting,      run.running};
    for (size_t i = 0; i < S3R_ARRAY_LEN(room); i++)
        s3r_free(room[i]);
    *failed = run.failed;
    return status;
}

s3r_status s3r_transcribe_end(size_t failed, size_t count, s3r_error *err)
{
    if (failed == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_PARTIAL, "%zu of %zu files failed", failed, count);
}
