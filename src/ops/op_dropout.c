/*
 * Dropout from a counter-based generator, so that the backward pass draws the same mask
 * again instead of keeping it.
 */
#include "ops/op_dropout.h"

#include <assert.h>

#include "base/random.h"

typedef struct dropout_run {
    s3r_tape *tape;
    const s3r_value *x, *y;
    float *dx;
    s3r_ragged ragged;
    const uint64_t *keys;
    uint64_t op_key;
    uint32_t threshold;
    float scale;
} dropout_run;

typedef struct dropout_node {
    s3r_node node;
    s3r_value *x;
    dropout_run run;
} dropout_node;

static uint64_t row_key(const dropout_run *run, size_t row)
{
    size_t utterance = s3r_ragged_find(run->ragged, row);
    return s3r_random_at(run->op_key, run->keys[utterance],
                         row - run->ragged.offset[utterance]);
}

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const dropout_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->tape->kernels->dropout(run->x->cols, row_key(run, i), run->threshold,
                                    run->scale, run->x->data + i * run->x->stride,
                                    run->y->data + i * run->y->stride);
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const dropout_run *run = context;
    const s3r_kernels *kernels = run->tape->kernels;
    float *kept = s3r_pool_scratch(run->tape->pool, worker);
    size_t cols = run->x->cols;
    for (size_t i = row; i < row_end; i++) {
        kernels->dropout(cols, row_key(run, i), run->threshold, run->scale,
                         run->y->grad + i * run->y->stride, kept);
        kernels->axpy(cols, 1.0f, kept, run->dx + i * run->x->stride);
    }
}

static void dropout_backward(s3r_tape *tape, s3r_node *node)
{
    dropout_node *dropout = (dropout_node *)node;
    s3r_value *x = dropout->x;
    dropout->run.dx = s3r_tape_grad(tape, x);
    if (dropout->run.dx)
        s3r_tape_rows(tape, x->rows, 4 * x->cols, backward_rows, &dropout->run);
}

s3r_value *s3r_op_dropout(s3r_tape *tape, s3r_value *x, s3r_ragged ragged,
                          const uint64_t *keys, double p)
{
    uint64_t serial = tape->dropout_serial++;
    if (!x || !tape->is_training || p <= 0)
        return x;
    assert(p < 1 && x->cols <= S3R_DROPOUT_COLS_MAX);
    assert(ragged.offset[ragged.count] == x->rows);
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    dropout_run run = {.tape = tape,
                       .x = x,
                       .y = y,
                       .ragged = ragged,
                       .keys = keys,
                       .op_key = s3r_random_at(tape->dropout_seed, serial, 0),
                       .threshold = (uint32_t)(p * 4294967296.0),
                       .scale = (float)(1.0 / (1.0 - p))};
    s3r_tape_rows(tape, x->rows, 4 * x->cols, forward_rows, &run);
    dropout_node *dropout =
        (dropout_node *)s3r_tape_push(tape, y, sizeof *dropout, dropout_backward);
    if (dropout) {
        dropout->x = x;
        dropout->run = run;
    }
    return y;
}
