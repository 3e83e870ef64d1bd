/*
 * The identity, whose gradient is scaled: slows the training of what lies below.
 */
#ifndef S3R_OPS_OP_GRAD_SCALE_H
#define S3R_OPS_OP_GRAD_SCALE_H

#include "ops/tape.h"

/*
 * x [rows, cols]; returns a view of it (x itself for a factor of 1), so that x must not
 * be forgotten.  A factor of 0 lets no gradient through and nothing below runs backward.
 */
s3r_value *s3r_op_grad_scale(s3r_tape *tape, s3r_value *x, float factor);

#endif
