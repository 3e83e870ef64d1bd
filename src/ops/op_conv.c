/*
 * Convolution.
 *
 * With one group and no padding, row t of the product's A is simply the stored rows
 * t * stride .. t * stride + kernel of x.  With groups or padding each group of each
 * utterance is first copied into rows of its own, [pad + T + pad, in / groups].
 *
 * Kernel 3 with stride 2, most of the extractor, goes through conv_pairs.h instead, and
 * weights in int8 through conv_int8.h.
 *
 * Backward, for dz:
 *   dx   with groups or padding: the product of padded dz with the weight turned around;
 *        else, and for dW with groups, see conv_grads.h
 *   dW   dz^T times the same overlapping rows
 * With GELU z is kept, from which a forgotten y can be made again.
 */
#include "ops/op_conv.h"

#include <assert.h>
#include <string.h>

#include "ops/conv_grads.h"
#include "ops/conv_int8.h"
#include "ops/conv_pairs.h"
#include "ops/half.h"
#include "ops/op_gelu.h"
#include "ops/op_linear.h"
#include "ops/transpose.h"

/* Rows of one (utterance, group): contiguous frames with their padding. */
typedef struct conv_slices {
    float *data; /* slice (u, g) at data + offset[u] * in + g * length(u) * width */
    const size_t *offset; /* [count + 1] padded frames */
    size_t width;         /* channels of a group */
} conv_slices;

typedef struct conv_node {
    s3r_node node;
    s3r_conv_shape shape;
    s3r_value *x;
    s3r_weight *weight, *bias;
    s3r_ragged in, out;
    conv_slices slices; /* data NULL when x is read in place */
    float *pre_activation;
} conv_node;

size_t s3r_conv_frames(const s3r_conv_shape *shape, size_t frames)
{
    size_t padded = frames + shape->pad_left + shape->pad_right;
    return frames == 0 || padded < shape->kernel
               ? 0
               : (padded - shape->kernel) / shape->stride + 1;
}

static size_t group_depth(const s3r_conv_shape *shape)
{
    return shape->kernel * (shape->in / shape->groups);
}

size_t s3r_conv_packed_bytes(const s3r_conv_shape *shape, bool is_bf16)
{
    size_t group =
        s3r_packed_bytes(group_depth(shape), shape->out / shape->groups, is_bf16);
    return shape->groups * group +
           (s3r_conv_has_pairs(shape) ? s3r_conv_pair_bytes(shape, is_bf16) : 0);
}

void s3r_conv_pack(const s3r_kernels *kernels, const s3r_conv_shape *shape,
                   const float *weight, bool is_bf16, void *packed)
{
    size_t depth = group_depth(shape), out = shape->out / shape->groups;
    size_t bytes = s3r_packed_bytes(depth, out, is_bf16);
    for (size_t g = 0; g < shape->groups; g++)
        s3r_pack_panels(kernels, depth, out, weight + g * out * depth, S3R_B_TRANSPOSED,
                        S3R_DTYPE_F32, depth, is_bf16,
                        (unsigned char *)packed + g * bytes);
    for (size_t p = 0; s3r_conv_has_pairs(shape) && p < S3R_CEIL_DIV(out, S3R_PANEL); p++)
        s3r_conv_pair_panel(shape, is_bf16, packed, p);
}

bool s3r_conv_allows_bf16(const s3r_conv_shape *shape)
{
    return (shape->in / shape->groups) % 2 == 0;
}

static bool reads_in_place(const s3r_conv_shape *shape)
{
    return shape->groups == 1 && shape->pad_left == 0 && shape->pad_right == 0;
}

/* ---- slices ---- */

typedef struct slice_run {
    const s3r_conv_shape *shape;
    const float *source; /* [frames, channels] */
    size_t source_stride, channels, pad_left;
    s3r_ragged frames;
    conv_slices slices;
} slice_run;

static float *slice_at(const conv_slices *slices, size_t groups, size_t u, size_t g)
{
    size_t length = slices->offset[u + 1] - slices->offset[u];
    return slices->data + (slices->offset[u] * groups + g * length) * slices->width;
}

static void fill_slice(void *context, size_t task, size_t worker)
{
    const slice_run *run = context;
    size_t groups = run->shape->groups, width = run->slices.width;
    size_t u = task / groups, g = task % groups;
    size_t first = run->frames.offset[u], count = run->frames.offset[u + 1] - first;
    size_t length = run->slices.offset[u + 1] - run->slices.offset[u];
    float *out = slice_at(&run->slices, groups, u, g);
    (void)worker;
    if (length == 0)
        return;
    memset(out, 0, run->pad_left * width * sizeof(float));
    out += run->pad_left * width;
    for (size_t t = 0; t < count; t++, out += width)
        memcpy(out, run->source + (first + t) * run->source_stride + g * width,
               width * sizeof(float));
    memset(out, 0, (length - run->pad_left - count) * width * sizeof(float));
}

/* Copies each group of each utterance, padded; data NULL without memory. */
static conv_slices make_slices(s3r_tape *tape, const s3r_conv_shape *shape,
                               const float *source, size_t source_stride, size_t channels,
                               s3r_ragged frames, size_t pad_left, size_t pad_right)
{
    conv_slices slices = {.width = channels / shape->groups};
    size_t *offset = s3r_tape_alloc(tape, frames.count + 1, sizeof *offset);
    if (!offset)
        return slices;
    offset[0] = 0;
    for (size_t u = 0; u < frames.count; u++) {
        size_t count = frames.offset[u + 1] - frames.offset[u];
        offset[u + 1] = offset[u] + (count ? pad_left + count + pad_right : 0);
    }
    slices.offset = offset;
    /* One spare pair: a bf16 product may look at one element beyond an odd end. */
    slices.data =
        s3r_tape_alloc(tape, offset[frames.count] * channels + 2, sizeof(float));
    if (!slices.data)
        return slices;
    memset(slices.data + offset[frames.count] * channels, 0, 2 * sizeof(float));
    slice_run run = {shape, source, source_stride, channels, pad_left, frames, slices};
    s3r_pool_run(tape->pool, frames.count * shape->groups, fill_slice, &run);
    return slices;
}

typedef struct narrow_run {
    const s3r_kernels *kernels;
    const float *x;
    uint16_t *y;
    size_t count;
} narrow_run;

static void narrow_part(void *context, size_t first, size_t end, size_t worker)
{
    const narrow_run *run = context;
    (void)worker;
    first *= 1024;
    end = S3R_MIN(end * 1024, run->count);
    run->kernels->f32_to_bf16(end - first, run->x + first, run->y + first);
}

static uint16_t *narrow_copy(s3r_tape *tape, const float *x, size_t count)
{
    uint16_t *y = s3r_tape_alloc(tape, count, sizeof *y);
    if (!y)
        return NULL;
    narrow_run run = {tape->kernels, x, y, count};
    s3r_tape_rows(tape, S3R_CEIL_DIV(count, 1024u), 1024, narrow_part, &run);
    return y;
}

/* ---- forward ---- */

/* The weight of group g as B of a product. */
static void set_group_weight(s3r_product *product, const s3r_weight *weight,
                             const s3r_conv_shape *shape, size_t g)
{
    size_t depth = group_depth(shape), out = shape->out / shape->groups;
    const unsigned char *packed =
        product->is_bf16 ? weight->packed_bf16 : weight->packed_f32;
    if (packed) {
        product->b = packed + g * s3r_packed_bytes(depth, out, product->is_bf16);
        product->b_layout = S3R_B_PACKED;
    } else {
        product->b = (const float *)weight->data + g * out * depth;
        product->b_layout = S3R_B_TRANSPOSED;
        product->b_dtype = S3R_DTYPE_F32;
        product->b_stride = depth;
    }
}

/* A of every (utterance, group), in place or from the slices. */
typedef struct conv_rows {
    const void *data;
    size_t element_bytes;
    size_t stride; /* of x rows, or the width of a slice */
} conv_rows;

static bool prepare_rows(s3r_tape *tape, const conv_node *conv, bool is_bf16,
                         conv_rows *rows)
{
    rows->element_bytes = is_bf16 ? 2 : 4;
    if (conv->slices.data) {
        size_t count = conv->slices.offset[conv->in.count] * conv->shape.in + 2;
        rows->stride = conv->slices.width;
        rows->data = conv->slices.data;
        if (is_bf16)
            rows->data = narrow_copy(tape, conv->slices.data, count);
    } else {
        rows->stride = conv->x->stride;
        rows->data = conv->x->data;
        if (is_bf16)
            rows->data = s3r_tape_stage_bf16(tape, conv->x, &rows->stride);
    }
    return rows->data != NULL;
}

static void set_product(s3r_product *product, const conv_node *conv,
                        const conv_rows *rows, const s3r_conv_result *y, size_t u,
                        size_t g)
{
    const s3r_conv_shape *shape = &conv->shape;
    size_t out = shape->out / shape->groups, first = conv->out.offset[u];
    size_t width = shape->in / shape->groups, start;
    if (conv->slices.data)
        start =
            (size_t)(slice_at(&conv->slices, shape->groups, u, g) - conv->slices.data);
    else
        start = conv->in.offset[u] * rows->stride;
    product->m = conv->out.offset[u + 1] - first;
    product->n = out;
    product->k = group_depth(shape);
    product->a = (const unsigned char *)rows->data + start * rows->element_bytes;
    product->a_stride = shape->stride * rows->stride;
    if (rows->stride != width) {
        product->a_segment = width;
        product->a_segment_stride = rows->stride;
    }
    s3r_conv_set_result(product, y, first, 1, g * out);
    product->bias = conv->bias ? (const float *)conv->bias->data + g * out : NULL;
    set_group_weight(product, conv->weight, shape, g);
}

static void run_forward(s3r_tape *tape, const conv_node *conv, const s3r_conv_result *y)
{
    size_t groups = conv->shape.groups, count = conv->in.count * groups;
    bool is_bf16 = tape->is_bf16 && s3r_conv_allows_bf16(&conv->shape);
    conv_rows rows;
    s3r_product *products = s3r_tape_alloc(tape, count, sizeof *products);
    if (!products || !prepare_rows(tape, conv, is_bf16, &rows))
        return;
    for (size_t i = 0; i < count; i++) {
        products[i] = (s3r_product){.is_bf16 = is_bf16};
        set_product(&products[i], conv, &rows, y, i / groups, i % groups);
    }
    s3r_products_run(tape->pool, tape->kernels, products, count);
}

static void run_pairs(s3r_tape *tape, const conv_node *conv, const s3r_conv_result *y)
{
    s3r_conv_pairs pairs = {.shape = &conv->shape,
                            .x = conv->x,
                            .in = conv->in,
                            .out = conv->out,
                            .weight = conv->weight,
                            .bias = conv->bias,
                            .y = y};
    if (tape->is_bf16 && s3r_conv_allows_bf16(&conv->shape))
        pairs.x_narrow = s3r_tape_stage_bf16(tape, conv->x, &pairs.x_narrow_stride);
    if (!tape->is_out_of_memory)
        s3r_conv_pairs_run(tape, &pairs);
}

static bool make_out_frames(s3r_tape *tape, const s3r_conv_shape *shape,
                            s3r_ragged frames, s3r_ragged *out)
{
    size_t *offset = s3r_tape_alloc(tape, frames.count + 1, sizeof *offset);
    if (!offset)
        return false;
    offset[0] = 0;
    for (size_t u = 0; u < frames.count; u++)
        offset[u + 1] =
            offset[u] + s3r_conv_frames(shape, frames.offset[u + 1] - frames.offset[u]);
    *out = (s3r_ragged){frames.count, offset};
    return true;
}

static void conv_backward(s3r_tape *tape, s3r_node *node);

typedef struct rebuild_run {
    const s3r_kernels *kernels;
    const float *pre_activation;
    const s3r_value *y;
} rebuild_run;

static void rebuild_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const rebuild_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->kernels->gelu(run->y->cols, run->pre_activation + i * run->y->stride,
                           run->y->data + i * run->y->stride);
}

static void conv_rebuild(s3r_tape *tape, s3r_node *node)
{
    const s3r_value *y = node->output;
    rebuild_run run = {tape->kernels, ((const conv_node *)node)->pre_activation, y};
    s3r_tape_rows(tape, y->rows, 2 * y->cols, rebuild_rows, &run);
}

s3r_value *s3r_op_conv(s3r_tape *tape, s3r_value *x, s3r_ragged frames,
                       const s3r_conv_shape *shape, s3r_weight *weight, s3r_weight *bias,
                       s3r_conv_end end, s3r_ragged *out_frames)
{
    if (!x || !frames.offset || !make_out_frames(tape, shape, frames, out_frames))
        return NULL;
    s3r_value *y = s3r_tape_value(tape, out_frames->offset[frames.count], shape->out);
    if (!y)
        return NULL;
    /* The family has no convolution that is both strided and padded or grouped. */
    assert(reads_in_place(shape) || shape->stride == 1);
    conv_node conv = {.shape = *shape,
                      .x = x,
                      .weight = weight,
                      .bias = bias,
                      .in = frames,
                      .out = *out_frames};
    y->needs_grad = s3r_tape_wants(tape, x, weight) || s3r_tape_wants(tape, NULL, bias);
    s3r_arena_mark mark = s3r_tape_mark(tape);
    if (!reads_in_place(shape))
        conv.slices = make_slices(tape, shape, x->data, x->stride, shape->in, frames,
                                  shape->pad_left, shape->pad_right);
    if (end != S3R_CONV_SUM && y->needs_grad)
        conv.pre_activation = s3r_tape_take(tape, y->rows * y->stride);
    s3r_conv_result result = {.c = y->data,
                              .stride = y->stride,
                              .gelu = end != S3R_CONV_SUM,
                              .pre_activation = conv.pre_activation};
    if (end == S3R_CONV_GELU_NARROW && tape->is_bf16 && !tape->is_recording) {
        assert(reads_in_place(shape)); /* else a rewind below would take it */
        result.c = s3r_tape_make_narrow(tape, y);
        result.narrow = y->narrow;
        result.narrow_stride = y->narrow_stride;
    }
    if (!tape->is_out_of_memory && weight->packed_int8)
        s3r_conv_int8_run(tape, shape, x, frames, *out_frames, weight, bias, &result);
    else if (!tape->is_out_of_memory && s3r_conv_has_pairs(shape))
        run_pairs(tape, &conv, &result);
    else if (!tape->is_out_of_memory)
        run_forward(tape, &conv, &result);
    if (tape->is_out_of_memory)
        return NULL;
    if (!y->needs_grad && conv.slices.data) /* then nothing was staged */
        s3r_arena_rewind(&tape->arena, mark);
    s3r_node *node = s3r_tape_push(tape, y, sizeof conv, conv_backward);
    if (node) {
        conv.node = *node;
        *(conv_node *)node = conv;
        if (conv.pre_activation)
            node->rebuild = conv_rebuild;
        if (weight->grad && reads_in_place(shape))
            s3r_tape_need(x);
    }
    return y;
}

/* ---- backward ---- */

/* Element `at` of output channel o of a weight: of its data, or of its panels. */
static float weight_element(const conv_node *conv, size_t o, size_t at)
{
    const s3r_weight *weight = conv->weight;
    size_t depth = group_depth(&conv->shape), out = conv->shape.out / conv->shape.groups;
    if (weight->data)
        return ((const float *)weight->data)[o * depth + at];
    size_t g = o / out, panel = o % out / S3R_PANEL, col = o % out % S3R_PANEL;
    if (weight->packed_f32) {
        size_t base = g * s3r_packed_bytes(depth, out, false) / sizeof(float);
        return ((const float *)
                    weight->packed_f32)[base + (panel * depth + at) * S3R_PANEL + col];
    }
    size_t base = g * s3r_packed_bytes(depth, out, true) / sizeof(uint16_t);
    size_t pairs = (depth + 1) / 2;
    return s3r_bf16_to_f32((
        (const uint16_t *)
            weight->packed_bf16)[base + ((panel * pairs + at / 2) * S3R_PANEL + col) * 2 +
                                 at % 2]);
}

/* Weight of group g turned around: [in / groups][kernel, taps reversed][out / groups]. */
static void turn_weight(void *context, size_t row, size_t row_end, size_t worker)
{
    void *const *pair = context;
    const conv_node *conv = pair[0];
    float *turned = pair[1];
    const s3r_conv_shape *shape = &conv->shape;
    size_t in = shape->in / shape->groups, out = shape->out / shape->groups;
    (void)worker;
    for (size_t row_at = row; row_at < row_end; row_at++) { /* (group, input channel) */
        size_t g = row_at / in, c = row_at % in;
        float *to = turned + row_at * shape->kernel * out;
        for (size_t tap = 0; tap < shape->kernel; tap++)
            for (size_t o = 0; o < out; o++)
                to[(shape->kernel - 1 - tap) * out + o] =
                    weight_element(conv, g * out + o, tap * in + c);
    }
}

/* dx is the convolution of dz, padded the other way, with the turned weight. */
static void input_grad_turned(s3r_tape *tape, const conv_node *conv, const s3r_value *dz,
                              float *dx)
{
    const s3r_conv_shape *shape = &conv->shape;
    size_t groups = shape->groups, count = conv->in.count * groups;
    size_t in = shape->in / groups, out = shape->out / groups;
    conv_slices slices = make_slices(tape, shape, dz->data, dz->stride, shape->out,
                                     conv->out, shape->kernel - 1 - shape->pad_left,
                                     shape->kernel - 1 - shape->pad_right);
    float *turned = s3r_tape_alloc(tape, shape->in * shape->kernel * out, sizeof *turned);
    s3r_product *products = s3r_tape_alloc(tape, count, sizeof *products);
    if (tape->is_out_of_memory)
        return;
    bool is_bf16 = tape->is_bf16 && out % 2 == 0;
    const void *a = slices.data;
    if (is_bf16)
        a = narrow_copy(tape, slices.data,
                        slices.offset[conv->in.count] * shape->out + 2);
    if (!a)
        return;
    void *pair[2] = {(void *)(uintptr_t)conv, turned};
    s3r_tape_rows(tape, shape->in, shape->kernel * out, turn_weight, pair);
    for (size_t i = 0; i < count; i++) {
        size_t u = i / groups, g = i % groups;
        size_t start = (size_t)(slice_at(&slices, groups, u, g) - slices.data);
        products[i] =
            (s3r_product){/* No output: no gradient, and its slice is empty. */
                          .m = conv->out.offset[u + 1] > conv->out.offset[u]
                                   ? conv->in.offset[u + 1] - conv->in.offset[u]
                                   : 0,
                          .n = in,
                          .k = shape->kernel * out,
                          .a = (const unsigned char *)a + start * (is_bf16 ? 2u : 4u),
                          .is_bf16 = is_bf16,
                          .a_stride = out,
                          .b = turned + g * in * shape->kernel * out,
                          .b_dtype = S3R_DTYPE_F32,
                          .b_stride = shape->kernel * out,
                          .c = dx + conv->in.offset[u] * conv->x->stride + g * in,
                          .c_stride = conv->x->stride,
                          .accumulate = true};
    }
    s3r_products_run(tape->pool, tape->kernels, products, count);
}

/* The products of one utterance for the weight's gradient, a tap each: A is the
 * transpose of its dz, [out, stride] in the type of the products. */
static size_t weight_products(const conv_node *conv, size_t u, const void *transposed,
                              bool is_bf16, size_t stride, s3r_product *products)
{
    const s3r_conv_shape *shape = &conv->shape;
    size_t in = shape->in, depth = group_depth(shape), count = 0;
    size_t x_stride = conv->x->stride;
    /* Neighbouring taps lie side by side unless rows of x are padded. */
    size_t width = x_stride == in ? depth : in;
    for (size_t at = 0; at < depth; at += width)
        products[count++] =
            (s3r_product){.m = shape->out,
                          .n = width,
                          .k = conv->out.offset[u + 1] - conv->out.offset[u],
                          .a = transposed,
                          .is_bf16 = is_bf16,
                          .a_stride = stride,
                          .b = conv->x->data + (conv->in.offset[u] + at / in) * x_stride,
                          .b_layout = S3R_B_PLAIN,
                          .b_dtype = S3R_DTYPE_F32,
                          .b_stride = shape->stride * x_stride,
                          .c = conv->weight->grad + at,
                          .c_stride = depth,
                          .accumulate = true};
    return count;
}

/* Utterance after utterance, so that sums have one order. */
static void weight_grad(s3r_tape *tape, const conv_node *conv, const s3r_value *dz)
{
    const s3r_conv_shape *shape = &conv->shape;
    size_t longest = 0, most = 0, stride = 0;
    for (size_t u = 0; u < conv->out.count; u++)
        longest = S3R_MAX(longest, conv->out.offset[u + 1] - conv->out.offset[u]);
    if (longest == 0)
        return;
    s3r_product *products = s3r_tape_alloc(tape, shape->kernel, sizeof *products);
    bool is_possible =
        s3r_transpose_size(longest, shape->out, tape->is_bf16, &most, &stride);
    void *transposed = s3r_tape_take(tape, is_possible ? most : SIZE_MAX);
    for (size_t u = 0; products && transposed && u < conv->out.count; u++) {
        size_t first = conv->out.offset[u], rows = conv->out.offset[u + 1] - first;
        if (rows == 0)
            continue;
        s3r_transpose(tape, rows, shape->out, dz->data + first * dz->stride, dz->stride,
                      tape->is_bf16, transposed, stride);
        size_t count =
            weight_products(conv, u, transposed, tape->is_bf16, stride, products);
        s3r_products_run(tape->pool, tape->kernels, products, count);
    }
    s3r_tape_give(tape, transposed, most);
}

static void input_grad(s3r_tape *tape, const conv_node *conv, const s3r_value *dz)
{
    bool is_new;
    float *dx = s3r_tape_grad_open(tape, conv->x, &is_new);
    if (dx && reads_in_place(&conv->shape)) {
        const s3r_conv_input_grad grad = {.shape = &conv->shape,
                                          .in = conv->in,
                                          .out = conv->out,
                                          .dz = dz,
                                          .weight = conv->weight,
                                          .dx = dx,
                                          .dx_stride = conv->x->stride,
                                          .accumulate = !is_new};
        s3r_conv_input_grad_run(tape, &grad);
    } else if (dx) {
        if (is_new)
            memset(dx, 0, conv->x->rows * conv->x->stride * sizeof *dx);
        s3r_arena_mark mark = s3r_tape_mark(tape);
        input_grad_turned(tape, conv, dz, dx);
        s3r_arena_rewind(&tape->arena, mark);
    }
}

static void conv_backward(s3r_tape *tape, s3r_node *node)
{
    const conv_node *conv = (const conv_node *)node;
    s3r_value dz = *node->output;
    dz.data = node->output->grad;
    dz.grad = NULL;
    if (conv->pre_activation)
        s3r_gelu_grad_rows(tape, conv->pre_activation, &dz);
    s3r_tape_give(tape, conv->pre_activation, dz.rows * dz.stride);
    node->rebuild = NULL; /* the readers of y have run */
    input_grad(tape, conv, &dz);
    if (conv->weight->grad && conv->slices.data) {
        const s3r_conv_group_grad grad = {.shape = &conv->shape,
                                          .out = conv->out,
                                          .dz = &dz,
                                          .x = conv->slices.data,
                                          .padded = conv->slices.offset,
                                          .grad = conv->weight->grad};
        s3r_conv_group_grad_run(tape, &grad);
    } else if (conv->weight->grad && s3r_tape_data(tape, conv->x)) {
        weight_grad(tape, conv, &dz);
    }
    s3r_bias_grad(tape, dz.data, dz.rows, dz.cols, dz.stride, conv->bias);
}
