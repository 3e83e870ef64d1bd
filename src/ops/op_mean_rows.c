/*
 * Row u of y is the mean of the rows of utterance u of x, summed in double.  Backward:
 * dx[row] += dy[u] / rows of u.
 */
#include "ops/op_mean_rows.h"

#include <assert.h>
#include <string.h>

typedef struct mean_node {
    s3r_node node;
    s3r_value *x;
    s3r_ragged frames;
} mean_node;

typedef struct mean_run {
    const s3r_kernels *kernels;
    const s3r_value *x, *y;
    s3r_ragged frames;
    double *sums; /* [utterances, cols] */
    float *dx;
} mean_run;

void s3r_rows_add_to_sums(double *sums, const float *rows, size_t stride, size_t count,
                          size_t cols)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < cols; j++)
            sums[j] += (double)rows[i * stride + j];
}

void s3r_sums_to_mean(float *mean, const double *sums, size_t count, size_t cols)
{
    for (size_t j = 0; j < cols; j++)
        mean[j] = count > 0 ? (float)(sums[j] / (double)count) : 0.0f;
}

static void forward_utterances(void *context, size_t u, size_t u_end, size_t worker)
{
    const mean_run *run = context;
    size_t cols = run->x->cols;
    (void)worker;
    for (; u < u_end; u++) {
        double *sums = run->sums + u * cols;
        size_t first = run->frames.offset[u], count = run->frames.offset[u + 1] - first;
        memset(sums, 0, cols * sizeof *sums);
        s3r_rows_add_to_sums(sums, run->x->data + first * run->x->stride, run->x->stride,
                             count, cols);
        s3r_sums_to_mean(run->y->data + u * run->y->stride, sums, count, cols);
    }
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const mean_run *run = context;
    size_t u = s3r_ragged_find(run->frames, row);
    (void)worker;
    for (; row < row_end; row++) {
        while (row >= run->frames.offset[u + 1])
            u++;
        size_t count = run->frames.offset[u + 1] - run->frames.offset[u];
        run->kernels->axpy(run->x->cols, (float)(1.0 / (double)count),
                           run->y->grad + u * run->y->stride,
                           run->dx + row * run->x->stride);
    }
}

static void mean_backward(s3r_tape *tape, s3r_node *node)
{
    const mean_node *mean = (const mean_node *)node;
    mean_run run = {.kernels = tape->kernels,
                    .x = mean->x,
                    .y = node->output,
                    .frames = mean->frames,
                    .dx = s3r_tape_grad(tape, mean->x)};
    if (run.dx)
        s3r_tape_rows(tape, run.x->rows, run.x->cols, backward_rows, &run);
}

s3r_value *s3r_op_mean_rows(s3r_tape *tape, s3r_value *x, s3r_ragged frames)
{
    if (!x)
        return NULL;
    assert(frames.offset[frames.count] == x->rows);
    s3r_value *y = s3r_tape_value(tape, frames.count, x->cols);
    s3r_arena_mark mark = s3r_tape_mark(tape);
    double *sums = s3r_tape_alloc(tape, frames.count * x->cols, sizeof *sums);
    if (!y || !sums)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    mean_run run = {.x = x, .y = y, .frames = frames, .sums = sums};
    size_t length = x->rows / S3R_MAX(frames.count, (size_t)1) + 1;
    s3r_tape_rows(tape, frames.count, length * x->cols, forward_utterances, &run);
    s3r_arena_rewind(&tape->arena, mark);
    mean_node *node = (mean_node *)s3r_tape_push(tape, y, sizeof *node, mean_backward);
    if (node) {
        node->x = x;
        node->frames = frames;
    }
    return tape->is_out_of_memory ? NULL : y;
}
