/*
 * Shapes of a model's convolutions, from its configuration. (spec 2.2, 2.3)
 */
#ifndef S3R_MODEL_CONV_SHAPES_H
#define S3R_MODEL_CONV_SHAPES_H

#include "model/model_config.h"
#include "ops/op_conv.h"

/* Of a layer of the extractor; layer 0 reads the waveform. */
s3r_conv_shape s3r_extractor_conv_shape(const s3r_model_config *config, size_t layer);

/* Of the positional convolutions: zero frames around each utterance so that it keeps its
 * length; an even kernel looks one frame further back than ahead. */
s3r_conv_shape s3r_pos_conv_shape(const s3r_model_config *config);

#endif
