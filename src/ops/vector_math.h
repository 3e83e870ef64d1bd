/*
 * exp and the Gaussian distribution as branch-free polynomials that a compiler turns into
 * vector code at each CPU level.
 *
 * S3R_FMA is a true fused multiply-add where the level has one (the same bits on every
 * such level) and a product and a sum where it has none.  The coefficients are our own
 * minimax fits; each function states its error.
 */
#ifndef S3R_OPS_VECTOR_MATH_H
#define S3R_OPS_VECTOR_MATH_H

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

#if defined(__FMA__)
#define S3R_FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define S3R_FMA(a, b, c) ((a) * (b) + (c))
#endif

S3R_ALWAYS_INLINE float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

S3R_ALWAYS_INLINE uint32_t bits_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* exp(x) for -87 <= x <= 88, relative error below 2e-7. */
S3R_ALWAYS_INLINE float exp_inside(float x)
{
    /* Adding 1.5 * 2^23 rounds to an integer that then stands in the low mantissa bits.
     */
    const float shift = 12582912.0f;
    float rounded = S3R_FMA(x, 1.44269504f, shift);
    float n = rounded - shift;
    float r = S3R_FMA(n, -0.693359375f, x);
    r = S3R_FMA(n, 2.12194440e-4f, r);
    float p = 1.381459762e-03f;
    p = S3R_FMA(p, r, 8.368716575e-03f);
    p = S3R_FMA(p, r, 4.166838899e-02f);
    p = S3R_FMA(p, r, 1.666652113e-01f);
    p = S3R_FMA(p, r, 4.999999404e-01f);
    p = S3R_FMA(p * r, r, r) + 1.0f;
    float power = float_from_bits((bits_from_float(rounded) << 23) + 0x3f800000u);
    return p * power;
}

/* The same for any x <= 88; 0 below -87. */
S3R_ALWAYS_INLINE float vector_exp(float x)
{
    float y = exp_inside(x < -87.0f ? -87.0f : x);
    return x < -87.0f ? 0.0f : y;
}

/* |x|, at most `cap`.  On the bits, which have the order of the values: compilers make
 * several masked paths of a comparison of floats here, and one instruction of this. */
S3R_ALWAYS_INLINE float capped_size(float x, float cap)
{
    int32_t size = (int32_t)(bits_from_float(x) & 0x7fffffffu);
    int32_t most = (int32_t)bits_from_float(cap);
    return float_from_bits((uint32_t)(size < most ? size : most));
}

/* The upper tail of the normal distribution, 0.5 erfc(t / sqrt 2), for 0 <= t <= 10:
 * exp(-P(t)); absolute error of t * tail below 5e-8. */
S3R_ALWAYS_INLINE float normal_tail(float t)
{
    float p = 1.171694521e-06f;
    p = S3R_FMA(p, t, -1.738638639e-05f);
    p = S3R_FMA(p, t, 7.933926827e-05f);
    p = S3R_FMA(p, t, 2.241243201e-04f);
    p = S3R_FMA(p, t, -5.083115771e-03f);
    p = S3R_FMA(p, t, 3.653869778e-02f);
    p = S3R_FMA(p, t, 3.182345629e-01f);
    p = S3R_FMA(p, t, 7.978978157e-01f);
    p = S3R_FMA(p, t, 6.931464076e-01f);
    return exp_inside(-p);
}

/* P(X <= x) for a standard normal X. */
S3R_ALWAYS_INLINE float normal_cdf(float x)
{
    float tail = normal_tail(capped_size(x, 10.0f));
    return x < 0.0f ? tail : 1.0f - tail;
}

S3R_ALWAYS_INLINE float gelu_value(float x)
{
    return x * normal_cdf(x);
}

/* d gelu(x) / dx = cdf(x) + x * density(x) */
S3R_ALWAYS_INLINE float gelu_slope(float x)
{
    float t = capped_size(x, 13.0f);
    float bounded = x < 0.0f ? -t : t;
    float density = 0.398942280f * exp_inside(-0.5f * t * t);
    return normal_cdf(x) + bounded * density;
}

#endif
