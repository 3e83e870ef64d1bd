/*
 * Gradient scaling.  Backward: dx += factor * dy, in place where x takes dy over.
 */
#include "ops/op_grad_scale.h"

typedef struct grad_scale_node {
    s3r_node node;
    s3r_value *x;
    float factor;
} grad_scale_node;

typedef struct grad_scale_run {
    const s3r_value *y;
    float factor;
} grad_scale_run;

static void scale_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const grad_scale_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        float *dy = run->y->grad + i * run->y->stride;
        for (size_t j = 0; j < run->y->cols; j++)
            dy[j] *= run->factor;
    }
}

static void grad_scale_backward(s3r_tape *tape, s3r_node *node)
{
    const grad_scale_node *scale = (const grad_scale_node *)node;
    s3r_value *y = node->output;
    grad_scale_run run = {y, scale->factor};
    s3r_tape_rows(tape, y->rows, y->cols, scale_rows, &run);
    s3r_tape_grad_pass(tape, y, scale->x);
}

s3r_value *s3r_op_grad_scale(s3r_tape *tape, s3r_value *x, float factor)
{
    if (!x || factor == 1.0f)
        return x;
    s3r_value *y = s3r_tape_wrap(tape, x->data, x->rows, x->cols, x->stride);
    if (!y)
        return NULL;
    y->needs_grad = factor != 0.0f && s3r_tape_wants(tape, x, NULL);
    grad_scale_node *node =
        (grad_scale_node *)s3r_tape_push(tape, y, sizeof *node, grad_scale_backward);
    if (node) {
        node->x = x;
        node->factor = factor;
    }
    return tape->is_out_of_memory ? NULL : y;
}
