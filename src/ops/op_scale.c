/*
 * A value times a constant.  Backward: dx += factor * dy.
 */
#include "ops/op_scale.h"

typedef struct scale_node {
    s3r_node node;
    s3r_value *x;
    float factor;
} scale_node;

typedef struct scale_run {
    const s3r_kernels *kernels;
    const s3r_value *x, *y;
    float *dx;
    float factor;
} scale_run;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const scale_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *x = run->x->data + i * run->x->stride;
        float *y = run->y->data + i * run->y->stride;
        for (size_t j = 0; j < run->x->cols; j++)
            y[j] = run->factor * x[j];
    }
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const scale_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->kernels->axpy(run->x->cols, run->factor, run->y->grad + i * run->y->stride,
                           run->dx + i * run->x->stride);
}

static void scale_backward(s3r_tape *tape, s3r_node *node)
{
    const scale_node *scale = (const scale_node *)node;
    s3r_value *x = scale->x;
    scale_run run = {tape->kernels, x, node->output, s3r_tape_grad(tape, x),
                     scale->factor};
    if (run.dx)
        s3r_tape_rows(tape, x->rows, x->cols, backward_rows, &run);
}

s3r_value *s3r_op_scale(s3r_tape *tape, s3r_value *x, float factor)
{
    if (!x || factor == 1.0f)
        return x;
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    scale_run run = {tape->kernels, x, y, NULL, factor};
    s3r_tape_rows(tape, x->rows, x->cols, forward_rows, &run);
    scale_node *node = (scale_node *)s3r_tape_push(tape, y, sizeof *node, scale_backward);
    if (node) {
        node->x = x;
        node->factor = factor;
    }
    return y;
}
