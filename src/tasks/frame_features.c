/*
 * Batches of utterances, loaded in parallel, through the cepstra or the network.
 */
#include "tasks/frame_features.h"

#include <math.h>
#include <string.h>

#include "tasks/ctc_inference.h"

#define MAX_BATCH_UTTERANCES 256u
/* A day.  An input without an end must not fill the disk. */
#define LONGEST_SECONDS ((size_t)24 * 3600)
#define WINDOW_S        40.0
#define CONTEXT_S       4.0
#define MOST_FRAMES     1e9 /* of a window */
/* The encoder of the family: frames of 20 ms. */
#define ENCODER_WINDOW  400u
#define ENCODER_STRIDE  320u
#define LEAST_DEVIATION 1e-8

static s3r_status take_layer(s3r_frame_features *out,
                             const s3r_frame_features_options *options, s3r_error *err)
{
    out->config = *options->config;
    out->weights = options->weights;
    out->layer = options->layer;
    if (options->layer > out->config.block_count)
        return s3r_fail(err, S3R_ERR_USAGE, "layer: expected 0 to %zu, found %zu",
                        out->config.block_count, options->layer);
    /* A hidden state is known before the block that reads it; the last one has passed the
     * norm behind all blocks. */
    out->config.block_count = S3R_MIN(out->config.block_count, options->layer + 1);
    out->dim = out->config.hidden_size;
    out->frame_stride = s3r_config_stride(&out->config);
    out->sample_rate_hz = (uint32_t)out->config.sample_rate;
    double rate = (double)out->sample_rate_hz / (double)out->frame_stride;
    bool is_default = options->window_s == 0;
    double window_s = is_default ? WINDOW_S : options->window_s;
    double context_s = is_default ? CONTEXT_S : options->context_s;
    out->window_frames = (size_t)fmin(fmax(window_s * rate, 2), MOST_FRAMES);
    out->context_frames = (size_t)fmin(context_s * rate, MOST_FRAMES);
    return S3R_OK;
}

s3r_status s3r_frame_features_open(s3r_frame_features *out,
                                   const s3r_frame_features_options *options,
                                   s3r_error *err)
{
    *out = (s3r_frame_features){.tape = options->tape,
                                .batch_s = options->batch_s,
                                .normalizes = options->normalizes,
                                .allow_ffmpeg = options->allow_ffmpeg,
                                .may_be_infinite = options->may_be_infinite,
                                .raw_rate_hz = options->raw_rate_hz};
    if (options->config)
        return take_layer(out, options, err);
    out->dim = S3R_MFCC_DIM;
    out->frame_stride = ENCODER_STRIDE;
    out->sample_rate_hz = S3R_MFCC_RATE_HZ;
    return s3r_mfcc_create(&out->mfcc, options->tape->kernels, err);
}

void s3r_frame_features_close(s3r_frame_features *features)
{
    s3r_mfcc_destroy(features->mfcc);
    s3r_audio_cache_release(&features->recording);
    *features = (s3r_frame_features){0};
}

/* ---- a batch ---- */

typedef struct feature_job {
    s3r_audio audio;
    s3r_status status;
    s3r_error error;
} feature_job;

typedef struct feature_batch {
    s3r_frame_features *features;
    const s3r_utterance *const *items;
    const s3r_frame_sink *sink;
    feature_job *jobs; /* [count] */
    float *whole;      /* rows of an utterance that is not complete; NULL = none */
    size_t whole_count;
    s3r_waveform *waves; /* [count] of the jobs that go through the network together, */
    size_t first_wave, wave_count; /* the first one's number */
} feature_batch;

static s3r_audio_options audio_options(const s3r_frame_features *features)
{
    s3r_audio_options audio;
    s3r_audio_options_init(&audio);
    audio.sample_rate_hz = features->sample_rate_hz;
    audio.allow_ffmpeg = features->allow_ffmpeg;
    if (features->raw_rate_hz > 0)
        audio.raw_rate_hz = features->raw_rate_hz;
    audio.max_sample_count = LONGEST_SECONDS * audio.sample_rate_hz;
    return audio;
}

/* Whole files, in parallel; what is cut from one has its turn after them. */
static void load_job(void *context, size_t task, size_t worker)
{
    const feature_batch *batch = context;
    feature_job *job = &batch->jobs[task];
    s3r_audio_options audio = audio_options(batch->features);
    (void)worker;
    if (batch->items[task]->offset_s <= 0)
        job->status =
            s3r_utterance_load(&job->audio, batch->items[task], &audio, &job->error);
}

static void load_cut_jobs(const feature_batch *batch, size_t count)
{
    s3r_audio_options audio = audio_options(batch->features);
    for (size_t i = 0; i < count; i++) {
        feature_job *job = &batch->jobs[i];
        if (batch->items[i]->offset_s > 0)
            job->status =
                s3r_utterance_load_cached(&job->audio, &batch->features->recording,
                                          batch->items[i], &audio, &job->error);
    }
}

/* How many items make a batch. */
static size_t choose(const s3r_frame_features *features,
                     const s3r_utterance *const *items, size_t count)
{
    double total = 0;
    size_t taken = 0;
    for (; taken < S3R_MIN(count, (size_t)MAX_BATCH_UTTERANCES); taken++) {
        double seconds = items[taken]->duration_s;
        if (seconds < 0)
            seconds = fmax(s3r_audio_probe_seconds(items[taken]->audio_path), 0);
        total += seconds;
        if (taken > 0 && total > features->batch_s)
            break;
    }
    return taken;
}

/* A dimension that does not vary becomes 0. */
static void normalize(float *rows, size_t count, size_t dim)
{
    for (size_t j = 0; j < dim; j++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < count; i++)
            sum += (double)rows[i * dim + j];
        double mean = sum / (double)count;
        for (size_t i = 0; i < count; i++) {
            double apart = (double)rows[i * dim + j] - mean;
            squares += apart * apart;
        }
        double deviation = sqrt(squares / (double)count);
        for (size_t i = 0; i < count; i++) {
            double apart = (double)rows[i * dim + j] - mean;
            rows[i * dim + j] =
                deviation > LEAST_DEVIATION ? (float)(apart / deviation) : 0.0f;
        }
    }
}

static s3r_status give(const feature_batch *batch, size_t item, const float *rows,
                       size_t stride, size_t count, s3r_error *err)
{
    for (size_t i = 0; i < count && !batch->features->may_be_infinite; i++)
        for (size_t j = 0; j < batch->features->dim; j++)
            if (!isfinite(rows[i * stride + j]))
                return s3r_fail(err, S3R_ERR_DATA,
                                "%s: expected finite features (damaged audio or "
                                "weights)",
                                batch->items[item]->audio_path);
    return batch->sink->rows(batch->sink->context, item, rows, stride, count, err);
}

/* ---- cepstra ---- */

static s3r_status run_cepstra(const feature_batch *batch, size_t item, s3r_error *err)
{
    const s3r_frame_features *features = batch->features;
    const s3r_audio *audio = &batch->jobs[item].audio;
    size_t frames = s3r_mfcc_frames(audio->sample_count);
    if (audio->sample_count < ENCODER_WINDOW)
        return S3R_OK;
    size_t wanted = (audio->sample_count - ENCODER_WINDOW) / ENCODER_STRIDE + 1;
    float *rows = s3r_alloc_raw(frames, S3R_MFCC_DIM * sizeof *rows);
    if (!rows)
        return s3r_fail_memory(err, "cepstra", frames * S3R_MFCC_DIM * sizeof *rows);
    s3r_mfcc_run(features->mfcc, features->tape->pool, audio->samples,
                 audio->sample_count, rows);
    frames = s3r_mfcc_halve(rows, frames, wanted);
    if (features->normalizes && frames > 0)
        normalize(rows, frames, S3R_MFCC_DIM);
    s3r_status status = give(batch, item, rows, S3R_MFCC_DIM, frames, err);
    s3r_free(rows);
    return status;
}

/* ---- the network ---- */

/* Pieces of an utterance come in order, those of the next one after them. */
static s3r_status collect(feature_batch *batch, size_t item, const float *rows,
                          size_t stride, size_t count, s3r_error *err)
{
    size_t dim = batch->features->dim;
    size_t total =
        s3r_config_frames(&batch->features->config, batch->jobs[item].audio.sample_count);
    if (!batch->whole)
        batch->whole = s3r_alloc_raw(total, dim * sizeof *rows);
    if (!batch->whole)
        return s3r_fail_memory(err, "an utterance's features",
                               total * dim * sizeof *rows);
    for (size_t i = 0; i < count; i++)
        memcpy(batch->whole + (batch->whole_count + i) * dim, rows + i * stride,
               dim * sizeof *rows);
    batch->whole_count += count;
    if (batch->whole_count < total)
        return S3R_OK;
    normalize(batch->whole, total, dim);
    s3r_status status = give(batch, item, batch->whole, dim, total, err);
    s3r_free(batch->whole);
    batch->whole = NULL;
    batch->whole_count = 0;
    return status;
}

static s3r_status take_hidden(void *context, size_t layer, const s3r_frame_rows *rows,
                              s3r_error *err)
{
    feature_batch *batch = context;
    const s3r_value *value = rows->value;
    const float *first = value->data + rows->row * value->stride;
    size_t item = batch->first_wave + rows->utterance;
    if (layer != batch->features->layer)
        return S3R_OK;
    if (batch->features->normalizes)
        return collect(batch, item, first, value->stride, rows->count, err);
    return give(batch, item, first, value->stride, rows->count, err);
}

static s3r_inference inference_of(feature_batch *batch)
{
    const s3r_frame_features *features = batch->features;
    return (s3r_inference){.tape = features->tape,
                           .config = &features->config,
                           .weights = features->weights,
                           .window_frames = features->window_frames,
                           .context_frames = features->context_frames,
                           .hidden = take_hidden,
                           .sink_context = batch,
                           .goes_on = batch->sink->goes_on,
                           .goes_on_context = batch->sink->context};
}

/* Runs the waves that were collected. */
static s3r_status run_waves(feature_batch *batch, s3r_error *err)
{
    s3r_inference inference = inference_of(batch);
    s3r_status status = S3R_OK;
    if (batch->wave_count > 0)
        status = s3r_inference_batch(&inference, batch->waves, batch->wave_count, err);
    batch->wave_count = 0;
    return status;
}

static s3r_status run_item(feature_batch *batch, size_t item, s3r_error *err)
{
    const s3r_frame_features *features = batch->features;
    const s3r_audio *audio = &batch->jobs[item].audio;
    s3r_inference inference = inference_of(batch);
    s3r_waveform wave =
        s3r_waveform_make(&features->config, audio->samples, audio->sample_count);
    size_t frames = s3r_config_frames(&features->config, audio->sample_count);
    bool is_long = s3r_inference_is_long(&inference, frames);
    if (is_long)
        S3R_TRY(run_waves(batch, err));
    if (batch->wave_count == 0)
        batch->first_wave = item;
    if (is_long)
        return s3r_inference_long(&inference, &wave, 0, err);
    batch->waves[batch->wave_count++] = wave;
    return S3R_OK;
}

/* ---- the whole ---- */

static s3r_status run_batch(feature_batch *batch, size_t count, s3r_error *err)
{
    s3r_pool_run(batch->features->tape->pool, count, load_job, batch);
    load_cut_jobs(batch, count);
    for (size_t i = 0; i < count; i++) {
        const feature_job *job = &batch->jobs[i];
        if (job->status == S3R_OK && batch->sink->loaded)
            batch->sink->loaded(batch->sink->context, i, job->audio.sample_count);
        if (job->status == S3R_OK && batch->features->mfcc) {
            S3R_TRY(run_cepstra(batch, i, err));
        } else if (job->status == S3R_OK) {
            S3R_TRY(run_item(batch, i, err));
        } else {
            /* Waves that run together have neighbouring numbers. */
            S3R_TRY(run_waves(batch, err));
            if (job->status == S3R_ERR_RESOURCE)
                return s3r_fail(err, job->status, "%s", job->error.message);
            batch->sink->failed(batch->sink->context, i, job->status, job->error.message);
        }
    }
    return run_waves(batch, err);
}

s3r_status s3r_frame_features_run(s3r_frame_features *features,
                                  const s3r_utterance *const *items, size_t count,
                                  const s3r_frame_sink *sink, size_t *taken,
                                  s3r_error *err)
{
    feature_batch batch = {.features = features, .items = items, .sink = sink};
    s3r_status status = S3R_OK;
    *taken = choose(features, items, count);
    batch.jobs = s3r_alloc(*taken, sizeof *batch.jobs);
    batch.waves = s3r_alloc(*taken, sizeof *batch.waves);
    if (batch.jobs && batch.waves)
        status = run_batch(&batch, *taken, err);
    else
        status = s3r_fail_memory(err, "a batch", *taken * sizeof *batch.jobs);
    for (size_t i = 0; batch.jobs && i < *taken; i++)
        s3r_audio_release(&batch.jobs[i].audio);
    s3r_free(batch.jobs);
    s3r_free(batch.whole);
    s3r_free(batch.waves);
    return status;
}
