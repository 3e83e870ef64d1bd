/*
 * One loop a type, so that the compiler can vectorise where the conversion allows it.
 */
#include "model/stored_values.h"

#include <math.h>
#include <string.h>

#include "ops/half.h"

#define F16_MAX 65504.0f

void s3r_stored_to_f32(float *out, const void *data, s3r_dtype dtype, size_t first,
                       size_t count)
{
    const unsigned char *at = (const unsigned char *)data + first * s3r_dtype_size(dtype);
    uint16_t half;
    double wide;
    switch (dtype) {
    case S3R_DTYPE_F16:
        for (size_t i = 0; i < count; i++) {
            memcpy(&half, at + 2 * i, sizeof half);
            out[i] = s3r_f16_to_f32(half);
        }
        break;
    case S3R_DTYPE_BF16:
        for (size_t i = 0; i < count; i++) {
            memcpy(&half, at + 2 * i, sizeof half);
            out[i] = s3r_bf16_to_f32(half);
        }
        break;
    case S3R_DTYPE_F64:
        for (size_t i = 0; i < count; i++) {
            memcpy(&wide, at + 8 * i, sizeof wide);
            out[i] = (float)wide;
        }
        break;
    default:
        if (count > 0)
            memcpy(out, at, count * sizeof *out);
        break;
    }
}

bool s3r_stored_fits_f32(const void *stored, s3r_dtype dtype, size_t first, size_t count,
                         size_t *bad)
{
    const unsigned char *at = (const unsigned char *)stored + 8 * first;
    for (size_t i = 0; dtype == S3R_DTYPE_F64 && i < count; i++) {
        double wide;
        memcpy(&wide, at + 8 * i, sizeof wide);
        if (isfinite(wide) && isinf((float)wide)) {
            *bad = i;
            return false;
        }
    }
    return true;
}

bool s3r_stored_from_f32(void *out, s3r_dtype dtype, const float *values, size_t count,
                         size_t *bad)
{
    unsigned char *at = out;
    for (size_t i = 0; i < count; i++) {
        float value = values[i];
        uint16_t half;
        bool is_fitting = true;
        if (dtype == S3R_DTYPE_F32) {
            memcpy(at + 4 * i, &value, sizeof value);
            continue;
        }
        if (dtype == S3R_DTYPE_F16) {
            is_fitting = !(fabsf(value) > F16_MAX);
            half = s3r_f32_to_f16(value);
        } else {
            half = s3r_f32_to_bf16(value);
            is_fitting = isinf(value) || !isinf(s3r_bf16_to_f32(half));
        }
        if (!is_fitting) {
            *bad = i;
            return false;
        }
        memcpy(at + 2 * i, &half, sizeof half);
    }
    return true;
}
