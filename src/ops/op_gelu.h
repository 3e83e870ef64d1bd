/*
 * y = gelu(x), exact erf form, for where it cannot be fused into a product.
 */
#ifndef S3R_OPS_OP_GELU_H
#define S3R_OPS_OP_GELU_H

#include "ops/tape.h"

s3r_value *s3r_op_gelu(s3r_tape *tape, s3r_value *x);

#endif
