/*
 * Masks: which connections of a weight matrix are kept, and how scores become a mask.
 *
 * The paper's method (sections 3.1-3.3; spec 1.2-1.4): each element of a frozen matrix
 * has a score; the elements with the smallest |score| are removed; the gradient of the
 * effective weight reaches the scores straight through.
 *
 * Everything here works on plain arrays, [rows, cols] row-major.
 */
#ifndef S3R_ROUTE_MASK_H
#define S3R_ROUTE_MASK_H

#include "base/dtype.h"
#include "base/error.h"
#include "base/random.h"
#include "base/thread_pool.h"

/* Bit (row, col) is bit col % 64 of word bits[row * stride + col / 64]; 1 = kept.  Bits
 * beyond cols are 0. */
typedef struct s3r_mask {
    size_t rows, cols;
    size_t stride; /* words a row: s3r_mask_stride(cols) */
    uint64_t *bits;
} s3r_mask;

typedef enum s3r_mask_structure {
    S3R_MASK_ELEMENTS, /* single connections */
    S3R_MASK_ROWS,     /* whole outputs: a row's score is the mean of its |scores| */
    S3R_MASK_COLUMNS   /* whole inputs */
} s3r_mask_structure;

typedef enum s3r_score_init {
    S3R_SCORE_RANDOM,    /* RI: uniform in +-1/sqrt(cols) */
    S3R_SCORE_MAGNITUDE, /* WMI: the weight / scale */
    S3R_SCORE_ORDERED    /* ORI: RI's |scores| in the order of |weight| */
} s3r_score_init;

size_t s3r_mask_stride(size_t cols);
size_t s3r_mask_words(size_t rows, size_t cols);
/* Sets every connection (within cols). */
void s3r_mask_fill(s3r_mask *mask);
size_t s3r_mask_kept_count(const s3r_mask *mask);
/* The part that is removed; the mask has elements. */
double s3r_mask_sparsity(const s3r_mask *mask);
/* Elements that differ; the masks have one shape. */
size_t s3r_mask_distance(const s3r_mask *a, const s3r_mask *b);
/* To and from contiguous bytes, least significant bit first, s3r_mask_packed_bytes long
 * (rows are not aligned there: the layout of mask files). */
size_t s3r_mask_packed_bytes(size_t rows, size_t cols);
void s3r_mask_to_packed(const s3r_mask *mask, uint8_t *packed);
void s3r_mask_from_packed(s3r_mask *mask, const uint8_t *packed);
/* Makes the packed bytes themselves the bits of a mask that nobody will change, where
 * rows end with words and the machine reads them as they lie; false where not. */
bool s3r_mask_use_packed(s3r_mask *mask, const uint8_t *packed);
/* Kept elements in so many packed bytes. */
size_t s3r_packed_kept_count(const uint8_t *packed, size_t bytes);

/* How many of n elements go at a sparsity (removed fraction): the original's integers,
 * trunc((1 - keep) * n) with keep = 1 - sparsity. (spec 1.2) */
size_t s3r_removed_count(double sparsity, size_t n);

/* One matrix of a selection. */
typedef struct s3r_mask_target {
    const float *scores; /* [rows, cols] */
    s3r_mask mask;       /* bits are written */
    size_t removed;      /* elements (rows, columns) to remove; ignored by _global */
} s3r_mask_target;

/*
 * Removes target[i].removed elements of smallest |score| of each matrix, exactly; of
 * equal ones the lower index goes first.  NaN counts as 0.  O(n), in parallel; the same
 * bits for any number of threads.  scratch: s3r_mask_select_scratch_bytes, 64-byte
 * aligned; its content does not matter.
 */
void s3r_mask_select(s3r_pool *pool, s3r_mask_target *targets, size_t count,
                     s3r_mask_structure structure, void *scratch);
/* The same with one threshold over all matrices: `removed` elements (rows, columns)
 * altogether. */
void s3r_mask_select_global(s3r_pool *pool, s3r_mask_target *targets, size_t count,
                            s3r_mask_structure structure, size_t removed, void *scratch);
size_t s3r_mask_select_scratch_bytes(const s3r_mask_target *targets, size_t count,
                                     s3r_mask_structure structure, size_t thread_count);

/*
 * First scores of a matrix [rows, cols] from its weight (stored type).  ORI orders all
 * |scores| of the matrix as |weight|; signs stay random.  Draws from `random` only.
 * S3R_ERR_RESOURCE (ORI sorts).
 */
s3r_status s3r_scores_init(float *scores, s3r_score_init init, const void *weight,
                           s3r_dtype dtype, size_t rows, size_t cols, double scale,
                           s3r_random *random, s3r_error *err);

/*
 * The straight-through gradient, in place: grad holds dL/d(effective weight) and becomes
 * dL/d(score) = sign(score) * weight * grad, for kept and removed elements alike
 * (spec 1.3); with is_sigmoid also times sigmoid'(|score|).
 */
void s3r_score_grad(s3r_pool *pool, float *grad, const float *scores, const void *weight,
                    s3r_dtype dtype, size_t count, bool is_sigmoid);

#endif
