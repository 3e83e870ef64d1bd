/*
 * Nearest centroids.
 *
 *   |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2)
 *
 * so the nearest is where x.c - |c|^2 / 2 is greatest.  A task standardises some rows,
 * multiplies them with all centroids and looks along each row of the product.
 */
#include "tasks/kmeans_clusters.h"

#include <string.h>

#include "base/memory.h"
#include "ops/gemm.h"

#define TASK_ROWS 64u

s3r_status s3r_kmeans_create(s3r_kmeans *out, size_t clusters, size_t dim, s3r_error *err)
{
    size_t values;
    *out = (s3r_kmeans){.clusters = clusters, .dim = dim};
    if (s3r_size_mul(clusters, dim, &values))
        out->centroids = s3r_alloc(values, sizeof(float));
    out->mean = s3r_alloc(dim, sizeof(float));
    out->scale = s3r_alloc(dim, sizeof(float));
    out->offset = s3r_alloc(clusters, sizeof(float));
    if (!out->centroids || !out->mean || !out->scale || !out->offset) {
        s3r_kmeans_release(out);
        return s3r_fail_memory(err, "centroids", clusters * dim * sizeof(float));
    }
    for (size_t j = 0; j < dim; j++)
        out->scale[j] = 1;
    return S3R_OK;
}

void s3r_kmeans_release(s3r_kmeans *kmeans)
{
    s3r_free(kmeans->centroids);
    s3r_free(kmeans->mean);
    s3r_free(kmeans->scale);
    s3r_free(kmeans->offset);
    s3r_free(kmeans->packed);
    *kmeans = (s3r_kmeans){0};
}

s3r_status s3r_kmeans_prepare(s3r_kmeans *kmeans, const s3r_kernels *kernels,
                              s3r_error *err)
{
    size_t bytes = s3r_packed_bytes(kmeans->dim, kmeans->clusters, false);
    if (!kmeans->packed)
        kmeans->packed = s3r_alloc_raw(bytes, 1);
    if (!kmeans->packed)
        return s3r_fail_memory(err, "centroids", bytes);
    s3r_pack_panels(kernels, kmeans->dim, kmeans->clusters, kmeans->centroids,
                    S3R_B_TRANSPOSED, S3R_DTYPE_F32, kmeans->dim, false, kmeans->packed);
    for (size_t c = 0; c < kmeans->clusters; c++) {
        const float *x = kmeans->centroids + c * kmeans->dim;
        double sum = 0;
        for (size_t j = 0; j < kmeans->dim; j++)
            sum += (double)x[j] * (double)x[j];
        kmeans->offset[c] = (float)(-0.5 * sum);
    }
    kmeans->kernels = kernels;
    return S3R_OK;
}

typedef struct assign_work {
    const s3r_kmeans *kmeans;
    s3r_pool *pool;
    const float *rows;
    size_t stride, count;
    uint32_t *labels;
    float *distances;
    size_t task_rows;
    size_t x_stride, score_stride; /* of what lies in the scratch memory */
} assign_work;

static uint32_t find_greatest(const float *scores, size_t count)
{
    size_t best = 0;
    for (size_t c = 1; c < count; c++)
        if (scores[c] > scores[best])
            best = c;
    return (uint32_t)best;
}

/* Four chains, so that an addition need not wait for the one before. */
static float distance(const float *x, const float *y, size_t count)
{
    double sums[4] = {0};
    for (size_t j = 0; j < count; j++) {
        double difference = (double)x[j] - (double)y[j];
        sums[j % 4] += difference * difference;
    }
    return (float)((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void assign_task(void *context, size_t task, size_t worker)
{
    const assign_work *work = context;
    const s3r_kmeans *kmeans = work->kmeans;
    size_t first = task * work->task_rows;
    size_t count = S3R_MIN(work->task_rows, work->count - first);
    float *x = s3r_pool_scratch(work->pool, worker);
    float *scores = x + work->task_rows * work->x_stride;
    for (size_t i = 0; i < count; i++) {
        const float *row = work->rows + (first + i) * work->stride;
        for (size_t j = 0; j < kmeans->dim; j++)
            x[i * work->x_stride + j] = (row[j] - kmeans->mean[j]) * kmeans->scale[j];
    }
    const s3r_product product = {.m = count,
                                 .n = kmeans->clusters,
                                 .k = kmeans->dim,
                                 .a = x,
                                 .a_stride = work->x_stride,
                                 .b = kmeans->packed,
                                 .b_layout = S3R_B_PACKED,
                                 .c = scores,
                                 .c_stride = work->score_stride,
                                 .bias = kmeans->offset};
    s3r_product_run_serial(kmeans->kernels, &product, NULL);
    for (size_t i = 0; i < count; i++) {
        uint32_t best = find_greatest(scores + i * work->score_stride, kmeans->clusters);
        work->labels[first + i] = best;
        if (work->distances)
            work->distances[first + i] =
                distance(x + i * work->x_stride, kmeans->centroids + best * kmeans->dim,
                         kmeans->dim);
    }
}

void s3r_kmeans_assign(const s3r_kmeans *kmeans, s3r_pool *pool, const float *rows,
                       size_t stride, size_t count, uint32_t *labels, float *distances)
{
    assign_work work = {kmeans, pool, rows, stride, count, labels, distances, 0, 0, 0};
    work.x_stride = s3r_padded_stride(kmeans->dim, sizeof(float));
    work.score_stride = s3r_padded_stride(kmeans->clusters, sizeof(float));
    size_t row_bytes = (work.x_stride + work.score_stride) * sizeof(float);
    work.task_rows = S3R_MIN((size_t)TASK_ROWS, S3R_POOL_SCRATCH_BYTES / row_bytes);
    s3r_pool_run(pool, S3R_CEIL_DIV(count, work.task_rows), assign_task, &work);
}
