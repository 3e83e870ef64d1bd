/*
 * Normalisation of each channel over the time of its utterance (group norm with one
 * channel a group), optionally followed by GELU.  Behind a frozen convolution of a
 * waveform it becomes part of that instead: model/folded_norm.h.
 */
#ifndef S3R_OPS_OP_GROUP_NORM_H
#define S3R_OPS_OP_GROUP_NORM_H

#include "ops/tape.h"

/*
 * y = (x - mean) / sqrt(variance + eps) * gain + bias with mean and (biased) variance of
 * the channel over the frames of the utterance; then y = gelu(y) if asked for.
 *
 *   x           [frames, channels]
 *   frames      where the utterances of x are
 *   gain, bias  [1, channels] fp32
 *
 * Returns [frames, channels].  An utterance's result does not depend on its batch.
 */
s3r_value *s3r_op_group_norm(s3r_tape *tape, s3r_value *x, s3r_ragged frames,
                             s3r_weight *gain, s3r_weight *bias, double eps, bool gelu);

#endif
