/*
 * k-means over frames: the clusters that masked prediction names. (Lloyd 1982; start by
 * k-means++, Arthur and Vassilvitskii 2007)
 *
 * Rows come in blocks, from memory or from a callback, so that they need not all be in
 * memory.  Nearest centroids are found by matrix products; the distance to the one that
 * was found is then computed exactly.  Sums run over the rows in their order, so results
 * do not depend on the threads.
 */
#ifndef S3R_TASKS_KMEANS_CLUSTERS_H
#define S3R_TASKS_KMEANS_CLUSTERS_H

#include "base/thread_pool.h"
#include "ops/kernels.h"

#define S3R_KMEANS_MAX_CLUSTERS 65536u /* labels are stored in 16 bits */
#define S3R_KMEANS_MAX_DIM      65536u
#define S3R_KMEANS_BLOCK_ROWS   4096u

/* Centroids, and the standardisation that comes before distances: (x - mean) * scale. */
typedef struct s3r_kmeans {
    size_t clusters, dim;
    float *centroids;    /* [clusters, dim], of standardised rows */
    float *mean, *scale; /* [dim]; 0 and 1 without standardisation */
    void *packed;        /* for products: made by s3r_kmeans_prepare */
    float *offset;       /* [clusters] minus half the squared length */
    const s3r_kernels *kernels;
} s3r_kmeans;

/*
 * Rows [count, dim] to learn from.  In memory they are at `data`, row i at data +
 * i * stride; otherwise data is NULL, and `read` writes the rows of block `block`
 * (S3R_KMEANS_BLOCK_ROWS of them, the last has the rest) densely to out, the same ones
 * each time.  It is called by one thread.
 */
typedef struct s3r_kmeans_rows {
    size_t count, dim;
    const float *data;
    size_t stride;
    s3r_status (*read)(void *context, size_t block, float *out, s3r_error *err);
    void *read_context;
} s3r_kmeans_rows;

typedef struct s3r_kmeans_settings {
    size_t clusters;
    uint64_t seed;
    size_t iterations; /* of one start at most */
    size_t restarts;   /* starts to choose the best of, at least 1 */
    double tolerance;  /* ends when inertia falls by less than this part of it */
    bool standardizes; /* each dimension to mean 0 and variance 1 */
    size_t start_rows; /* rows that a start is drawn from; 0 = a good number */
    /* Told after each pass over the rows; false interrupts.  NULL = nobody asks. */
    bool (*goes_on)(void *context, size_t start, size_t iteration, double inertia);
    void *goes_on_context;
} s3r_kmeans_settings;

void s3r_kmeans_settings_init(s3r_kmeans_settings *settings, size_t clusters);

typedef struct s3r_kmeans_result {
    double inertia; /* mean squared distance of a row to its centroid */
    size_t iterations;
    size_t start; /* the best one */
    bool has_converged;
    size_t empty; /* clusters without a row: there are fewer distinct rows */
} s3r_kmeans_result;

/*
 * Learns clusters.  A cluster that loses its rows starts again at a row that is farthest
 * from its centroid; when all rows lie on centroids it stays empty, a copy of a centroid
 * before it.
 *
 * S3R_ERR_DATA: fewer rows than clusters, a row that is not finite (its number);
 * S3R_ERR_USAGE: impossible settings; S3R_ERR_RESOURCE; S3R_ERR_INTERRUPTED;
 * what `read` returns.  *out is empty after a failure, else prepared.
 */
s3r_status s3r_kmeans_learn(s3r_kmeans *out, s3r_kmeans_result *result,
                            const s3r_kmeans_rows *rows,
                            const s3r_kmeans_settings *settings, s3r_pool *pool,
                            const s3r_kernels *kernels, s3r_error *err);

/* Memory for so many, mean 0 and scale 1.  S3R_ERR_RESOURCE; *out is then empty. */
s3r_status s3r_kmeans_create(s3r_kmeans *out, size_t clusters, size_t dim,
                             s3r_error *err);
void s3r_kmeans_release(s3r_kmeans *kmeans); /* a zeroed one is allowed */
/* To be called when centroids are new, before rows are assigned. */
s3r_status s3r_kmeans_prepare(s3r_kmeans *kmeans, const s3r_kernels *kernels,
                              s3r_error *err);

/*
 * The nearest centroid of each row (of equals the first) and the squared distance, not
 * finite for a row that is not.
 *
 *   rows       [count, dim], row i at rows + i * stride, not standardised
 *   labels     [count]
 *   distances  [count], or NULL
 */
void s3r_kmeans_assign(const s3r_kmeans *kmeans, s3r_pool *pool, const float *rows,
                       size_t stride, size_t count, uint32_t *labels, float *distances);

#endif
