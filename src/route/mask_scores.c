/*
 * Scores: how they begin, and their straight-through gradient.  (paper 3.2 and 3.3; spec
 * 1.3 and 1.4)
 */
#include "route/mask.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "ops/half.h"

#define BLOCK      ((size_t)256) /* weights converted at once */
#define CHUNK      ((size_t)1 << 15)
#define DIGIT_BITS 11u
#define BINS       ((size_t)1 << DIGIT_BITS)
#define KEY_DIGITS 3u /* of 11 bits cover the 31 bits of |x| */

static uint32_t key_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x7fffffffu;
}

/* Weights [at, at + count) of stored data as fp32; the data need not be aligned. */
static void load_weights(float *out, const void *weight, s3r_dtype dtype, size_t at,
                         size_t count)
{
    const unsigned char *from =
        (const unsigned char *)weight + at * s3r_dtype_size(dtype);
    if (dtype == S3R_DTYPE_F32) {
        memcpy(out, from, count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = s3r_element_to_f32(from, dtype, i);
}

/* ------------------------------------------------------------------------ first scores
 */

/* Kaiming's bound for a = sqrt(5): 1 / sqrt(inputs).  Each draw makes two scores, at the
 * middle of one of 2^32 steps, so that none is 0. */
static void draw_uniform(float *scores, size_t rows, size_t cols, s3r_random *random)
{
    double bound = 1.0 / sqrt((double)S3R_MAX(cols, 1u)), step = bound * 0x1p-31;
    size_t count = rows * cols;
    for (size_t i = 0; i < count; i += 2) {
        uint64_t bits = s3r_random_bits(random);
        scores[i] = (float)(((double)(uint32_t)bits + 0.5) * step - bound);
        if (i + 1 < count)
            scores[i + 1] = (float)(((double)(bits >> 32) + 0.5) * step - bound);
    }
}

/* Sorts by the upper half of each item, equal ones stay in order; spare: count items.
 * Returns which of the two holds the result. */
static uint64_t *sort_by_key(uint64_t *items, uint64_t *spare, size_t count)
{
    for (size_t digit = 0; digit < KEY_DIGITS; digit++) {
        unsigned shift = 32 + (unsigned)digit * DIGIT_BITS;
        size_t place[BINS] = {0}, next = 0;
        for (size_t i = 0; i < count; i++)
            place[items[i] >> shift & (BINS - 1)]++;
        for (size_t bin = 0; bin < BINS; bin++) {
            size_t size = place[bin];
            place[bin] = next;
            next += size;
        }
        for (size_t i = 0; i < count; i++)
            spare[place[items[i] >> shift & (BINS - 1)]++] = items[i];
        uint64_t *swap = items;
        items = spare;
        spare = swap;
    }
    return items;
}

/* The i-th smallest |score| goes where the i-th smallest |weight| is; its sign comes
 * along. */
static s3r_status order_scores(float *scores, const void *weight, s3r_dtype dtype,
                               size_t count, s3r_error *err)
{
    uint64_t *by_score = s3r_alloc_raw(count, sizeof *by_score);
    uint64_t *by_weight = s3r_alloc_raw(count, sizeof *by_weight);
    uint64_t *spare = s3r_alloc_raw(count, sizeof *spare);
    s3r_status status = S3R_OK;
    if (!by_score || !by_weight || !spare) {
        status = s3r_fail_memory(err, "ordering scores", 3 * count * sizeof *spare);
        goto cleanup;
    }
    float block[BLOCK];
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t n = S3R_MIN(BLOCK, count - at);
        load_weights(block, weight, dtype, at, n);
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &scores[at + i], sizeof bits);
            by_score[at + i] = (uint64_t)key_of(scores[at + i]) << 32 | bits;
            by_weight[at + i] = (uint64_t)key_of(block[i]) << 32 | (uint32_t)(at + i);
        }
    }
    uint64_t *sorted = sort_by_key(by_score, spare, count), *unused = spare;
    if (sorted == spare)
        unused = by_score;
    const uint64_t *order = sort_by_key(by_weight, unused, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)sorted[i];
        memcpy(&scores[(uint32_t)order[i]], &bits, sizeof bits);
    }
cleanup:
    s3r_free(by_score);
    s3r_free(by_weight);
    s3r_free(spare);
    return status;
}

s3r_status s3r_scores_init(float *scores, s3r_score_init init, const void *weight,
                           s3r_dtype dtype, size_t rows, size_t cols, double scale,
                           s3r_random *random, s3r_error *err)
{
    size_t count = rows * cols;
    if (init == S3R_SCORE_MAGNITUDE) {
        load_weights(scores, weight, dtype, 0, count);
        for (size_t i = 0; i < count; i++)
            scores[i] = (float)((double)scores[i] / scale);
        return S3R_OK;
    }
    draw_uniform(scores, rows, cols, random);
    if (init == S3R_SCORE_RANDOM)
        return S3R_OK;
    if (count > UINT32_MAX) /* positions are 32 bits wide while sorting */
        return s3r_fail(err, S3R_ERR_RESOURCE,
                        "ordering scores: expected at most %u in a matrix, found %zu",
                        UINT32_MAX, count);
    return order_scores(scores, weight, dtype, count, err);
}

/* ---------------------------------------------------------------------------- gradient
 */

typedef struct score_grad {
    float *grad;
    const float *scores;
    const void *weight;
    s3r_dtype dtype;
    size_t count;
    bool is_sigmoid;
} score_grad;

/* Plain selects, of which compilers make vector code; sign(0) and sign(NaN) are 0. */
static void grad_block(float *restrict grad, const float *restrict scores,
                       const float *restrict weight, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float product = weight[i] * grad[i];
        float positive = scores[i] > 0 ? product : 0.0f;
        grad[i] = scores[i] < 0 ? -product : positive;
    }
}

static void sigmoid_block(float *restrict grad, const float *restrict scores,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float size = isnan(scores[i]) ? 0.0f : fabsf(scores[i]);
        float decay = expf(-size); /* in [0, 1] */
        grad[i] *= decay / ((1 + decay) * (1 + decay));
    }
}

static void grad_chunk(void *context, size_t task, size_t worker)
{
    (void)worker;
    const score_grad *self = context;
    size_t end = S3R_MIN((task + 1) * CHUNK, self->count);
    float block[BLOCK];
    for (size_t at = task * CHUNK; at < end; at += BLOCK) {
        size_t n = S3R_MIN(BLOCK, end - at);
        load_weights(block, self->weight, self->dtype, at, n);
        grad_block(self->grad + at, self->scores + at, block, n);
        if (self->is_sigmoid)
            sigmoid_block(self->grad + at, self->scores + at, n);
    }
}

void s3r_score_grad(s3r_pool *pool, float *grad, const float *scores, const void *weight,
                    s3r_dtype dtype, size_t count, bool is_sigmoid)
{
    score_grad self = {grad, scores, weight, dtype, count, is_sigmoid};
    s3r_pool_run(pool, S3R_CEIL_DIV(count, CHUNK), grad_chunk, &self);
}
