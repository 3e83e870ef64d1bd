/*
 * Layer normalisation over the columns of each row, optionally followed by GELU.
 */
#ifndef S3R_OPS_OP_LAYER_NORM_H
#define S3R_OPS_OP_LAYER_NORM_H

#include "ops/tape.h"

/* Rows may be this wide: a worker's scratch holds three of them. */
#define S3R_LAYER_NORM_COLS_MAX (S3R_POOL_SCRATCH_BYTES / (3 * sizeof(float)))

/*
 * y = (x - mean) / sqrt(variance + eps) * gain + bias, variance without Bessel's
 * correction; then y = gelu(y) if asked for.
 *
 *   x           [rows, cols], cols <= S3R_LAYER_NORM_COLS_MAX
 *   gain, bias  [1, cols] fp32, each NULL for 1 and 0
 *
 * Returns [rows, cols].
 */
s3r_value *s3r_op_layer_norm(s3r_tape *tape, s3r_value *x, s3r_weight *gain,
                             s3r_weight *bias, double eps, bool gelu);

#endif
