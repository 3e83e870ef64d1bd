/*
 * Log-softmax with the sums in double.  Backward: dx += dy - exp(y) * sum(dy).
 */
#include "ops/op_log_softmax.h"

#include <assert.h>
#include <math.h>

typedef struct softmax_node {
    s3r_node node;
    s3r_value *x;
} softmax_node;

typedef struct softmax_run {
    const s3r_kernels *kernels;
    const s3r_value *x, *y;
    float *dx;
} softmax_run;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const softmax_run *run = context;
    size_t cols = run->x->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *x = run->x->data + i * run->x->stride;
        float *y = run->y->data + i * run->y->stride;
        float largest = run->kernels->max(cols, x);
        double log_sum = log(run->kernels->exp_sum(cols, largest, x, y));
        for (size_t j = 0; j < cols; j++)
            y[j] = (float)((double)(x[j] - largest) - log_sum);
    }
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const softmax_run *run = context;
    const s3r_kernels *kernels = run->kernels;
    size_t cols = run->x->cols;
    float p[256];
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *y = run->y->data + i * run->y->stride;
        const float *dy = run->y->grad + i * run->y->stride;
        float *dx = run->dx + i * run->x->stride;
        float total = (float)kernels->sum(cols, dy);
        for (size_t first = 0; first < cols; first += S3R_ARRAY_LEN(p)) {
            size_t count = S3R_MIN(cols - first, S3R_ARRAY_LEN(p));
            (void)kernels->exp_sum(count, 0.0f, y + first, p);
            kernels->axpy(count, -total, p, dx + first);
        }
        kernels->axpy(cols, 1.0f, dy, dx);
    }
}

static void softmax_backward(s3r_tape *tape, s3r_node *node)
{
    s3r_value *x = ((softmax_node *)node)->x;
    softmax_run run = {tape->kernels, x, node->output, s3r_tape_grad(tape, x)};
    if (run.dx && s3r_tape_data(tape, node->output))
        s3r_tape_rows(tape, x->rows, 4 * x->cols, backward_rows, &run);
}

s3r_value *s3r_op_log_softmax(s3r_tape *tape, s3r_value *x)
{
    if (!x)
        return NULL;
    assert(x->cols > 0);
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    softmax_run run = {tape->kernels, x, y, NULL};
    s3r_tape_rows(tape, x->rows, 4 * x->cols, forward_rows, &run);
    softmax_node *node =
        (softmax_node *)s3r_tape_push(tape, y, sizeof *node, softmax_backward);
    if (node) {
        node->x = x;
        s3r_tape_need(y);
    }
    return y;
}
