/*
 * ReLU.  Backward: dx += dy where y > 0.
 */
#include "ops/op_relu.h"

typedef struct relu_node {
    s3r_node node;
    s3r_value *x;
} relu_node;

typedef struct relu_run {
    s3r_value *x, *y;
} relu_run;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const relu_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *x = run->x->data + i * run->x->stride;
        float *y = run->y->data + i * run->y->stride;
        for (size_t j = 0; j < run->x->cols; j++)
            y[j] = x[j] > 0.0f ? x[j] : 0.0f;
    }
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const relu_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *y = run->y->data + i * run->y->stride;
        const float *dy = run->y->grad + i * run->y->stride;
        float *dx = run->x->grad + i * run->x->stride;
        for (size_t j = 0; j < run->x->cols; j++)
            dx[j] += y[j] > 0.0f ? dy[j] : 0.0f;
    }
}

static void relu_backward(s3r_tape *tape, s3r_node *node)
{
    relu_run run = {((relu_node *)node)->x, node->output};
    if (s3r_tape_data(tape, run.y) && s3r_tape_grad(tape, run.x))
        s3r_tape_rows(tape, run.x->rows, run.x->cols, backward_rows, &run);
}

s3r_value *s3r_op_relu(s3r_tape *tape, s3r_value *x)
{
    if (!x)
        return NULL;
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    relu_run run = {x, y};
    s3r_tape_rows(tape, x->rows, x->cols, forward_rows, &run);
    relu_node *node = (relu_node *)s3r_tape_push(tape, y, sizeof *node, relu_backward);
    if (node) {
        node->x = x;
        s3r_tape_need(y);
    }
    return y;
}
