/*
 * Masking of frames while training: the application, not the choice.  (spec 2.6)
 */
#ifndef S3R_OPS_OP_TIME_MASK_H
#define S3R_OPS_OP_TIME_MASK_H

#include "ops/tape.h"

/*
 * A copy of x whose listed rows are the embedding.
 *
 *   x          [frames, cols]
 *   rows       [count] distinct rows; the list is copied
 *   embedding  [1, cols] fp32; NULL = zeros
 *
 * Returns [frames, cols].
 */
s3r_value *s3r_op_time_mask(s3r_tape *tape, s3r_value *x, const size_t *rows,
                            size_t count, s3r_weight *embedding);

#endif
