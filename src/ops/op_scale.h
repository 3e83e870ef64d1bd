/*
 * y = factor * x.
 */
#ifndef S3R_OPS_OP_SCALE_H
#define S3R_OPS_OP_SCALE_H

#include "ops/tape.h"

/* x [rows, cols]; returns [rows, cols], x itself for a factor of 1. */
s3r_value *s3r_op_scale(s3r_tape *tape, s3r_value *x, float factor);

#endif
