/*
 * y = a + b, the residual connection.
 */
#ifndef S3R_OPS_OP_ADD_H
#define S3R_OPS_OP_ADD_H

#include "ops/tape.h"

/* a, b [rows, cols], which may be the same value; returns [rows, cols]. */
s3r_value *s3r_op_add(s3r_tape *tape, s3r_value *a, s3r_value *b);

#endif
