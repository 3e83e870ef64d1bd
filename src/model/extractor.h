/*
 * The convolutional feature extractor: waveform to frames. (spec 2.2)
 *
 * Frozen, it runs through time in chunks that stay in the cache, whatever the length; the
 * one thing that sees the whole utterance, the group norm, is made part of the first
 * convolution before (folded_norm.h).  A chunked run gives the bits of a whole one.
 * Trainable, it is recorded as ordinary ops.
 */
#ifndef S3R_MODEL_EXTRACTOR_H
#define S3R_MODEL_EXTRACTOR_H

#include "audio/audio_normalize.h"
#include "model/folded_norm.h"
#include "model/model_config.h"
#include "model/model_weights.h"
#include "ops/tape.h"

/* One utterance as loaded; the network sees (sample - mean) * scale. */
typedef struct s3r_waveform {
    const float *samples;
    size_t count;
    s3r_audio_scaling scaling;
} s3r_waveform;

/* A waveform normalised as the model wants it. */
s3r_waveform s3r_waveform_make(const s3r_model_config *config, const float *samples,
                               size_t count);

/*
 * The group norm of a whole utterance (or of an hour of audio whose windows are then
 * extracted with it).  Empty without memory (the tape knows) or when the extractor has
 * none.
 */
s3r_folded_norm s3r_extractor_measure(s3r_tape *tape, const s3r_model_config *config,
                                      const s3r_model_weights *weights,
                                      const s3r_waveform *wave);

/*
 * Frozen extraction of frames [first, first + count) of the waveform, which has them,
 * into `out` from row `first_row` on.  norm: s3r_extractor_measure of the waveform, while
 * the arena has it.
 */
void s3r_extractor_run(s3r_tape *tape, const s3r_model_config *config,
                       const s3r_model_weights *weights, const s3r_waveform *wave,
                       size_t first, size_t count, const s3r_folded_norm *norm,
                       s3r_value *out, size_t first_row);

/*
 * Frozen extraction of whole utterances: [frames, channels]; frames receives where each
 * is (arena).  NULL without memory.
 */
s3r_value *s3r_extractor_batch(s3r_tape *tape, const s3r_model_config *config,
                               const s3r_model_weights *weights,
                               const s3r_waveform *waves, size_t count,
                               s3r_ragged *frames);

/*
 * The extractor of a ragged batch of waveforms.
 *
 *   wave     [samples, 1], stride 1, normalised already
 *   samples  where the utterances of wave are
 *   frames   receives where they are in the result (arena)
 *
 * Returns [frames, channels].  Recorded only when the tape records and the waveform or a
 * weight of the extractor wants a gradient.
 */
s3r_value *s3r_extractor_forward(s3r_tape *tape, const s3r_model_config *config,
                                 const s3r_model_weights *weights, s3r_value *wave,
                                 s3r_ragged samples, s3r_ragged *frames);

#endif
