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

#include "ops/prepack.h"
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

/* Both operands in int8, as the weight is stored. */
static bool set_operands_int8(s3r_tape *tape, s3r_product *product, const s3r_value *x,
                              const s3r_weight *weight)
{
    const uint8_t *a;
    assert(weight->scales && !weight->grad);
    if (!s3r_tape_stage_int8(tape, x, &a, &product->a_stride, &product->a_scales))
        return false;
    product->a = a;
    product->b_scales = weight->scales;
    return true;
}

static void set_operand_b(s3r_tape *tape, s3r_product *product, const s3r_weight *weight)
{
    product->b = weight->data;
    product->b_layout = S3R_B_TRANSPOSED;
    product->b_dtype = weight->dtype;
    product->b_stride = weight->cols;
    product->b_kept = weight->kept;
    product->b_kept_stride = weight->kept_stride;
    assert(!weight->prepack || !weight->grad);
    const void *panels = weight->prepack ? s3r_prepack_get(weight->prepack, tape->pool,
                                                           tape->kernels, product)
                                         : NULL;
    if (!panels)
        return;
    product->b = panels;
    product->b_layout = S3R_B_PREPACKED;
    product->b_stride = 0;
    product->b_kept = NULL;
}

/* ---- gradients ---- */

static void weight_grad(s3r_tape *tape, const linear_node *linear, const s3r_value *dz)
{
    const s3r_weight *weight = linear->weight;
    const s3r_value *x = linear->x;
    size_t elements, stride;
    if (!weight->grad || (!x->narrow && !s3r_tape_data(tape, linear->x)))
        return;
    if (!s3r_transpose_size(dz->rows, dz->cols, tape->is_bf16, &elements, &stride)) {
        tape->is_out_of_memory = true;
        return;
    }
    float *transposed = s3r_tape_take(tape, elements);
    if (!transposed)
        return;
    s3r_transpose(tape, dz->rows, dz->cols, dz->data, dz->stride, tape->is_bf16,
                  transposed, stride);
    s3r_product product = {.m = dz->cols,
                           .n = x->cols,
                           .k = dz->rows,
                           .a = transposed,
                           .is_bf16 = tape->is_bf16,
                           .a_stride = stride,
                           .b = x->data,
                           .b_layout = S3R_B_PLAIN,
                           .b_dtype = S3R_DTYPE_F32,
                           .b_stride = x->stride,
                           .c = weight->grad,
                           .c_stride = weight->cols,
                           .accumulate = true};
    if (x->narrow) {
        product.b = x->narrow;
        product.b_dtype = S3R_DTYPE_BF16;
        product.b_stride = x->narrow_stride;
    }
    s3r_products_run(tape->pool, tape->kernels, &product, 1);
    s3r_tape_give(tape, transposed, elements);
}

#define BIAS_RANGES     64u /* partial sums, by ranges of rows */
#define BIAS_RANGE_ROWS 32u /* at least */

typedef struct bias_run {
    const s3r_kernels *kernels;
    const float *dy;
    size_t rows, cols, stride, range_rows;
    double *sums; /* [ranges, cols] */
} bias_run;

/* Whole rows in the order of memory: a range of columns would visit a page a row. */
static void sum_range(void *context, size_t range, size_t worker)
{
    const bias_run *run = context;
    size_t first = range * run->range_rows;
    double *sums = run->sums + range * run->cols;
    (void)worker;
    memset(sums, 0, run->cols * sizeof *sums);
    run->kernels->add_rows(S3R_MIN(run->rows - first, run->range_rows), run->cols,
                           run->dy + first * run->stride, run->stride, sums);
}

/* The ranges depend on the shape alone and are added in order: the same bits whatever
 * the threads. */
void s3r_bias_grad(s3r_tape *tape, const float *dy, size_t rows, size_t cols,
                   size_t stride, s3r_weight *bias)
{
    if (!bias || !bias->grad || rows == 0)
        return;
    bias_run run = {
        .kernels = tape->kernels, .dy = dy, .rows = rows, .cols = cols, .stride = stride};
    run.range_rows =
        S3R_MAX(S3R_CEIL_DIV(rows, (size_t)BIAS_RANGES), (size_t)BIAS_RANGE_ROWS);
    size_t ranges = S3R_CEIL_DIV(rows, run.range_rows), elements = 2 * ranges * cols;
    float *memory = s3r_tape_take(tape, elements);
    if (!memory)
        return;
    run.sums = (double *)(void *)memory;
    s3r_pool_run(tape->pool, ranges, sum_range, &run);
    for (size_t range = 1; range < ranges; range++)
        for (size_t j = 0; j < cols; j++)
            run.sums[j] += run.sums[range * cols + j];
    for (size_t j = 0; j < cols; j++)
        bias->grad[j] += (float)run.sums[j];
    s3r_tape_give(tape, memory, elements);
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
}

typedef struct slope_run {
    const s3r_kernels *kernels;
    const linear_node *linear;
    const s3r_value *y;
    float *dz;        /* layout of y */
    uint16_t *narrow; /* its staged copy; NULL: not wanted */
    size_t narrow_stride;
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
        if (run->narrow)
            run->kernels->f32_to_bf16(cols, dz, run->narrow + i * run->narrow_stride);
    }
}

/* y->grad becomes dz's data, or is passed to the residual; false without memory. While
 * a row of dz is at hand, its copy for the product of input_grad is made. */
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
    slope_run run = {tape->kernels, linear, y, dz->data, NULL, 0};
    if (is_changed && tape->is_bf16 && linear->x->needs_grad)
        run.narrow = s3r_tape_stage_take(tape, dz, &run.narrow_stride);
    if (is_changed)
        s3r_tape_rows(tape, y->rows, 4 * y->cols, slope_rows, &run);
    if (run.narrow)
        s3r_tape_stage_set(tape, dz, run.narrow, run.narrow_stride);
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
    s3r_tape_unstage(tape);
    weight_grad(tape, linear, &dz);
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

static bool is_narrow_result(const s3r_tape *tape, const s3r_linear_options *options,
                             const s3r_weight *weight)
{
    return options->is_for_products && options->gelu && !options->residual &&
           weight->dtype != S3R_DTYPE_I8 && tape->is_bf16;
}

static void set_narrow(s3r_product *product, const s3r_value *y, float *z)
{
    product->c = z;
    product->pre_activation = NULL;
    product->narrow = y->narrow;
    product->narrow_stride = y->narrow_stride;
    product->only_narrow = !y->needs_grad;
}

s3r_value *s3r_op_linear_with(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                              s3r_weight *bias, const s3r_linear_options *options)
{
    if (!x)
        return NULL;
    bool needs_grad = s3r_tape_wants(tape, x, weight) ||
                      s3r_tape_wants(tape, options->addend, bias) ||
                      s3r_tape_wants(tape, options->residual, NULL);
    bool is_narrow = is_narrow_result(tape, options, weight);
    s3r_value *y = s3r_tape_value(tape, x->rows, weight->rows);
    if (!y)
        return NULL;
    assert(has_shape(options->addend, y) && has_shape(options->residual, y));
    linear_node linear = {.x = x, .weight = weight, .bias = bias, .options = *options};
    y->needs_grad = needs_grad;
    if (is_narrow) {
        linear.pre_activation = s3r_tape_make_narrow(tape, y);
    } else if (options->gelu && needs_grad) {
        linear.pre_activation = s3r_tape_take(tape, y->rows * y->stride);
    }
    s3r_product product = product_of(&linear, y);
    if (is_narrow)
        set_narrow(&product, y, linear.pre_activation);
    bool is_set = weight->dtype == S3R_DTYPE_I8
                      ? set_operands_int8(tape, &product, x, weight)
                      : set_operand_a(tape, &product, x, tape->is_bf16);
    if (!is_set || tape->is_out_of_memory)
        return NULL;
    set_operand_b(tape, &product, weight);
    s3r_products_run(tape->pool, tape->kernels, &product, 1);
    if (is_narrow && tape->is_recording && !needs_grad) /* nobody asks for z */
        s3r_tape_give(tape, linear.pre_activation, y->rows * y->stride);
    record(tape, &linear, y);
    return tape->is_out_of_memory ? NULL : y;
}

/* The product of rows [row, row + part->rows); false without memory. */
static bool set_part(s3r_tape *tape, s3r_product *product, const s3r_value *x, size_t row,
                     const s3r_linear_part *part)
{
    bool is_int8 = part->weight->dtype == S3R_DTYPE_I8;
    bool is_set = is_int8 ? set_operands_int8(tape, product, x, part->weight)
                          : set_operand_a(tape, product, x, tape->is_bf16);
    if (!is_set)
        return false;
    size_t wide = product->is_bf16 ? sizeof(uint16_t) : sizeof(float);
    size_t bytes = is_int8 ? sizeof(uint8_t) : wide;
    product->m = part->rows;
    product->a = (const uint8_t *)product->a + row * product->a_stride * bytes;
    if (product->a_scales)
        product->a_scales += row;
    product->c += row * product->c_stride;
    if (product->narrow)
        product->narrow += row * product->narrow_stride;
    if (product->residual)
        product->residual += row * product->residual_stride;
    set_operand_b(tape, product, part->weight);
    return true;
}

s3r_value *s3r_op_linear_parts(s3r_tape *tape, s3r_value *x, const s3r_linear_part *parts,
                               size_t count, const s3r_linear_options *options)
{
    assert(!tape->is_recording && !options->dropout.keys && count > 0);
    if (!x)
        return NULL;
    s3r_value *y = s3r_tape_value(tape, x->rows, parts[0].weight->rows);
    s3r_product *products = s3r_tape_alloc(tape, count, sizeof *products);
    if (!y || !products)
        return NULL;
    bool is_narrow = true;
    for (size_t i = 0; i < count; i++)
        is_narrow = is_narrow && is_narrow_result(tape, options, parts[i].weight);
    float *z = is_narrow ? s3r_tape_make_narrow(tape, y) : NULL;
    if (tape->is_out_of_memory)
        return NULL;
    size_t row = 0;
    for (size_t i = 0; i < count; row += parts[i++].rows) {
        linear_node linear = {.x = x,
                              .weight = parts[i].weight,
                              .bias = parts[i].bias,
                              .options = *options};
        linear.options.addend = parts[i].addend;
        products[i] = product_of(&linear, y);
        if (is_narrow)
            set_narrow(&products[i], y, z);
        if (!set_part(tape, &products[i], x, row, &parts[i]))
            return NULL;
    }
    assert(row == x->rows);
    s3r_products_run(tape->pool, tape->kernels, products, count);
    return tape->is_out_of_memory ? NULL : y;
}

s3r_value *s3r_op_linear(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                         s3r_weight *bias, bool gelu)
{
    const s3r_linear_options options = {.gelu = gelu};
    return s3r_op_linear_with(tape, x, weight, bias, &options);
}
