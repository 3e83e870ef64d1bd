/*
 * Convolution with int8 weights, for inference.
 *
 * What the kernel sees of x at an output frame is rounded as one row, with a scale of its
 * own (s3r_kernels.quantize_row), so that a frame depends neither on the batch nor on
 * the chunk that it is in.
 */
#ifndef S3R_OPS_CONV_INT8_H
#define S3R_OPS_CONV_INT8_H

#include "ops/conv_result.h"
#include "ops/op_conv.h"

/* Whether the shape can be computed this way; s3r_op_conv then does so when the weight
 * has panels in int8. */
bool s3r_conv_allows_int8(const s3r_conv_shape *shape);

/* Bytes of the panels of a weight, and the making of panel `panel` of them from the rows
 * of its channels, int8 [cols, kernel * in]. */
size_t s3r_conv_int8_bytes(const s3r_conv_shape *shape);
void s3r_conv_int8_panel(const s3r_kernels *kernels, const s3r_conv_shape *shape,
                         const int8_t *rows, size_t cols, size_t panel, void *packed);

/* y = conv(x) + bias and what follows; false without memory. */
bool s3r_conv_int8_run(s3r_tape *tape, const s3r_conv_shape *shape, const s3r_value *x,
                       s3r_ragged in, s3r_ragged out, const s3r_weight *weight,
                       const s3r_weight *bias, const s3r_conv_result *y);

#endif
