/*
 * y = max(x, 0), for bottleneck adapters.
 */
#ifndef S3R_OPS_OP_RELU_H
#define S3R_OPS_OP_RELU_H

#include "ops/tape.h"

/* x [rows, cols]; returns [rows, cols]. */
s3r_value *s3r_op_relu(s3r_tape *tape, s3r_value *x);

#endif
