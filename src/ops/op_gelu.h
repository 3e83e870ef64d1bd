/*
 * y = gelu(x), exact erf form, for where it cannot be fused into a product.
 */
#ifndef S3R_OPS_OP_GELU_H
#define S3R_OPS_OP_GELU_H

#include "ops/tape.h"

s3r_value *s3r_op_gelu(s3r_tape *tape, s3r_value *x);

/* dy->data (a gradient) times gelu'(z) in place; z has the layout of dy. For ops that
 * fuse GELU into their forward pass. */
void s3r_gelu_grad_rows(s3r_tape *tape, const float *z, const s3r_value *dy);

#endif
