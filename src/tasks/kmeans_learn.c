/*
 * Lloyd's iterations from k-means++ starts.
 *
 * A pass gives each row its nearest centroid and sums up the rows of each cluster, a
 * range of columns a task and the rows in their order.  Every distance of the last pass
 * is kept (4 bytes a row) to find where an empty cluster goes.
 */
#include "tasks/kmeans_clusters.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

#define BLOCK_ROWS        ((size_t)S3R_KMEANS_BLOCK_ROWS)
#define TASK_COLUMNS      16u  /* doubles of two cache lines */
#define TASK_ROWS         512u /* of a start */
#define START_ROWS        16384u
#define START_PER_CLUSTER 16u
/* Empty clusters that one update moves; each costs a look at all distances. */
#define MAX_MOVES 256u
#define LANES     16u

void s3r_kmeans_settings_init(s3r_kmeans_settings *settings, size_t clusters)
{
    *settings = (s3r_kmeans_settings){.clusters = clusters,
                                      .seed = 1,
                                      .iterations = 100,
                                      .restarts = 1,
                                      .tolerance = 1e-4};
}

typedef struct learner {
    const s3r_kmeans_rows *rows;
    const s3r_kmeans_settings *settings;
    s3r_pool *pool;
    const s3r_kernels *kernels;
    s3r_kmeans now;   /* of this start */
    s3r_kmeans best;  /* of the starts so far; empty before the first has ended */
    float *block;     /* [BLOCK_ROWS, dim] when rows are not in memory */
    uint32_t *labels; /* [BLOCK_ROWS] */
    float *distances; /* [rows] */
    double *sums;     /* [clusters, dim] */
    size_t *counts;   /* [clusters] */
    double *moments;  /* [2, dim] of rows minus the first one */
    float *first_row; /* [dim] */
    float *sample;    /* [sample_count, dim], standardised */
    float *nearest;   /* [sample_count] squared distance to the start so far */
    size_t sample_count;
    double inertia; /* sum of the last pass */
    size_t empty;
} learner;

/* Some rows at hand. */
typedef struct row_block {
    const float *rows;
    size_t stride, first, count;
} row_block;

static s3r_status take_block(learner *l, size_t index, row_block *out, s3r_error *err)
{
    const s3r_kmeans_rows *rows = l->rows;
    size_t first = index * BLOCK_ROWS;
    *out = (row_block){rows->data ? rows->data + first * rows->stride : l->block,
                       rows->data ? rows->stride : rows->dim, first,
                       S3R_MIN(BLOCK_ROWS, rows->count - first)};
    return rows->data ? S3R_OK : rows->read(rows->read_context, index, l->block, err);
}

static size_t block_count(const learner *l)
{
    return S3R_CEIL_DIV(l->rows->count, BLOCK_ROWS);
}

/* ---- standardisation ---- */

static s3r_status fail_row(size_t row, s3r_error *err)
{
    return s3r_fail(err, S3R_ERR_DATA,
                    "row %zu: expected finite numbers of a sensible size, found others",
                    row);
}

typedef struct column_work {
    learner *l;
    const row_block *block;
} column_work;

static void moments_task(void *context, size_t task, size_t worker)
{
    const column_work *work = context;
    const row_block *block = work->block;
    size_t dim = work->l->rows->dim;
    size_t end = S3R_MIN((task + 1) * TASK_COLUMNS, dim);
    (void)worker;
    for (size_t i = 0; i < block->count; i++) {
        const float *row = block->rows + i * block->stride;
        for (size_t j = task * TASK_COLUMNS; j < end; j++) {
            double x = (double)row[j] - (double)work->l->first_row[j];
            work->l->moments[j] += x;
            work->l->moments[dim + j] += x * x;
        }
    }
}

static s3r_status check_block(const row_block *block, size_t dim, s3r_error *err)
{
    for (size_t i = 0; i < block->count; i++)
        for (size_t j = 0; j < dim; j++)
            if (!isfinite(block->rows[i * block->stride + j]))
                return fail_row(block->first + i, err);
    return S3R_OK;
}

/* Looks at every row once: all are finite, and their moments. */
static s3r_status measure(learner *l, s3r_error *err)
{
    size_t dim = l->rows->dim;
    row_block block;
    column_work work = {l, &block};
    for (size_t b = 0; b < block_count(l); b++) {
        S3R_TRY(take_block(l, b, &block, err));
        S3R_TRY(check_block(&block, dim, err));
        if (b == 0)
            memcpy(l->first_row, block.rows, dim * sizeof(float));
        s3r_pool_run(l->pool, S3R_CEIL_DIV(dim, TASK_COLUMNS), moments_task, &work);
    }
    return S3R_OK;
}

static void standardise(const learner *l, s3r_kmeans *kmeans)
{
    double count = (double)l->rows->count;
    size_t dim = l->rows->dim;
    for (size_t j = 0; l->settings->standardizes && j < dim; j++) {
        double mean = l->moments[j] / count;
        double variance = l->moments[dim + j] / count - mean * mean;
        kmeans->mean[j] = (float)(mean + (double)l->first_row[j]);
        /* What does not vary has no scale; rounding alone is below the bound. */
        bool varies = variance > 1e-12 * l->moments[dim + j] / count;
        kmeans->scale[j] = varies ? (float)(1 / sqrt(variance)) : 1;
        if (!isfinite(kmeans->scale[j]))
            kmeans->scale[j] = 1;
    }
}

/* ---- a start ---- */

static void standardise_row(const s3r_kmeans *kmeans, const float *row, float *out)
{
    for (size_t j = 0; j < kmeans->dim; j++)
        out[j] = (row[j] - kmeans->mean[j]) * kmeans->scale[j];
}

/* Selection sampling (Knuth, algorithm S): each row with the chance that the number of
 * rows still wanted gives it. */
static s3r_status draw_sample(learner *l, s3r_random *random, s3r_error *err)
{
    size_t taken = 0, dim = l->rows->dim;
    for (size_t b = 0; b < block_count(l) && taken < l->sample_count; b++) {
        row_block block;
        S3R_TRY(take_block(l, b, &block, err));
        for (size_t i = 0; i < block.count && taken < l->sample_count; i++) {
            size_t left = l->rows->count - (block.first + i);
            if (s3r_random_below(random, left) >= l->sample_count - taken)
                continue;
            standardise_row(&l->now, block.rows + i * block.stride,
                            l->sample + taken * dim);
            l->nearest[taken++] = INFINITY;
        }
    }
    return S3R_OK;
}

/* Lanes for the compiler's vectors. */
static float distance(const float *x, const float *y, size_t count)
{
    float sums[LANES] = {0}, sum = 0;
    size_t whole = count / LANES * LANES;
    for (size_t j = 0; j < whole; j += LANES)
        for (size_t k = 0; k < LANES; k++) {
            float difference = x[j + k] - y[j + k];
            sums[k] += difference * difference;
        }
    for (size_t j = whole; j < count; j++)
        sums[j - whole] += (x[j] - y[j]) * (x[j] - y[j]);
    for (size_t k = 0; k < LANES; k++)
        sum += sums[k];
    return sum;
}

typedef struct start_work {
    learner *l;
    const float *centroid;
} start_work;

static void nearest_task(void *context, size_t task, size_t worker)
{
    const start_work *work = context;
    learner *l = work->l;
    size_t end = S3R_MIN((task + 1) * TASK_ROWS, l->sample_count), dim = l->rows->dim;
    (void)worker;
    for (size_t i = task * TASK_ROWS; i < end; i++) {
        float d = distance(l->sample + i * dim, work->centroid, dim);
        l->nearest[i] = S3R_MIN(l->nearest[i], d);
    }
}

/* A row with a chance that is proportional to its distance; any row when all lie on
 * centroids already. */
static size_t draw_far_row(const learner *l, s3r_random *random)
{
    double total = 0, sum = 0;
    size_t last = 0;
    for (size_t i = 0; i < l->sample_count; i++)
        total += (double)l->nearest[i];
    if (!(total > 0))
        return (size_t)s3r_random_below(random, l->sample_count);
    double wanted = total * s3r_random_uniform(random);
    for (size_t i = 0; i < l->sample_count; i++) {
        if (!(l->nearest[i] > 0))
            continue;
        sum += (double)l->nearest[i];
        last = i;
        if (sum > wanted)
            break;
    }
    return last;
}

static s3r_status start(learner *l, size_t number, s3r_error *err)
{
    s3r_random random;
    size_t dim = l->rows->dim;
    s3r_random_init(&random, l->settings->seed, number);
    S3R_TRY(draw_sample(l, &random, err));
    size_t pick = (size_t)s3r_random_below(&random, l->sample_count);
    for (size_t c = 0; c < l->now.clusters; c++) {
        start_work work = {l, l->now.centroids + c * dim};
        memcpy(l->now.centroids + c * dim, l->sample + pick * dim, dim * sizeof(float));
        if (c + 1 == l->now.clusters)
            break;
        s3r_pool_run(l->pool, S3R_CEIL_DIV(l->sample_count, TASK_ROWS), nearest_task,
                     &work);
        pick = draw_far_row(l, &random);
    }
    return s3r_kmeans_prepare(&l->now, l->kernels, err);
}

/* ---- a pass ---- */

static void sums_task(void *context, size_t task, size_t worker)
{
    const column_work *work = context;
    const row_block *block = work->block;
    size_t dim = work->l->rows->dim;
    size_t end = S3R_MIN((task + 1) * TASK_COLUMNS, dim);
    (void)worker;
    for (size_t i = 0; i < block->count; i++) {
        const float *row = block->rows + i * block->stride;
        double *sum = work->l->sums + work->l->labels[i] * dim;
        for (size_t j = task * TASK_COLUMNS; j < end; j++)
            sum[j] += (double)row[j];
    }
}

static s3r_status run_pass(learner *l, s3r_error *err)
{
    size_t dim = l->rows->dim, clusters = l->now.clusters;
    row_block block;
    column_work work = {l, &block};
    memset(l->sums, 0, clusters * dim * sizeof *l->sums);
    memset(l->counts, 0, clusters * sizeof *l->counts);
    l->inertia = 0;
    l->empty = 0;
    for (size_t b = 0; b < block_count(l); b++) {
        S3R_TRY(take_block(l, b, &block, err));
        float *distances = l->distances + block.first;
        s3r_kmeans_assign(&l->now, l->pool, block.rows, block.stride, block.count,
                          l->labels, distances);
        s3r_pool_run(l->pool, S3R_CEIL_DIV(dim, TASK_COLUMNS), sums_task, &work);
        for (size_t i = 0; i < block.count; i++) {
            if (!isfinite(distances[i]))
                return fail_row(block.first + i, err);
            l->inertia += (double)distances[i];
            l->counts[l->labels[i]]++;
        }
    }
    for (size_t c = 0; c < clusters; c++)
        l->empty += l->counts[c] == 0;
    return S3R_OK;
}

/* ---- an update ---- */

/* Puts an empty cluster on the farthest row; false when all lie on centroids. */
static s3r_status move_cluster(learner *l, size_t cluster, bool *has_moved,
                               s3r_error *err)
{
    size_t far = 0;
    row_block block;
    for (size_t i = 1; i < l->rows->count; i++)
        if (l->distances[i] > l->distances[far])
            far = i;
    *has_moved = l->distances[far] > 0;
    if (!*has_moved)
        return S3R_OK;
    l->distances[far] = 0; /* not for the next one */
    S3R_TRY(take_block(l, far / BLOCK_ROWS, &block, err));
    standardise_row(&l->now, block.rows + far % BLOCK_ROWS * block.stride,
                    l->now.centroids + cluster * l->now.dim);
    return S3R_OK;
}

static s3r_status update(learner *l, bool *has_moved, s3r_error *err)
{
    size_t dim = l->now.dim, moves = 0;
    bool goes_on = true;
    for (size_t c = 0; c < l->now.clusters; c++) {
        float *centroid = l->now.centroids + c * dim;
        const double *sum = l->sums + c * dim;
        for (size_t j = 0; j < dim && l->counts[c] > 0; j++)
            centroid[j] =
                (float)((sum[j] / (double)l->counts[c] - (double)l->now.mean[j]) *
                        (double)l->now.scale[j]);
    }
    for (size_t c = 0; c < l->now.clusters && goes_on && moves < MAX_MOVES; c++) {
        if (l->counts[c] > 0)
            continue;
        S3R_TRY(move_cluster(l, c, &goes_on, err));
        moves += goes_on;
    }
    *has_moved = moves > 0;
    return s3r_kmeans_prepare(&l->now, l->kernels, err);
}

/* ---- the whole ---- */

/* Centroids and inertia of one start. */
static s3r_status run_start(learner *l, size_t number, s3r_kmeans_result *result,
                            s3r_error *err)
{
    const s3r_kmeans_settings *settings = l->settings;
    double before = INFINITY, count = (double)l->rows->count;
    bool has_moved = true;
    *result = (s3r_kmeans_result){.start = number};
    S3R_TRY(start(l, number, err));
    for (;; result->iterations++) {
        S3R_TRY(run_pass(l, err));
        result->inertia = l->inertia / count;
        result->empty = l->empty;
        if (settings->goes_on && !settings->goes_on(settings->goes_on_context, number,
                                                    result->iterations, result->inertia))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        result->has_converged =
            l->inertia == 0 ||
            (!has_moved && before - l->inertia <= settings->tolerance * before);
        if (result->has_converged || result->iterations == settings->iterations)
            return S3R_OK;
        before = l->inertia;
        S3R_TRY(update(l, &has_moved, err));
    }
}

static s3r_status run_starts(learner *l, s3r_kmeans_result *result, s3r_error *err)
{
    size_t clusters = l->settings->clusters, dim = l->rows->dim;
    S3R_TRY(measure(l, err));
    for (size_t number = 0; number < l->settings->restarts; number++) {
        s3r_kmeans_result found;
        if (!l->now.centroids) {
            S3R_TRY(s3r_kmeans_create(&l->now, clusters, dim, err));
            standardise(l, &l->now);
        }
        S3R_TRY(run_start(l, number, &found, err));
        if (number > 0 && !(found.inertia < result->inertia))
            continue;
        *result = found;
        s3r_kmeans worse = l->best;
        l->best = l->now;
        l->now = worse;
    }
    return S3R_OK;
}

static s3r_status reserve(learner *l, s3r_error *err)
{
    size_t dim = l->rows->dim, clusters = l->settings->clusters, values, sampled;
    if (!s3r_size_mul(clusters, dim, &values) ||
        !s3r_size_mul(l->sample_count, dim, &sampled))
        return s3r_fail_memory(err, "clusters", SIZE_MAX);
    l->block = s3r_alloc_raw(l->rows->data ? 0 : BLOCK_ROWS * dim, sizeof *l->block);
    l->labels = s3r_alloc_raw(BLOCK_ROWS, sizeof *l->labels);
    l->distances = s3r_alloc_raw(l->rows->count, sizeof *l->distances);
    l->sums = s3r_alloc_raw(values, sizeof *l->sums);
    l->counts = s3r_alloc_raw(clusters, sizeof *l->counts);
    l->moments = s3r_alloc(dim, 2 * sizeof *l->moments);
    l->first_row = s3r_alloc_raw(dim, sizeof *l->first_row);
    l->sample = s3r_alloc_raw(sampled, sizeof *l->sample);
    l->nearest = s3r_alloc_raw(l->sample_count, sizeof *l->nearest);
    if (!l->block || !l->labels || !l->distances || !l->sums || !l->counts ||
        !l->moments || !l->first_row || !l->sample || !l->nearest)
        return s3r_fail_memory(err, "clusters", (values + sampled) * sizeof(double));
    return S3R_OK;
}

static void release(learner *l)
{
    s3r_kmeans_release(&l->now);
    s3r_kmeans_release(&l->best);
    s3r_free(l->block);
    s3r_free(l->labels);
    s3r_free(l->distances);
    s3r_free(l->sums);
    s3r_free(l->counts);
    s3r_free(l->moments);
    s3r_free(l->first_row);
    s3r_free(l->sample);
    s3r_free(l->nearest);
}

static s3r_status check(const s3r_kmeans_rows *rows, const s3r_kmeans_settings *settings,
                        s3r_error *err)
{
    size_t clusters = settings->clusters;
    if (clusters < 1 || clusters > S3R_KMEANS_MAX_CLUSTERS || rows->dim < 1 ||
        rows->dim > S3R_KMEANS_MAX_DIM)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected 1 to %u clusters of 1 to %u dimensions, found "
                        "%zu of %zu",
                        S3R_KMEANS_MAX_CLUSTERS, S3R_KMEANS_MAX_DIM, clusters, rows->dim);
    if (settings->restarts < 1 || !(settings->tolerance >= 0))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected at least 1 start and a tolerance from 0 on, "
                        "found %zu and %g",
                        settings->restarts, settings->tolerance);
    if (rows->count < clusters)
        return s3r_fail(err, S3R_ERR_DATA,
                        "k-means: expected at least as many rows as clusters (%zu), "
                        "found %zu",
                        clusters, rows->count);
    return S3R_OK;
}

s3r_status s3r_kmeans_learn(s3r_kmeans *out, s3r_kmeans_result *result,
                            const s3r_kmeans_rows *rows,
                            const s3r_kmeans_settings *settings, s3r_pool *pool,
                            const s3r_kernels *kernels, s3r_error *err)
{
    learner l = {.rows = rows, .settings = settings, .pool = pool, .kernels = kernels};
    *out = (s3r_kmeans){0};
    S3R_TRY(check(rows, settings, err));
    size_t least = S3R_MAX((size_t)START_ROWS, START_PER_CLUSTER * settings->clusters);
    size_t wanted = settings->start_rows ? settings->start_rows : least;
    l.sample_count = S3R_MIN(S3R_MAX(wanted, settings->clusters), rows->count);
    s3r_status status = reserve(&l, err);
    if (status == S3R_OK)
        status = run_starts(&l, result, err);
    if (status == S3R_OK) {
        *out = l.best;
        l.best = (s3r_kmeans){0};
    }
    release(&l);
    return status;
}
