/*
 * The table of CPU kernels: one entry a concern, one table a CPU level.
 *
 * Kernels take pointers and sizes, never allocate, never fail.  Every fp32 kernel gives
 * the same bits on each level that has fused multiply-add, because each output is one
 * fixed chain of operations.
 */
#ifndef S3R_OPS_KERNELS_H
#define S3R_OPS_KERNELS_H

#include "base/compiler.h"
#include "base/cpu_level.h"
#include "base/dtype.h"

/* A dropout of rows: element j of row i is kept, and scaled, where
 * s3r_hash_lane(keys[i], j) >= threshold. */
typedef struct s3r_dropout_mask {
    const uint64_t *keys; /* [rows]; NULL = everything is kept as it is */
    uint32_t threshold;
    float scale;
} s3r_dropout_mask;

/* Columns of a packed panel. */
#define S3R_PANEL 32u
/* Rows that the widest tile handles at once. */
#define S3R_TILE_ROWS_MAX 14u

/*
 * C[rows, cols] = from + A[rows, k] * panel[k, 32], one chain of fused multiply-adds in
 * the order of k for each element, which begins with `from`.
 *
 *   a       row i starts at a + i * a_stride (elements); rows may overlap
 *   panel   fp32 [k][32], or bf16 [k rounded up to 2 / 2][32][2] (pairs of k together)
 *   k       at least 1; of bf16, where it is odd, element k of each row of A is read, too
 *   c       fp32, row stride c_stride
 *   from    [rows, cols] with from_stride, 0 for one row for all; may be c; NULL = 0
 *   rows    1..tile_rows; cols 1..32, the panel is zero beyond them
 */
typedef void (*s3r_tile_f32_fn)(size_t rows, size_t cols, size_t k, const float *a,
                                size_t a_stride, const float *panel, float *c,
                                size_t c_stride, const float *from, size_t from_stride);
typedef void (*s3r_tile_bf16_fn)(size_t rows, size_t cols, size_t k, const uint16_t *a,
                                 size_t a_stride, const uint16_t *panel, float *c,
                                 size_t c_stride, const float *from, size_t from_stride);

/*
 * C[rows, cols] = from + a_scale * b_scale * (A[rows, k] - 128) * panel[k, 32] in whole
 * numbers: the sums are exact, so that only the last two steps round (spec 3 says nothing
 * of int8; this is the usual dynamic quantisation).
 *
 *   a         row i starts at a + i * a_stride, each value plus 128; up to 3 bytes behind
 *             k are read
 *   a_scales  [rows] what one step of a row's values is worth
 *   panel     int8 [k rounded up to 4 / 4][32][4], zero beyond k and cols, then for each
 *             column -128 times the sum of its values as int32 [32]
 *   b_scales  [cols]
 *   k         at most S3R_INT8_STEPS_MAX, rows and cols as above
 */
typedef struct s3r_tile_int8 {
    size_t rows, cols, k;
    const uint8_t *a;
    size_t a_stride;
    const float *a_scales;
    const int8_t *panel;
    const float *b_scales;
    float *c;
    size_t c_stride;
    const float *from; /* as above */
    size_t from_stride;
} s3r_tile_int8;
typedef void (*s3r_tile_int8_fn)(const s3r_tile_int8 *tile);
/* 255 * 127 times this is below 2^31. */
#define S3R_INT8_STEPS_MAX 65536u
/* Steps of such a panel that are still packed as one (gemm.h). */
#define S3R_INT8_PACKED_DEPTH 4096u
/* Bytes of such a panel. */
S3R_ALWAYS_INLINE size_t s3r_int8_panel_bytes(size_t k)
{
    return (k + 3) / 4 * 4 * S3R_PANEL + S3R_PANEL * sizeof(int32_t);
}

/*
 * Which elements of a stored B count: bit (i, j) is bit (first + j) % 64 of
 * words[i * stride + (first + j) / 64], for row i and column j of B as it is stored.
 */
typedef struct s3r_kept_bits {
    const uint64_t *words;
    size_t stride; /* words a row */
    size_t first;
} s3r_kept_bits;

/* Bits [column, column + count) of a row, count 1..32, in the lowest bits; what lies
 * above them is undefined. Reads no word that has none of them. */
S3R_ALWAYS_INLINE uint32_t s3r_kept_take(const s3r_kept_bits *kept, size_t row,
                                         size_t column, size_t count)
{
    size_t at = kept->first + column, shift = at % 64;
    const uint64_t *word = kept->words + row * kept->stride + at / 64;
    uint64_t bits = word[0] >> shift;
    if (shift + count > 64)
        bits |= word[1] << (64 - shift);
    return (uint32_t)bits;
}

/*
 * Packs columns [0, cols) of a stored B into one panel of k rows (zero beyond cols).
 * Transposed: B is stored [N, K] (a weight), column j is the row b + j * stride.
 * Plain: B is stored [K, N], row p is b + p * stride.  Strides in elements.
 * k need not be even; a bf16 panel is then padded with one zero row.
 * Elements that are not kept become 0; kept NULL = all.
 */
typedef void (*s3r_pack_fn)(size_t k, size_t cols, const void *b, s3r_dtype dtype,
                            size_t stride, const s3r_kept_bits *kept, void *panel);

typedef struct s3r_kernels {
    s3r_cpu_level level;
    size_t tile_rows; /* best number of rows a tile */
    s3r_tile_f32_fn tile_f32;
    s3r_tile_bf16_fn tile_bf16;
    s3r_pack_fn pack_transposed_f32;  /* any stored dtype -> fp32 panel */
    s3r_pack_fn pack_transposed_bf16; /* any stored dtype -> bf16 panel */
    s3r_pack_fn pack_plain_f32;
    s3r_pack_fn pack_plain_bf16;
    s3r_tile_int8_fn tile_int8;
    s3r_pack_fn pack_transposed_int8; /* of stored int8 */
    /* y[i] = 128 + round(x[i] / scale), halves to even; returns scale = max |x| / 127, 0
     * where all are (nearly) 0, NaN where one is not finite. */
    float (*quantize_row)(size_t n, const float *x, uint8_t *y);
    /* n values, round to nearest even */
    void (*f32_to_bf16)(size_t n, const float *x, uint16_t *y);
    /* out[i] = x[i] - y[i], rounded once. */
    void (*subtract_bf16)(size_t n, const uint16_t *x, const uint16_t *y, uint16_t *out);
    /* y[j, i] = x[i, j] for x [rows, cols]; as bf16 with a zero behind an odd number of
     * rows. Strides in elements. */
    void (*transpose_f32)(size_t rows, size_t cols, const float *x, size_t x_stride,
                          float *y, size_t y_stride);
    void (*transpose_bf16)(size_t rows, size_t cols, const float *x, size_t x_stride,
                           uint16_t *y, size_t y_stride);

    /* y[i] = gelu(x[i]), exact erf form; y may be x.  dx[i] = dy[i] * gelu'(x[i]). */
    void (*gelu)(size_t n, const float *x, float *y);
    void (*gelu_grad)(size_t n, const float *x, const float *dy, float *dx);
    /* y = gelu(c), row by row; z, with the stride of c, receives c itself, or is NULL; y
     * may be c. */
    void (*gelu_rows)(size_t rows, size_t cols, const float *c, size_t stride, float *z,
                      float *y, size_t y_stride);
    /* The same with the result in bf16, of which GELU itself is off by at most a
     * twentieth of what rounding may be, and below -4 by less than 5e-8. */
    void (*gelu_rows_bf16)(size_t rows, size_t cols, const float *c, size_t stride,
                           uint16_t *y, size_t y_stride);
    /* y[i] = exp(x[i] - shift), returns the sum in double; y may be x. */
    double (*exp_sum)(size_t n, float shift, const float *x, float *y);
    /* The same for x <= shift with results in bf16, of which the exponential itself is
     * off by at most a fortieth of what rounding may be; the sum is taken before that. */
    double (*exp_sum_bf16)(size_t n, float shift, const float *x, uint16_t *y);
    float (*max)(size_t n, const float *x);
    double (*sum)(size_t n, const float *x);
    /* sum of (x[i] - mean)^2 */
    double (*sum_squares)(size_t n, double mean, const float *x);
    double (*dot)(size_t n, const float *x, const float *y);
    /* y[i] = (x[i] - mean) * rstd * gain[i] + bias[i]; y may be x */
    void (*scale_shift)(size_t n, float mean, float rstd, const float *gain,
                        const float *bias, const float *x, float *y);
    /* y[i] += a * x[i] */
    void (*axpy)(size_t n, float a, const float *x, float *y);
    /* z[i] = x[i] * y[i]; z may be x or y */
    void (*mul)(size_t n, const float *x, const float *y, float *z);

    /* With h = (x[i] - mean) * rstd: dx[i] += rstd * (dy[i] - offset - slope * h) */
    void (*norm_grad)(size_t n, float mean, float rstd, float offset, float slope,
                      const float *x, const float *dy, float *dx);
    /* With the same h: dgain[i] += dy[i] * h, dbias[i] += dy[i] */
    void (*norm_weight_grad)(size_t n, float mean, float rstd, const float *x,
                             const float *dy, double *dgain, double *dbias);
    /* y[i] = x[i] * scale[i] + shift[i]; y may be x */
    void (*affine)(size_t n, const float *scale, const float *shift, const float *x,
                   float *y);
    /* dx[i] += dy[i] * scale[i] + x[i] * slope[i] + offset[i] */
    void (*affine_grad)(size_t n, const float *scale, const float *slope,
                        const float *offset, const float *x, const float *dy, float *dx);
    /* Row after row of each column: sum_y[j] += y[i, j], sum_xy[j] += x[i, j] y[i, j].
     * The bits do not depend on how the rows are cut into calls. */
    void (*column_sums)(size_t rows, size_t cols, const float *x, size_t x_stride,
                        const float *y, size_t y_stride, double *sum_y, double *sum_xy);
    /* sums[j] += x[i, j], row after row of each column. */
    void (*add_rows)(size_t rows, size_t cols, const float *x, size_t stride,
                     double *sums);
    /* y[i] = x[i] * scale where s3r_hash_lane(key, first + i) >= threshold, else 0; y may
     * be x */
    void (*dropout)(size_t n, uint64_t key, size_t first, uint32_t threshold, float scale,
                    const float *x, float *y);
    /* Probabilities p and the gradients d of the dropped ones, by s3r_hash_lane as above:
     * kept[i] = p[i] dropped, d[i] = d[i] dropped; returns the sum of p[i] * d[i]. A
     * threshold of 0 keeps all. */
    double (*softmax_drop)(size_t n, uint64_t key, uint32_t threshold, float scale,
                           const float *p, float *d, float *kept);
    /* d[i] = p[i] * (d[i] - mean) * scale */
    void (*softmax_grad)(size_t n, float mean, float scale, const float *p, float *d);
    /* y[i] = x[i] * scale; y may be x */
    void (*scale)(size_t n, float scale, const float *x, float *y);
    /* c += x, row by row; with an x_stride of 0 the same row for all. */
    void (*add_matrix)(size_t rows, size_t cols, const float *x, size_t x_stride,
                       float *c, size_t c_stride);
} s3r_kernels;

/* The table of a level; the caller has checked that the machine has it.  Thread-safe. */
const s3r_kernels *s3r_kernels_get(s3r_cpu_level level);

#endif
