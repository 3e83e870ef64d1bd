/*
 * The sum of two values.  Backward: da += dy, db += dy; one of them takes dy over.
 */
#include "ops/op_add.h"

#include <assert.h>
#include <string.h>

typedef struct add_node {
    s3r_node node;
    s3r_value *a, *b;
} add_node;

typedef struct add_run {
    const s3r_kernels *kernels;
    const s3r_value *a, *b, *y;
    float *da; /* backward */
    bool is_new;
} add_run;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const add_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *a = run->a->data + i * run->a->stride;
        const float *b = run->b->data + i * run->b->stride;
        float *y = run->y->data + i * run->y->stride;
        for (size_t j = 0; j < run->y->cols; j++)
            y[j] = a[j] + b[j];
    }
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const add_run *run = context;
    size_t cols = run->y->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *dy = run->y->grad + i * run->y->stride;
        float *da = run->da + i * run->a->stride;
        if (run->is_new)
            memcpy(da, dy, cols * sizeof *da);
        else
            run->kernels->axpy(cols, 1.0f, dy, da);
    }
}

static void add_grad(s3r_tape *tape, s3r_value *a, s3r_value *y)
{
    add_run run = {.kernels = tape->kernels, .a = a, .y = y};
    run.da = s3r_tape_grad_open(tape, a, &run.is_new);
    if (run.da)
        s3r_tape_rows(tape, y->rows, y->cols, backward_rows, &run);
}

static void add_backward(s3r_tape *tape, s3r_node *node)
{
    const add_node *add = (const add_node *)node;
    add_grad(tape, add->a, node->output);
    if (add->a == add->b)
        add_grad(tape, add->b, node->output);
    else
        s3r_tape_grad_pass(tape, node->output, add->b);
}

s3r_value *s3r_op_add(s3r_tape *tape, s3r_value *a, s3r_value *b)
{
    if (!a || !b)
        return NULL;
    assert(a->rows == b->rows && a->cols == b->cols);
    s3r_value *y = s3r_tape_value(tape, a->rows, a->cols);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, a, NULL) || s3r_tape_wants(tape, b, NULL);
    add_run run = {.kernels = tape->kernels, .a = a, .b = b, .y = y};
    s3r_tape_rows(tape, y->rows, y->cols, forward_rows, &run);
    add_node *add = (add_node *)s3r_tape_push(tape, y, sizeof *add, add_backward);
    if (add) {
        add->a = a;
        add->b = b;
    }
    return y;
}
