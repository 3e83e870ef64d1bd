/*
 * Rounding to whole numbers and back.
 */
#include "model/weight_quantize.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define LEAST 1e-30f /* rows below it count as zeros, so that 127 / largest is finite */

float s3r_quantize_weights(size_t n, const float *values, int8_t *out)
{
    float largest = 0;
    bool is_finite = true;
    for (size_t i = 0; i < n; i++) {
        largest = fmaxf(largest, fabsf(values[i]));
        is_finite = is_finite && isfinite(values[i]);
    }
    if (!is_finite || largest < LEAST) {
        memset(out, 0, n);
        return is_finite ? 0 : NAN;
    }
    float inverse = 127.0f / largest;
    for (size_t i = 0; i < n; i++)
        out[i] = (int8_t)lrintf(values[i] * inverse);
    return largest / 127.0f;
}

void s3r_dequantize_weights(float *out, const int8_t *data, const float *scales,
                            size_t cols, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)data[first + i] * scales[(first + i) / cols];
}
