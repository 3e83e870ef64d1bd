/*
 * Adam: one pass over memory, cut in pieces of fixed size.
 */
#include "train/adam.h"

#include <math.h>

#define PIECE ((size_t)1 << 15) /* elements a task */

typedef struct adam_run {
    float *values, *first, *second;
    const float *grad;
    size_t count;
    /* p = p * keep - scale * m / (sqrt(v) * root + eps) */
    float beta1, rest1, beta2, rest2, eps, keep, scale, root, grad_scale;
} adam_run;

static void update_piece(void *context, size_t task, size_t worker)
{
    const adam_run run = *(const adam_run *)context;
    size_t at = task * PIECE, end = S3R_MIN(run.count, at + PIECE);
    float *restrict values = run.values, *restrict first = run.first,
                    *restrict second = run.second;
    const float *restrict grad = run.grad;
    (void)worker;
    for (size_t i = at; i < end; i++) {
        float g = grad[i] * run.grad_scale;
        float m = run.beta1 * first[i] + run.rest1 * g;
        float v = run.beta2 * second[i] + run.rest2 * (g * g);
        first[i] = m;
        second[i] = v;
        values[i] =
            values[i] * run.keep - run.scale * (m / (sqrtf(v) * run.root + run.eps));
    }
}

void s3r_adam_update(s3r_pool *pool, const s3r_adam_step *step, double rate,
                     float *values, float *first, float *second, const float *grad,
                     size_t count)
{
    double bias1 = 1.0 - pow(step->beta1, (double)step->update);
    double root2 = sqrt(1.0 - pow(step->beta2, (double)step->update));
    bool is_fairseq = step->form == S3R_ADAM_FAIRSEQ;
    adam_run run = {.values = values,
                    .first = first,
                    .second = second,
                    .grad = grad,
                    .count = count,
                    .beta1 = (float)step->beta1,
                    .rest1 = (float)(1.0 - step->beta1),
                    .beta2 = (float)step->beta2,
                    .rest2 = (float)(1.0 - step->beta2),
                    .eps = (float)step->eps,
                    .keep = (float)(1.0 - rate * step->weight_decay),
                    .scale = (float)(is_fairseq ? rate * root2 / bias1 : rate / bias1),
                    .root = (float)(is_fairseq ? 1.0 : 1.0 / root2),
                    .grad_scale = (float)step->grad_scale};
    s3r_pool_run(pool, S3R_CEIL_DIV(count, PIECE), update_piece, &run);
}

/* ---- norms ---- */

typedef struct square_run {
    const float *values;
    size_t count;
    double *partial;
} square_run;

size_t s3r_square_sum_parts(size_t count)
{
    return S3R_CEIL_DIV(count, PIECE);
}

static void sum_piece(void *context, size_t task, size_t worker)
{
    const square_run *run = context;
    size_t at = task * PIECE, end = S3R_MIN(run->count, at + PIECE);
    double lane[8] = {0};
    (void)worker;
    for (; at + 8 <= end; at += 8)
        for (size_t j = 0; j < 8; j++) {
            double x = (double)run->values[at + j];
            lane[j] += x * x;
        }
    for (; at < end; at++)
        lane[0] += (double)run->values[at] * (double)run->values[at];
    run->partial[task] = ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
                         ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

double s3r_square_sum(s3r_pool *pool, const float *values, size_t count, double *partial)
{
    square_run run = {values, count, partial};
    size_t parts = s3r_square_sum_parts(count);
    double total = 0;
    s3r_pool_run(pool, parts, sum_piece, &run);
    for (size_t i = 0; i < parts; i++)
        total += partial[i];
    return total;
}
