/*
 * Time masking.  Backward: the embedding gets the sum of dy over the masked rows, x gets
 * the other rows of dy.
 */
#include "ops/op_time_mask.h"

#include <assert.h>
#include <string.h>

typedef struct mask_node {
    s3r_node node;
    s3r_value *x;
    s3r_weight *embedding;
    const uint8_t *is_masked; /* [frames] */
} mask_node;

typedef struct mask_run {
    const s3r_kernels *kernels;
    const s3r_value *x, *y;
    const uint8_t *is_masked;
    const float *embedding;
    float *dx, *dembedding;
} mask_run;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const mask_run *run = context;
    (void)worker;
    size_t bytes = run->x->cols * sizeof(float);
    for (size_t i = row; i < row_end; i++) {
        float *y = run->y->data + i * run->y->stride;
        if (!run->is_masked[i])
            memcpy(y, run->x->data + i * run->x->stride, bytes);
        else if (run->embedding)
            memcpy(y, run->embedding, bytes);
        else
            memset(y, 0, bytes);
    }
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const mask_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        if (!run->is_masked[i])
            run->kernels->axpy(run->x->cols, 1.0f, run->y->grad + i * run->y->stride,
                               run->dx + i * run->x->stride);
}

/* A column range owns its sums. */
static void embedding_columns(void *context, size_t col, size_t col_end, size_t worker)
{
    const mask_run *run = context;
    (void)worker;
    for (size_t first = col; first < col_end; first += 64) {
        double total[64] = {0};
        size_t width = S3R_MIN(col_end - first, (size_t)64);
        for (size_t i = 0; i < run->y->rows; i++)
            for (size_t j = 0; run->is_masked[i] && j < width; j++)
                total[j] += (double)run->y->grad[i * run->y->stride + first + j];
        for (size_t j = 0; j < width; j++)
            run->dembedding[first + j] += (float)total[j];
    }
}

static void mask_backward(s3r_tape *tape, s3r_node *node)
{
    const mask_node *mask = (const mask_node *)node;
    s3r_value *x = mask->x;
    mask_run run = {.kernels = tape->kernels,
                    .x = x,
                    .y = node->output,
                    .is_masked = mask->is_masked,
                    .dx = s3r_tape_grad(tape, x),
                    .dembedding = mask->embedding ? mask->embedding->grad : NULL};
    if (run.dembedding)
        s3r_tape_rows(tape, x->cols, x->rows, embedding_columns, &run);
    if (run.dx)
        s3r_tape_rows(tape, x->rows, x->cols, backward_rows, &run);
}

s3r_value *s3r_op_time_mask(s3r_tape *tape, s3r_value *x, const size_t *rows,
                            size_t count, s3r_weight *embedding)
{
    if (!x)
        return NULL;
    assert(!embedding ||
           (embedding->dtype == S3R_DTYPE_F32 && embedding->cols == x->cols));
    uint8_t *is_masked = s3r_tape_alloc(tape, x->rows, 1);
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!is_masked || !y)
        return NULL;
    memset(is_masked, 0, x->rows);
    for (size_t i = 0; i < count; i++) {
        assert(rows[i] < x->rows);
        is_masked[rows[i]] = 1;
    }
    y->needs_grad = s3r_tape_wants(tape, x, embedding);
    mask_run run = {.x = x,
                    .y = y,
                    .is_masked = is_masked,
                    .embedding = embedding ? embedding->data : NULL};
    s3r_tape_rows(tape, x->rows, x->cols, forward_rows, &run);
    mask_node *mask = (mask_node *)s3r_tape_push(tape, y, sizeof *mask, mask_backward);
    if (mask) {
        mask->x = x;
        mask->embedding = embedding;
        mask->is_masked = is_masked;
    }
    return y;
}
