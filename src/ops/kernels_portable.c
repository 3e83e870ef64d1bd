/*
 * Kernels in plain C for any machine; the compiler vectorises them for its base target.
 */
#include "ops/pack_tmpl.h"

#include "ops/elementwise_tmpl.h"
#include "ops/half.h"
#include "ops/kernel_tables.h"

#define TILE_ROWS 4
#define BLOCK     8

/* rows x 8 sums; the k loop runs over whole vectors of the panel. */
S3R_ALWAYS_INLINE void block_f32(size_t rows, size_t cols, size_t k, const float *a,
                                 size_t a_stride, const float *panel, float *c,
                                 size_t c_stride, const float *from, size_t from_stride)
{
    float sums[TILE_ROWS][BLOCK] = {{0}};
    for (size_t i = 0; from && i < rows; i++)
        memcpy(sums[i], from + i * from_stride, cols * sizeof(float));
    for (size_t p = 0; p < k; p++)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < BLOCK; j++)
                sums[i][j] =
                    S3R_FMA(a[i * a_stride + p], panel[p * S3R_PANEL + j], sums[i][j]);
    for (size_t i = 0; i < rows; i++)
        memcpy(c + i * c_stride, sums[i], cols * sizeof(float));
}

static void tile_f32(size_t rows, size_t cols, size_t k, const float *a, size_t a_stride,
                     const float *panel, float *c, size_t c_stride, const float *from,
                     size_t from_stride)
{
    for (size_t j = 0; j < cols; j += BLOCK) {
        size_t width = S3R_MIN(cols - j, (size_t)BLOCK);
        const float *start = from ? from + j : NULL;
        if (rows == TILE_ROWS)
            block_f32(TILE_ROWS, width, k, a, a_stride, panel + j, c + j, c_stride, start,
                      from_stride);
        else
            block_f32(rows, width, k, a, a_stride, panel + j, c + j, c_stride, start,
                      from_stride);
    }
}

static void tile_bf16(size_t rows, size_t cols, size_t k, const uint16_t *a,
                      size_t a_stride, const uint16_t *panel, float *c, size_t c_stride,
                      const float *from, size_t from_stride)
{
    for (size_t first = 0; first < cols; first += BLOCK) {
        float sums[TILE_ROWS][BLOCK] = {{0}};
        size_t width = S3R_MIN(cols - first, (size_t)BLOCK);
        for (size_t i = 0; from && i < rows; i++)
            memcpy(sums[i], from + i * from_stride + first, width * sizeof(float));
        for (size_t p = 0; p < k; p += 2) {
            const uint16_t *pairs = panel + p * S3R_PANEL + 2 * first;
            for (size_t i = 0; i < rows; i++) {
                float even = s3r_bf16_to_f32(a[i * a_stride + p]);
                float odd = s3r_bf16_to_f32(a[i * a_stride + p + 1]);
                for (size_t j = 0; j < BLOCK; j++) {
                    float sum = sums[i][j];
                    sum = S3R_FMA(odd, s3r_bf16_to_f32(pairs[2 * j + 1]), sum);
                    sums[i][j] = S3R_FMA(even, s3r_bf16_to_f32(pairs[2 * j]), sum);
                }
            }
        }
        for (size_t i = 0; i < rows; i++)
            memcpy(c + i * c_stride + first, sums[i], width * sizeof(float));
    }
}

static void tile_int8(const s3r_tile_int8 *t)
{
    const int32_t *offsets =
        (const int32_t *)(const void *)(t->panel + (t->k + 3) / 4 * 4 * S3R_PANEL);
    for (size_t i = 0; i < t->rows; i++) {
        const uint8_t *a = t->a + i * t->a_stride;
        float *c = t->c + i * t->c_stride;
        const float *from = t->from ? t->from + i * t->from_stride : NULL;
        int32_t sums[S3R_PANEL];
        memcpy(sums, offsets, sizeof sums);
        for (size_t p = 0; p < t->k; p++)
            for (size_t j = 0; j < S3R_PANEL; j++)
                sums[j] += a[p] * t->panel[(p / 4 * S3R_PANEL + j) * 4 + p % 4];
        for (size_t j = 0; j < t->cols; j++) {
            float value = (float)sums[j] * (t->a_scales[i] * t->b_scales[j]);
            c[j] = from ? from[j] + value : value;
        }
    }
}

#define S3R_TABLE       s3r_kernels_portable
#define S3R_TABLE_LEVEL S3R_CPU_PORTABLE
#define S3R_TABLE_ROWS  TILE_ROWS
#include "ops/kernel_table_tmpl.h"
