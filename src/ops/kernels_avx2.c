/*
 * Kernels of the avx2 level: 6 x 16 tiles in twelve registers, the panel taken in halves.
 */
#if defined(__x86_64__)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile with the AVX2 and FMA flags"
#endif
#include <immintrin.h>

#define S3R_OWN_PACK_TRANSPOSED_F32
#include "ops/pack_tmpl.h"

#include "ops/elementwise_tmpl.h"
#include "ops/kernel_tables.h"

#define TILE_ROWS 6

S3R_ALWAYS_INLINE void tile_load(__m256 *sum, size_t rows, const float *from,
                                 size_t from_stride)
{
#pragma GCC unroll 6
    for (size_t i = 0; i < rows; i++) {
        sum[2 * i] = from ? _mm256_loadu_ps(from + i * from_stride) : _mm256_setzero_ps();
        sum[2 * i + 1] =
            from ? _mm256_loadu_ps(from + i * from_stride + 8) : _mm256_setzero_ps();
    }
}

S3R_ALWAYS_INLINE void tile_store(const __m256 *sum, size_t rows, float *c,
                                  size_t c_stride)
{
#pragma GCC unroll 6
    for (size_t i = 0; i < rows; i++) {
        _mm256_storeu_ps(c + i * c_stride, sum[2 * i]);
        _mm256_storeu_ps(c + i * c_stride + 8, sum[2 * i + 1]);
    }
}

S3R_ALWAYS_INLINE void half_f32(size_t rows, size_t k, const float *a, size_t a_stride,
                                const float *panel, float *c, size_t c_stride,
                                const float *from, size_t from_stride)
{
    __m256 sum[TILE_ROWS * 2];
    tile_load(sum, rows, from, from_stride);
    for (size_t p = 0; p < k; p++) {
        __m256 left = _mm256_load_ps(panel + p * S3R_PANEL);
        __m256 right = _mm256_load_ps(panel + p * S3R_PANEL + 8);
#pragma GCC unroll 6
        for (size_t i = 0; i < rows; i++) {
            __m256 x = _mm256_broadcast_ss(a + i * a_stride + p);
            sum[2 * i] = _mm256_fmadd_ps(x, left, sum[2 * i]);
            sum[2 * i + 1] = _mm256_fmadd_ps(x, right, sum[2 * i + 1]);
        }
    }
    tile_store(sum, rows, c, c_stride);
}

/* As in gemm_avx512_tmpl.h: rows of A spread out, of each pair the odd one first. */
#define WIDE_STEPS 64u
#define WIDE_EVEN  ((size_t)TILE_ROWS * WIDE_STEPS / 2) /* behind the odd ones */

S3R_ALWAYS_INLINE void widen_rows(size_t rows, size_t k, const uint16_t *a,
                                  size_t a_stride, float *wide)
{
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (size_t i = 0; i < rows; i++, a += a_stride, wide += WIDE_STEPS / 2) {
        for (size_t p = 0; p < k; p += 16) {
            int left = (int)((k - p + 1) / 2); /* pairs: others are not read */
            __m256i wanted = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lane);
            __m256i pairs =
                _mm256_maskload_epi32((const int *)(const void *)(a + p), wanted);
            __m256i even = _mm256_slli_epi32(pairs, 16);
            _mm256_storeu_ps(wide + p / 2,
                             _mm256_castsi256_ps(_mm256_and_si256(pairs, high)));
            _mm256_storeu_ps(wide + WIDE_EVEN + p / 2, _mm256_castsi256_ps(even));
        }
    }
}

S3R_ALWAYS_INLINE void add_products(__m256 *sum, size_t rows, const float *a,
                                    size_t a_stride, __m256i left, __m256i right)
{
#pragma GCC unroll 6
    for (size_t i = 0; i < rows; i++) {
        __m256 x = _mm256_broadcast_ss(a + i * a_stride);
        sum[2 * i] = _mm256_fmadd_ps(x, _mm256_castsi256_ps(left), sum[2 * i]);
        sum[2 * i + 1] = _mm256_fmadd_ps(x, _mm256_castsi256_ps(right), sum[2 * i + 1]);
    }
}

/* a: what widen_rows made. */
S3R_ALWAYS_INLINE void half_bf16(size_t rows, size_t k, const float *a, size_t a_stride,
                                 const uint16_t *panel, float *c, size_t c_stride,
                                 const float *from, size_t from_stride)
{
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    __m256 sum[TILE_ROWS * 2];
    tile_load(sum, rows, from, from_stride);
    for (size_t p = 0; p < k; p += 2, a++) {
        const __m256i *pairs = (const __m256i *)(const void *)(panel + p * S3R_PANEL);
        add_products(sum, rows, a, a_stride, _mm256_and_si256(pairs[0], high),
                     _mm256_and_si256(pairs[1], high));
        add_products(sum, rows, a + WIDE_EVEN, a_stride, _mm256_slli_epi32(pairs[0], 16),
                     _mm256_slli_epi32(pairs[1], 16));
    }
    tile_store(sum, rows, c, c_stride);
}

/* Runs a half over rows x width columns; a narrow one goes through a buffer. */
#define HALF_CASE(name, R)                                                               \
    case R:                                                                              \
        name(R, k, a, a_stride, half, out, out_stride, start, start_stride);             \
        break;
#define RUN_HALVES(name, element, pair)                                                  \
    for (size_t first = 0; first < cols; first += 16) {                                  \
        const element *half = panel + (pair)*first;                                      \
        size_t width = S3R_MIN(cols - first, (size_t)16);                                \
        float buffer[TILE_ROWS * 16] = {0};                                              \
        float *out = width == 16 ? c + first : buffer;                                   \
        size_t out_stride = width == 16 ? c_stride : 16;                                 \
        const float *start = from ? from + first : NULL;                                 \
        size_t start_stride = from_stride;                                               \
        if (start && width < 16) {                                                       \
            for (size_t i = 0; i < rows; i++)                                            \
                memcpy(buffer + 16 * i, start + i * from_stride, width * sizeof(float)); \
            start = buffer;                                                              \
            start_stride = 16;                                                           \
        }                                                                                \
        switch (rows) {                                                                  \
            HALF_CASE(name, 1)                                                           \
            HALF_CASE(name, 2)                                                           \
            HALF_CASE(name, 3)                                                           \
            HALF_CASE(name, 4)                                                           \
            HALF_CASE(name, 5)                                                           \
            HALF_CASE(name, 6)                                                           \
        }                                                                                \
        for (size_t i = 0; width < 16 && i < rows; i++)                                  \
            memcpy(c + i * c_stride + first, buffer + 16 * i, width * sizeof(float));    \
    }

static void tile_f32(size_t rows, size_t cols, size_t k, const float *a, size_t a_stride,
                     const float *panel, float *c, size_t c_stride, const float *from,
                     size_t from_stride)
{
    RUN_HALVES(half_f32, float, 1)
}

static void run_bf16_halves(size_t rows, size_t cols, size_t k, const float *a,
                            size_t a_stride, const uint16_t *panel, float *c,
                            size_t c_stride, const float *from, size_t from_stride)
{
    RUN_HALVES(half_bf16, uint16_t, 2)
}

static void tile_bf16(size_t rows, size_t cols, size_t k, const uint16_t *a,
                      size_t a_stride, const uint16_t *panel, float *c, size_t c_stride,
                      const float *from, size_t from_stride)
{
    float wide[2 * WIDE_EVEN];
    for (size_t p = 0; p < k; p += WIDE_STEPS) {
        size_t steps = S3R_MIN(k - p, (size_t)WIDE_STEPS);
        widen_rows(rows, steps, a + p, a_stride, wide);
        run_bf16_halves(rows, cols, steps, wide, WIDE_STEPS / 2, panel + p * S3R_PANEL, c,
                        c_stride, p ? c : from, p ? c_stride : from_stride);
    }
}

/* acc + the products of four neighbours, even ones and odd ones apart: in pairs of bytes
 * the hardware's sum would saturate. */
S3R_ALWAYS_INLINE __m256i dot_quads(__m256i acc, __m256i a_even, __m256i a_odd, __m256i w)
{
    __m256i w_even = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
    __m256i w_odd = _mm256_srai_epi16(w, 8);
    return _mm256_add_epi32(acc, _mm256_add_epi32(_mm256_madd_epi16(a_even, w_even),
                                                  _mm256_madd_epi16(a_odd, w_odd)));
}

#define INT8_ROWS 3

/* Columns [first, first + 16) of a few rows. */
S3R_ALWAYS_INLINE void part_int8(const s3r_tile_int8 *t, size_t row, size_t rows,
                                 size_t first)
{
    const __m256i low = _mm256_set1_epi16(0xff);
    const int8_t *values = t->panel + 4 * first;
    const int8_t *offsets = t->panel + (t->k + 3) / 4 * 4 * S3R_PANEL + 4 * first;
    size_t width = S3R_MIN(t->cols - first, (size_t)16);
    __m256i sum[INT8_ROWS * 2];
    float scales[16] = {0}, line[16];
    memcpy(scales, t->b_scales + first, width * sizeof(float));
    for (size_t i = 0; i < rows; i++)
        for (size_t v = 0; v < 2; v++)
            sum[2 * i + v] =
                _mm256_loadu_si256((const __m256i *)(const void *)(offsets + 32 * v));
    for (size_t p = 0; p < t->k; p += 4) {
        const __m256i *quads = (const __m256i *)(const void *)(values + p * S3R_PANEL);
        __m256i left = _mm256_load_si256(quads), right = _mm256_load_si256(quads + 1);
#pragma GCC unroll 3
        for (size_t i = 0; i < rows; i++) {
            int quad;
            memcpy(&quad, t->a + (row + i) * t->a_stride + p, sizeof quad);
            __m256i a = _mm256_set1_epi32(quad);
            __m256i even = _mm256_and_si256(a, low), odd = _mm256_srli_epi16(a, 8);
            sum[2 * i] = dot_quads(sum[2 * i], even, odd, left);
            sum[2 * i + 1] = dot_quads(sum[2 * i + 1], even, odd, right);
        }
    }
    for (size_t i = 0; i < rows; i++) {
        float *c = t->c + (row + i) * t->c_stride + first;
        const float *from = t->from ? t->from + (row + i) * t->from_stride + first : NULL;
        for (size_t v = 0; v < 2; v++) {
            __m256 scale = _mm256_mul_ps(_mm256_set1_ps(t->a_scales[row + i]),
                                         _mm256_loadu_ps(scales + 8 * v));
            _mm256_storeu_ps(line + 8 * v,
                             _mm256_mul_ps(_mm256_cvtepi32_ps(sum[2 * i + v]), scale));
        }
        for (size_t j = 0; j < width; j++)
            c[j] = from ? from[j] + line[j] : line[j];
    }
}

static void tile_int8(const s3r_tile_int8 *t)
{
    for (size_t first = 0; first < t->cols; first += 16) {
        size_t row = 0;
        for (; row + INT8_ROWS <= t->rows; row += INT8_ROWS)
            part_int8(t, row, INT8_ROWS, first);
        for (; row < t->rows; row++)
            part_int8(t, row, 1, first);
    }
}

/* Transposes 8 x 8 floats in registers. */
S3R_ALWAYS_INLINE void transpose_8x8(__m256 *r)
{
    __m256 t[8];
#pragma GCC unroll 4
    for (size_t i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++)
        r[i] = t[i];
}

/* Eight floats of column `column` of a panel from step p on; those not kept are 0. */
S3R_ALWAYS_INLINE __m256 load_kept(const unsigned char *x, const s3r_kept_bits *kept,
                                   size_t column, size_t p)
{
    __m256 values = _mm256_loadu_ps((const float *)(const void *)x);
    if (!kept)
        return values;
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i bits = _mm256_set1_epi32((int)s3r_kept_take(kept, column, p, 8));
    __m256i is_kept = _mm256_cmpeq_epi32(_mm256_and_si256(bits, lane), lane);
    return _mm256_and_ps(values, _mm256_castsi256_ps(is_kept));
}

static void pack_transposed_f32(size_t k, size_t cols, const void *b, s3r_dtype dtype,
                                size_t stride, const s3r_kept_bits *kept, void *panel)
{
    float *out = panel;
    size_t whole = dtype == S3R_DTYPE_F32 && cols == S3R_PANEL ? k / 8 * 8 : 0;
    const unsigned char *base = b;
    for (size_t p = 0; p < whole; p += 8) {
        for (size_t first = 0; first < S3R_PANEL; first += 8) {
            __m256 r[8];
#pragma GCC unroll 8
            for (size_t j = 0; j < 8; j++)
                r[j] =
                    load_kept(base + ((first + j) * stride + p) * 4, kept, first + j, p);
            transpose_8x8(r);
#pragma GCC unroll 8
            for (size_t i = 0; i < 8; i++)
                _mm256_store_ps(out + (p + i) * S3R_PANEL + first, r[i]);
        }
    }
    const unsigned char *rest = base + whole * (dtype == S3R_DTYPE_F32 ? 4 : 2);
    out += whole * S3R_PANEL;
    s3r_kept_bits kept_rest = {0};
    if (kept) {
        kept_rest = *kept;
        kept_rest.first += whole;
        kept = &kept_rest;
    }
    if (dtype == S3R_DTYPE_F32)
        pack_dtype(k - whole, cols, rest, S3R_DTYPE_F32, stride, kept, true, out, false);
    else if (dtype == S3R_DTYPE_BF16)
        pack_dtype(k, cols, rest, S3R_DTYPE_BF16, stride, kept, true, out, false);
    else
        pack_dtype(k, cols, rest, S3R_DTYPE_F16, stride, kept, true, out, false);
}

#define S3R_TABLE       s3r_kernels_avx2
#define S3R_TABLE_LEVEL S3R_CPU_AVX2
#define S3R_TABLE_ROWS  TILE_ROWS
#include "ops/kernel_table_tmpl.h"
#else
typedef int s3r_no_avx2;
#endif
