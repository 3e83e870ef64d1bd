/*
 * Rows under the kernel in int8, and one product for all utterances.
 */
#include "ops/conv_int8.h"

#include <assert.h>
#include <string.h>

static size_t depth_of(const s3r_conv_shape *shape)
{
    return shape->kernel * shape->in;
}

bool s3r_conv_allows_int8(const s3r_conv_shape *shape)
{
    /* One channel is the waveform, whose few products are not worth the rounding. */
    return shape->groups == 1 && shape->pad_left == 0 && shape->pad_right == 0 &&
           shape->in > 1 && depth_of(shape) <= S3R_INT8_PACKED_DEPTH;
}

size_t s3r_conv_int8_bytes(const s3r_conv_shape *shape)
{
    return S3R_CEIL_DIV(shape->out, (size_t)S3R_PANEL) *
           s3r_int8_panel_bytes(depth_of(shape));
}

void s3r_conv_int8_panel(const s3r_kernels *kernels, const s3r_conv_shape *shape,
                         const int8_t *rows, size_t cols, size_t panel, void *packed)
{
    size_t depth = depth_of(shape);
    kernels->pack_transposed_int8(depth, cols, rows, S3R_DTYPE_I8, depth, NULL,
                                  (unsigned char *)packed +
                                      panel * s3r_int8_panel_bytes(depth));
}

typedef struct quantize_run {
    s3r_tape *tape;
    const s3r_conv_shape *shape;
    const s3r_value *x;
    s3r_ragged in, out;
    uint8_t *rows;
    size_t stride;
    float *scales;
} quantize_run;

/* Output frames [row, row_end) of the batch. */
static void quantize_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const quantize_run *run = context;
    const s3r_conv_shape *shape = run->shape;
    const s3r_value *x = run->x;
    size_t depth = depth_of(shape), u = s3r_ragged_find(run->out, row);
    float *gathered = s3r_pool_scratch(run->tape->pool, worker);
    for (size_t i = row; i < row_end; i++) {
        while (i >= run->out.offset[u + 1])
            u++;
        size_t first = run->in.offset[u] + (i - run->out.offset[u]) * shape->stride;
        const float *seen = x->data + first * x->stride;
        if (x->stride != shape->in) {
            for (size_t tap = 0; tap < shape->kernel; tap++)
                memcpy(gathered + tap * shape->in, seen + tap * x->stride,
                       shape->in * sizeof *gathered);
            seen = gathered;
        }
        uint8_t *to = run->rows + i * run->stride;
        run->scales[i] = run->tape->kernels->quantize_row(depth, seen, to);
        memset(to + depth, 0, run->stride - depth);
    }
}

bool s3r_conv_int8_run(s3r_tape *tape, const s3r_conv_shape *shape, const s3r_value *x,
                       s3r_ragged in, s3r_ragged out, const s3r_weight *weight,
                       const s3r_weight *bias, const s3r_conv_result *y)
{
    size_t depth = depth_of(shape), rows = out.offset[out.count];
    assert(s3r_conv_allows_int8(shape) && !y->pre_activation && x->data);
    /* The tile looks at up to 3 bytes behind a row. */
    quantize_run run = {tape, shape, x, in, out, NULL, s3r_padded_stride(depth + 3, 1),
                        NULL};
    run.rows = s3r_tape_alloc(tape, rows, run.stride);
    run.scales = s3r_tape_alloc(tape, rows, sizeof *run.scales);
    if (!run.rows || !run.scales)
        return false;
    s3r_tape_rows(tape, rows, depth, quantize_rows, &run);
    s3r_product product = {.m = rows,
                           .n = shape->out,
                           .k = depth,
                           .a = run.rows,
                           .a_stride = run.stride,
                           .a_scales = run.scales,
                           .b = weight->packed_int8,
                           .b_layout = S3R_B_PACKED,
                           .b_dtype = S3R_DTYPE_I8,
                           .b_scales = weight->scales,
                           .bias = bias ? bias->data : NULL};
    s3r_conv_set_result(&product, y, 0, 1, 0);
    s3r_products_run(tape->pool, tape->kernels, &product, 1);
    return true;
}
