/*
 * How much two models of one backbone have in common, by where their weights lie.
 *
 * A mask file changes some weights and leaves the others where they are, so what is
 * common is the same memory.
 */
#ifndef S3R_MODEL_WEIGHT_SHARING_H
#define S3R_MODEL_WEIGHT_SHARING_H

#include "model/model_weights.h"

/* Whether two layers compute the same. */
bool s3r_linear_is_same(const s3r_linear_weights *a, const s3r_linear_weights *b);

/* Whether both make the same hidden state 0 of a waveform.  config is the backbone's in
 * all but head and normalisation, in these three functions. */
bool s3r_weights_input_is_same(const s3r_model_config *config_a,
                               const s3r_model_weights *a,
                               const s3r_model_config *config_b,
                               const s3r_model_weights *b);

/* The blocks, from the first on, that are the same in both. */
size_t s3r_weights_same_blocks(const s3r_model_config *config, const s3r_model_weights *a,
                               const s3r_model_weights *b);

/* Whether rows of both can run through the blocks from `first` on side by side
 * (s3r_encoder_blocks): all is the same but the linear layers of attention and
 * feed-forward, and of the latter the same are int8, on which depends what they hand on.
 */
bool s3r_weights_is_mixable(const s3r_model_config *config, const s3r_model_weights *a,
                            const s3r_model_weights *b, size_t first);

#endif
