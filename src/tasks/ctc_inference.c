/*
 * Batches and windows through extractor, encoder and head.
 */
#include "tasks/ctc_inference.h"

#include "ops/op_log_softmax.h"

/* A batch (or one window) on its way through the network. */
typedef struct network_pass {
    const s3r_inference *inference;
    s3r_ragged frames;
    size_t utterance;   /* of the sinks, for the first of the batch */
    size_t first_frame; /* of the first kept row */
    size_t row, count;  /* kept rows of a window; count 0: every row of every utterance */
    s3r_status status;
    s3r_error *err;
} network_pass;

/* Hands the kept rows of value to a sink, utterance by utterance. */
static void deliver(network_pass *pass, size_t layer, const s3r_value *value,
                    bool is_hidden)
{
    const s3r_inference *inference = pass->inference;
    for (size_t u = 0; u < pass->frames.count && pass->status == S3R_OK; u++) {
        size_t first = pass->frames.offset[u], count = pass->frames.offset[u + 1] - first;
        s3r_frame_rows rows = {pass->utterance + u, pass->first_frame, count, value,
                               first};
        if (pass->count > 0) {
            rows.row = pass->row;
            rows.count = pass->count;
        }
        if (rows.count == 0)
            continue;
        pass->status =
            is_hidden
                ? inference->hidden(inference->sink_context, layer, &rows, pass->err)
                : inference->log_probs(inference->sink_context, &rows, pass->err);
    }
}

static void take_hidden(void *context, size_t layer, const s3r_value *hidden)
{
    deliver(context, layer, hidden, true);
}

/* Encoder and head; returns log-probabilities, or NULL when nobody wants them. */
static s3r_value *run_network(network_pass *pass, s3r_value *features)
{
    const s3r_inference *inference = pass->inference;
    s3r_tape *tape = inference->tape;
    s3r_encoder_options options = {.hidden = inference->hidden ? take_hidden : NULL,
                                   .hidden_context = pass};
    s3r_value *hidden = s3r_encoder_forward(tape, inference->config, inference->weights,
                                            features, pass->frames, &options);
    if (!inference->log_probs || pass->status != S3R_OK)
        return NULL;
    return s3r_op_log_softmax(tape, s3r_head_forward(tape, inference->config,
                                                     inference->weights, hidden,
                                                     pass->frames, NULL));
}

static s3r_status end_pass(const network_pass *pass)
{
    if (pass->status != S3R_OK)
        return pass->status;
    return s3r_tape_status(pass->inference->tape, pass->err);
}

static s3r_status run_whole(network_pass *pass, s3r_value *features)
{
    if (!features || features->rows == 0)
        return s3r_tape_status(pass->inference->tape, pass->err);
    s3r_value *log_probs = run_network(pass, features);
    if (log_probs)
        deliver(pass, 0, log_probs, false);
    return end_pass(pass);
}

s3r_status s3r_inference_batch(const s3r_inference *inference, const s3r_waveform *waves,
                               size_t count, s3r_error *err)
{
    s3r_tape *tape = inference->tape;
    s3r_tape_reset(tape);
    network_pass pass = {.inference = inference, .status = S3R_OK, .err = err};
    s3r_value *features = s3r_extractor_batch(tape, inference->config, inference->weights,
                                              waves, count, &pass.frames);
    return run_whole(&pass, features);
}

s3r_status s3r_inference_features(const s3r_inference *inference, s3r_value *features,
                                  s3r_ragged frames, s3r_error *err)
{
    network_pass pass = {
        .inference = inference, .frames = frames, .status = S3R_OK, .err = err};
    return run_whole(&pass, features);
}

/* ---- windows ---- */

bool s3r_inference_is_long(const s3r_inference *inference, size_t frames)
{
    return frames > inference->window_frames + inference->context_frames;
}

static bool is_blank_row(const s3r_value *log_probs, size_t row, size_t blank_id)
{
    const float *x = log_probs->data + row * log_probs->stride;
    for (size_t i = 0; i < log_probs->cols; i++)
        if (x[i] > x[blank_id])
            return false;
    return true;
}

size_t s3r_find_blank_cut(const s3r_value *log_probs, size_t blank_id, size_t from,
                          size_t to)
{
    size_t best_length = 0, cut = to, run = 0, likeliest = from;
    for (size_t i = from; i < to; i++) {
        float blank = log_probs->data[i * log_probs->stride + blank_id];
        if (blank >= log_probs->data[likeliest * log_probs->stride + blank_id])
            likeliest = i;
        run = is_blank_row(log_probs, i, blank_id) ? run + 1 : 0;
        if (run > 0 && run >= best_length) {
            best_length = run;
            cut = i + 1 - run / 2;
        }
    }
    return best_length > 0 ? cut : likeliest + 1;
}

/* Where the frames of windows come from: a waveform or finished features. */
typedef struct frame_source {
    size_t frames;
    const s3r_value *features; /* NULL: the waveform is extracted */
    const s3r_waveform *wave;
    s3r_folded_norm norm;
} frame_source;

/* The extractor's output of frames [from, to); NULL without memory. */
static s3r_value *take_frames(const s3r_inference *inference, const frame_source *source,
                              size_t from, size_t to)
{
    s3r_tape *tape = inference->tape;
    const s3r_model_config *config = inference->config;
    const s3r_value *whole = source->features;
    if (whole)
        return s3r_tape_wrap(tape, whole->data + from * whole->stride, to - from,
                             whole->cols, whole->stride);
    s3r_value *features =
        s3r_tape_value(tape, to - from, config->conv[config->conv_count - 1].dim);
    if (features)
        s3r_extractor_run(tape, config, inference->weights, source->wave, from, to - from,
                          &source->norm, features, 0);
    return tape->is_out_of_memory ? NULL : features;
}

/* One window: kept frames begin at `start`; returns where the next window begins, or
 * `start` on failure (the pass knows). */
static size_t run_window(network_pass *pass, const frame_source *source, size_t start)
{
    const s3r_inference *inference = pass->inference;
    s3r_tape *tape = inference->tape;
    size_t window = inference->window_frames, context = inference->context_frames;
    size_t frames = source->frames;
    size_t end =
        s3r_inference_is_long(inference, frames - start) ? start + window : frames;
    size_t from = start > context ? start - context : 0;
    size_t to = S3R_MIN(frames, end + context);
    const size_t offset[2] = {0, to - from};
    pass->frames = s3r_tape_ragged(tape, 1, offset);
    pass->first_frame = start;
    pass->row = start - from;
    pass->count = end - start;
    s3r_value *features = take_frames(inference, source, from, to);
    if (!features || !pass->frames.offset)
        return start;
    s3r_value *log_probs = run_network(pass, features);
    if (!log_probs)
        return tape->is_out_of_memory || pass->status != S3R_OK ? start : end;
    if (end < frames && !inference->hidden) {
        size_t search = S3R_MIN(window / 2, 4 * context + 1);
        size_t cut = s3r_find_blank_cut(log_probs, inference->config->pad_token_id,
                                        end - search - from, end - from);
        end = from + cut;
        pass->count = end - start;
    }
    deliver(pass, 0, log_probs, false);
    return pass->status == S3R_OK ? end : start;
}

static s3r_status run_windows(const s3r_inference *inference, const frame_source *source,
                              size_t utterance, s3r_error *err)
{
    s3r_tape *tape = inference->tape;
    network_pass pass = {
        .inference = inference, .utterance = utterance, .status = S3R_OK, .err = err};
    for (size_t start = 0; start < source->frames;) {
        if (inference->goes_on && !inference->goes_on(inference->goes_on_context))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        s3r_arena_mark mark = s3r_tape_mark(tape);
        size_t next = run_window(&pass, source, start);
        s3r_arena_rewind(&tape->arena, mark);
        s3r_tape_unstage(tape);
        if (next == start)
            return end_pass(&pass);
        start = next;
    }
    return end_pass(&pass);
}

s3r_status s3r_inference_long(const s3r_inference *inference, const s3r_waveform *wave,
                              size_t utterance, s3r_error *err)
{
    s3r_tape *tape = inference->tape;
    s3r_tape_reset(tape);
    frame_source source = {
        .frames = s3r_config_frames(inference->config, wave->count),
        .wave = wave,
        .norm = s3r_extractor_measure(tape, inference->config, inference->weights, wave)};
    return run_windows(inference, &source, utterance, err);
}

s3r_status s3r_inference_long_features(const s3r_inference *inference,
                                       const s3r_value *features, size_t utterance,
                                       s3r_error *err)
{
    frame_source source = {.features = features};
    if (!features)
        return s3r_tape_status(inference->tape, err);
    source.frames = features->rows;
    return run_windows(inference, &source, utterance, err);
}
