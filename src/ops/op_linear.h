/*
 * y = x W^T + b, optionally followed by GELU in the same pass.
 */
#ifndef S3R_OPS_OP_LINEAR_H
#define S3R_OPS_OP_LINEAR_H

#include "ops/tape.h"

/*
 *   x        [rows, in]
 *   weight   [out, in]; may be frozen in any stored type
 *   bias     [1, out] or NULL
 *
 * Returns [rows, out].
 */
s3r_value *s3r_op_linear(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                         s3r_weight *bias, bool gelu);

/* The same for y = x W^T + addend + b; addend [rows, out], or NULL. */
s3r_value *s3r_op_linear_plus(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                              s3r_weight *bias, bool gelu, s3r_value *addend);

/* weight->grad += dy^T x for dy [rows, out], x [rows, in]; shared with the convolutions.
 * x_stride may be smaller than in (overlapping rows). */
void s3r_linear_weight_grad(s3r_tape *tape, const float *dy, size_t dy_stride,
                            const float *x, size_t x_stride, size_t rows, size_t out,
                            size_t in, float *grad, size_t grad_stride);

/* bias->grad += sum of the rows of dy, in a fixed order. */
void s3r_bias_grad(s3r_tape *tape, const float *dy, size_t rows, size_t cols,
                   size_t stride, s3r_weight *bias);

#endif
