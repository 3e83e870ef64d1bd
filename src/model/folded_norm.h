/*
 * The first layer of the extractor with the group norm behind it, as one convolution
 * whose weights hold the statistics of an utterance.
 */
#ifndef S3R_MODEL_FOLDED_NORM_H
#define S3R_MODEL_FOLDED_NORM_H

#include "ops/op_conv.h"
#include "ops/window_moments.h"

/* Panels and bias in the arena; no panels for an extractor without group norm. */
typedef struct s3r_folded_norm {
    s3r_weight weight, bias;
} s3r_folded_norm;

/*
 * norm(conv(x)) = conv'(x) + bias' for the utterance whose moments these are (finished):
 * the channel's weights times gain / sqrt(variance + eps), and bias less its new mean.  A
 * bias of the convolution itself would cancel.  gain, bias [1, out].  False without
 * memory.
 */
bool s3r_folded_norm_make(s3r_folded_norm *norm, s3r_tape *tape,
                          const s3r_conv_shape *shape, const s3r_weight *weight,
                          const float *gain, const float *bias, double eps,
                          const s3r_window_moments *moments);

#endif
