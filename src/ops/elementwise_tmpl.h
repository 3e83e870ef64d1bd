/*
 * Elementwise and reducing kernels, in plain C that each CPU level compiles for itself.
 *
 * Reductions keep 16 partial sums whatever the vector width, so that every level adds in
 * the same order.  The including file has f32_to_bf16; it is compiled with its level's
 * flags and takes the static functions into its table.
 */
#include <math.h>

#include "base/random.h"
#include "ops/kernels.h"
#include "ops/vector_math.h"

#define LANES 16

/* Rows that a loop writes are those it reads, or other ones. */
#if defined(__clang__)
#define SAME_OR_OTHER_ROWS /* clang compares the addresses */
#else
#define SAME_OR_OTHER_ROWS _Pragma("GCC ivdep")
#endif

/* Below this a row counts as zero, so that 127 / max is finite. */
#define QUANTIZE_LEAST 1e-30f
/* Added to a small number it leaves its nearest integer in the lowest bits. */
#define ROUNDING_MAGIC 12582912.0f

static float quantize_row(size_t n, const float *x, uint8_t *y)
{
    uint32_t largest_bits = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffffu; /* in this order NaN is the largest */
        largest_bits = bits > largest_bits ? bits : largest_bits;
    }
    float largest;
    memcpy(&largest, &largest_bits, sizeof largest);
    bool is_finite = largest_bits < 0x7f800000u;
    if (!is_finite || largest < QUANTIZE_LEAST) {
        memset(y, 128, n);
        return is_finite ? 0.0f : NAN;
    }
    float inverse = 127.0f / largest;
    for (size_t i = 0; i < n; i++) {
        float rounded = x[i] * inverse + ROUNDING_MAGIC;
        uint32_t bits;
        memcpy(&bits, &rounded, sizeof bits);
        y[i] = (uint8_t)(bits + 128u);
    }
    return largest / 127.0f;
}

static void gelu(size_t n, const float *x, float *y)
{
    const normal_terms terms = normal_terms_load();
    SAME_OR_OTHER_ROWS
    for (size_t i = 0; i < n; i++)
        y[i] = gelu_value(&terms, x[i]);
}

static void gelu_rows(size_t rows, size_t cols, const float *c, size_t stride, float *z,
                      float *y, size_t y_stride)
{
    const normal_terms terms = normal_terms_load();
    for (size_t i = 0; i < rows; i++, c += stride, y += y_stride) {
        if (z)
            memcpy(z + i * stride, c, cols * sizeof *z);
        SAME_OR_OTHER_ROWS
        for (size_t j = 0; j < cols; j++)
            y[j] = gelu_value(&terms, c[j]);
    }
}

#define NARROW_PART 64u /* values between a function and its rounding: 4 a lane */

S3R_ALWAYS_INLINE void gelu_part(const rough_terms *terms, size_t cols, const float *c,
                                 uint16_t *y)
{
    float line[NARROW_PART];
    for (size_t j = 0; j < cols; j++)
        line[j] = gelu_rough(terms, c[j]);
    f32_to_bf16(cols, line, y);
}

static void gelu_rows_bf16(size_t rows, size_t cols, const float *c, size_t stride,
                           uint16_t *y, size_t y_stride)
{
    const rough_terms terms = rough_terms_load();
    for (size_t i = 0; i < rows; i++, c += stride, y += y_stride) {
        size_t j = 0;
        for (; j + NARROW_PART <= cols; j += NARROW_PART)
            gelu_part(&terms, NARROW_PART, c + j, y + j);
        if (j < cols)
            gelu_part(&terms, cols - j, c + j, y + j);
    }
}

static void add_matrix(size_t rows, size_t cols, const float *x, size_t x_stride,
                       float *c, size_t c_stride)
{
    for (size_t i = 0; i < rows; i++, x += x_stride, c += c_stride) {
        SAME_OR_OTHER_ROWS
        for (size_t j = 0; j < cols; j++)
            c[j] += x[j];
    }
}

static void gelu_grad(size_t n, const float *x, const float *dy, float *dx)
{
    const normal_terms terms = normal_terms_load();
    SAME_OR_OTHER_ROWS
    for (size_t i = 0; i < n; i++)
        dx[i] = dy[i] * gelu_slope(&terms, x[i]);
}

static double fold_lanes(const double *lane)
{
    double half[8], quarter[4];
    for (size_t i = 0; i < 8; i++)
        half[i] = lane[i] + lane[i + 8];
    for (size_t i = 0; i < 4; i++)
        quarter[i] = half[i] + half[i + 4];
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

static double exp_sum(size_t n, float shift, const float *x, float *y)
{
    const exp_terms terms = exp_terms_load();
    size_t whole = n / LANES * LANES;
    float rest[LANES];
    SAME_OR_OTHER_ROWS
    for (size_t i = 0; i < whole; i++)
        y[i] = vector_exp(&terms, x[i] - shift);
    for (size_t l = 0; l < LANES; l++)
        rest[l] = l < n - whole ? x[whole + l] : -INFINITY;
    for (size_t l = 0; l < LANES; l++)
        rest[l] = vector_exp(&terms, rest[l] - shift);
    memcpy(y + whole, rest, (n - whole) * sizeof *y);
    double total = 0;
    /* Sums of up to 16 terms a lane in fp32, of those in double. */
    for (size_t first = 0; first < n; first += 16 * LANES) {
        size_t end = S3R_MIN(n, first + 16 * LANES), i = first;
        float lane[LANES] = {0};
        double part[LANES];
        for (; i + LANES <= end; i += LANES)
            for (size_t l = 0; l < LANES; l++)
                lane[l] += y[i + l];
        for (size_t l = 0; i < end && l < LANES; l++)
            lane[l] += rest[l];
        for (size_t l = 0; l < LANES; l++)
            part[l] = (double)lane[l];
        total += fold_lanes(part);
    }
    return total;
}

/* One part of exp_sum_bf16; what lies below -125 in powers of 2 is 0. */
S3R_ALWAYS_INLINE void exp_sum_part(const power_terms *terms, float shift, const float *x,
                                    float *lane, uint16_t *y)
{
    const float log2_e = 1.44269504f;
    float line[NARROW_PART];
    for (size_t i = 0; i < NARROW_PART; i++) {
        float power = (x[i] - shift) * log2_e;
        float value = rough_power(terms, -125.0f > power ? -125.0f : power);
        line[i] = -125.0f > power ? 0.0f : value;
    }
    for (size_t l = 0; l < LANES; l++)
        lane[l] +=
            (line[l] + line[l + LANES]) + (line[l + 2 * LANES] + line[l + 3 * LANES]);
    f32_to_bf16(NARROW_PART, line, y);
}

static double exp_sum_bf16(size_t n, float shift, const float *x, uint16_t *y)
{
    const power_terms terms = power_terms_load();
    float lane[LANES] = {0}, rest[NARROW_PART];
    double wide[LANES];
    size_t i = 0;
    for (; i + NARROW_PART <= n; i += NARROW_PART)
        exp_sum_part(&terms, shift, x + i, lane, y + i);
    if (i < n) {
        uint16_t narrow[NARROW_PART];
        for (size_t j = 0; j < NARROW_PART; j++)
            rest[j] = j < n - i ? x[i + j] : -INFINITY;
        exp_sum_part(&terms, shift, rest, lane, narrow);
        memcpy(y + i, narrow, (n - i) * sizeof *y);
    }
    for (size_t l = 0; l < LANES; l++)
        wide[l] = (double)lane[l];
    return fold_lanes(wide);
}

/* Integers in the order of the floats they stand for, and back. As floats, compilers keep
 * the order of comparisons, for the sake of NaN, and make no vector code. */
S3R_ALWAYS_INLINE int32_t order_key(int32_t bits)
{
    return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
}

static float max_of(size_t n, const float *x)
{
    int32_t best = INT32_MIN;
    for (size_t i = 0; i < n; i++) {
        int32_t key = order_key((int32_t)bits_from_float(x[i]));
        best = key > best ? key : best;
    }
    return float_from_bits((uint32_t)order_key(best));
}

static double sum(size_t n, const float *x)
{
    double total[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            total[l] += (double)x[i + l];
    for (size_t l = 0; i < n; i++, l++)
        total[l] += (double)x[i];
    return fold_lanes(total);
}

static double sum_squares(size_t n, double mean, const float *x)
{
    double total[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            double d = (double)x[i + l] - mean;
            total[l] += d * d;
        }
    }
    for (size_t l = 0; i < n; i++, l++) {
        double d = (double)x[i] - mean;
        total[l] += d * d;
    }
    return fold_lanes(total);
}

static double dot(size_t n, const float *x, const float *y)
{
    double total[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            total[l] += (double)x[i + l] * (double)y[i + l];
    for (size_t l = 0; i < n; i++, l++)
        total[l] += (double)x[i] * (double)y[i];
    return fold_lanes(total);
}

static void scale_shift(size_t n, float mean, float rstd, const float *gain,
                        const float *bias, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = S3R_FMA((x[i] - mean) * rstd, gain[i], bias[i]);
}

static void axpy(size_t n, float a, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = S3R_FMA(a, x[i], y[i]);
}

static void mul(size_t n, const float *x, const float *y, float *z)
{
    for (size_t i = 0; i < n; i++)
        z[i] = x[i] * y[i];
}

static void norm_grad(size_t n, float mean, float rstd, float offset, float slope,
                      const float *x, const float *dy, float *dx)
{
    for (size_t i = 0; i < n; i++) {
        float normal = (x[i] - mean) * rstd;
        dx[i] = S3R_FMA(rstd, dy[i] - S3R_FMA(slope, normal, offset), dx[i]);
    }
}

static void norm_weight_grad(size_t n, float mean, float rstd, const float *x,
                             const float *dy, double *dgain, double *dbias)
{
    for (size_t i = 0; i < n; i++) {
        dgain[i] += (double)(dy[i] * ((x[i] - mean) * rstd));
        dbias[i] += (double)dy[i];
    }
}

static void affine(size_t n, const float *scale, const float *shift, const float *x,
                   float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = S3R_FMA(x[i], scale[i], shift[i]);
}

static void affine_grad(size_t n, const float *scale, const float *slope,
                        const float *offset, const float *x, const float *dy, float *dx)
{
    for (size_t i = 0; i < n; i++)
        dx[i] += S3R_FMA(dy[i], scale[i], S3R_FMA(x[i], slope[i], offset[i]));
}

/* Whole rows at a time, in a form that becomes vector code. The products of floats are
 * exact in double: the order of rows alone fixes the bits. */
static void column_sums(size_t rows, size_t cols, const float *x, size_t x_stride,
                        const float *y, size_t y_stride, double *restrict sum_y,
                        double *restrict sum_xy)
{
    for (size_t i = 0; i < rows; i++, x += x_stride, y += y_stride) {
        for (size_t j = 0; j < cols; j++) {
            sum_y[j] += (double)y[j];
            sum_xy[j] += (double)x[j] * (double)y[j];
        }
    }
}

static void add_rows(size_t rows, size_t cols, const float *x, size_t stride,
                     double *restrict sums)
{
    for (size_t i = 0; i < rows; i++, x += stride)
        for (size_t j = 0; j < cols; j++)
            sums[j] += (double)x[j];
}

/* What s3r_hash_lane multiplies the index with: for lanes in a row, a running sum spares
 * the product. */
#define HASH_STEP 0x9e3779b1u

static void dropout(size_t n, uint64_t key, size_t first, uint32_t threshold, float scale,
                    const float *x, float *y)
{
    uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
    uint32_t lane = low + (uint32_t)first * HASH_STEP;
    for (size_t i = 0; i < n; i++, lane += HASH_STEP) {
        uint32_t bits = s3r_hash_lane(lane, high, 0);
        y[i] = bits >= threshold ? x[i] * scale : 0.0f;
    }
}

static double softmax_drop(size_t n, uint64_t key, uint32_t threshold, float scale,
                           const float *p, float *d, float *kept)
{
    uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
    double total = 0;
    for (size_t first = 0; first < n; first += 16 * LANES) {
        size_t end = n - first < 16 * LANES ? n : first + 16 * LANES, i = first;
        float lane[LANES] = {0};
        double part[LANES];
        for (; i + LANES <= end; i += LANES) {
            for (size_t l = 0; l < LANES; l++) {
                uint32_t bits = s3r_hash_lane(low, high, (uint32_t)(i + l));
                float factor = bits >= threshold ? scale : 0.0f;
                d[i + l] *= factor;
                kept[i + l] = p[i + l] * factor;
                lane[l] = S3R_FMA(p[i + l], d[i + l], lane[l]);
            }
        }
        for (size_t l = 0; i < end; i++, l++) {
            uint32_t bits = s3r_hash_lane(low, high, (uint32_t)i);
            float factor = bits >= threshold ? scale : 0.0f;
            d[i] *= factor;
            kept[i] = p[i] * factor;
            lane[l] = S3R_FMA(p[i], d[i], lane[l]);
        }
        for (size_t l = 0; l < LANES; l++)
            part[l] = (double)lane[l];
        total += fold_lanes(part);
    }
    return total;
}

static void softmax_grad(size_t n, float mean, float scale, const float *p, float *d)
{
    for (size_t i = 0; i < n; i++)
        d[i] = p[i] * (d[i] - mean) * scale;
}

static void scale_by(size_t n, float scale, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale;
}

#undef LANES
#undef SAME_OR_OTHER_ROWS
#undef HASH_STEP
