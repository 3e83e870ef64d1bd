/*
 * Row i of y is row rows[i] of x.  Backward: dx[rows[i]] += dy[i]; the rows are distinct,
 * so that each has one writer.
 */
#include "ops/op_take_rows.h"

#include <assert.h>
#include <string.h>

typedef struct take_node {
    s3r_node node;
    s3r_value *x;
    const size_t *rows;
} take_node;

typedef struct take_run {
    const s3r_kernels *kernels;
    const s3r_value *x, *y;
    const size_t *rows;
    float *dx;
} take_run;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const take_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        memcpy(run->y->data + i * run->y->stride,
               run->x->data + run->rows[i] * run->x->stride,
               run->x->cols * sizeof(float));
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const take_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->kernels->axpy(run->x->cols, 1.0f, run->y->grad + i * run->y->stride,
                           run->dx + run->rows[i] * run->x->stride);
}

static void take_backward(s3r_tape *tape, s3r_node *node)
{
    const take_node *take = (const take_node *)node;
    take_run run = {tape->kernels, take->x, node->output, take->rows,
                    s3r_tape_grad(tape, take->x)};
    if (run.dx)
        s3r_tape_rows(tape, node->output->rows, take->x->cols, backward_rows, &run);
}

s3r_value *s3r_op_take_rows(s3r_tape *tape, s3r_value *x, const size_t *rows,
                            size_t count)
{
    if (!x)
        return NULL;
    size_t *list = s3r_tape_alloc(tape, count, sizeof *list);
    s3r_value *y = s3r_tape_value(tape, count, x->cols);
    if (!list || !y)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        assert(rows[i] < x->rows);
        list[i] = rows[i];
    }
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    take_run run = {.x = x, .y = y, .rows = list};
    s3r_tape_rows(tape, count, x->cols, forward_rows, &run);
    take_node *node = (take_node *)s3r_tape_push(tape, y, sizeof *node, take_backward);
    if (node) {
        node->x = x;
        node->rows = list;
    }
    return tape->is_out_of_memory ? NULL : y;
}
