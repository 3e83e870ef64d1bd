/*
 * Texts to times, one utterance after another: audio, network, alignment, result.
 */
#include "s3r/align.h"

#include <math.h>
#include <string.h>

#include "api/align_job.h"
#include "api/options_check.h"
#include "api/windowed_inference.h"
#include "base/crc32c.h"
#include "base/text_buffer.h"
#include "data/manifest.h"
#include "text/unicode_text.h"

/* A day.  An input without an end must not fill the disk. */
#define NAME_BYTES      200 /* of a file, without an extension */
#define LONGEST_SECONDS ((size_t)24 * 3600)

void s3r_align_options_init(s3r_align_options *options)
{
    *options = (s3r_align_options){.struct_size = sizeof *options,
                                   .doubt = -3,
                                   .window_s = 40,
                                   .context_s = 4,
                                   .allow_ffmpeg = true};
}

typedef struct align_run {
    s3r_context *context;
    const s3r_model *model;
    const s3r_align_options *options;
    s3r_result_fn result;
    void *result_context;
    s3r_inference inference;
    s3r_align_job job; /* of the utterance that runs */
    double done_s, total_s;
    double window_s; /* done of the utterance that runs */
    size_t count, failed;
} align_run;

static double frame_seconds(const s3r_model *model)
{
    return (double)s3r_config_stride(&model->config) / (double)model->config.sample_rate;
}

/* ---- checks ---- */

static s3r_status check(const align_run *run, s3r_error *err)
{
    const s3r_align_options *options = run->options;
    S3R_TRY(s3r_options_check_size("align options", sizeof *options, options->struct_size,
                                   err));
    S3R_TRY(s3r_options_check_windows(options->window_s, options->context_s, 1, err));
    if ((unsigned)options->missing > S3R_ALIGN_STAR || isnan(options->doubt))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "align options: expected a policy of 0 to 2 and a number, found "
                        "%d and %g",
                        (int)options->missing, options->doubt);
    return s3r_model_check_labels(run->model, "nothing can be aligned", err);
}

/* ---- the network ---- */

static bool goes_on(void *context)
{
    const align_run *run = context;
    const s3r_align_options *options = run->options;
    return !options->progress ||
           options->progress(options->progress_context, run->done_s + run->window_s,
                             run->total_s);
}

static s3r_status take_log_probs(void *context, const s3r_frame_rows *rows,
                                 s3r_error *err)
{
    align_run *run = context;
    run->window_s = (double)(rows->first_frame + rows->count) * frame_seconds(run->model);
    return s3r_align_job_rows(&run->job, rows, err);
}

static void set_inference(align_run *run)
{
    run->inference = s3r_windowed_inference(
        run->context, run->model, run->options->window_s, run->options->context_s);
    run->inference.sink_context = run->inference.goes_on_context = run;
    run->inference.goes_on = goes_on;
    run->inference.log_probs = take_log_probs;
}

static s3r_audio_options audio_options(const align_run *run)
{
    s3r_audio_options audio;
    s3r_audio_options_init(&audio);
    audio.sample_rate_hz = (uint32_t)run->model->config.sample_rate;
    audio.allow_ffmpeg = run->options->allow_ffmpeg;
    audio.max_sample_count = LONGEST_SECONDS * run->model->config.sample_rate;
    return audio;
}

/* ---- one utterance ---- */

typedef struct align_source {
    size_t index;
    const char *path, *name, *text;
    const s3r_audio *audio;
} align_source;

static s3r_status align_audio(align_run *run, const align_source *source, s3r_error *err)
{
    const s3r_model *model = run->model;
    size_t frames = s3r_config_frames(&model->config, source->audio->sample_count);
    S3R_TRY(s3r_align_job_start(&run->job, model, source->path, frames, source->text,
                                run->options->missing, err));
    s3r_waveform wave = s3r_waveform_make(&model->config, source->audio->samples,
                                          source->audio->sample_count);
    S3R_TRY(s3r_inference_recording(&run->inference, &wave, frames, err));
    return s3r_align_job_finish(&run->job, run->options->doubt, goes_on, run, err);
}

/* Reports what became of an utterance.  `status` and `failure` are of loading it. */
static s3r_status run_one(align_run *run, const align_source *source, s3r_status status,
                          s3r_error *failure, s3r_error *err)
{
    double rate = (double)run->model->config.sample_rate;
    s3r_audio_spool_init(&run->job.emissions, 0);
    if (!goes_on(run))
        return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
    if (status == S3R_OK)
        status = align_audio(run, source, failure);
    if (status == S3R_ERR_INTERRUPTED)
        return s3r_fail(err, status, "interrupted");
    const s3r_align_job *job = &run->job;
    bool is_ok = status == S3R_OK;
    const s3r_result result = {
        .index = source->index,
        .path = source->path,
        .part_count = 1,
        .name = source->name,
        .id = source->name ? source->path : NULL,
        .status = status,
        .message = is_ok ? "" : failure->message,
        .duration_s = source->audio ? (double)source->audio->sample_count / rate : 0,
        .frame_count = is_ok ? job->frames : 0,
        .frame_s = frame_seconds(run->model),
        .is_aligned = true,
        .text = is_ok ? job->joined : NULL,
        .labels = is_ok ? job->labels : NULL,
        .label_count = is_ok ? job->text.count : 0,
        .words = is_ok ? job->words : NULL,
        .word_count = is_ok ? job->text.word_count : 0,
        .confidence = is_ok ? job->confidence : 1};
    run->count++;
    run->failed += !is_ok;
    status = run->result(run->result_context, &result);
    if (status != S3R_OK)
        s3r_fail(err, status, "%s: the result was not taken", source->path);
    return status;
}

static s3r_status end_one(align_run *run, const s3r_audio *audio, s3r_status status)
{
    s3r_align_job_release(&run->job);
    run->done_s += (double)audio->sample_count / (double)run->model->config.sample_rate;
    run->window_s = 0;
    return status;
}

static s3r_status conclude(align_run *run, s3r_error *err)
{
    (void)goes_on(run);
    if (run->failed > 0)
        return s3r_fail(err, S3R_ERR_PARTIAL, "%zu of %zu alignments failed", run->failed,
                        run->count);
    return S3R_OK;
}

/* ---- the calls ---- */

s3r_status s3r_align(s3r_context *context, const s3r_model *model,
                     const s3r_align_item *items, size_t item_count,
                     const s3r_align_options *options, s3r_result_fn result,
                     void *result_context, s3r_error *err)
{
    s3r_align_options defaults;
    s3r_align_options_init(&defaults);
    align_run run = {.context = context,
                     .model = model,
                     .options = options ? options : &defaults,
                     .result = result,
                     .result_context = result_context};
    S3R_TRY(check(&run, err));
    set_inference(&run);
    for (size_t i = 0; i < item_count; i++)
        run.total_s += fmax(s3r_audio_probe_seconds(items[i].path), 0);
    for (size_t i = 0; i < item_count; i++) {
        s3r_audio audio = {0};
        s3r_audio_options wanted = audio_options(&run);
        s3r_error failure = {0};
        s3r_status status = s3r_audio_load(&audio, items[i].path, &wanted, &failure);
        const align_source source = {
            .index = i, .path = items[i].path, .text = items[i].text, .audio = &audio};
        status = end_one(&run, &audio, run_one(&run, &source, status, &failure, err));
        s3r_audio_release(&audio);
        S3R_TRY(status);
    }
    return conclude(&run, err);
}

/* An id as the name of a file, which is not hidden; of a long one the first bytes and a
 * checksum. */
static s3r_status name_of(char **name, const char *id, s3r_error *err)
{
    s3r_text_buffer text = {0};
    for (const char *at = id; *at && text.length <= NAME_BYTES; at++) {
        if (*at == '/' || *at == '%' || (*at == '.' && at == id))
            s3r_buffer_add(&text, "%%%02X", (unsigned)*at);
        else
            s3r_buffer_add_bytes(&text, at, 1);
    }
    if (text.text && text.length > NAME_BYTES) {
        text.length = s3r_utf8_prefix(text.text, NAME_BYTES);
        s3r_buffer_add(&text, "-%08x", (unsigned)s3r_crc32c(id, strlen(id)));
    }
    return s3r_buffer_take(&text, name, "a name", err);
}

static s3r_status align_utterance(align_run *run, const s3r_utterance *utterance,
                                  size_t index, s3r_audio_cache *cache, s3r_error *err)
{
    char *name;
    s3r_audio audio = {0};
    s3r_audio_options wanted = audio_options(run);
    s3r_error failure = {0};
    S3R_TRY(name_of(&name, utterance->id, err));
    s3r_status status =
        s3r_utterance_load_cached(&audio, cache, utterance, &wanted, &failure);
    const align_source source = {.index = index,
                                 .path = utterance->id,
                                 .name = name,
                                 .text = utterance->text,
                                 .audio = &audio};
    status = end_one(run, &audio, run_one(run, &source, status, &failure, err));
    s3r_audio_release(&audio);
    s3r_free(name);
    return status;
}

static s3r_status align_all(align_run *run, const s3r_manifest *manifest, s3r_error *err)
{
    s3r_audio_cache cache = {0};
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < manifest->count; i++)
        if (manifest->items[i].text)
            run->total_s += fmax(manifest->items[i].duration_s, 0);
    for (size_t i = 0; i < manifest->count && status == S3R_OK; i++)
        if (manifest->items[i].text)
            status = align_utterance(run, &manifest->items[i], i, &cache, err);
    s3r_audio_cache_release(&cache);
    if (status == S3R_OK && run->count == 0)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected utterances with a text, found none",
                        manifest->path);
    return status == S3R_OK ? conclude(run, err) : status;
}

s3r_status s3r_align_manifest(s3r_context *context, const s3r_model *model,
                              const char *manifest_path, const s3r_align_options *options,
                              s3r_result_fn result, void *result_context, s3r_error *err)
{
    s3r_manifest manifest;
    s3r_align_options defaults;
    s3r_align_options_init(&defaults);
    align_run run = {.context = context,
                     .model = model,
                     .options = options ? options : &defaults,
                     .result = result,
                     .result_context = result_context};
    S3R_TRY(check(&run, err));
    set_inference(&run);
    S3R_TRY(s3r_manifest_open(&manifest, manifest_path, err));
    s3r_status status = align_all(&run, &manifest, err);
    s3r_manifest_close(&manifest);
    return status;
}
