/*
 * Pairs: a pass for the rows that are multiplied, and two rounds of products.
 */
#include "ops/conv_pairs.h"

#include <assert.h>
#include <string.h>

#include "ops/half.h"

bool s3r_conv_has_pairs(const s3r_conv_shape *shape)
{
    return shape->kernel == 3 && shape->stride == 2 && shape->groups == 1 &&
           shape->pad_left == 0 && shape->pad_right == 0;
}

size_t s3r_conv_pair_bytes(const s3r_conv_shape *shape, bool is_bf16)
{
    return s3r_packed_bytes(shape->in, shape->out, is_bf16);
}

void s3r_conv_pair_panel(const s3r_conv_shape *shape, bool is_bf16, void *packed,
                         size_t panel)
{
    size_t panels = S3R_CEIL_DIV(shape->out, (size_t)S3R_PANEL);
    size_t count = shape->in * S3R_PANEL;
    if (is_bf16) {
        uint16_t *sum = (uint16_t *)packed + (panels * 3 + panel) * count;
        const uint16_t *first = (const uint16_t *)packed + panel * 3 * count;
        for (size_t i = 0; i < count; i++)
            sum[i] = s3r_f32_to_bf16(s3r_bf16_to_f32(first[i]) +
                                     s3r_bf16_to_f32(first[i + 2 * count]));
    } else {
        float *sum = (float *)packed + (panels * 3 + panel) * count;
        const float *first = (const float *)packed + panel * 3 * count;
        for (size_t i = 0; i < count; i++)
            sum[i] = first[i] + first[i + 2 * count];
    }
}

/* ---- rows of A ---- */

/*
 * What W0, W1 and W2 meet at frame t but for s, as one row: the difference of even
 * samples and o(t) for even t, o(t) and the difference for odd t, in the order of their
 * taps.  Of an utterance the rows of even frames come first.
 */
typedef struct join_run {
    const s3r_kernels *kernels;
    const s3r_conv_pairs *conv;
    size_t utterance;
    void *data; /* [out frames, 2 in] with stride, fp32 or bf16 */
    size_t stride;
} join_run;

static void join_row_bf16(const join_run *run, size_t t, uint16_t *out)
{
    const s3r_conv_pairs *conv = run->conv;
    size_t cols = conv->shape->in, stride = conv->x_narrow_stride;
    const uint16_t *here =
        conv->x_narrow + (conv->in.offset[run->utterance] + 2 * t) * stride;
    const uint16_t *ahead = here + 2 * stride;
    const uint16_t *plus = t % 2 ? ahead : here, *minus = t % 2 ? here : ahead;
    run->kernels->subtract_bf16(cols, plus, minus, out + (t % 2 ? cols : 0));
    memcpy(out + (t % 2 ? 0 : cols), here + stride, cols * sizeof *out);
}

static void join_row_f32(const join_run *run, size_t t, float *out)
{
    const s3r_conv_pairs *conv = run->conv;
    size_t cols = conv->shape->in, stride = conv->x->stride;
    const float *here =
        conv->x->data + (conv->in.offset[run->utterance] + 2 * t) * stride;
    const float *ahead = here + 2 * stride;
    const float *plus = t % 2 ? ahead : here, *minus = t % 2 ? here : ahead;
    float *difference = out + (t % 2 ? cols : 0);
    for (size_t i = 0; i < cols; i++)
        difference[i] = plus[i] - minus[i];
    memcpy(out + (t % 2 ? 0 : cols), here + stride, cols * sizeof *out);
}

static void join_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const join_run *run = context;
    const size_t *offset = &run->conv->out.offset[run->utterance];
    size_t even = (offset[1] - offset[0] + 1) / 2;
    (void)worker;
    for (size_t t = row; t < row_end; t++) {
        size_t at = (offset[0] + t / 2 + (t % 2 ? even : 0)) * run->stride;
        if (run->conv->x_narrow)
            join_row_bf16(run, t, (uint16_t *)run->data + at);
        else
            join_row_f32(run, t, (float *)run->data + at);
    }
}

/* In *elements floats of the tape. */
static float *make_joined(s3r_tape *tape, const s3r_conv_pairs *conv, size_t *stride,
                          size_t *elements)
{
    size_t bytes = conv->x_narrow ? 2 : 4, cols = 2 * conv->shape->in;
    join_run run = {.kernels = tape->kernels, .conv = conv};
    run.stride = *stride = s3r_padded_stride(cols, bytes);
    *elements = conv->out.offset[conv->out.count] * *stride / (sizeof(float) / bytes);
    run.data = s3r_tape_take(tape, *elements);
    for (; run.data && run.utterance < conv->out.count; run.utterance++)
        s3r_tape_rows(
            tape, conv->out.offset[run.utterance + 1] - conv->out.offset[run.utterance],
            cols, join_rows, &run);
    return run.data;
}

/* ---- products ---- */

/* Unpacked weights: W0 + W2 [out, in]; in bf16 of the rounded taps, as the panels have
 * it. */
static float *make_sum(s3r_tape *tape, const s3r_conv_pairs *conv)
{
    size_t in = conv->shape->in, out = conv->shape->out;
    const float *weight = conv->weight->data;
    float *sum = s3r_tape_take(tape, out * in);
    for (size_t i = 0; sum && i < out * in; i++) {
        float first = weight[i / in * 3 * in + i % in];
        float last = weight[(i / in * 3 + 2) * in + i % in];
        if (conv->x_narrow) {
            first = s3r_bf16_to_f32(s3r_f32_to_bf16(first));
            last = s3r_bf16_to_f32(s3r_f32_to_bf16(last));
        }
        sum[i] = first + last;
    }
    return sum;
}

/* B = two taps of the weight from `tap` on, or the sum of taps 0 and 2 (tap 3). */
static void set_taps(s3r_product *product, const s3r_conv_pairs *conv, const float *sum,
                     size_t tap)
{
    size_t in = conv->shape->in;
    size_t panels = S3R_CEIL_DIV(conv->shape->out, (size_t)S3R_PANEL);
    bool is_bf16 = conv->x_narrow != NULL;
    const unsigned char *packed =
        is_bf16 ? conv->weight->packed_bf16 : conv->weight->packed_f32;
    product->is_bf16 = is_bf16;
    product->n = conv->shape->out;
    product->k = tap == 3 ? in : 2 * in;
    product->b_dtype = S3R_DTYPE_F32;
    product->b_stride = tap == 3 ? in : 3 * in;
    if (packed) {
        product->b_layout = S3R_B_PACKED;
        product->b =
            packed + in * S3R_PANEL * (is_bf16 ? 2 : 4) * (tap == 3 ? 3 * panels : tap);
    } else {
        product->b = tap == 3 ? sum : (const float *)conv->weight->data + tap * in;
    }
}

/* Round 1: s for every pair, from every second even sample, and the bias. */
static void run_first_round(s3r_tape *tape, const s3r_conv_pairs *conv,
                            s3r_product *products, const float *sum, s3r_value *shared,
                            const size_t *pair_at)
{
    size_t count = conv->out.count;
    for (size_t u = 0; u < count; u++) {
        size_t row = conv->in.offset[u] + 2;
        products[u] = (s3r_product){.m = pair_at[u + 1] - pair_at[u],
                                    .c = shared->data + pair_at[u] * shared->stride,
                                    .c_stride = shared->stride,
                                    .bias = conv->bias ? conv->bias->data : NULL};
        if (conv->x_narrow) {
            products[u].a = conv->x_narrow + row * conv->x_narrow_stride;
            products[u].a_stride = 4 * conv->x_narrow_stride;
        } else {
            products[u].a = conv->x->data + row * conv->x->stride;
            products[u].a_stride = 4 * conv->x->stride;
        }
        set_taps(&products[u], conv, sum, 3);
    }
    s3r_products_run(tape->pool, tape->kernels, products, count);
}

/* Round 2: the joined rows, s and what follows the sum. */
static void run_second_round(s3r_tape *tape, const s3r_conv_pairs *conv,
                             s3r_product *products, const float *sum,
                             const s3r_value *shared, const size_t *pair_at,
                             const void *joined, size_t stride)
{
    size_t count = conv->out.count;
    for (size_t i = 0; i < 2 * count; i++) {
        size_t u = i / 2, parity = i % 2, first = conv->out.offset[u];
        size_t rows = conv->out.offset[u + 1] - first, even = (rows + 1) / 2;
        products[i] = (s3r_product){.m = parity ? rows - even : even,
                                    .a = (const unsigned char *)joined +
                                         (first + (parity ? even : 0)) * stride *
                                             (conv->x_narrow ? 2u : 4u),
                                    .a_stride = stride,
                                    .addend = shared->data + pair_at[u] * shared->stride,
                                    .addend_stride = shared->stride};
        s3r_conv_set_result(&products[i], conv->y, first + parity, 2, 0);
        set_taps(&products[i], conv, sum, parity);
    }
    s3r_products_run(tape->pool, tape->kernels, products, 2 * count);
}

void s3r_conv_pairs_run(s3r_tape *tape, const s3r_conv_pairs *conv)
{
    size_t count = conv->out.count, stride, elements;
    assert(conv->x_narrow || conv->x->data);
    s3r_product *products = s3r_tape_alloc(tape, 2 * count, sizeof *products);
    size_t *pair_at = s3r_tape_alloc(tape, count + 1, sizeof *pair_at);
    if (!products || !pair_at)
        return;
    pair_at[0] = 0;
    for (size_t u = 0; u < count; u++)
        pair_at[u + 1] =
            pair_at[u] + (conv->out.offset[u + 1] - conv->out.offset[u] + 1) / 2;
    s3r_value *shared = s3r_tape_value(tape, pair_at[count], conv->shape->out);
    float *joined = make_joined(tape, conv, &stride, &elements);
    bool is_packed = conv->x_narrow ? conv->weight->packed_bf16 != NULL
                                    : conv->weight->packed_f32 != NULL;
    float *sum = is_packed ? NULL : make_sum(tape, conv);
    if (tape->is_out_of_memory)
        return;
    run_first_round(tape, conv, products, sum, shared, pair_at);
    run_second_round(tape, conv, products, sum, shared, pair_at, joined, stride);
    if (tape->is_recording) {
        s3r_tape_give(tape, sum, conv->shape->out * conv->shape->in);
        s3r_tape_give(tape, joined, elements);
        s3r_tape_give(tape, shared->data, shared->rows * shared->stride);
    }
}
