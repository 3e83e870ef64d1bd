/*
 * y = x - log(sum(exp(x))) over the columns of each row.
 */
#ifndef S3R_OPS_OP_LOG_SOFTMAX_H
#define S3R_OPS_OP_LOG_SOFTMAX_H

#include "ops/tape.h"

/* x [rows, cols], cols > 0; returns [rows, cols], natural logarithms. */
s3r_value *s3r_op_log_softmax(s3r_tape *tape, s3r_value *x);

#endif
