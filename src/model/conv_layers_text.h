/*
 * fairseq's conv_feature_layers: a Python expression, read and never run.
 */
#ifndef S3R_MODEL_CONV_LAYERS_TEXT_H
#define S3R_MODEL_CONV_LAYERS_TEXT_H

#include "model/model_config.h"

/*
 * Reads "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] * 2": lists of (dim, kernel,
 * stride), added and multiplied.  False for anything else, for more than
 * S3R_MAX_CONV_LAYERS layers or for numbers outside of 1 to 65536.
 *
 *   layers  [S3R_MAX_CONV_LAYERS]
 */
bool s3r_conv_layers_from_text(s3r_conv_config *layers, size_t *count, const char *text);

#endif
