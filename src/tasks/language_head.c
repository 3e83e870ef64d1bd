/*
 * Sums of frames, and their softmax.
 */
#include "tasks/language_head.h"

#include <assert.h>
#include <string.h>

#include "ops/op_mean_rows.h"
#include "tasks/class_loss.h"

bool s3r_language_probabilities(const s3r_linear_weights *head, const float *pooled,
                                double *probabilities)
{
    const s3r_weight *weight = &head->weight;
    const float *rows = weight->data, *bias = head->bias.data;
    assert(weight->dtype == S3R_DTYPE_F32 && head->bias.dtype == S3R_DTYPE_F32);
    for (size_t c = 0; c < weight->rows; c++) {
        const float *row = rows + c * weight->cols;
        double sum = (double)bias[c];
        for (size_t j = 0; j < weight->cols; j++)
            sum += (double)row[j] * (double)pooled[j];
        probabilities[c] = sum;
    }
    return s3r_softmax(probabilities, weight->rows);
}

s3r_status s3r_language_pool_init(s3r_language_pool *pool, size_t width, s3r_error *err)
{
    *pool = (s3r_language_pool){.width = width,
                                .sums = s3r_alloc(width, sizeof *pool->sums),
                                .mean = s3r_alloc(width, sizeof *pool->mean)};
    if (pool->sums && pool->mean)
        return S3R_OK;
    s3r_language_pool_release(pool);
    return s3r_fail_memory(err, "a hidden state", width * sizeof(double));
}

void s3r_language_pool_release(s3r_language_pool *pool)
{
    s3r_free(pool->sums);
    s3r_free(pool->mean);
    *pool = (s3r_language_pool){0};
}

void s3r_language_pool_clear(s3r_language_pool *pool)
{
    memset(pool->sums, 0, pool->width * sizeof *pool->sums);
    pool->frames = 0;
}

void s3r_language_pool_add(s3r_language_pool *pool, const float *rows, size_t stride,
                           size_t count)
{
    s3r_rows_add_to_sums(pool->sums, rows, stride, count, pool->width);
    pool->frames += count;
}

bool s3r_language_pool_judge(s3r_language_pool *pool, const s3r_linear_weights *head,
                             double *probabilities)
{
    s3r_sums_to_mean(pool->mean, pool->sums, pool->frames, pool->width);
    return pool->frames > 0 &&
           s3r_language_probabilities(head, pool->mean, probabilities);
}
