/*
 * GELU by itself.  Backward: dx += dy * gelu'(x).
 */
#include "ops/op_gelu.h"

typedef struct gelu_node {
    s3r_node node;
    s3r_value *x;
} gelu_node;

typedef struct gelu_run {
    s3r_tape *tape;
    const s3r_value *x, *y;
    float *dx;
} gelu_run;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const gelu_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->tape->kernels->gelu(run->x->cols, run->x->data + i * run->x->stride,
                                 run->y->data + i * run->y->stride);
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const gelu_run *run = context;
    const s3r_kernels *kernels = run->tape->kernels;
    float slope[256];
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *x = run->x->data + i * run->x->stride;
        const float *dy = run->y->grad + i * run->y->stride;
        float *dx = run->dx + i * run->x->stride;
        for (size_t first = 0; first < run->x->cols; first += S3R_ARRAY_LEN(slope)) {
            size_t count = S3R_MIN(run->x->cols - first, S3R_ARRAY_LEN(slope));
            kernels->gelu_grad(count, x + first, dy + first, slope);
            kernels->axpy(count, 1.0f, slope, dx + first);
        }
    }
}

typedef struct fused_run {
    const s3r_kernels *kernels;
    const float *z;
    const s3r_value *dy;
} fused_run;

static void fused_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const fused_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        size_t at = i * run->dy->stride;
        run->kernels->gelu_grad(run->dy->cols, run->z + at, run->dy->data + at,
                                run->dy->data + at);
    }
}

void s3r_gelu_grad_rows(s3r_tape *tape, const float *z, const s3r_value *dy)
{
    fused_run run = {tape->kernels, z, dy};
    s3r_tape_rows(tape, dy->rows, 4 * dy->cols, fused_rows, &run);
}

static void gelu_backward(s3r_tape *tape, s3r_node *node)
{
    s3r_value *x = ((gelu_node *)node)->x;
    gelu_run run = {tape, x, node->output, s3r_tape_grad(tape, x)};
    if (run.dx && s3r_tape_data(tape, x))
        s3r_tape_rows(tape, x->rows, 4 * x->cols, backward_rows, &run);
}

s3r_value *s3r_op_gelu(s3r_tape *tape, s3r_value *x)
{
    if (!x)
        return NULL;
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    gelu_run run = {tape, x, y, NULL};
    s3r_tape_rows(tape, x->rows, 2 * x->cols, forward_rows, &run);
    gelu_node *node = (gelu_node *)s3r_tape_push(tape, y, sizeof *node, gelu_backward);
    if (node) {
        node->x = x;
        s3r_tape_need(x);
    }
    return y;
}
