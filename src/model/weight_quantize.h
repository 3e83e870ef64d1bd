/*
 * Stored int8: a matrix [out, in] as whole numbers, one scale an output channel.
 *
 *   value = q * scale[row],  q in [-127, 127],  scale = largest |value| of the row / 127
 *
 * Symmetric, so that a removed or zero weight stays exactly zero.
 */
#ifndef S3R_MODEL_WEIGHT_QUANTIZE_H
#define S3R_MODEL_WEIGHT_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

/* Rounds one row, halves to even; returns its scale, 0 for a row of zeros, NaN (and
 * zeros) where a value is not finite. */
float s3r_quantize_weights(size_t n, const float *values, int8_t *out);

/* out[i] = element first + i of a matrix with `cols` columns. */
void s3r_dequantize_weights(float *out, const int8_t *data, const float *scales,
                            size_t cols, size_t first, size_t count);

#endif
