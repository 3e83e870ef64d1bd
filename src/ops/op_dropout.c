/*
 * Dropout from a counter-based generator, so that the backward pass draws the same mask
 * again instead of keeping it.
 */
#include "ops/op_dropout.h"

#include <assert.h>

#include "base/random.h"

typedef struct dropout_run {
    s3r_tape *tape;
    const s3r_dropout_mask *mask;
    size_t cols, x_stride, y_stride;
    const float *x;
    float *y;
} dropout_run;

typedef struct dropout_node {
    s3r_node node;
    s3r_value *x;
    s3r_dropout_mask mask;
} dropout_node;

s3r_dropout_mask s3r_dropout_draw(s3r_tape *tape, s3r_ragged ragged, const uint64_t *keys,
                                  double p)
{
    uint64_t serial = tape->dropout_serial++;
    if (!tape->is_training || p <= 0 || !ragged.offset)
        return (s3r_dropout_mask){0};
    assert(p < 1);
    uint64_t *row_keys =
        s3r_tape_alloc(tape, ragged.offset[ragged.count], sizeof *row_keys);
    uint64_t op_key = s3r_random_at(tape->dropout_seed, serial, 0);
    for (size_t u = 0; row_keys && u < ragged.count; u++)
        for (size_t row = ragged.offset[u]; row < ragged.offset[u + 1]; row++)
            row_keys[row] = s3r_random_at(op_key, keys[u], row - ragged.offset[u]);
    return (s3r_dropout_mask){.keys = row_keys,
                              .threshold = (uint32_t)(p * 4294967296.0),
                              .scale = (float)(1.0 / (1.0 - p))};
}

static void drop_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const dropout_run *run = context;
    const s3r_dropout_mask *mask = run->mask;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->tape->kernels->dropout(run->cols, mask->keys[i], 0, mask->threshold,
                                    mask->scale, run->x + i * run->x_stride,
                                    run->y + i * run->y_stride);
}

void s3r_dropout_rows(s3r_tape *tape, const s3r_dropout_mask *mask, size_t rows,
                      size_t cols, size_t stride, const float *x, float *y)
{
    dropout_run run = {tape, mask, cols, stride, stride, x, y};
    s3r_tape_rows(tape, rows, 4 * cols, drop_rows, &run);
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const dropout_run *run = context;
    const s3r_dropout_mask *mask = run->mask;
    const s3r_kernels *kernels = run->tape->kernels;
    float *kept = s3r_pool_scratch(run->tape->pool, worker);
    for (size_t i = row; i < row_end; i++) {
        kernels->dropout(run->cols, mask->keys[i], 0, mask->threshold, mask->scale,
                         run->x + i * run->x_stride, kept);
        kernels->axpy(run->cols, 1.0f, kept, run->y + i * run->y_stride);
    }
}

static void dropout_backward(s3r_tape *tape, s3r_node *node)
{
    const dropout_node *dropout = (const dropout_node *)node;
    const s3r_value *y = node->output;
    s3r_value *x = dropout->x;
    bool is_new;
    float *dx = s3r_tape_grad_open(tape, x, &is_new);
    dropout_run run = {tape, &dropout->mask, y->cols, y->stride, x->stride, y->grad, dx};
    if (dx)
        s3r_tape_rows(tape, x->rows, 4 * x->cols, is_new ? drop_rows : backward_rows,
                      &run);
}

s3r_value *s3r_op_dropout(s3r_tape *tape, s3r_value *x, s3r_ragged ragged,
                          const uint64_t *keys, double p)
{
    s3r_dropout_mask mask = s3r_dropout_draw(tape, ragged, keys, p);
    if (!x || !mask.keys)
        return tape->is_out_of_memory ? NULL : x;
    assert(x->cols <= S3R_DROPOUT_COLS_MAX);
    assert(ragged.offset[ragged.count] == x->rows);
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    dropout_run run = {tape, &mask, x->cols, x->stride, y->stride, x->data, y->data};
    s3r_tape_rows(tape, x->rows, 4 * x->cols, drop_rows, &run);
    dropout_node *dropout =
        (dropout_node *)s3r_tape_push(tape, y, sizeof *dropout, dropout_backward);
    if (dropout) {
        dropout->x = x;
        dropout->mask = mask;
    }
    return y;
}
