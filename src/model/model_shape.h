/*
 * The shape of a new model: what a person chooses, as text settings, and the
 * configuration that follows from it.
 */
#ifndef S3R_MODEL_MODEL_SHAPE_H
#define S3R_MODEL_MODEL_SHAPE_H

#include "model/model_config.h"

#define S3R_SHAPE_TEXT_BYTES 256u

typedef struct s3r_model_shape {
    char family[S3R_SHAPE_TEXT_BYTES];         /* hubert, wav2vec2 */
    char conv[S3R_SHAPE_TEXT_BYTES];           /* "[(256, 10, 5)] + [(256, 3, 2)] * 4" */
    char extractor_norm[S3R_SHAPE_TEXT_BYTES]; /* group, layer */
    char license[S3R_SHAPE_TEXT_BYTES];        /* an SPDX name, or "" */
    size_t hidden_size, ffn_size, blocks, heads;
    size_t pos_conv_kernel, pos_conv_groups;
    bool conv_bias, pre_norm, normalize;
} s3r_model_shape;

/* HuBERT, 256 conv channels with group norm, 8 post-norm blocks of 320. */
void s3r_model_shape_init(s3r_model_shape *shape);

/* The keys, for help texts and messages; NULL past the last. */
const char *s3r_model_shape_key(size_t index);
/* What a key is for; NULL past the last. */
const char *s3r_model_shape_help(size_t index);

/*
 * Sets one key from text; label names where the setting stands, for messages.
 * S3R_ERR_USAGE for an unknown key (with the closest one) or a value that is none.
 */
s3r_status s3r_model_shape_set(s3r_model_shape *shape, const char *key, const char *value,
                               const char *label, s3r_error *err);

/*
 * The configuration, with the original's dropouts, layer drop and masking of pretraining
 * (spec 2.10), which training may set otherwise.  S3R_ERR_USAGE or S3R_ERR_MODEL for a
 * shape that is no model; S3R_ERR_RESOURCE.
 */
s3r_status s3r_model_shape_config(const s3r_model_shape *shape, const char *label,
                                  s3r_model_config *out, s3r_error *err);

#endif
