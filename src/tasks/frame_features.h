/*
 * What is clustered, and what languages are told by: one row a 20 ms frame of an
 * utterance's audio, either cepstra or a hidden state of a model.
 */
#ifndef S3R_TASKS_FRAME_FEATURES_H
#define S3R_TASKS_FRAME_FEATURES_H

#include "data/manifest.h"
#include "model/encoder.h"
#include "tasks/mfcc.h"

/* Rows of items[item], frame after frame: pieces of an utterance come in order, and
 * utterances too. */
typedef s3r_status (*s3r_frame_rows_fn)(void *context, size_t item, const float *rows,
                                        size_t stride, size_t count, s3r_error *err);
/* items[item] cannot be read; it has no rows. */
typedef void (*s3r_frame_failure_fn)(void *context, size_t item, s3r_status status,
                                     const char *message);

typedef struct s3r_frame_features {
    size_t dim;
    size_t frame_stride; /* samples */
    uint32_t sample_rate_hz;
    /* private */
    s3r_tape *tape;
    s3r_mfcc *mfcc; /* NULL: a hidden state */
    s3r_model_config config;
    const s3r_model_weights *weights;
    size_t layer;
    size_t window_frames, context_frames;
    double batch_s;
    bool normalizes, allow_ffmpeg, may_be_infinite;
    uint32_t raw_rate_hz;
    s3r_audio_cache recording; /* the last one that an utterance was cut from */
} s3r_frame_features;

typedef struct s3r_frame_features_options {
    s3r_tape *tape; /* not recording; its pool and kernels are used */
    /* NULL: cepstra.  Blocks above the layer are not run. */
    const s3r_model_config *config;
    const s3r_model_weights *weights;
    size_t layer;               /* a hidden state as Hugging Face numbers them */
    double batch_s;             /* audio that is loaded and run together */
    double window_s, context_s; /* of long utterances; 0: 40 and 4 */
    uint32_t raw_rate_hz;       /* of raw samples on stdin; 0: 16000 */
    /* Each dimension to mean 0 and variance 1 within each utterance, which takes memory
     * for the whole of it: clusters then say less of voices and microphones. */
    bool normalizes;
    bool allow_ffmpeg;
    bool may_be_infinite; /* rows that are not finite are the sink's to find */
} s3r_frame_features_options;

/* S3R_ERR_USAGE: no such layer; S3R_ERR_RESOURCE. */
s3r_status s3r_frame_features_open(s3r_frame_features *out,
                                   const s3r_frame_features_options *options,
                                   s3r_error *err);
void s3r_frame_features_close(s3r_frame_features *features); /* a zeroed one is allowed */

/* Who takes the rows. */
typedef struct s3r_frame_sink {
    /* An item has so many samples; before its rows.  NULL = nobody asks. */
    void (*loaded)(void *context, size_t item, size_t sample_count);
    s3r_frame_rows_fn rows;
    s3r_frame_failure_fn failed;
    bool (*goes_on)(void *context); /* asked within long utterances; NULL = always */
    void *context;
} s3r_frame_sink;

/*
 * Makes the rows of the first of so many items, about batch_s of audio; *taken receives
 * how many that were, at least 1.  Utterances too short for a frame have no rows.  Rows
 * do not depend on the batch.  Rows and failures come in the order of the items.
 * S3R_ERR_DATA when rows are not finite (but with may_be_infinite); S3R_ERR_RESOURCE;
 * S3R_ERR_INTERRUPTED; what the sink returns.
 */
s3r_status s3r_frame_features_run(s3r_frame_features *features,
                                  const s3r_utterance *const *items, size_t count,
                                  const s3r_frame_sink *sink, size_t *taken,
                                  s3r_error *err);

#endif
