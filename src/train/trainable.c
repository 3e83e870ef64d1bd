/*
 * Trained arrays: selection, gradients, counting.  trainable_make.c builds the list.
 */
#include "train/trainable.h"

#include <string.h>

#include "train/adam.h"

void s3r_trainable_release(s3r_trainable *trainable)
{
    s3r_free(trainable->items);
    s3r_free(trainable->masked);
    s3r_free(trainable->targets);
    s3r_free(trainable->select_scratch);
    s3r_free(trainable->partial);
    if (trainable->owned.chunk_bytes > 0)
        s3r_arena_release(&trainable->owned);
    *trainable = (s3r_trainable){0};
}

void s3r_trainable_select(s3r_trainable *trainable, s3r_pool *pool)
{
    if (trainable->masked_count == 0 || !trainable->masked[0].scores)
        return;
    if (trainable->scope == S3R_SCOPE_GLOBAL)
        s3r_mask_select_global(pool, trainable->targets, trainable->masked_count,
                               trainable->structure, trainable->removed_total,
                               trainable->select_scratch);
    else
        s3r_mask_select(pool, trainable->targets, trainable->masked_count,
                        trainable->structure, trainable->select_scratch);
}

/* ---- gradients ---- */

#define CLEAR_PIECE ((size_t)1 << 18)

typedef struct clear_run {
    float *values;
    size_t count;
} clear_run;

static void clear_piece(void *context, size_t task, size_t worker)
{
    const clear_run *run = context;
    size_t at = task * CLEAR_PIECE;
    (void)worker;
    memset(run->values + at, 0, S3R_MIN(CLEAR_PIECE, run->count - at) * sizeof(float));
}

void s3r_trainable_clear_grads(s3r_trainable *trainable, s3r_pool *pool)
{
    for (size_t i = 0; i < trainable->count; i++) {
        clear_run run = {trainable->items[i].grad, trainable->items[i].count};
        s3r_pool_run(pool, S3R_CEIL_DIV(run.count, CLEAR_PIECE), clear_piece, &run);
    }
}

/* Removed elements of a trained weight get no gradient: W_eff = W * m. */
static void mask_rows(void *context, size_t row, size_t worker)
{
    const s3r_masked *masked = context;
    const uint64_t *bits = masked->mask.bits + row * masked->mask.stride;
    float *grad = masked->parameter->weight->grad + row * masked->mask.cols;
    (void)worker;
    for (size_t j = 0; j < masked->mask.cols; j++)
        grad[j] = bits[j / 64] >> (j % 64) & 1 ? grad[j] : 0.0f;
}

void s3r_trainable_finish_grads(s3r_trainable *trainable, s3r_pool *pool)
{
    for (size_t i = 0; i < trainable->masked_count; i++) {
        s3r_masked *masked = &trainable->masked[i];
        float *grad = masked->parameter->weight->grad;
        size_t count = masked->mask.rows * masked->mask.cols;
        if (masked->scores && masked->score_grad != grad)
            memcpy(masked->score_grad, grad, count * sizeof *grad);
        if (masked->scores)
            s3r_score_grad(pool, masked->score_grad, masked->scores, masked->weight,
                           masked->dtype, count, trainable->is_sigmoid);
        if (masked->parameter->values)
            s3r_pool_run(pool, masked->mask.rows, mask_rows, masked);
    }
}

double s3r_trainable_square_sum(const s3r_trainable *trainable, s3r_pool *pool)
{
    double total = 0;
    for (size_t i = 0; i < trainable->count; i++)
        total += s3r_square_sum(pool, trainable->items[i].grad, trainable->items[i].count,
                                trainable->partial);
    return total;
}

/* ---- how masks move ---- */

void s3r_trainable_mark_evaluated(s3r_trainable *trainable)
{
    for (size_t i = 0; i < trainable->masked_count; i++) {
        s3r_masked *masked = &trainable->masked[i];
        memcpy(masked->evaluated.bits, masked->mask.bits,
               s3r_mask_words(masked->mask.rows, masked->mask.cols) * sizeof(uint64_t));
    }
}

size_t s3r_trainable_changed(const s3r_trainable *trainable, bool since_start)
{
    size_t changed = 0;
    for (size_t i = 0; i < trainable->masked_count; i++) {
        const s3r_masked *masked = &trainable->masked[i];
        changed += s3r_mask_distance(&masked->mask,
                                     since_start ? &masked->initial : &masked->evaluated);
    }
    return changed;
}

size_t s3r_trainable_masked_elements(const s3r_trainable *trainable)
{
    size_t elements = 0;
    for (size_t i = 0; i < trainable->masked_count; i++)
        elements += trainable->masked[i].mask.rows * trainable->masked[i].mask.cols;
    return elements;
}
