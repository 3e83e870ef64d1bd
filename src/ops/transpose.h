/*
 * Transposing rows in parallel.
 */
#ifndef S3R_OPS_TRANSPOSE_H
#define S3R_OPS_TRANSPOSE_H

#include "ops/tape.h"

/* Elements (of fp32, for s3r_tape_take) that the transpose of [rows, cols] needs, and the
 * row stride that it has in its own type; false when that does not fit in size_t. */
bool s3r_transpose_size(size_t rows, size_t cols, bool is_bf16, size_t *elements,
                        size_t *stride);

/*
 * out[j, i] = x[i, j] for x [rows, cols], in bf16 with a zero behind an odd number of
 * rows; out has the given stride.
 */
void s3r_transpose(s3r_tape *tape, size_t rows, size_t cols, const float *x,
                   size_t x_stride, bool is_bf16, void *out, size_t stride);

#endif
