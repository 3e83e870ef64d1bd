/*
 * Blocks of rows and columns: whole cache lines are read and written.
 */
#include "ops/transpose.h"

/* Even, so that the zero behind an odd number of rows comes last; 64 KiB. */
#define BLOCK_ROWS 256u
#define BLOCK_COLS 64u

typedef struct transpose_run {
    const s3r_kernels *kernels;
    const float *x;
    size_t rows, cols, x_stride, stride;
    void *out;
    bool is_bf16;
} transpose_run;

bool s3r_transpose_size(size_t rows, size_t cols, bool is_bf16, size_t *elements,
                        size_t *stride)
{
    size_t bytes = is_bf16 ? 2 : 4;
    *stride = s3r_padded_stride(rows + rows % 2, bytes);
    return s3r_size_mul(cols, *stride * bytes / sizeof(float), elements);
}

static void transpose_block(void *context, size_t task, size_t worker)
{
    const transpose_run *run = context;
    size_t across = S3R_CEIL_DIV(run->cols, BLOCK_COLS);
    size_t row = task / across * BLOCK_ROWS, col = task % across * BLOCK_COLS;
    size_t rows = S3R_MIN(run->rows - row, (size_t)BLOCK_ROWS);
    size_t cols = S3R_MIN(run->cols - col, (size_t)BLOCK_COLS);
    const float *x = run->x + row * run->x_stride + col;
    size_t to = col * run->stride + row;
    (void)worker;
    if (run->is_bf16)
        run->kernels->transpose_bf16(rows, cols, x, run->x_stride,
                                     (uint16_t *)run->out + to, run->stride);
    else
        run->kernels->transpose_f32(rows, cols, x, run->x_stride, (float *)run->out + to,
                                    run->stride);
}

void s3r_transpose(s3r_tape *tape, size_t rows, size_t cols, const float *x,
                   size_t x_stride, bool is_bf16, void *out, size_t stride)
{
    transpose_run run = {tape->kernels, x, rows, cols, x_stride, stride, out, is_bf16};
    s3r_pool_run(tape->pool,
                 S3R_CEIL_DIV(rows, BLOCK_ROWS) * S3R_CEIL_DIV(cols, BLOCK_COLS),
                 transpose_block, &run);
}
