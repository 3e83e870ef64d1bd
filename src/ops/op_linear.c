/*
 * The linear layer.
 *
 * Backward, for dy (after GELU: dz = dy * gelu'(z) with the saved z):
 *   dx += dz W        a product with W as it is stored
 *   dW += dz^T x      a product with the transpose of dz, which is made first
 *   db += sum of dz, d(addend) += dz
 */
#include "ops/op_linear.h"

#include <assert.h>
#include <string.h>

#include "ops/op_gelu.h"

typedef struct linear_node {
    s3r_node node;
    s3r_value *x, *addend;
    s3r_weight *weight, *bias;
    float *pre_activation; /* layout of the output; NULL without GELU */
} linear_node;

/* Fills A of a product from fp32 rows, or from their bf16 copy. */
static bool set_operand_a(s3r_tape *tape, s3r_product *product, const s3r_value *x,
                          bool is_bf16)
{
    product->is_bf16 = is_bf16;
    product->a = x->data;
    product->a_stride = x->stride;
    if (is_bf16)
        product->a = s3r_tape_stage_bf16(tape, x, &product->a_stride);
    return product->a != NULL;
}

static void set_operand_b(s3r_product *product, const s3r_weight *weight)
{
    const void *packed = product->is_bf16 ? weight->packed_bf16 : weight->packed_f32;
    assert(!weight->kept || !packed);
    product->b_kept = weight->kept;
    product->b_kept_stride = weight->kept_stride;
    product->b = packed ? packed : weight->data;
    product->b_layout = packed ? S3R_B_PACKED : S3R_B_TRANSPOSED;
    product->b_dtype = weight->dtype;
    product->b_stride = weight->cols;
}

/* ---- gradients ---- */

typedef struct transpose_run {
    const s3r_kernels *kernels;
    const float *x;
    size_t stride, rows;
    void *out; /* [cols][out_stride] */
    size_t out_stride;
    bool is_bf16;
} transpose_run;

/* Columns [col, col_end) of x become rows; blocks of 16 rows keep both sides in cache. */
static void transpose_columns(void *context, size_t col, size_t col_end, size_t worker)
{
    const transpose_run *run = context;
    float line[16];
    (void)worker;
    for (size_t first = 0; first < run->rows; first += 16) {
        size_t count = S3R_MIN(run->rows - first, (size_t)16);
        for (size_t j = col; j < col_end; j++) {
            for (size_t i = 0; i < count; i++)
                line[i] = run->x[(first + i) * run->stride + j];
            size_t at = j * run->out_stride + first;
            if (run->is_bf16)
                run->kernels->f32_to_bf16(count, line, (uint16_t *)run->out + at);
            else
                memcpy((float *)run->out + at, line, count * sizeof(float));
        }
    }
    if (run->is_bf16 && run->rows % 2)
        for (size_t j = col; j < col_end; j++)
            ((uint16_t *)run->out)[j * run->out_stride + run->rows] = 0;
}

void s3r_linear_weight_grad(s3r_tape *tape, const float *dy, size_t dy_stride,
                            const float *x, size_t x_stride, size_t rows, size_t out,
                            size_t in, float *grad, size_t grad_stride)
{
    s3r_arena_mark mark = s3r_tape_mark(tape);
    size_t bytes = tape->is_bf16 ? 2 : 4;
    size_t stride = s3r_padded_stride(rows + rows % 2, bytes);
    void *transposed = s3r_tape_alloc(tape, out, stride * bytes);
    if (!transposed)
        return;
    transpose_run run = {tape->kernels, dy,     dy_stride,    rows,
                         transposed,    stride, tape->is_bf16};
    s3r_tape_rows(tape, out, rows, transpose_columns, &run);
    const s3r_product product = {.m = out,
                                 .n = in,
                                 .k = rows,
                                 .a = transposed,
                                 .is_bf16 = tape->is_bf16,
                                 .a_stride = stride,
                                 .b = x,
                                 .b_layout = S3R_B_PLAIN,
                                 .b_dtype = S3R_DTYPE_F32,
                                 .b_stride = x_stride,
                                 .c = grad,
                                 .c_stride = grad_stride,
                                 .accumulate = true};
    s3r_products_run(tape->pool, tape->kernels, &product, 1);
    s3r_arena_rewind(&tape->arena, mark);
}

typedef struct bias_run {
    const float *dy;
    size_t rows, stride;
    float *grad;
} bias_run;

/* A column range owns its sums: one fixed order whatever the threads. */
static void sum_columns(void *context, size_t col, size_t col_end, size_t worker)
{
    const bias_run *run = context;
    (void)worker;
    for (size_t first = col; first < col_end; first += 64) {
        double total[64] = {0};
        size_t width = S3R_MIN(col_end - first, (size_t)64);
        for (size_t i = 0; i < run->rows; i++)
            for (size_t j = 0; j < width; j++)
                total[j] += (double)run->dy[i * run->stride + first + j];
        for (size_t j = 0; j < width; j++)
            run->grad[first + j] += (float)total[j];
    }
}

void s3r_bias_grad(s3r_tape *tape, const float *dy, size_t rows, size_t cols,
                   size_t stride, s3r_weight *bias)
{
    if (!bias || !bias->grad)
        return;
    bias_run run = {dy, rows, stride, bias->grad};
    s3r_tape_rows(tape, cols, rows, sum_columns, &run);
}

static void input_grad(s3r_tape *tape, const linear_node *linear, const s3r_value *dz)
{
    float *dx = s3r_tape_grad(tape, linear->x);
    if (!dx)
        return;
    const s3r_weight *weight = linear->weight;
    s3r_product product = {.m = dz->rows,
                           .n = weight->cols,
                           .k = weight->rows,
                           .b = weight->data,
                           .b_layout = S3R_B_PLAIN,
                           .b_dtype = weight->dtype,
                           .b_stride = weight->cols,
                           .b_kept = weight->kept,
                           .b_kept_stride = weight->kept_stride,
                           .c = dx,
                           .c_stride = linear->x->stride,
                           .accumulate = true};
    if (set_operand_a(tape, &product, dz, tape->is_bf16))
        s3r_products_run(tape->pool, tape->kernels, &product, 1);
}

typedef struct addend_run {
    const s3r_kernels *kernels;
    const s3r_value *dz, *addend;
} addend_run;

static void addend_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const addend_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->kernels->axpy(run->dz->cols, 1.0f, run->dz->data + i * run->dz->stride,
                           run->addend->grad + i * run->addend->stride);
}

static void linear_backward(s3r_tape *tape, s3r_node *node)
{
    const linear_node *linear = (const linear_node *)node;
    const s3r_value *y = node->output;
    s3r_value dz = *y;
    dz.data = y->grad;
    dz.grad = NULL;
    dz.needs_grad = false;
    if (linear->pre_activation)
        s3r_gelu_grad_rows(tape, linear->pre_activation, &dz);
    /* The input gradient may be allocated now and has to stay; only then scratch. */
    (void)s3r_tape_grad(tape, linear->x);
    s3r_arena_mark mark = s3r_tape_mark(tape);
    input_grad(tape, linear, &dz);
    tape->staged_value = NULL;
    s3r_arena_rewind(&tape->arena, mark);
    if (linear->weight->grad)
        s3r_linear_weight_grad(tape, dz.data, dz.stride, linear->x->data,
                               linear->x->stride, y->rows, linear->weight->rows,
                               linear->weight->cols, linear->weight->grad,
                               linear->weight->cols);
    s3r_bias_grad(tape, dz.data, dz.rows, dz.cols, dz.stride, linear->bias);
    addend_run addend = {tape->kernels, &dz, linear->addend};
    if (s3r_tape_grad(tape, linear->addend))
        s3r_tape_rows(tape, dz.rows, dz.cols, addend_rows, &addend);
}

s3r_value *s3r_op_linear(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                         s3r_weight *bias, bool gelu)
{
    return s3r_op_linear_plus(tape, x, weight, bias, gelu, NULL);
}

s3r_value *s3r_op_linear_plus(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                              s3r_weight *bias, bool gelu, s3r_value *addend)
{
    if (!x)
        return NULL;
    assert(!addend || (addend->rows == x->rows && addend->cols == weight->rows));
    s3r_value *y = s3r_tape_value(tape, x->rows, weight->rows);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, weight) || s3r_tape_wants(tape, addend, bias);
    float *pre_activation = NULL;
    if (gelu && y->needs_grad)
        pre_activation = s3r_tape_alloc(tape, y->rows, y->stride * sizeof(float));
    s3r_product product = {.m = x->rows,
                           .n = weight->rows,
                           .k = weight->cols,
                           .c = y->data,
                           .c_stride = y->stride,
                           .addend = addend ? addend->data : NULL,
                           .addend_stride = addend ? addend->stride : 0,
                           .bias = bias ? bias->data : NULL,
                           .gelu = gelu,
                           .pre_activation = pre_activation};
    if (!set_operand_a(tape, &product, x, tape->is_bf16) || tape->is_out_of_memory)
        return NULL;
    set_operand_b(&product, weight);
    s3r_products_run(tape->pool, tape->kernels, &product, 1);
    linear_node *linear =
        (linear_node *)s3r_tape_push(tape, y, sizeof *linear, linear_backward);
    if (linear) {
        linear->x = x;
        linear->addend = addend;
        linear->weight = weight;
        linear->bias = bias;
        linear->pre_activation = pre_activation;
    }
    return y;
}
