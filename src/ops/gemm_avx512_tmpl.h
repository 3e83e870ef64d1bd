/*
 * AVX-512 GEMM tiles and packing, shared by the levels with and without bf16 products.
 *
 * A tile keeps 14 x 32 sums in 28 registers; each step of k loads two vectors of the
 * panel and broadcasts one value of A a row, so that the fused multiply-adds alone set
 * the pace. Define S3R_TILE_SUFFIX and, for native bf16 products, S3R_HAS_BF16 before
 * including.
 */
#if !defined(__AVX512F__) || !defined(__AVX512BW__)
#error "compile with the AVX-512 flags"
#endif
#include <immintrin.h>

#include "ops/kernels.h"

#define TILE_ROWS 14

/*
 * Panels come from memory one row of 128 bytes after another. A processor foresees that,
 * but no further than to the end of a page; these requests are for rows two pages on,
 * also beyond a panel, where the next one lies.
 */
#define PANEL_AHEAD 8192u

S3R_ALWAYS_INLINE void ask_ahead(const void *panel_row)
{
    uintptr_t ahead = (uintptr_t)panel_row + PANEL_AHEAD;
    _mm_prefetch((const char *)ahead, _MM_HINT_T1);
    _mm_prefetch((const char *)(ahead + 64), _MM_HINT_T1);
}

S3R_ALWAYS_INLINE __mmask16 column_mask(size_t cols, size_t first)
{
    if (cols <= first)
        return 0;
    if (cols - first >= 16)
        return 0xffff;
    return (__mmask16)((1u << (cols - first)) - 1u);
}

S3R_ALWAYS_INLINE void tile_load(__m512 *sum, size_t rows, size_t vectors,
                                 const float *from, size_t from_stride,
                                 const __mmask16 *mask)
{
#pragma GCC unroll 14
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            sum[i * vectors + v] =
                from ? _mm512_maskz_loadu_ps(mask[v], from + i * from_stride + 16 * v)
                     : _mm512_setzero_ps();
    }
}

S3R_ALWAYS_INLINE void tile_store(const __m512 *sum, size_t rows, size_t vectors,
                                  float *c, size_t c_stride, const __mmask16 *mask)
{
#pragma GCC unroll 14
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            _mm512_mask_storeu_ps(c + i * c_stride + 16 * v, mask[v],
                                  sum[i * vectors + v]);
    }
}

/* sum += one column of A by one row of a panel. */
S3R_ALWAYS_INLINE void add_products(__m512 *sum, size_t rows, size_t vectors,
                                    const float *a, size_t a_stride, const __m512 *b)
{
#pragma GCC unroll 14
    for (size_t i = 0; i < rows; i++) {
        __m512 x = _mm512_set1_ps(a[i * a_stride]);
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            sum[i * vectors + v] = _mm512_fmadd_ps(x, b[v], sum[i * vectors + v]);
    }
}

S3R_ALWAYS_INLINE void tile_f32_fixed(size_t rows, size_t vectors, size_t k,
                                      const float *a, size_t a_stride, const float *panel,
                                      float *c, size_t c_stride, const __mmask16 *mask,
                                      const float *from, size_t from_stride)
{
    __m512 sum[TILE_ROWS * 2];
    tile_load(sum, rows, vectors, from, from_stride, mask);
    for (size_t p = 0; p < k; p++) {
        __m512 b[2];
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            b[v] = _mm512_load_ps(panel + p * S3R_PANEL + 16 * v);
        ask_ahead(panel + p * S3R_PANEL);
        add_products(sum, rows, vectors, a + p, a_stride, b);
    }
    tile_store(sum, rows, vectors, c, c_stride, mask);
}

#ifdef S3R_HAS_BF16
S3R_ALWAYS_INLINE void tile_bf16_fixed(size_t rows, size_t vectors, size_t k,
                                       const uint16_t *a, size_t a_stride,
                                       const uint16_t *panel, float *c, size_t c_stride,
                                       const __mmask16 *mask, const float *from,
                                       size_t from_stride)
{
    __m512 sum[TILE_ROWS * 2];
    tile_load(sum, rows, vectors, from, from_stride, mask);
    for (size_t p = 0; p < k; p += 2) {
        __m512i b[2];
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            b[v] = _mm512_load_si512(panel + p * S3R_PANEL + 32 * v);
        ask_ahead(panel + p * S3R_PANEL);
#pragma GCC unroll 14
        for (size_t i = 0; i < rows; i++) {
            int pair;
            __builtin_memcpy(&pair, a + i * a_stride + p, sizeof pair);
            __m512i x = _mm512_set1_epi32(pair);
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; v++)
                sum[i * vectors + v] =
                    _mm512_dpbf16_ps(sum[i * vectors + v], (__m512bh)x, (__m512bh)b[v]);
        }
    }
    tile_store(sum, rows, vectors, c, c_stride, mask);
}
#else
/*
 * Without products of bf16 its values are fp32 with zeros below. Those of A are spread
 * out once a tile and block of k, so that the products are those of fp32 but for two
 * operations a vector of the panel; of a pair the odd one comes first, as the hardware
 * has it.
 */
#define WIDE_STEPS 64u
#define WIDE_EVEN  ((size_t)TILE_ROWS * WIDE_STEPS / 2) /* behind the odd ones */

S3R_ALWAYS_INLINE void widen_rows(size_t rows, size_t k, const uint16_t *a,
                                  size_t a_stride, float *wide)
{
    for (size_t i = 0; i < rows; i++, a += a_stride, wide += WIDE_STEPS / 2) {
        for (size_t p = 0; p < k; p += 32) {
            __mmask16 mask = column_mask((k - p + 1) / 2, 0);
            __m512i pairs = _mm512_maskz_loadu_epi32(mask, a + p);
            _mm512_store_si512(wide + p / 2, _mm512_maskz_mov_epi16(0xaaaaaaaau, pairs));
            _mm512_store_si512(wide + WIDE_EVEN + p / 2, _mm512_slli_epi32(pairs, 16));
        }
    }
}

/* a: what widen_rows made. */
S3R_ALWAYS_INLINE void tile_bf16_fixed(size_t rows, size_t vectors, size_t k,
                                       const float *a, size_t a_stride,
                                       const uint16_t *panel, float *c, size_t c_stride,
                                       const __mmask16 *mask, const float *from,
                                       size_t from_stride)
{
    __m512 sum[TILE_ROWS * 2];
    tile_load(sum, rows, vectors, from, from_stride, mask);
    for (size_t p = 0; p < k; p += 2, a++) {
        const uint16_t *pairs = panel + p * S3R_PANEL;
        __m512 b[2];
        ask_ahead(pairs);
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            b[v] = _mm512_castsi512_ps(
                _mm512_maskz_loadu_epi16(0xaaaaaaaau, pairs + 32 * v));
        add_products(sum, rows, vectors, a, a_stride, b);
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            b[v] = _mm512_castsi512_ps(
                _mm512_slli_epi32(_mm512_load_si512(pairs + 32 * v), 16));
        add_products(sum, rows, vectors, a + WIDE_EVEN, a_stride, b);
    }
    tile_store(sum, rows, vectors, c, c_stride, mask);
}
#endif

/* One case a row count, so that each is unrolled with its sums in registers. */
#define TILE_CASE(name, R, V)                                                            \
    case R:                                                                              \
        name(R, V, k, a, a_stride, panel, c, c_stride, mask, from, from_stride);         \
        return;
#define TILE_CASES(name, V)                                                              \
    TILE_CASE(name, 1, V)                                                                \
    TILE_CASE(name, 2, V)                                                                \
    TILE_CASE(name, 3, V)                                                                \
    TILE_CASE(name, 4, V)                                                                \
    TILE_CASE(name, 5, V)                                                                \
    TILE_CASE(name, 6, V)                                                                \
    TILE_CASE(name, 7, V)                                                                \
    TILE_CASE(name, 8, V)                                                                \
    TILE_CASE(name, 9, V)                                                                \
    TILE_CASE(name, 10, V)                                                               \
    TILE_CASE(name, 11, V)                                                               \
    TILE_CASE(name, 12, V)                                                               \
    TILE_CASE(name, 13, V)                                                               \
    TILE_CASE(name, 14, V)

static void tile_f32(size_t rows, size_t cols, size_t k, const float *a, size_t a_stride,
                     const float *panel, float *c, size_t c_stride, const float *from,
                     size_t from_stride)
{
    const __mmask16 mask[2] = {column_mask(cols, 0), column_mask(cols, 16)};
    if (cols > 16) {
        switch (rows) {
            TILE_CASES(tile_f32_fixed, 2)
        }
    } else {
        switch (rows) {
            TILE_CASES(tile_f32_fixed, 1)
        }
    }
}

#ifdef S3R_HAS_BF16
typedef uint16_t bf16_row; /* what the cases of a tile of bf16 read */
#else
typedef float bf16_row;
#endif

static void run_bf16_cases(size_t rows, size_t cols, size_t k, const bf16_row *a,
                           size_t a_stride, const uint16_t *panel, float *c,
                           size_t c_stride, const float *from, size_t from_stride)
{
    const __mmask16 mask[2] = {column_mask(cols, 0), column_mask(cols, 16)};
    if (cols > 16) {
        switch (rows) {
            TILE_CASES(tile_bf16_fixed, 2)
        }
    } else {
        switch (rows) {
            TILE_CASES(tile_bf16_fixed, 1)
        }
    }
}

static void tile_bf16(size_t rows, size_t cols, size_t k, const uint16_t *a,
                      size_t a_stride, const uint16_t *panel, float *c, size_t c_stride,
                      const float *from, size_t from_stride)
{
#ifdef S3R_HAS_BF16
    run_bf16_cases(rows, cols, k, a, a_stride, panel, c, c_stride, from, from_stride);
#else
    _Alignas(64) float wide[2 * WIDE_EVEN];
    for (size_t p = 0; p < k; p += WIDE_STEPS) {
        size_t steps = S3R_MIN(k - p, (size_t)WIDE_STEPS);
        widen_rows(rows, steps, a + p, a_stride, wide);
        run_bf16_cases(rows, cols, steps, wide, WIDE_STEPS / 2, panel + p * S3R_PANEL, c,
                       c_stride, p ? c : from, p ? c_stride : from_stride);
    }
#endif
}

/* ---- packing ---- */

/* Transposes 16 x 16 32-bit units in registers. */
S3R_ALWAYS_INLINE void transpose_16x16(__m512i *r)
{
    __m512i t[16];
#pragma GCC unroll 8
    for (size_t i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* Up to 16 values of a stored row as fp32; zero beyond count. */
S3R_ALWAYS_INLINE __m512 load_as_f32(const unsigned char *x, s3r_dtype dtype,
                                     __mmask16 mask)
{
    if (dtype == S3R_DTYPE_F32)
        return _mm512_maskz_loadu_ps(mask, x);
    __m256i half = _mm256_maskz_loadu_epi16(mask, x);
    if (dtype == S3R_DTYPE_F16)
        return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* Round to nearest even, NaN kept quiet: what vcvtneps2bf16 does, but for denormals. */
S3R_ALWAYS_INLINE __m256i round_to_bf16(__m512 x)
{
#ifdef S3R_HAS_BF16
    return (__m256i)_mm512_cvtneps_pbh(x);
#else
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    up = _mm512_mask_or_epi32(up, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(up, 16));
#endif
}

/* 32 values in bf16, those of `low` first. */
S3R_ALWAYS_INLINE __m512i round_both(__m512 low, __m512 high)
{
#ifdef S3R_HAS_BF16
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
#else
    return _mm512_inserti64x4(_mm512_castsi256_si512(round_to_bf16(low)),
                              round_to_bf16(high), 1);
#endif
}

/* Value i of the low half and value i of the high half side by side. */
S3R_ALWAYS_INLINE __m512i pair_halves(__m512i x)
{
    const __m512i lane =
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i order = _mm512_or_si512(
        lane, _mm512_slli_epi32(_mm512_or_si512(lane, _mm512_set1_epi32(16)), 16));
    return _mm512_permutexvar_epi16(order, x);
}

/* Up to 32 values of a stored row as 16 pairs of bf16; zero beyond count. */
S3R_ALWAYS_INLINE __m512i load_as_bf16(const unsigned char *x, s3r_dtype dtype,
                                       __mmask32 mask)
{
    if (dtype == S3R_DTYPE_BF16)
        return _mm512_maskz_loadu_epi16(mask, x);
    size_t half_bytes = 16 * (dtype == S3R_DTYPE_F32 ? 4 : 2);
    __mmask16 low = (__mmask16)mask, high = (__mmask16)(mask >> 16);
    return round_both(load_as_f32(x, dtype, low),
                      high ? load_as_f32(x + half_bytes, dtype, high)
                           : _mm512_setzero_ps());
}

S3R_ALWAYS_INLINE void pack_transposed_f32_dtype(size_t k, size_t cols,
                                                 const unsigned char *b, s3r_dtype dtype,
                                                 size_t stride_bytes,
                                                 const s3r_kept_bits *kept, float *panel)
{
    const size_t element = dtype == S3R_DTYPE_F32 ? 4 : 2;
    for (size_t first = 0; first < S3R_PANEL; first += 16) {
        for (size_t p = 0; p < k; p += 16) {
            __m512i r[16];
            size_t count = S3R_MIN(k - p, 16);
            __mmask16 mask = (__mmask16)(count == 16 ? 0xffff : (1u << count) - 1u);
#pragma GCC unroll 16
            for (size_t j = 0; j < 16; j++) {
                bool is_inside = first + j < cols;
                const unsigned char *row =
                    b + (is_inside ? (first + j) * stride_bytes : 0) + p * element;
                __mmask16 wanted = is_inside ? mask : 0;
                if (kept && is_inside)
                    wanted &= (__mmask16)s3r_kept_take(kept, first + j, p, count);
                r[j] = _mm512_castps_si512(load_as_f32(row, dtype, wanted));
            }
            transpose_16x16(r);
            if (count == 16) {
#pragma GCC unroll 16
                for (size_t i = 0; i < 16; i++)
                    _mm512_store_si512(panel + (p + i) * S3R_PANEL + first, r[i]);
            } else {
                for (size_t i = 0; i < count; i++)
                    _mm512_store_si512(panel + (p + i) * S3R_PANEL + first, r[i]);
            }
        }
    }
}

S3R_ALWAYS_INLINE void pack_transposed_bf16_dtype(size_t k, size_t cols,
                                                  const unsigned char *b, s3r_dtype dtype,
                                                  size_t stride_bytes,
                                                  const s3r_kept_bits *kept,
                                                  uint16_t *panel)
{
    const size_t element = dtype == S3R_DTYPE_F32 ? 4 : 2;
    for (size_t first = 0; first < S3R_PANEL; first += 16) {
        for (size_t p = 0; p < k; p += 32) {
            __m512i r[16];
            size_t count = S3R_MIN(k - p, 32), pairs = (count + 1) / 2;
            __mmask32 mask = count == 32 ? 0xffffffffu : (1u << count) - 1u;
#pragma GCC unroll 16
            for (size_t j = 0; j < 16; j++) {
                bool is_inside = first + j < cols;
                const unsigned char *row =
                    b + (is_inside ? (first + j) * stride_bytes : 0) + p * element;
                __mmask32 wanted = is_inside ? mask : 0;
                if (kept && is_inside)
                    wanted &= s3r_kept_take(kept, first + j, p, count);
                r[j] = load_as_bf16(row, dtype, wanted);
            }
            transpose_16x16(r);
            for (size_t i = 0; i < pairs; i++)
                _mm512_store_si512(panel + (p + 2 * i) * S3R_PANEL + 2 * first, r[i]);
        }
    }
}

/* A choice of columns of one stored row. */
S3R_ALWAYS_INLINE void plain_masks(size_t cols, const s3r_kept_bits *kept, size_t row,
                                   __mmask16 *mask)
{
    mask[0] = column_mask(cols, 0);
    mask[1] = column_mask(cols, 16);
    if (kept) {
        uint32_t bits = s3r_kept_take(kept, row, 0, cols);
        mask[0] &= (__mmask16)bits;
        mask[1] &= (__mmask16)(bits >> 16);
    }
}

S3R_ALWAYS_INLINE void pack_plain_f32_dtype(size_t k, size_t cols, const unsigned char *b,
                                            s3r_dtype dtype, size_t stride_bytes,
                                            const s3r_kept_bits *kept, float *panel)
{
    const size_t half = cols > 16 ? 16 * (dtype == S3R_DTYPE_F32 ? 4u : 2u) : 0;
    __mmask16 mask[2];
    plain_masks(cols, NULL, 0, mask);
    for (size_t p = 0; p < k; p++, b += stride_bytes, panel += S3R_PANEL) {
        if (kept)
            plain_masks(cols, kept, p, mask);
        _mm512_store_ps(panel, load_as_f32(b, dtype, mask[0]));
        _mm512_store_ps(panel + 16, load_as_f32(b + half, dtype, mask[1]));
    }
}

S3R_ALWAYS_INLINE void pack_plain_bf16_dtype(size_t k, size_t cols,
                                             const unsigned char *b, s3r_dtype dtype,
                                             size_t stride_bytes,
                                             const s3r_kept_bits *kept, uint16_t *panel)
{
    const size_t half = cols > 16 ? 16 * (dtype == S3R_DTYPE_F32 ? 4u : 2u) : 0;
    __mmask16 even_mask[2], odd_mask[2];
    plain_masks(cols, NULL, 0, even_mask);
    plain_masks(cols, NULL, 0, odd_mask);
    for (size_t p = 0; p < k; p += 2, b += 2 * stride_bytes) {
        bool has_odd = p + 1 < k;
        const unsigned char *odd = has_odd ? b + stride_bytes : b;
        if (kept) {
            plain_masks(cols, kept, p, even_mask);
            if (has_odd)
                plain_masks(cols, kept, p + 1, odd_mask);
        }
        for (size_t v = 0; v < 2; v++) {
            __m512 x = load_as_f32(b + v * half, dtype, even_mask[v]);
            __m512 y = load_as_f32(odd + v * half, dtype, has_odd ? odd_mask[v] : 0);
            _mm512_store_si512(panel + p * S3R_PANEL + 32 * v,
                               pair_halves(round_both(x, y)));
        }
    }
}

/* The stored type and whether there is a mask are constants in each copy of the loops. */
#define PACK_DTYPE(name, type, bytes)                                                    \
    if (kept)                                                                            \
        name(k, cols, b, type, stride *bytes, kept, panel);                              \
    else                                                                                 \
        name(k, cols, b, type, stride *bytes, NULL, panel);
#define DEFINE_PACK(name)                                                                \
    static void name(size_t k, size_t cols, const void *b, s3r_dtype dtype,              \
                     size_t stride, const s3r_kept_bits *kept, void *panel)              \
    {                                                                                    \
        if (dtype == S3R_DTYPE_F32) {                                                    \
            PACK_DTYPE(name##_dtype, S3R_DTYPE_F32, 4)                                   \
        } else if (dtype == S3R_DTYPE_BF16) {                                            \
            PACK_DTYPE(name##_dtype, S3R_DTYPE_BF16, 2)                                  \
        } else {                                                                         \
            PACK_DTYPE(name##_dtype, S3R_DTYPE_F16, 2)                                   \
        }                                                                                \
    }

DEFINE_PACK(pack_transposed_f32)
DEFINE_PACK(pack_transposed_bf16)
DEFINE_PACK(pack_plain_f32)
DEFINE_PACK(pack_plain_bf16)

S3R_ALWAYS_INLINE void f32_to_bf16(size_t n, const float *x, uint16_t *y)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((__m256i *)(void *)(y + i),
                            round_to_bf16(_mm512_loadu_ps(x + i)));
    if (i < n) {
        __mmask16 mask = (__mmask16)((1u << (n - i)) - 1u);
        _mm256_mask_storeu_epi16(y + i, mask,
                                 round_to_bf16(_mm512_maskz_loadu_ps(mask, x + i)));
    }
}

static void subtract_bf16(size_t n, const uint16_t *x, const uint16_t *y, uint16_t *out)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = column_mask(n, i);
        __m512 a = load_as_f32((const unsigned char *)(x + i), S3R_DTYPE_BF16, mask);
        __m512 b = load_as_f32((const unsigned char *)(y + i), S3R_DTYPE_BF16, mask);
        _mm256_mask_storeu_epi16(out + i, mask, round_to_bf16(_mm512_sub_ps(a, b)));
    }
}

/* One block of at most 16 x 16, transposed in registers; zero beyond its edges. */
S3R_ALWAYS_INLINE void load_turned(__m512i *r, size_t rows, size_t cols, const float *x,
                                   size_t x_stride)
{
    __mmask16 mask = column_mask(cols, 0);
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++)
        r[i] = _mm512_castps_si512(_mm512_maskz_loadu_ps(
            i < rows ? mask : 0, x + (i < rows ? i * x_stride : 0)));
    transpose_16x16(r);
}

static void transpose_f32(size_t rows, size_t cols, const float *x, size_t x_stride,
                          float *y, size_t y_stride)
{
    for (size_t i = 0; i < rows; i += 16) {
        __mmask16 mask = column_mask(rows - i, 0);
        for (size_t j = 0; j < cols; j += 16) {
            __m512i r[16];
            size_t width = S3R_MIN(cols - j, (size_t)16);
            load_turned(r, rows - i, width, x + i * x_stride + j, x_stride);
#pragma GCC unroll 16
            for (size_t c = 0; c < 16; c++)
                if (c < width)
                    _mm512_mask_storeu_ps(y + (j + c) * y_stride + i, mask,
                                          _mm512_castsi512_ps(r[c]));
        }
    }
}

/* Pairs of rows become 32-bit units first, so that whole cache lines are written. */
static void transpose_bf16(size_t rows, size_t cols, const float *x, size_t x_stride,
                           uint16_t *y, size_t y_stride)
{
    for (size_t i = 0; i < rows; i += 32, x += 32 * x_stride) {
        size_t count = S3R_MIN(rows - i, (size_t)32);
        __mmask16 pairs = column_mask((count + 1) / 2, 0);
        for (size_t j = 0; j < cols; j += 16) {
            __m512i r[16];
            size_t width = S3R_MIN(cols - j, (size_t)16);
            __mmask16 mask = column_mask(width, 0);
#pragma GCC unroll 16
            for (size_t p = 0; p < 16; p++) {
                bool has_even = 2 * p < count, has_odd = 2 * p + 1 < count;
                const float *even = x + (has_even ? 2 * p * x_stride : 0) + j;
                const float *odd = x + (has_odd ? (2 * p + 1) * x_stride : 0) + j;
                r[p] = pair_halves(
                    round_both(_mm512_maskz_loadu_ps(has_even ? mask : 0, even),
                               _mm512_maskz_loadu_ps(has_odd ? mask : 0, odd)));
            }
            transpose_16x16(r);
#pragma GCC unroll 16
            for (size_t c = 0; c < 16; c++)
                if (c < width)
                    _mm512_mask_storeu_epi32(y + (j + c) * y_stride + i, pairs, r[c]);
        }
    }
}
