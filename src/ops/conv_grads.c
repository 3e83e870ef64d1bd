/*
 * Both gradients: rows and panels are made once for all utterances, then the products.
 */
#include "ops/conv_grads.h"

#include <string.h>

#include "ops/gemm.h"

static size_t frames_of(const s3r_ragged *frames, size_t u)
{
    return frames->offset[u + 1] - frames->offset[u];
}

static size_t element_bytes(bool is_bf16)
{
    return is_bf16 ? 2 : 4;
}

/* ---- input ---- */

typedef struct input_run {
    const s3r_kernels *kernels;
    const s3r_conv_input_grad *conv;
    bool is_bf16;
    size_t lead;           /* zero rows in front of each utterance */
    s3r_ragged padded;     /* rows with what is in front and behind */
    unsigned char *rows;   /* dz, [padded rows, out] */
    unsigned char *panels; /* of each remainder, one after the other */
} input_run;

/* Taps of a remainder. */
static size_t taps_of(const s3r_conv_shape *shape, size_t remainder)
{
    return remainder < shape->kernel
               ? S3R_CEIL_DIV(shape->kernel - remainder, shape->stride)
               : 0;
}

static size_t panels_at(const input_run *run, size_t remainder)
{
    const s3r_conv_shape *shape = run->conv->shape;
    size_t bytes = 0;
    for (size_t r = 0; r < remainder; r++)
        bytes +=
            s3r_packed_bytes(taps_of(shape, r) * shape->out, shape->in, run->is_bf16);
    return bytes;
}

/* The last tap of a remainder comes first: it meets the oldest row. */
static void pack_tap(void *context, size_t tap, size_t worker)
{
    const input_run *run = context;
    const s3r_conv_shape *shape = run->conv->shape;
    size_t remainder = tap % shape->stride, taps = taps_of(shape, remainder);
    size_t tap_bytes = shape->out * S3R_PANEL * element_bytes(run->is_bf16);
    const float *weight = (const float *)run->conv->weight->data + tap * shape->in;
    unsigned char *to = run->panels + panels_at(run, remainder) +
                        (taps - 1 - tap / shape->stride) * tap_bytes;
    s3r_pack_fn pack =
        run->is_bf16 ? run->kernels->pack_plain_bf16 : run->kernels->pack_plain_f32;
    (void)worker;
    for (size_t first = 0; first < shape->in; first += S3R_PANEL, to += taps * tap_bytes)
        pack(shape->out, S3R_MIN(shape->in - first, (size_t)S3R_PANEL), weight + first,
             S3R_DTYPE_F32, run->conv->weight->cols, NULL, to);
}

static void fill_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const input_run *run = context;
    const s3r_value *dz = run->conv->dz;
    size_t bytes = dz->cols * element_bytes(run->is_bf16);
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        size_t u = s3r_ragged_find(run->padded, i), at = i - run->padded.offset[u];
        unsigned char *to = run->rows + i * bytes;
        if (at < run->lead || at - run->lead >= frames_of(&run->conv->out, u)) {
            memset(to, 0, bytes);
            continue;
        }
        size_t from = run->conv->out.offset[u] + at - run->lead;
        if (run->is_bf16)
            run->kernels->f32_to_bf16(dz->cols, dz->data + from * dz->stride,
                                      (uint16_t *)(void *)to);
        else
            memcpy(to, dz->data + from * dz->stride, bytes);
    }
}

static s3r_product input_product(const input_run *run, size_t u, size_t remainder)
{
    const s3r_conv_input_grad *conv = run->conv;
    const s3r_conv_shape *shape = conv->shape;
    size_t frames = frames_of(&conv->in, u), taps = taps_of(shape, remainder);
    size_t row = run->padded.offset[u] + run->lead - (taps ? taps - 1 : 0);
    size_t bytes = shape->out * element_bytes(run->is_bf16);
    return (s3r_product){
        .m = frames > remainder ? S3R_CEIL_DIV(frames - remainder, shape->stride) : 0,
        .n = shape->in,
        .k = taps * shape->out,
        .a = run->rows + row * bytes,
        .is_bf16 = run->is_bf16,
        .a_stride = shape->out,
        .b = run->panels + panels_at(run, remainder),
        .b_layout = S3R_B_PACKED,
        .c = conv->dx + (conv->in.offset[u] + remainder) * conv->dx_stride,
        .c_stride = shape->stride * conv->dx_stride,
        .accumulate = conv->accumulate};
}

/* Rows of an utterance with the zeros in front; the last ones may be zeros, too. */
static size_t padded_rows(const s3r_conv_input_grad *conv, size_t lead, size_t u)
{
    size_t rows = S3R_CEIL_DIV(frames_of(&conv->in, u), conv->shape->stride);
    return rows ? lead + rows : 0;
}

static void run_inputs(s3r_tape *tape, input_run *run)
{
    const s3r_conv_input_grad *conv = run->conv;
    const s3r_conv_shape *shape = conv->shape;
    size_t utterances = conv->in.count, count = utterances * shape->stride;
    size_t *offset = s3r_tape_alloc(tape, utterances + 1, sizeof *offset);
    s3r_product *products = s3r_tape_alloc(tape, count, sizeof *products);
    run->panels = s3r_tape_alloc(tape, panels_at(run, shape->stride), 1);
    if (!offset || !products || !run->panels)
        return;
    offset[0] = 0;
    for (size_t u = 0; u < utterances; u++)
        offset[u + 1] = offset[u] + padded_rows(conv, run->lead, u);
    run->padded = (s3r_ragged){utterances, offset};
    s3r_pool_run(tape->pool, shape->kernel, pack_tap, run);
    s3r_tape_rows(tape, offset[utterances], shape->out, fill_rows, run);
    for (size_t i = 0; i < count; i++)
        products[i] = input_product(run, i / shape->stride, i % shape->stride);
    s3r_products_run(tape->pool, tape->kernels, products, count);
}

void s3r_conv_input_grad_run(s3r_tape *tape, const s3r_conv_input_grad *conv)
{
    input_run run = {.kernels = tape->kernels,
                     .conv = conv,
                     .is_bf16 = tape->is_bf16 && conv->shape->out % 2 == 0,
                     .lead = taps_of(conv->shape, 0) - 1};
    size_t rows = 0;
    for (size_t u = 0; u < conv->in.count; u++)
        rows += padded_rows(conv, run.lead, u);
    size_t elements = rows * conv->shape->out / (run.is_bf16 ? 2 : 1);
    float *memory = rows ? s3r_tape_take(tape, elements) : NULL;
    if (!memory)
        return;
    run.rows = (unsigned char *)memory;
    s3r_arena_mark mark = s3r_tape_mark(tape);
    run_inputs(tape, &run);
    s3r_arena_rewind(&tape->arena, mark);
    s3r_tape_give(tape, memory, elements);
}

/* ---- weight ---- */

typedef struct group_run {
    const s3r_kernels *kernels;
    const s3r_conv_group_grad *conv;
    bool is_bf16;
    size_t in, out;         /* channels of a group */
    unsigned char *turned;  /* x, [in, frames] of each (utterance, group) */
    unsigned char *panels;  /* dz of each (utterance, group) */
    const size_t *panel_at; /* [utterances] bytes */
    float *sums;            /* of each worker: [in][kernel][out], then turned */
} group_run;

/* Behind an odd number of frames a bf16 product looks at one more. */
static size_t turned_stride(const group_run *run, size_t u)
{
    return run->conv->padded[u + 1] - run->conv->padded[u] + 2;
}

static unsigned char *turned_at(const group_run *run, size_t u, size_t g)
{
    size_t groups = run->conv->shape->groups;
    size_t before = (run->conv->padded[u] + 2 * u) * groups + g * turned_stride(run, u);
    return run->turned + before * run->in * element_bytes(run->is_bf16);
}

static unsigned char *panels_of(const group_run *run, size_t u, size_t g)
{
    size_t frames = frames_of(&run->conv->out, u);
    return run->panels + run->panel_at[u] +
           g * s3r_packed_bytes(frames, run->out, run->is_bf16);
}

static void prepare_group(void *context, size_t task, size_t worker)
{
    const group_run *run = context;
    const s3r_conv_group_grad *conv = run->conv;
    size_t groups = conv->shape->groups, u = task / groups, g = task % groups;
    size_t length = conv->padded[u + 1] - conv->padded[u], stride = length + 2;
    const float *x = conv->x + (conv->padded[u] * groups + g * length) * run->in;
    size_t frames = frames_of(&conv->out, u), bytes = element_bytes(run->is_bf16);
    unsigned char *to = turned_at(run, u, g);
    (void)worker;
    if (frames == 0)
        return;
    if (run->is_bf16)
        run->kernels->transpose_bf16(length, run->in, x, run->in, (uint16_t *)(void *)to,
                                     stride);
    else
        run->kernels->transpose_f32(length, run->in, x, run->in, (float *)(void *)to,
                                    stride);
    for (size_t c = 0; c < run->in; c++)
        memset(to + (c * stride + length) * bytes, 0, 2 * bytes);
    s3r_pack_panels(
        run->kernels, frames, run->out,
        conv->dz->data + conv->out.offset[u] * conv->dz->stride + g * run->out,
        S3R_B_PLAIN, S3R_DTYPE_F32, conv->dz->stride, run->is_bf16, panels_of(run, u, g));
}

/* sums [kernel, out] = those of channel c, utterance after utterance. */
static void sum_channel(const group_run *run, size_t g, size_t c, float *sums)
{
    const s3r_conv_group_grad *conv = run->conv;
    bool accumulate = false;
    for (size_t u = 0; u < conv->out.count; u++) {
        size_t frames = frames_of(&conv->out, u);
        if (frames == 0)
            continue;
        const s3r_product product = {.m = conv->shape->kernel,
                                     .n = run->out,
                                     .k = frames,
                                     .a = turned_at(run, u, g) +
                                          c * turned_stride(run, u) *
                                              element_bytes(run->is_bf16),
                                     .is_bf16 = run->is_bf16,
                                     .a_stride = 1,
                                     .b = panels_of(run, u, g),
                                     .b_layout = S3R_B_PACKED,
                                     .c = sums,
                                     .c_stride = run->out,
                                     .accumulate = accumulate};
        s3r_product_run_serial(run->kernels, &product, NULL);
        accumulate = true;
    }
}

static void sum_group(void *context, size_t g, size_t worker)
{
    const group_run *run = context;
    size_t rows = run->conv->shape->kernel * run->out; /* of one channel */
    float *sums = run->sums + worker * 2 * rows * run->in;
    float *turned = sums + rows * run->in;
    for (size_t c = 0; c < run->in; c++)
        sum_channel(run, g, c, sums + c * rows);
    run->kernels->transpose_f32(run->in, rows, sums, rows, turned, run->in);
    for (size_t row = 0; row < rows; row++) {
        size_t tap = row / run->out, o = row % run->out;
        run->kernels->axpy(run->in, 1.0f, turned + row * run->in,
                           run->conv->grad +
                               ((g * run->out + o) * run->conv->shape->kernel + tap) *
                                   run->in);
    }
}

void s3r_conv_group_grad_run(s3r_tape *tape, const s3r_conv_group_grad *conv)
{
    const s3r_conv_shape *shape = conv->shape;
    size_t count = conv->out.count, groups = shape->groups;
    group_run run = {.kernels = tape->kernels,
                     .conv = conv,
                     .is_bf16 = tape->is_bf16,
                     .in = shape->in / groups,
                     .out = shape->out / groups};
    s3r_arena_mark mark = s3r_tape_mark(tape);
    size_t *panel_at = s3r_tape_alloc(tape, count + 1, sizeof *panel_at);
    if (!panel_at || conv->out.offset[count] == 0)
        return;
    panel_at[0] = 0;
    for (size_t u = 0; u < count; u++)
        panel_at[u + 1] =
            panel_at[u] +
            groups * s3r_packed_bytes(frames_of(&conv->out, u), run.out, run.is_bf16);
    run.panel_at = panel_at;
    run.panels = s3r_tape_alloc(tape, panel_at[count], 1);
    run.turned = s3r_tape_alloc(tape, (conv->padded[count] + 2 * count) * groups,
                                run.in * element_bytes(run.is_bf16));
    run.sums = s3r_tape_alloc(tape, s3r_pool_threads(tape->pool) * 2 * sizeof(float),
                              shape->kernel * run.in * run.out);
    if (!tape->is_out_of_memory) {
        s3r_pool_run(tape->pool, count * groups, prepare_group, &run);
        s3r_pool_run(tape->pool, groups, sum_group, &run);
    }
    s3r_arena_rewind(&tape->arena, mark);
}
