/*
 * The linear layer: y = residual + drop(gelu(z)), z = x W^T + addend + b, in one pass.
 *
 * Backward, for dy:
 *   dz = drop(dy) * gelu'(z)   in place, or beside dy where the residual takes dy over
 *   dx += dz W        a product with W as it is stored
 *   dW += dz^T x      a product with the transpose of dz, which is made first
 *   db += sum of dz, d(addend) += dz
 * With GELU z is kept, from which a forgotten y can be made again.
 */
#include "ops/op_linear.h"

#include <assert.h>
#include <string.h>

#include "ops/transpose.h"

typedef struct linear_node {
    s3r_node node;
    s3r_value *x;
    s3r_weight *weight, *bias;
    s3r_linear_options options;
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

void s3r_linear_weight_grad(s3r_tape *tape, const float *dy, size_t dy_stride,
                            const float *x, size_t x_stride, size_t rows, size_t out,
                            size_t in, float *grad, size_t grad_stride)
{
    size_t elements, stride;
    if (!s3r_transpose_size(rows, out, tape->is_bf16, &elements, &stride)) {
        tape->is_out_of_memory = true;
        return;
    }
    float *transposed = s3r_tape_take(tape, elements);
    if (!transposed)
        return;
    s3r_transpose(tape, rows, out, dy, dy_stride, tape->is_bf16, transposed, stride);
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
    s3r_tape_give(tape, transposed, elements);
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
    bool is_new;
    float *dx = s3r_tape_grad_open(tape, linear->x, &is_new);
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
                           .accumulate = !is_new};
    if (set_operand_a(tape, &product, dz, tape->is_bf16))
        s3r_products_run(tape->pool, tape->kernels, &product, 1);
    s3r_tape_unstage(tape);
}

typedef struct slope_run {
    const s3r_kernels *kernels;
    const linear_node *linear;
    const s3r_value *y;
    float *dz; /* layout of y */
} slope_run;

/* dz = drop(dy) * gelu'(z); dz may be dy. */
static void slope_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const slope_run *run = context;
    const s3r_dropout_mask *dropout = &run->linear->options.dropout;
    size_t cols = run->y->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        size_t at = i * run->y->stride;
        const float *dy = run->y->grad + at;
        float *dz = run->dz + at;
        if (dropout->keys) {
            run->kernels->dropout(cols, dropout->keys[i], 0, dropout->threshold,
                                  dropout->scale, dy, dz);
            dy = dz;
        }
        if (run->linear->pre_activation)
            run->kernels->gelu_grad(cols, run->linear->pre_activation + at, dy, dz);
    }
}

/* y->grad becomes dz's data, or is passed to the residual; false without memory. */
static bool make_slope(s3r_tape *tape, const linear_node *linear, s3r_value *y,
                       s3r_value *dz)
{
    s3r_value *residual = linear->options.residual;
    bool is_changed = linear->options.dropout.keys || linear->pre_activation;
    bool is_shared = residual && residual->needs_grad;
    *dz = (s3r_value){
        .data = y->grad, .rows = y->rows, .cols = y->cols, .stride = y->stride};
    if (is_changed && is_shared)
        dz->data = s3r_tape_take(tape, y->rows * y->stride);
    if (!dz->data)
        return false;
    slope_run run = {tape->kernels, linear, y, dz->data};
    if (is_changed)
        s3r_tape_rows(tape, y->rows, 4 * y->cols, slope_rows, &run);
    return true;
}

typedef struct addend_run {
    const s3r_kernels *kernels;
    const s3r_value *dz;
    float *grad;
    size_t stride;
} addend_run;

static void addend_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const addend_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->kernels->axpy(run->dz->cols, 1.0f, run->dz->data + i * run->dz->stride,
                           run->grad + i * run->stride);
}

static void addend_grad(s3r_tape *tape, s3r_value *addend, const s3r_value *dz)
{
    float *grad = s3r_tape_grad(tape, addend);
    if (!grad)
        return;
    addend_run run = {tape->kernels, dz, grad, addend->stride};
    s3r_tape_rows(tape, dz->rows, dz->cols, addend_rows, &run);
}

static void linear_backward(s3r_tape *tape, s3r_node *node)
{
    linear_node *linear = (linear_node *)node;
    s3r_value *y = node->output, dz;
    size_t elements = y->rows * y->stride;
    if (!make_slope(tape, linear, y, &dz))
        return;
    if (linear->pre_activation) {
        s3r_tape_give(tape, linear->pre_activation, elements);
        node->rebuild = NULL; /* its readers have run */
    }
    bool is_own = dz.data != y->grad;
    if (is_own)
        s3r_tape_grad_pass(tape, y, linear->options.residual);
    input_grad(tape, linear, &dz);
    const s3r_weight *weight = linear->weight;
    if (weight->grad && s3r_tape_data(tape, linear->x))
        s3r_linear_weight_grad(tape, dz.data, dz.stride, linear->x->data,
                               linear->x->stride, y->rows, weight->rows, weight->cols,
                               weight->grad, weight->cols);
    s3r_bias_grad(tape, dz.data, dz.rows, dz.cols, dz.stride, linear->bias);
    addend_grad(tape, linear->options.addend, &dz);
    if (is_own)
        s3r_tape_give(tape, dz.data, elements);
    else if (linear->options.residual)
        s3r_tape_grad_pass(tape, y, linear->options.residual);
}

typedef struct rebuild_run {
    const s3r_kernels *kernels;
    const linear_node *linear;
    const s3r_value *y;
} rebuild_run;

static void rebuild_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const rebuild_run *run = context;
    const s3r_dropout_mask *dropout = &run->linear->options.dropout;
    size_t cols = run->y->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        size_t at = i * run->y->stride;
        float *y = run->y->data + at;
        run->kernels->gelu(cols, run->linear->pre_activation + at, y);
        if (dropout->keys)
            run->kernels->dropout(cols, dropout->keys[i], 0, dropout->threshold,
                                  dropout->scale, y, y);
    }
}

static void linear_rebuild(s3r_tape *tape, s3r_node *node)
{
    rebuild_run run = {tape->kernels, (const linear_node *)node, node->output};
    s3r_tape_rows(tape, node->output->rows, 4 * node->output->cols, rebuild_rows, &run);
}

/* ---- forward ---- */

static s3r_product product_of(const linear_node *linear, s3r_value *y)
{
    const s3r_value *addend = linear->options.addend;
    const s3r_value *residual = linear->options.residual;
    return (s3r_product){.m = y->rows,
                         .n = linear->weight->rows,
                         .k = linear->weight->cols,
                         .c = y->data,
                         .c_stride = y->stride,
                         .addend = addend ? addend->data : NULL,
                         .addend_stride = addend ? addend->stride : 0,
                         .bias = linear->bias ? linear->bias->data : NULL,
                         .gelu = linear->options.gelu,
                         .pre_activation = linear->pre_activation,
                         .dropout = linear->options.dropout,
                         .residual = residual ? residual->data : NULL,
                         .residual_stride = residual ? residual->stride : 0};
}

static void record(s3r_tape *tape, const linear_node *linear, s3r_value *y)
{
    s3r_node *node = s3r_tape_push(tape, y, sizeof *linear, linear_backward);
    if (!node)
        return;
    s3r_node head = *node;
    *(linear_node *)node = *linear;
    *node = head;
    if (linear->pre_activation && !linear->options.residual)
        node->rebuild = linear_rebuild;
    if (linear->weight->grad)
        s3r_tape_need(linear->x);
}

static bool has_shape(const s3r_value *value, const s3r_value *y)
{
    return !value || (value->rows == y->rows && value->cols == y->cols);
}

s3r_value *s3r_op_linear_with(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                              s3r_weight *bias, const s3r_linear_options *options)
{
    if (!x)
        return NULL;
    s3r_value *y = s3r_tape_value(tape, x->rows, weight->rows);
    if (!y)
        return NULL;
    assert(has_shape(options->addend, y) && has_shape(options->residual, y));
    linear_node linear = {.x = x, .weight = weight, .bias = bias, .options = *options};
    y->needs_grad = s3r_tape_wants(tape, x, weight) ||
                    s3r_tape_wants(tape, options->addend, bias) ||
                    s3r_tape_wants(tape, options->residual, NULL);
    if (options->gelu && y->needs_grad)
        linear.pre_activation = s3r_tape_take(tape, y->rows * y->stride);
    s3r_product product = product_of(&linear, y);
    if (!set_operand_a(tape, &product, x, tape->is_bf16) || tape->is_out_of_memory)
        return NULL;
    set_operand_b(&product, weight);
    s3r_products_run(tape->pool, tape->kernels, &product, 1);
    record(tape, &linear, y);
    return tape->is_out_of_memory ? NULL : y;
}

s3r_value *s3r_op_linear(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                         s3r_weight *bias, bool gelu)
{
    const s3r_linear_options options = {.gelu = gelu};
    return s3r_op_linear_with(tape, x, weight, bias, &options);
}
