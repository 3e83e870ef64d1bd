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

/*
 * The constants, loaded before a loop. What a compiler knows to be constant it may read
 * from memory again in every step, and a vector operation with such an operand takes two
 * steps of the processor; so it is not to know.
 */
#if defined(__x86_64__) && defined(__GNUC__)
#define S3R_IN_REGISTER(constant) __asm__("" : "+x"(constant))
#else
#define S3R_IN_REGISTER(constant) ((void)(constant))
#endif

typedef struct exp_terms {
    float lowest, log2_e, rounding, ln_2_high, ln_2_low, one, p[5];
} exp_terms;

S3R_ALWAYS_INLINE exp_terms exp_terms_load(void)
{
    /* Adding 1.5 * 2^23 rounds to an integer that then stands in the low mantissa bits.
     */
    exp_terms terms = {.lowest = -87.0f,
                       .log2_e = 1.44269504f,
                       .rounding = 12582912.0f,
                       .ln_2_high = -0.693359375f,
                       .ln_2_low = 2.12194440e-4f,
                       .one = 1.0f,
                       .p = {1.381459762e-03f, 8.368716575e-03f, 4.166838899e-02f,
                             1.666652113e-01f, 4.999999404e-01f}};
    S3R_IN_REGISTER(terms.lowest);
    S3R_IN_REGISTER(terms.log2_e);
    S3R_IN_REGISTER(terms.rounding);
    S3R_IN_REGISTER(terms.ln_2_high);
    S3R_IN_REGISTER(terms.ln_2_low);
    S3R_IN_REGISTER(terms.one);
    S3R_IN_REGISTER(terms.p[0]);
    S3R_IN_REGISTER(terms.p[1]);
    S3R_IN_REGISTER(terms.p[2]);
    S3R_IN_REGISTER(terms.p[3]);
    S3R_IN_REGISTER(terms.p[4]);
    return terms;
}

/* 2^n for the integer n that was rounded as above. */
S3R_ALWAYS_INLINE float whole_power(float rounded, float one)
{
    return float_from_bits((bits_from_float(rounded) << 23) + bits_from_float(one));
}

/* exp(x) for -87 <= x <= 88, relative error below 2e-7. */
S3R_ALWAYS_INLINE float exp_inside(const exp_terms *terms, float x)
{
    float rounded = S3R_FMA(x, terms->log2_e, terms->rounding);
    float n = rounded - terms->rounding;
    float r = S3R_FMA(n, terms->ln_2_high, x);
    r = S3R_FMA(n, terms->ln_2_low, r);
    const float *c = terms->p;
    float r2 = r * r;
    float p =
        S3R_FMA(S3R_FMA(c[0], r2, S3R_FMA(c[1], r, c[2])), r2, S3R_FMA(c[3], r, c[4]));
    p = S3R_FMA(p, r2, r) + terms->one;
    return p * whole_power(rounded, terms->one);
}

/* The same for any x <= 88; 0 below -87. */
S3R_ALWAYS_INLINE float vector_exp(const exp_terms *terms, float x)
{
    float y = exp_inside(terms, x < terms->lowest ? terms->lowest : x);
    return x < terms->lowest ? 0.0f : y;
}

/* |x|, at most `cap`.  On the bits, which have the order of the values: compilers make
 * several masked paths of a comparison of floats here, and one instruction of this. */
S3R_ALWAYS_INLINE float capped_size(float x, float cap)
{
    int32_t size = (int32_t)(bits_from_float(x) & 0x7fffffffu);
    int32_t most = (int32_t)bits_from_float(cap);
    return float_from_bits((uint32_t)(size < most ? size : most));
}

typedef struct normal_terms {
    exp_terms exp;
    float cap, p[9];
} normal_terms;

S3R_ALWAYS_INLINE normal_terms normal_terms_load(void)
{
    normal_terms terms = {.exp = exp_terms_load(),
                          .cap = 10.0f,
                          .p = {1.171694521e-06f, -1.738638639e-05f, 7.933926827e-05f,
                                2.241243201e-04f, -5.083115771e-03f, 3.653869778e-02f,
                                3.182345629e-01f, 7.978978157e-01f, 6.931464076e-01f}};
    S3R_IN_REGISTER(terms.cap);
    S3R_IN_REGISTER(terms.p[0]);
    S3R_IN_REGISTER(terms.p[1]);
    S3R_IN_REGISTER(terms.p[2]);
    S3R_IN_REGISTER(terms.p[3]);
    S3R_IN_REGISTER(terms.p[4]);
    S3R_IN_REGISTER(terms.p[5]);
    S3R_IN_REGISTER(terms.p[6]);
    S3R_IN_REGISTER(terms.p[7]);
    S3R_IN_REGISTER(terms.p[8]);
    return terms;
}

/* The upper tail of the normal distribution, 0.5 erfc(t / sqrt 2), for 0 <= t <= 10:
 * exp(-P(t)); absolute error of t * tail below 7e-8. */
S3R_ALWAYS_INLINE float normal_tail(const normal_terms *terms, float t)
{
    const float *c = terms->p;
    float t2 = t * t, t4 = t2 * t2;
    float low = S3R_FMA(S3R_FMA(c[5], t, c[6]), t2, S3R_FMA(c[7], t, c[8]));
    float high = S3R_FMA(S3R_FMA(c[1], t, c[2]), t2, S3R_FMA(c[3], t, c[4]));
    float p = S3R_FMA(S3R_FMA(c[0], t4, high), t4, low);
    return exp_inside(&terms->exp, -p);
}

/* P(X <= x) for a standard normal X. */
S3R_ALWAYS_INLINE float normal_cdf(const normal_terms *terms, float x)
{
    float tail = normal_tail(terms, capped_size(x, terms->cap));
    return x < 0.0f ? tail : terms->exp.one - tail;
}

/* x P(X <= x) = max(x, 0) - |x| P(X > |x|); NaN stays NaN, -inf becomes its limit, 0. */
S3R_ALWAYS_INLINE float gelu_value(const normal_terms *terms, float x)
{
    float size = capped_size(x, terms->cap), positive = 0.0f > x ? 0.0f : x;
    return S3R_FMA(-size, normal_tail(terms, size), positive);
}

/* Powers for results that are rounded to bf16 next: of degree 3, relative error below
 * 8e-5, a fiftieth of what rounding may be. */
typedef struct power_terms {
    float rounding, one, p[4];
} power_terms;

S3R_ALWAYS_INLINE power_terms power_terms_load(void)
{
    power_terms terms = {
        .rounding = 12582912.0f,
        .one = 1.0f,
        .p = {9.999280700e-01f, 6.932609900e-01f, 2.426112300e-01f, 5.517171000e-02f}};
    S3R_IN_REGISTER(terms.rounding);
    S3R_IN_REGISTER(terms.one);
    S3R_IN_REGISTER(terms.p[0]);
    S3R_IN_REGISTER(terms.p[1]);
    S3R_IN_REGISTER(terms.p[2]);
    S3R_IN_REGISTER(terms.p[3]);
    return terms;
}

/* 2^x for -126 <= x <= 127. */
S3R_ALWAYS_INLINE float rough_power(const power_terms *terms, float x)
{
    const float *p = terms->p;
    float rounded = x + terms->rounding;
    float r = x - (rounded - terms->rounding);
    float rest = S3R_FMA(S3R_FMA(S3R_FMA(p[3], r, p[2]), r, p[1]), r, p[0]);
    return rest * whole_power(rounded, terms->one);
}

/*
 * gelu_value for such a result, in two thirds of its operations. The tail is 2^-Q(t) with
 * Q of degree 5; its relative error is below 1.7e-4, a twentieth of what rounding may be,
 * where t * tail is above 2^-12, and t * tail is off by less than 5e-8 elsewhere.
 */
typedef struct rough_terms {
    power_terms power;
    float cap, q[6];
} rough_terms;

S3R_ALWAYS_INLINE rough_terms rough_terms_load(void)
{
    rough_terms terms = {.power = power_terms_load(),
                         .cap = 10.0f,
                         .q = {-1.000085373f, -1.149672336f, -4.630290162e-01f,
                               -4.906127363e-02f, 6.077062866e-03f, -3.466696933e-04f}};
    S3R_IN_REGISTER(terms.cap);
    S3R_IN_REGISTER(terms.q[0]);
    S3R_IN_REGISTER(terms.q[1]);
    S3R_IN_REGISTER(terms.q[2]);
    S3R_IN_REGISTER(terms.q[3]);
    S3R_IN_REGISTER(terms.q[4]);
    S3R_IN_REGISTER(terms.q[5]);
    return terms;
}

S3R_ALWAYS_INLINE float gelu_rough(const rough_terms *terms, float x)
{
    const float *q = terms->q;
    float t = capped_size(x, terms->cap), positive = 0.0f > x ? 0.0f : x;
    float t2 = t * t;
    float power = S3R_FMA(S3R_FMA(q[5], t, q[4]), t2, S3R_FMA(q[3], t, q[2]));
    power = S3R_FMA(power, t2, S3R_FMA(q[1], t, q[0]));
    return S3R_FMA(-t, rough_power(&terms->power, power), positive);
}

/* d gelu(x) / dx = cdf(x) + x * density(x) */
S3R_ALWAYS_INLINE float gelu_slope(const normal_terms *terms, float x)
{
    float t = capped_size(x, 13.0f);
    float bounded = x < 0.0f ? -t : t;
    float density = 0.398942280f * exp_inside(&terms->exp, -0.5f * t * t);
    return normal_cdf(terms, x) + bounded * density;
}

#endif
