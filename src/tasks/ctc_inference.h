/*
 * Running a model on waveforms: batches of whole utterances, and long ones in windows.
 *
 * A window is extracted and encoded with context on both sides that is thrown away again.
 * It is cut in the middle of the longest blank stretch near its end, where no word is
 * divided. Normalisation and the group norm's statistics are those of the whole waveform,
 * so that the extractor gives in windows what it gives at once.
 */
#ifndef S3R_TASKS_CTC_INFERENCE_H
#define S3R_TASKS_CTC_INFERENCE_H

#include "model/encoder.h"
#include "model/extractor.h"

/* Rows [row, row + count) of value are frames first_frame .. of an utterance; frames come
 * in order. */
typedef struct s3r_frame_rows {
    size_t utterance;
    size_t first_frame, count;
    const s3r_value *value;
    size_t row;
} s3r_frame_rows;

typedef s3r_status (*s3r_rows_sink_fn)(void *context, const s3r_frame_rows *rows,
                                       s3r_error *err);
typedef s3r_status (*s3r_layer_sink_fn)(void *context, size_t layer,
                                        const s3r_frame_rows *rows, s3r_error *err);

typedef struct s3r_inference {
    s3r_tape *tape; /* not recording */
    const s3r_model_config *config;
    const s3r_model_weights *weights;
    size_t window_frames,
        context_frames;         /* kept of a window at most; on each side of it */
    s3r_rows_sink_fn log_probs; /* [frames, labels]; NULL = not wanted */
    s3r_layer_sink_fn hidden;   /* every hidden state; NULL = not wanted. With it,
                                   windows are cut at their end, not at a blank. */
    void *sink_context;
    bool (*goes_on)(void *context); /* asked before each window; NULL = always */
    void *goes_on_context;
} s3r_inference;

/* Whether s3r_inference_long cuts so many frames into windows. */
bool s3r_inference_is_long(const s3r_inference *inference, size_t frames);

/* Runs whole utterances together; utterance i of the sinks is waves[i].  Utterances too
 * short for a frame give no rows. */
s3r_status s3r_inference_batch(const s3r_inference *inference, const s3r_waveform *waves,
                               size_t count, s3r_error *err);

/* Runs one waveform of any length; it is `utterance` for the sinks. */
s3r_status s3r_inference_long(const s3r_inference *inference, const s3r_waveform *wave,
                              size_t utterance, s3r_error *err);

/*
 * The same two for the extractor's output, [frames, channels], which may lie in the
 * tape's arena: the tape is not reset.  What they give is what the waveforms give.
 */
s3r_status s3r_inference_features(const s3r_inference *inference, s3r_value *features,
                                  s3r_ragged frames, s3r_error *err);
s3r_status s3r_inference_long_features(const s3r_inference *inference,
                                       const s3r_value *features, size_t utterance,
                                       s3r_error *err);

/* The first of the likeliest labels of a frame; count is at least 1. */
static inline uint32_t s3r_best_label(const float *row, size_t count)
{
    uint32_t best = 0;
    for (uint32_t j = 1; j < count; j++)
        if (row[j] > row[best])
            best = j;
    return best;
}

/*
 * Where to cut log_probs rows [from, to): after the middle of the longest run of frames
 * whose best label is the blank, the last of equals; without one after the frame with the
 * likeliest blank.  Returns a row in (from, to].
 */
size_t s3r_find_blank_cut(const s3r_value *log_probs, size_t blank_id, size_t from,
                          size_t to);

#endif
