/*
 * Windows over a buffer of samples at the model's rate, and labels that are merged as
 * frames come.
 *
 * Window k keeps frames [k C, (k + 1) C) and hears [k C - L, (k + 1) C + R), cut at both
 * ends of the stream.
 */
#include "s3r/stream.h"

#include <math.h>
#include <string.h>

#include "api/handles.h"
#include "api/options_check.h"
#include "api/result_words.h"
#include "audio/audio_magic.h"
#include "audio/audio_resample.h"
#include "base/text_buffer.h"
#include "tasks/calibration.h"
#include "tasks/ctc_inference.h"

#define WORD_PAUSE_S      0.6 /* ends a word where no delimiter does */
#define RESAMPLED_AT_ONCE ((size_t)4096)

void s3r_stream_options_init(s3r_stream_options *options)
{
    *options = (s3r_stream_options){.struct_size = sizeof *options,
                                    .chunk_s = 1,
                                    .left_s = 8,
                                    .right_s = 1,
                                    .temperature = 1};
}

/* A label whose word is not complete. */
typedef struct open_label {
    uint32_t id;
    size_t start_frame, end_frame;
    double probability; /* summed over its frames */
} open_label;

struct s3r_stream {
    s3r_context *context;
    const s3r_model *model;
    double temperature;
    size_t chunk, left, right; /* frames */
    s3r_stream_fn update;
    void *update_context;
    s3r_resampler *resampler; /* NULL: samples come at the model's rate */
    float *resampled;         /* [RESAMPLED_AT_ONCE] */
    size_t written;           /* samples that were handed over */
    float *samples;           /* from sample `first_sample` of the stream on */
    size_t first_sample, sample_count, capacity;
    size_t kept;                     /* frames that are decoded */
    size_t window_first, window_end; /* frames that the running window keeps, counted from
                                        its first one */
    open_label *labels;
    size_t label_count, label_capacity;
    uint32_t last_id;
    bool has_ended;    /* finished, or failed */
    bool is_last_open; /* the last label is that of the last frame */
};

/* ---- opening ---- */

static size_t to_frames(const s3r_model *model, double seconds)
{
    double frames = seconds * (double)model->config.sample_rate /
                    (double)s3r_config_stride(&model->config);
    return (size_t)fmin(round(frames), 1e9);
}

static s3r_status check(const s3r_model *model, const s3r_stream_options *options,
                        s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("stream options", sizeof *options,
                                   options->struct_size, err));
    S3R_TRY(s3r_options_check_temperature(options->temperature, err));
    bool is_right = options->chunk_s >= 0.1 && options->chunk_s <= 60 &&
                    options->left_s >= 0 && options->left_s <= 60 &&
                    options->right_s >= 0 && options->right_s <= 60;
    if (!is_right)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "expected chunks of 0.1 to 60 s with 0 to 60 s before and after "
                        "them, found %g, %g and %g",
                        options->chunk_s, options->left_s, options->right_s);
    uint32_t rate_hz = options->sample_rate_hz;
    if (rate_hz != 0 &&
        (rate_hz < S3R_AUDIO_MIN_RATE_HZ || rate_hz > S3R_AUDIO_MAX_RATE_HZ))
        return s3r_fail(err, S3R_ERR_USAGE, "sample rate: expected %u to %u Hz, found %u",
                        S3R_AUDIO_MIN_RATE_HZ, S3R_AUDIO_MAX_RATE_HZ, (unsigned)rate_hz);
    return s3r_model_check_labels(model, "there is no text", err);
}

static s3r_status open_resampler(s3r_stream *stream, uint32_t rate_hz, s3r_error *err)
{
    uint32_t own_rate_hz = (uint32_t)stream->model->config.sample_rate;
    if (rate_hz == 0 || rate_hz == own_rate_hz)
        return S3R_OK;
    stream->resampled = s3r_alloc(RESAMPLED_AT_ONCE, sizeof *stream->resampled);
    if (!stream->resampled)
        return s3r_fail_memory(err, "samples", RESAMPLED_AT_ONCE * sizeof(float));
    return s3r_resampler_create(&stream->resampler, rate_hz, own_rate_hz, err);
}

s3r_status s3r_stream_open(s3r_stream **out, s3r_context *context, const s3r_model *model,
                           const s3r_stream_options *options, s3r_stream_fn update,
                           void *update_context, s3r_error *err)
{
    s3r_stream_options defaults;
    s3r_stream_options_init(&defaults);
    options = options ? options : &defaults;
    S3R_TRY(check(model, options, err));
    s3r_stream *stream = s3r_alloc(1, sizeof *stream);
    if (!stream)
        return s3r_fail_memory(err, "a stream", sizeof *stream);
    stream->context = context;
    stream->model = model;
    stream->temperature = options->temperature;
    stream->chunk = S3R_MAX(to_frames(model, options->chunk_s), (size_t)1);
    stream->left = to_frames(model, options->left_s);
    stream->right = to_frames(model, options->right_s);
    stream->update = update;
    stream->update_context = update_context;
    stream->last_id = model->vocabulary.blank_id;
    s3r_status status = open_resampler(stream, options->sample_rate_hz, err);
    if (status != S3R_OK) {
        s3r_stream_close(stream);
        return status;
    }
    *out = stream;
    return S3R_OK;
}

void s3r_stream_close(s3r_stream *stream)
{
    if (!stream)
        return;
    s3r_resampler_destroy(stream->resampler);
    s3r_free(stream->resampled);
    s3r_free(stream->samples);
    s3r_free(stream->labels);
    s3r_free(stream);
}

bool s3r_stream_is_file(const void *bytes, size_t size)
{
    return s3r_audio_has_magic(bytes, size);
}

/* ---- labels ---- */

static s3r_status begin_label(s3r_stream *stream, uint32_t id, size_t frame,
                              s3r_error *err)
{
    if (stream->label_count == stream->label_capacity) {
        size_t capacity = 2 * stream->label_capacity + 64;
        open_label *grown =
            s3r_realloc(stream->labels, stream->label_capacity, capacity, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "labels", capacity * sizeof *grown);
        stream->labels = grown;
        stream->label_capacity = capacity;
    }
    stream->labels[stream->label_count++] = (open_label){id, frame, frame, 0};
    return S3R_OK;
}

static s3r_status take_frame(s3r_stream *stream, uint32_t id, double probability,
                             size_t frame, s3r_error *err)
{
    const s3r_vocabulary *vocabulary = &stream->model->vocabulary;
    bool is_printed = id < vocabulary->count && vocabulary->printed[id];
    if (id != stream->last_id) {
        stream->is_last_open = is_printed;
        if (is_printed)
            S3R_TRY(begin_label(stream, id, frame, err));
    }
    stream->last_id = id;
    if (stream->is_last_open) {
        open_label *label = &stream->labels[stream->label_count - 1];
        label->end_frame = frame + 1;
        label->probability += probability;
    }
    return S3R_OK;
}

static s3r_status take_log_probs(void *context, const s3r_frame_rows *rows,
                                 s3r_error *err)
{
    s3r_stream *stream = context;
    const s3r_value *value = rows->value;
    for (size_t i = stream->window_first; i < stream->window_end; i++) {
        const float *row = value->data + (rows->row + i) * value->stride;
        uint32_t best = s3r_best_label(row, value->cols);
        if (!isfinite(row[best]))
            return s3r_fail(err, S3R_ERR_DATA,
                            "frame %zu: expected finite log-probabilities (damaged audio "
                            "or weights)",
                            stream->kept);
        float probability =
            s3r_tempered_probability(row, value->cols, row[best], stream->temperature);
        S3R_TRY(take_frame(stream, best, (double)probability, stream->kept, err));
        stream->kept++;
    }
    return S3R_OK;
}

/* ---- updates ---- */

/* Whether a word ends between a label and what begins at `frame`, without a delimiter. */
static bool is_pause(const s3r_stream *stream, size_t label, size_t frame)
{
    return frame - stream->labels[label].end_frame >=
           to_frames(stream->model, WORD_PAUSE_S);
}

/* How many of the labels belong to complete words. */
static size_t count_complete(const s3r_stream *stream, bool is_end)
{
    const s3r_vocabulary *vocabulary = &stream->model->vocabulary;
    size_t count = stream->label_count, next = stream->kept;
    if (is_end)
        return count;
    if (vocabulary->delimiter_id == S3R_NO_LABEL) {
        for (; count > 0 && !is_pause(stream, count - 1, next); count--)
            next = stream->labels[count - 1].start_frame;
        return count;
    }
    while (count > 0 && stream->labels[count - 1].id != vocabulary->delimiter_id)
        count--;
    return count;
}

/* The first labels as words that pauses part; their texts are in `names`, each with a NUL
 * behind it. */
static s3r_status part_at_pauses(const s3r_stream *stream, const s3r_label_span *spans,
                                 size_t count, s3r_word_list *out, s3r_text_buffer *names,
                                 s3r_error *err)
{
    for (size_t first = 0, end; first < count; first = end) {
        char *text;
        for (end = first + 1;
             end < count && !is_pause(stream, end - 1, spans[end].start_frame);)
            end++;
        S3R_TRY(s3r_vocabulary_text(&stream->model->vocabulary, &text, spans + first,
                                    end - first, err));
        if (text[0]) {
            s3r_buffer_add_bytes(names, text, strlen(text) + 1);
            out->items[out->count++] =
                (s3r_word_span){.first_span = first,
                                .span_count = end - first,
                                .start_frame = spans[first].start_frame,
                                .end_frame = spans[end - 1].end_frame};
        }
        s3r_free(text);
    }
    return S3R_OK;
}

static s3r_status words_between_pauses(const s3r_stream *stream, s3r_words *out,
                                       const s3r_label *labels,
                                       const s3r_label_span *spans, size_t count,
                                       s3r_error *err)
{
    s3r_word_list list = {.items = s3r_alloc(count, sizeof *list.items)};
    s3r_text_buffer names = {0};
    s3r_status status = list.items ? S3R_OK : s3r_fail_memory(err, "words", count);
    if (status == S3R_OK)
        status = part_at_pauses(stream, spans, count, &list, &names, err);
    if (status == S3R_OK)
        status = s3r_word_list_take_texts(&list, &names, err);
    if (status == S3R_OK)
        status = s3r_words_of_list(out, &list, labels, err);
    out->spans = list;
    s3r_buffer_release(&names);
    return status;
}

static s3r_status make_words(const s3r_stream *stream, s3r_words *out,
                             const s3r_label *labels, const s3r_label_span *spans,
                             size_t count, s3r_error *err)
{
    const s3r_vocabulary *vocabulary = &stream->model->vocabulary;
    if (vocabulary->delimiter_id == S3R_NO_LABEL)
        return words_between_pauses(stream, out, labels, spans, count, err);
    return s3r_words_make(out, vocabulary, labels, count, err);
}

static s3r_status tell(s3r_stream *stream, const s3r_words *words, const char *tail,
                       bool is_end, s3r_error *err)
{
    double frame_s = (double)s3r_config_stride(&stream->model->config) /
                     (double)stream->model->config.sample_rate;
    for (size_t i = 0; i < words->count; i++)
        words->items[i].first_label = words->items[i].label_count = 0;
    const s3r_stream_update update = {.decoded_s = frame_s * (double)stream->kept,
                                      .frame_s = frame_s,
                                      .words = words->items,
                                      .word_count = words->count,
                                      .tail = tail,
                                      .is_end = is_end};
    s3r_status status = stream->update(stream->update_context, &update);
    return status == S3R_OK ? S3R_OK : s3r_fail(err, status, "the update was not taken");
}

/* Hands over complete words and forgets them. */
static s3r_status send_update(s3r_stream *stream, bool is_end, s3r_error *err)
{
    const s3r_vocabulary *vocabulary = &stream->model->vocabulary;
    size_t count = stream->label_count, complete = count_complete(stream, is_end);
    s3r_label *labels = s3r_alloc(count, sizeof *labels);
    s3r_label_span *spans = s3r_alloc(count, sizeof *spans);
    s3r_words words = {0};
    char *tail = NULL;
    s3r_status status = S3R_OK;
    if (!labels || !spans)
        status = s3r_fail_memory(err, "labels", count * sizeof *labels);
    for (size_t i = 0; i < count && status == S3R_OK; i++) {
        const open_label *label = &stream->labels[i];
        double frames = (double)(label->end_frame - label->start_frame);
        spans[i] = (s3r_label_span){label->id, label->start_frame, label->end_frame};
        labels[i] = (s3r_label){.text = vocabulary->labels[label->id],
                                .id = label->id,
                                .start_frame = label->start_frame,
                                .end_frame = label->end_frame,
                                .confidence = (float)(label->probability / frames)};
    }
    if (status == S3R_OK)
        status = make_words(stream, &words, labels, spans, complete, err);
    if (status == S3R_OK)
        status = s3r_vocabulary_text(vocabulary, &tail, spans + complete,
                                     count - complete, err);
    if (status == S3R_OK)
        status = tell(stream, &words, tail, is_end, err);
    if (complete > 0) {
        memmove(stream->labels, stream->labels + complete,
                (count - complete) * sizeof *stream->labels);
        stream->label_count = count - complete;
        stream->is_last_open = stream->is_last_open && stream->label_count > 0;
    }
    s3r_words_release(&words);
    s3r_free(tail);
    s3r_free(labels);
    s3r_free(spans);
    return status;
}

/* ---- windows ---- */

/* Runs the window that keeps [kept, end) and hears up to frame `to`. */
static s3r_status run_window(s3r_stream *stream, size_t end, size_t to, s3r_error *err)
{
    const s3r_model *model = stream->model;
    s3r_tape *tape = &stream->context->tape;
    size_t stride = s3r_config_stride(&model->config);
    size_t from = stream->kept > stream->left ? stream->kept - stream->left : 0;
    size_t first = from * stride - stream->first_sample;
    size_t count = (to - from - 1) * stride + s3r_config_receptive_field(&model->config);
    stream->window_first = stream->kept - from;
    stream->window_end = end - from;
    tape->is_bf16 = model->is_bf16;
    tape->is_recording = tape->is_training = false;
    const s3r_inference inference = {.tape = tape,
                                     .config = &model->config,
                                     .weights = &model->weights,
                                     .window_frames = SIZE_MAX / 4,
                                     .log_probs = take_log_probs,
                                     .sink_context = stream};
    s3r_waveform wave = s3r_waveform_make(&model->config, stream->samples + first, count);
    S3R_TRY(s3r_inference_batch(&inference, &wave, 1, err));
    return S3R_OK;
}

/* Samples that no later window hears. */
static void forget_samples(s3r_stream *stream)
{
    size_t from = stream->kept > stream->left ? stream->kept - stream->left : 0;
    size_t first = from * s3r_config_stride(&stream->model->config);
    size_t count = S3R_MIN(first - stream->first_sample, stream->sample_count);
    memmove(stream->samples, stream->samples + count,
            (stream->sample_count - count) * sizeof *stream->samples);
    stream->first_sample += count;
    stream->sample_count -= count;
}

static size_t frames_so_far(const s3r_stream *stream)
{
    return s3r_config_frames(&stream->model->config,
                             stream->first_sample + stream->sample_count);
}

static s3r_status keep_samples(s3r_stream *stream, const float *samples, size_t count,
                               s3r_error *err)
{
    if (stream->sample_count + count > stream->capacity) {
        size_t capacity = 2 * (stream->sample_count + count);
        float *grown =
            s3r_realloc(stream->samples, stream->capacity, capacity, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "samples", capacity * sizeof *grown);
        stream->samples = grown;
        stream->capacity = capacity;
    }
    if (count > 0)
        memcpy(stream->samples + stream->sample_count, samples, count * sizeof *samples);
    stream->sample_count += count;
    return S3R_OK;
}

/* Runs every window whose samples are there. */
static s3r_status run_windows(s3r_stream *stream, s3r_error *err)
{
    for (;;) {
        size_t end = stream->kept + stream->chunk, to = end + stream->right;
        if (to > frames_so_far(stream))
            return S3R_OK;
        S3R_TRY(run_window(stream, end, to, err));
        S3R_TRY(send_update(stream, false, err));
        forget_samples(stream);
    }
}

/* Hands samples through the resampler, or, with NULL, what is left in it. */
static s3r_status resample(s3r_stream *stream, const float *samples, size_t count,
                           s3r_error *err)
{
    size_t made = 1;
    while (samples ? count > 0 : made > 0) {
        size_t taken = count;
        S3R_TRY(s3r_resampler_process(stream->resampler, samples, &taken,
                                      stream->resampled, RESAMPLED_AT_ONCE, &made, err));
        if (samples && taken == 0 && made == 0)
            return s3r_fail(err, S3R_ERR_RUNTIME, "the resampler makes no progress");
        S3R_TRY(keep_samples(stream, stream->resampled, made, err));
        S3R_TRY(run_windows(stream, err));
        samples = samples ? samples + taken : NULL;
        count -= taken;
    }
    return S3R_OK;
}

static s3r_status write_samples(s3r_stream *stream, const float *samples, size_t count,
                                s3r_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(samples[i]) <= S3R_AUDIO_LARGEST_SAMPLE))
            return s3r_fail(err, S3R_ERR_DATA, "sample %zu: expected a number, found %g",
                            stream->written + i, (double)samples[i]);
    stream->written += count;
    if (stream->resampler)
        return count > 0 ? resample(stream, samples, count, err) : S3R_OK;
    S3R_TRY(keep_samples(stream, samples, count, err));
    return run_windows(stream, err);
}

/* After its end and after a failure a stream can only be closed. */
static s3r_status check_open(const s3r_stream *stream, s3r_error *err)
{
    return stream->has_ended ? s3r_fail(err, S3R_ERR_USAGE,
                                        "stream: expected one that goes on, found one "
                                        "that has ended or failed")
                             : S3R_OK;
}

s3r_status s3r_stream_write(s3r_stream *stream, const float *samples, size_t count,
                            s3r_error *err)
{
    S3R_TRY(check_open(stream, err));
    s3r_status status = write_samples(stream, samples, count, err);
    stream->has_ended = status != S3R_OK;
    return status;
}

static s3r_status finish(s3r_stream *stream, s3r_error *err)
{
    if (stream->resampler && stream->written > 0)
        S3R_TRY(resample(stream, NULL, 0, err));
    size_t frames = frames_so_far(stream);
    while (stream->kept < frames) {
        size_t end = S3R_MIN(stream->kept + stream->chunk, frames);
        S3R_TRY(run_window(stream, end, S3R_MIN(end + stream->right, frames), err));
        if (end < frames)
            S3R_TRY(send_update(stream, false, err));
        forget_samples(stream);
    }
    return send_update(stream, true, err);
}

s3r_status s3r_stream_finish(s3r_stream *stream, s3r_error *err)
{
    S3R_TRY(check_open(stream, err));
    stream->has_ended = true;
    return finish(stream, err);
}
