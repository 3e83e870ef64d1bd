/*
 * Packing of panels in plain C, for levels whose tiles are narrow enough that packing is
 * not what limits them.
 */
#include "ops/half.h"
#include "ops/kernels.h"

/* One stored element; dtype is a constant at each call, so the choice costs nothing. */
S3R_ALWAYS_INLINE float stored_value(const unsigned char *row, s3r_dtype dtype, size_t i)
{
    float single;
    uint16_t half;
    if (dtype == S3R_DTYPE_F32) {
        memcpy(&single, row + 4 * i, sizeof single);
        return single;
    }
    memcpy(&half, row + 2 * i, sizeof half);
    return dtype == S3R_DTYPE_F16 ? s3r_f16_to_f32(half) : s3r_bf16_to_f32(half);
}

/* Panel element (p, j) is B[j, p] (transposed) or B[p, j] (plain). */
S3R_ALWAYS_INLINE void pack_dtype(size_t k, size_t cols, const unsigned char *b,
                                  s3r_dtype dtype, size_t stride,
                                  const s3r_kept_bits *kept, bool is_transposed,
                                  void *panel, bool is_bf16)
{
    const size_t bytes = stride * (dtype == S3R_DTYPE_F32 ? 4 : 2);
    const size_t rows = is_bf16 ? (k + 1) / 2 * 2 : k;
    float *wide = panel;
    uint16_t *narrow = panel;
    for (size_t p = 0; p < rows; p++) {
        for (size_t j = 0; j < S3R_PANEL; j++) {
            float value = 0.0f;
            bool is_inside = p < k && j < cols;
            if (is_inside && kept)
                is_inside =
                    s3r_kept_take(kept, is_transposed ? j : p, is_transposed ? p : j, 1) &
                    1u;
            if (is_inside)
                value = is_transposed ? stored_value(b + j * bytes, dtype, p)
                                      : stored_value(b + p * bytes, dtype, j);
            if (is_bf16)
                narrow[(p / 2 * S3R_PANEL + j) * 2 + p % 2] = s3r_f32_to_bf16(value);
            else
                wide[p * S3R_PANEL + j] = value;
        }
    }
}

#define DEFINE_PACK(name, is_transposed, is_bf16)                                        \
    static void name(size_t k, size_t cols, const void *b, s3r_dtype dtype,              \
                     size_t stride, const s3r_kept_bits *kept, void *panel)              \
    {                                                                                    \
        if (dtype == S3R_DTYPE_F32)                                                      \
            pack_dtype(k, cols, b, S3R_DTYPE_F32, stride, kept, is_transposed, panel,    \
                       is_bf16);                                                         \
        else if (dtype == S3R_DTYPE_BF16)                                                \
            pack_dtype(k, cols, b, S3R_DTYPE_BF16, stride, kept, is_transposed, panel,   \
                       is_bf16);                                                         \
        else                                                                             \
            pack_dtype(k, cols, b, S3R_DTYPE_F16, stride, kept, is_transposed, panel,    \
                       is_bf16);                                                         \
    }

DEFINE_PACK(pack_transposed_bf16, true, true)
DEFINE_PACK(pack_plain_f32, false, false)
DEFINE_PACK(pack_plain_bf16, false, true)
#ifndef S3R_OWN_PACK_TRANSPOSED_F32
DEFINE_PACK(pack_transposed_f32, true, false)
#endif

static void pack_transposed_int8(size_t k, size_t cols, const void *b, s3r_dtype dtype,
                                 size_t stride, const s3r_kept_bits *kept, void *panel)
{
    const int8_t *rows = b;
    int8_t *values = panel;
    size_t padded = (k + 3) / 4 * 4;
    int32_t *offsets = (int32_t *)(void *)(values + padded * S3R_PANEL);
    (void)dtype;
    for (size_t j = 0; j < S3R_PANEL; j++) {
        int32_t sum = 0;
        for (size_t p = 0; p < padded; p++) {
            bool is_inside = p < k && j < cols;
            if (is_inside && kept)
                is_inside = s3r_kept_take(kept, j, p, 1) & 1u;
            int8_t value = 0;
            if (is_inside)
                value = rows[j * stride + p];
            values[(p / 4 * S3R_PANEL + j) * 4 + p % 4] = value;
            sum += value;
        }
        offsets[j] = -128 * sum;
    }
}

S3R_ALWAYS_INLINE void f32_to_bf16(size_t n, const float *x, uint16_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = s3r_f32_to_bf16(x[i]);
}

static void subtract_bf16(size_t n, const uint16_t *x, const uint16_t *y, uint16_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = s3r_f32_to_bf16(s3r_bf16_to_f32(x[i]) - s3r_bf16_to_f32(y[i]));
}

/* Blocks of 16 rows keep both sides in the cache. */
static void transpose_f32(size_t rows, size_t cols, const float *x, size_t x_stride,
                          float *y, size_t y_stride)
{
    for (size_t first = 0; first < rows; first += 16) {
        size_t end = S3R_MIN(rows, first + 16);
        for (size_t j = 0; j < cols; j++)
            for (size_t i = first; i < end; i++)
                y[j * y_stride + i] = x[i * x_stride + j];
    }
}

static void transpose_bf16(size_t rows, size_t cols, const float *x, size_t x_stride,
                           uint16_t *y, size_t y_stride)
{
    for (size_t first = 0; first < rows; first += 16) {
        size_t end = S3R_MIN(rows, first + 16);
        for (size_t j = 0; j < cols; j++)
            for (size_t i = first; i < end; i++)
                y[j * y_stride + i] = s3r_f32_to_bf16(x[i * x_stride + j]);
    }
    for (size_t j = 0; rows % 2 && j < cols; j++)
        y[j * y_stride + rows] = 0;
}
