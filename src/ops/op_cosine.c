/*
 * Cosines as products of unit rows, block by block: one block against a weight, one an
 * utterance within a batch.
 *
 * Backward, with u, v the unit rows and g = dS v (or dS^T u):
 *   dx += (g - u (u . g)) / |x|
 * Unit rows and reciprocal lengths are kept; the sources are not read again.
 */
#include "ops/op_cosine.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ops/transpose.h"

#define LENGTH_MIN 1e-8

/* One of the two operands. */
typedef struct cosine_side {
    const float *data;
    size_t rows, cols, stride;
    s3r_ragged blocks;
    float *unit; /* [rows, cols] */
    size_t unit_stride;
    float *inverse; /* [rows] 1 / length */
} cosine_side;

typedef struct cosine_node {
    s3r_node node;
    s3r_value *x, *y; /* y NULL: the weight */
    s3r_weight *weight;
    cosine_side left, right;
    size_t blocks;
} cosine_node;

/* ---- forward ---- */

typedef struct unit_run {
    const s3r_kernels *kernels;
    const cosine_side *side;
} unit_run;

static void unit_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const unit_run *run = context;
    const cosine_side *side = run->side;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *x = side->data + i * side->stride;
        float *unit = side->unit + i * side->unit_stride;
        double length = sqrt(run->kernels->sum_squares(side->cols, 0.0, x));
        float inverse = (float)(1.0 / fmax(length, LENGTH_MIN));
        side->inverse[i] = inverse;
        for (size_t j = 0; j < side->cols; j++)
            unit[j] = x[j] * inverse;
    }
}

static bool make_unit(s3r_tape *tape, cosine_side *side)
{
    side->unit_stride = s3r_padded_stride(side->cols, sizeof(float));
    side->unit = s3r_tape_take(tape, side->rows * side->unit_stride);
    side->inverse = s3r_tape_alloc(tape, side->rows, sizeof(float));
    if (!side->unit || !side->inverse)
        return false;
    unit_run run = {tape->kernels, side};
    s3r_tape_rows(tape, side->rows, 2 * side->cols, unit_rows, &run);
    return true;
}

static size_t block_rows(const cosine_side *side, size_t block)
{
    return side->blocks.offset[block + 1] - side->blocks.offset[block];
}

/* c += or = a b for each block that is not empty; shape() makes the product of one. */
typedef s3r_product (*block_product_fn)(const cosine_node *cosine, size_t block,
                                        const void *context);

static void run_blocks(s3r_tape *tape, const cosine_node *cosine,
                       block_product_fn product_of, const void *context)
{
    s3r_product *products = s3r_tape_alloc(tape, cosine->blocks, sizeof *products);
    size_t count = 0;
    for (size_t b = 0; products && b < cosine->blocks; b++)
        if (block_rows(&cosine->left, b) > 0 && block_rows(&cosine->right, b) > 0)
            products[count++] = product_of(cosine, b, context);
    if (count > 0)
        s3r_products_run(tape->pool, tape->kernels, products, count);
}

static s3r_product similarity_product(const cosine_node *cosine, size_t block,
                                      const void *context)
{
    const s3r_value *out = context;
    const cosine_side *left = &cosine->left, *right = &cosine->right;
    size_t first = left->blocks.offset[block];
    return (s3r_product){.m = block_rows(left, block),
                         .n = block_rows(right, block),
                         .k = left->cols,
                         .a = left->unit + first * left->unit_stride,
                         .a_stride = left->unit_stride,
                         .b = right->unit +
                              right->blocks.offset[block] * right->unit_stride,
                         .b_layout = S3R_B_TRANSPOSED,
                         .b_dtype = S3R_DTYPE_F32,
                         .b_stride = right->unit_stride,
                         .c = out->data + first * out->stride,
                         .c_stride = out->stride};
}

/* ---- backward ---- */

/* A gradient of unit rows, and for the right side the transposed output gradient. */
typedef struct unit_grad {
    const s3r_value *out;
    float *grad; /* layout of the side's unit rows */
    const float *transposed;
    const size_t *transposed_at; /* [blocks] first element of a block */
} unit_grad;

static s3r_product left_product(const cosine_node *cosine, size_t block,
                                const void *context)
{
    const unit_grad *to = context;
    const cosine_side *left = &cosine->left, *right = &cosine->right;
    size_t first = left->blocks.offset[block];
    return (s3r_product){.m = block_rows(left, block),
                         .n = left->cols,
                         .k = block_rows(right, block),
                         .a = to->out->grad + first * to->out->stride,
                         .a_stride = to->out->stride,
                         .b = right->unit +
                              right->blocks.offset[block] * right->unit_stride,
                         .b_layout = S3R_B_PLAIN,
                         .b_dtype = S3R_DTYPE_F32,
                         .b_stride = right->unit_stride,
                         .c = to->grad + first * left->unit_stride,
                         .c_stride = left->unit_stride};
}

static size_t transposed_stride(const cosine_node *cosine, size_t block)
{
    return s3r_padded_stride(block_rows(&cosine->left, block), sizeof(float));
}

static s3r_product right_product(const cosine_node *cosine, size_t block,
                                 const void *context)
{
    const unit_grad *to = context;
    const cosine_side *left = &cosine->left, *right = &cosine->right;
    return (s3r_product){.m = block_rows(right, block),
                         .n = right->cols,
                         .k = block_rows(left, block),
                         .a = to->transposed + to->transposed_at[block],
                         .a_stride = transposed_stride(cosine, block),
                         .b = left->unit + left->blocks.offset[block] * left->unit_stride,
                         .b_layout = S3R_B_PLAIN,
                         .b_dtype = S3R_DTYPE_F32,
                         .b_stride = left->unit_stride,
                         .c = to->grad + right->blocks.offset[block] * right->unit_stride,
                         .c_stride = right->unit_stride};
}

/* The transpose of each block of the output's gradient; elements for s3r_tape_give. */
static float *transpose_blocks(s3r_tape *tape, const cosine_node *cosine, size_t *at,
                               size_t *elements)
{
    const s3r_value *out = cosine->node.output;
    *elements = 0;
    for (size_t b = 0; b < cosine->blocks; b++) {
        at[b] = *elements;
        *elements += block_rows(&cosine->right, b) * transposed_stride(cosine, b);
    }
    float *transposed = s3r_tape_take(tape, *elements);
    for (size_t b = 0; transposed && b < cosine->blocks; b++)
        s3r_transpose(tape, block_rows(&cosine->left, b), block_rows(&cosine->right, b),
                      out->grad + cosine->left.blocks.offset[b] * out->stride,
                      out->stride, false, transposed + at[b],
                      transposed_stride(cosine, b));
    return transposed;
}

typedef struct source_run {
    const s3r_kernels *kernels;
    const cosine_side *side;
    const float *grad; /* of the unit rows */
    float *out;        /* of the source */
    size_t out_stride;
} source_run;

static void source_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const source_run *run = context;
    const cosine_side *side = run->side;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *g = run->grad + i * side->unit_stride;
        const float *unit = side->unit + i * side->unit_stride;
        float *out = run->out + i * run->out_stride;
        float inverse = side->inverse[i];
        double along = run->kernels->dot(side->cols, unit, g);
        run->kernels->axpy(side->cols, inverse, g, out);
        run->kernels->axpy(side->cols, -inverse * (float)along, unit, out);
    }
}

/* out += the gradient of the source. */
static void side_backward(s3r_tape *tape, const cosine_node *cosine, bool is_left,
                          float *out, size_t out_stride)
{
    const cosine_side *side = is_left ? &cosine->left : &cosine->right;
    size_t elements = side->rows * side->unit_stride, transposed_elements = 0;
    unit_grad to = {.out = cosine->node.output, .grad = s3r_tape_take(tape, elements)};
    size_t *at = s3r_tape_alloc(tape, cosine->blocks, sizeof *at);
    float *transposed = NULL;
    if (!is_left && at) {
        transposed = transpose_blocks(tape, cosine, at, &transposed_elements);
        to.transposed = transposed;
        to.transposed_at = at;
    }
    if (!tape->is_out_of_memory) {
        run_blocks(tape, cosine, is_left ? left_product : right_product, &to);
        source_run run = {tape->kernels, side, to.grad, out, out_stride};
        s3r_tape_rows(tape, side->rows, 4 * side->cols, source_rows, &run);
    }
    s3r_tape_give(tape, transposed, transposed_elements);
    s3r_tape_give(tape, to.grad, elements);
}

static void cosine_backward(s3r_tape *tape, s3r_node *node)
{
    const cosine_node *cosine = (const cosine_node *)node;
    if (node->output->rows == 0) /* no product would write the gradients */
        return;
    float *dx = s3r_tape_grad(tape, cosine->x);
    if (dx)
        side_backward(tape, cosine, true, dx, cosine->x->stride);
    if (cosine->weight && cosine->weight->grad)
        side_backward(tape, cosine, false, cosine->weight->grad, cosine->weight->cols);
    float *dy = cosine->y ? s3r_tape_grad(tape, cosine->y) : NULL;
    if (dy)
        side_backward(tape, cosine, false, dy, cosine->y->stride);
    const cosine_side *sides[] = {&cosine->left, &cosine->right};
    for (size_t i = 0; i < S3R_ARRAY_LEN(sides); i++)
        s3r_tape_give(tape, sides[i]->unit, sides[i]->rows * sides[i]->unit_stride);
}

/* ---- the ops ---- */

static s3r_value *run_cosine(s3r_tape *tape, cosine_node *cosine, size_t width)
{
    s3r_value *out = s3r_tape_value(tape, cosine->left.rows, width);
    if (!out || !make_unit(tape, &cosine->left) || !make_unit(tape, &cosine->right))
        return NULL;
    for (size_t b = 0; b < cosine->blocks; b++) {
        size_t used = block_rows(&cosine->right, b);
        for (size_t i = cosine->left.blocks.offset[b];
             used < width && i < cosine->left.blocks.offset[b + 1]; i++)
            memset(out->data + i * out->stride + used, 0, (width - used) * sizeof(float));
    }
    out->needs_grad = s3r_tape_wants(tape, cosine->x, cosine->weight) ||
                      s3r_tape_wants(tape, cosine->y, NULL);
    run_blocks(tape, cosine, similarity_product, out);
    s3r_node *node = s3r_tape_push(tape, out, sizeof *cosine, cosine_backward);
    if (node) {
        cosine->node = *node;
        *(cosine_node *)node = *cosine;
    }
    return tape->is_out_of_memory ? NULL : out;
}

static cosine_side side_of(const s3r_value *x, s3r_ragged blocks)
{
    return (cosine_side){.data = x->data,
                         .rows = x->rows,
                         .cols = x->cols,
                         .stride = x->stride,
                         .blocks = blocks};
}

s3r_value *s3r_op_cosine(s3r_tape *tape, s3r_value *x, s3r_weight *weight)
{
    if (!x)
        return NULL;
    assert(weight->dtype == S3R_DTYPE_F32 && weight->cols == x->cols);
    const size_t left[] = {0, x->rows}, right[] = {0, weight->rows};
    s3r_ragged left_blocks = s3r_tape_ragged(tape, 1, left);
    s3r_ragged right_blocks = s3r_tape_ragged(tape, 1, right);
    if (!left_blocks.offset || !right_blocks.offset)
        return NULL;
    cosine_node cosine = {.x = x,
                          .weight = weight,
                          .left = side_of(x, left_blocks),
                          .right = {.data = weight->data,
                                    .rows = weight->rows,
                                    .cols = weight->cols,
                                    .stride = weight->cols,
                                    .blocks = right_blocks},
                          .blocks = 1};
    return run_cosine(tape, &cosine, weight->rows);
}

s3r_value *s3r_op_cosine_within(s3r_tape *tape, s3r_value *x, s3r_value *y,
                                s3r_ragged ragged, size_t width)
{
    if (!x || !y || !ragged.offset)
        return NULL;
    assert(x->cols == y->cols && x->rows == y->rows);
    assert(ragged.offset[ragged.count] == x->rows);
    cosine_node cosine = {.x = x,
                          .y = y,
                          .left = side_of(x, ragged),
                          .right = side_of(y, ragged),
                          .blocks = ragged.count};
    return run_cosine(tape, &cosine, width);
}
