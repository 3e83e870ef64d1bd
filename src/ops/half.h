/*
 * Scalar conversions between fp32, bf16 and IEEE half, for packing on levels without
 * vector instructions for it, for readers and for tests.
 */
#ifndef S3R_OPS_HALF_H
#define S3R_OPS_HALF_H

#include <string.h>

#include "base/compiler.h"
#include "base/dtype.h"

S3R_ALWAYS_INLINE float s3r_bf16_to_f32(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Round to nearest even; NaN stays NaN. */
S3R_ALWAYS_INLINE uint16_t s3r_f32_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

S3R_ALWAYS_INLINE float s3r_f16_to_f32(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16;
    uint32_t exponent = (x >> 10) & 0x1fu, mantissa = x & 0x3ffu, bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent) {
        bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else {
        /* A subnormal is mantissa * 2^-24, which fp32 holds exactly. */
        float magnitude = (float)mantissa * 5.9604644775390625e-8f;
        memcpy(&bits, &magnitude, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Round to nearest even; too large becomes infinity; NaN stays NaN. */
static inline uint16_t s3r_f32_to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) { /* normal: rebias by 112, drop 13 bits */
        uint32_t rounded = magnitude - (112u << 23);
        rounded += 0xfffu + ((rounded >> 13) & 1u);
        return (uint16_t)(sign | (rounded >> 13));
    }
    /* Subnormal: adding 0.5 puts the value in units of 2^-24 and rounds to even. */
    float shifted;
    memcpy(&shifted, &magnitude, sizeof shifted);
    shifted += 0.5f;
    uint32_t shifted_bits;
    memcpy(&shifted_bits, &shifted, sizeof shifted_bits);
    return (uint16_t)(sign | (shifted_bits - 0x3f000000u));
}

/* Element `index` of stored data of type F32, F16, BF16 or F64. */
static inline float s3r_element_to_f32(const void *data, s3r_dtype dtype, size_t index)
{
    const unsigned char *at = (const unsigned char *)data + index * s3r_dtype_size(dtype);
    uint16_t half;
    float single;
    double wide;
    switch (dtype) {
    case S3R_DTYPE_F16:
        memcpy(&half, at, sizeof half);
        return s3r_f16_to_f32(half);
    case S3R_DTYPE_BF16:
        memcpy(&half, at, sizeof half);
        return s3r_bf16_to_f32(half);
    case S3R_DTYPE_F64:
        memcpy(&wide, at, sizeof wide);
        return (float)wide;
    default:
        memcpy(&single, at, sizeof single);
        return single;
    }
}

#endif
