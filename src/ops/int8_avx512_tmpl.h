/*
 * AVX-512 tiles and packing of int8, for the levels with and without dot products of
 * int8.
 *
 * Tiles are those of gemm_avx512_tmpl.h, which comes before. Define S3R_HAS_VNNI before
 * including where the level has them.
 */
/* acc + the products of four neighbours, a unsigned. */
S3R_ALWAYS_INLINE __m512i dot_quads(__m512i acc, __m512i a, __m512i w)
{
#ifdef S3R_HAS_VNNI
    return _mm512_dpbusd_epi32(acc, a, w);
#else /* even and odd ones apart: in pairs of bytes the hardware's sum would saturate */
    __m512i a_even = _mm512_and_si512(a, _mm512_set1_epi16(0xff));
    __m512i a_odd = _mm512_srli_epi16(a, 8);
    __m512i w_even = _mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8);
    __m512i w_odd = _mm512_srai_epi16(w, 8);
    acc = _mm512_add_epi32(acc, _mm512_madd_epi16(a_even, w_even));
    return _mm512_add_epi32(acc, _mm512_madd_epi16(a_odd, w_odd));
#endif
}

/* With the type of an array of __m512i, gcc keeps the sums in memory. */
typedef int vector_i32 __attribute__((vector_size(64)));

S3R_ALWAYS_INLINE void tile_int8_fixed(size_t rows, size_t vectors,
                                       const s3r_tile_int8 *t)
{
    const int8_t *offsets = t->panel + (t->k + 3) / 4 * 4 * S3R_PANEL;
    vector_i32 sum[TILE_ROWS * 2];
#pragma GCC unroll 14
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            sum[i * vectors + v] = (vector_i32)_mm512_load_si512(offsets + 64 * v);
    }
    for (size_t p = 0; p < t->k; p += 4) {
        __m512i b[2];
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            b[v] = _mm512_load_si512(t->panel + p * S3R_PANEL + 64 * v);
        ask_ahead(t->panel + p * S3R_PANEL);
#pragma GCC unroll 14
        for (size_t i = 0; i < rows; i++) {
            int quad;
            __builtin_memcpy(&quad, t->a + i * t->a_stride + p, sizeof quad);
            __m512i a = _mm512_set1_epi32(quad);
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; v++)
                sum[i * vectors + v] =
                    (vector_i32)dot_quads((__m512i)sum[i * vectors + v], a, b[v]);
        }
    }
    const __mmask16 mask[2] = {column_mask(t->cols, 0), column_mask(t->cols, 16)};
    const __m512 b_scale[2] = {_mm512_maskz_loadu_ps(mask[0], t->b_scales),
                               _mm512_maskz_loadu_ps(mask[1], t->b_scales + 16)};
#pragma GCC unroll 14
    for (size_t i = 0; i < rows; i++) {
        __m512 a_scale = _mm512_set1_ps(t->a_scales[i]);
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++) {
            float *c = t->c + i * t->c_stride + 16 * v;
            __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps((__m512i)sum[i * vectors + v]),
                                     _mm512_mul_ps(a_scale, b_scale[v]));
            if (t->from)
                y = _mm512_add_ps(
                    _mm512_maskz_loadu_ps(mask[v], t->from + i * t->from_stride + 16 * v),
                    y);
            _mm512_mask_storeu_ps(c, mask[v], y);
        }
    }
}

#define INT8_CASE(R, V)                                                                  \
    case R:                                                                              \
        tile_int8_fixed(R, V, t);                                                        \
        return;
#define INT8_CASES(V)                                                                    \
    INT8_CASE(1, V)                                                                      \
    INT8_CASE(2, V)                                                                      \
    INT8_CASE(3, V)                                                                      \
    INT8_CASE(4, V)                                                                      \
    INT8_CASE(5, V)                                                                      \
    INT8_CASE(6, V)                                                                      \
    INT8_CASE(7, V)                                                                      \
    INT8_CASE(8, V)                                                                      \
    INT8_CASE(9, V)                                                                      \
    INT8_CASE(10, V)                                                                     \
    INT8_CASE(11, V)                                                                     \
    INT8_CASE(12, V)                                                                     \
    INT8_CASE(13, V)                                                                     \
    INT8_CASE(14, V)

static void tile_int8(const s3r_tile_int8 *t)
{
    if (t->cols > 16) {
        switch (t->rows) {
            INT8_CASES(2)
        }
    } else {
        switch (t->rows) {
            INT8_CASES(1)
        }
    }
}

S3R_ALWAYS_INLINE __mmask64 first_bytes(size_t count)
{
    return count >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

/* Up to 64 values of a row, those that are kept. */
S3R_ALWAYS_INLINE __m512i load_int8(const int8_t *row, size_t count,
                                    const s3r_kept_bits *kept, size_t number, size_t p)
{
    __mmask64 wanted = first_bytes(count);
    if (kept) {
        __mmask64 bits = s3r_kept_take(kept, number, p, S3R_MIN(count, (size_t)32));
        if (count > 32)
            bits |= (__mmask64)s3r_kept_take(kept, number, p + 32, count - 32) << 32;
        wanted &= bits;
    }
    return _mm512_maskz_loadu_epi8(wanted, row + p);
}

static void pack_transposed_int8(size_t k, size_t cols, const void *b, s3r_dtype dtype,
                                 size_t stride, const s3r_kept_bits *kept, void *panel)
{
    const int8_t *rows = b;
    int8_t *values = panel;
    int8_t *offsets = values + (k + 3) / 4 * 4 * S3R_PANEL;
    (void)dtype;
    for (size_t first = 0; first < S3R_PANEL; first += 16) {
        __m512i sum = _mm512_setzero_si512();
        for (size_t p = 0; p < k; p += 64) {
            __m512i r[16];
            size_t count = S3R_MIN(k - p, (size_t)64), quads = (count + 3) / 4;
#pragma GCC unroll 16
            for (size_t j = 0; j < 16; j++)
                r[j] = first + j < cols ? load_int8(rows + (first + j) * stride, count,
                                                    kept, first + j, p)
                                        : _mm512_setzero_si512();
            transpose_16x16(r);
            for (size_t i = 0; i < quads; i++) {
                _mm512_store_si512(values + (p + 4 * i) * S3R_PANEL + 4 * first, r[i]);
                sum = dot_quads(sum, _mm512_set1_epi8(1), r[i]);
            }
        }
        sum = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, 7));
        _mm512_store_si512(offsets + 4 * first, sum);
    }
}
