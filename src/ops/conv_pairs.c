/*
 * Pairs: a pass for the differences of even samples, and two rounds of products.
 */
#include "ops/conv_pairs.h"

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

/* ---- differences ---- */

typedef struct difference_run {
    const s3r_kernels *kernels;
    const s3r_value *x;
    s3r_ragged in, out;
    size_t utterance;
    void *data; /* [out frames, in] with stride, fp32 or bf16 */
    size_t stride;
    bool is_bf16;
} difference_run;

/* Row t of an utterance: e(t) - e(t + 1) for even t, e(t + 1) - e(t) for odd t. */
static void fill_differences(void *context, size_t row, size_t row_end, size_t worker)
{
    const difference_run *run = context;
    size_t cols = run->x->cols, first = run->out.offset[run->utterance];
    (void)worker;
    for (size_t t = row; t < row_end; t++) {
        const float *here =
            run->x->data + (run->in.offset[run->utterance] + 2 * t) * run->x->stride;
        const float *ahead = here + 2 * run->x->stride;
        const float *plus = t % 2 ? ahead : here, *minus = t % 2 ? here : ahead;
        size_t at = (first + t) * run->stride;
        float line[256];
        for (size_t j = 0; j < cols; j += S3R_ARRAY_LEN(line)) {
            size_t width = S3R_MIN(cols - j, S3R_ARRAY_LEN(line));
            float *out = run->is_bf16 ? line : (float *)run->data + at + j;
            for (size_t i = 0; i < width; i++)
                out[i] = plus[j + i] - minus[j + i];
            if (run->is_bf16)
                run->kernels->f32_to_bf16(width, line, (uint16_t *)run->data + at + j);
        }
    }
}

static void *make_differences(s3r_tape *tape, const s3r_conv_pairs *conv, size_t *stride)
{
    bool is_bf16 = conv->x_narrow != NULL;
    size_t bytes = is_bf16 ? 2 : 4;
    *stride = s3r_padded_stride(conv->shape->in, bytes);
    difference_run run = {.kernels = tape->kernels,
                          .x = conv->x,
                          .in = conv->in,
                          .out = conv->out,
                          .stride = *stride,
                          .is_bf16 = is_bf16};
    run.data =
        s3r_tape_alloc(tape, conv->out.offset[conv->out.count] * *stride + 2, bytes);
    for (; run.data && run.utterance < conv->out.count; run.utterance++)
        s3r_tape_rows(
            tape, conv->out.offset[run.utterance + 1] - conv->out.offset[run.utterance],
            conv->shape->in, fill_differences, &run);
    return run.data;
}

/* ---- products ---- */

/* Unpacked weights: W0 + W2 [out, in]; in bf16 of the rounded taps, as the panels have
 * it. */
static float *make_sum(s3r_tape *tape, const s3r_conv_pairs *conv)
{
    size_t in = conv->shape->in, out = conv->shape->out;
    const float *weight = conv->weight->data;
    float *sum = s3r_tape_alloc(tape, out * in, sizeof *sum);
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

/* B = tap 0, 1 or 2 of the weight, or their sum (tap 3). */
static void set_tap(s3r_product *product, const s3r_conv_pairs *conv, const float *sum,
                    size_t tap)
{
    size_t in = conv->shape->in;
    size_t panels = S3R_CEIL_DIV(conv->shape->out, (size_t)S3R_PANEL);
    bool is_bf16 = product->is_bf16;
    const unsigned char *packed =
        is_bf16 ? conv->weight->packed_bf16 : conv->weight->packed_f32;
    product->n = conv->shape->out;
    product->k = in;
    product->b_dtype = S3R_DTYPE_F32;
    if (packed) {
        size_t tap_bytes = in * S3R_PANEL * (is_bf16 ? 2 : 4);
        product->b_layout = S3R_B_PACKED;
        product->b = packed + tap_bytes * (tap == 3 ? 3 * panels : tap);
        product->b_stride = tap == 3 ? in : 3 * in;
    } else if (tap == 3) {
        product->b = sum;
        product->b_stride = in;
    } else {
        product->b = (const float *)conv->weight->data + tap * in;
        product->b_stride = 3 * in;
    }
}

/* A of `rows` rows: x from sample `first` of the utterance on, every `step` samples. */
static void set_samples(s3r_product *product, const s3r_conv_pairs *conv, size_t u,
                        size_t first, size_t step, size_t rows)
{
    size_t row = conv->in.offset[u] + first;
    product->m = rows;
    product->is_bf16 = conv->x_narrow != NULL;
    if (product->is_bf16) {
        product->a = conv->x_narrow + row * conv->x_narrow_stride;
        product->a_stride = step * conv->x_narrow_stride;
    } else {
        product->a = conv->x->data + row * conv->x->stride;
        product->a_stride = step * conv->x->stride;
    }
}

/* Round 1: y = W1 o for every frame, s for every pair. */
static void run_first_round(s3r_tape *tape, const s3r_conv_pairs *conv,
                            s3r_product *products, const float *sum, s3r_value *shared,
                            const size_t *pair_at)
{
    size_t count = conv->out.count;
    for (size_t u = 0; u < count; u++) {
        size_t first = conv->out.offset[u], rows = conv->out.offset[u + 1] - first;
        s3r_product *odd = &products[2 * u], *common = &products[2 * u + 1];
        *odd = (s3r_product){.c = conv->y->data + first * conv->y->stride,
                             .c_stride = conv->y->stride};
        set_samples(odd, conv, u, 1, 2, rows);
        set_tap(odd, conv, sum, 1);
        *common = (s3r_product){.c = shared->data + pair_at[u] * shared->stride,
                                .c_stride = shared->stride};
        set_samples(common, conv, u, 2, 4, (rows + 1) / 2);
        set_tap(common, conv, sum, 3);
    }
    s3r_products_run(tape->pool, tape->kernels, products, 2 * count);
}

/* Round 2: the differences, s and what follows the sum. */
static void run_second_round(s3r_tape *tape, const s3r_conv_pairs *conv,
                             s3r_product *products, const float *sum,
                             const s3r_value *shared, const size_t *pair_at,
                             const void *differences, size_t stride)
{
    size_t count = conv->out.count;
    bool is_bf16 = conv->x_narrow != NULL;
    for (size_t i = 0; i < 2 * count; i++) {
        size_t u = i / 2, parity = i % 2, first = conv->out.offset[u];
        size_t rows = conv->out.offset[u + 1] - first;
        size_t at = (first + parity) * conv->y->stride;
        products[i] = (s3r_product){
            .m = (rows + 1 - parity) / 2,
            .a = (const unsigned char *)differences +
                 (first + parity) * stride * (is_bf16 ? 2u : 4u),
            .is_bf16 = is_bf16,
            .a_stride = 2 * stride,
            .c = conv->y->data + at,
            .c_stride = 2 * conv->y->stride,
            .accumulate = true,
            .addend = shared->data + pair_at[u] * shared->stride,
            .addend_stride = shared->stride,
            .bias = conv->bias ? conv->bias->data : NULL,
            .gelu = conv->gelu,
            .pre_activation = conv->pre_activation ? conv->pre_activation + at : NULL};
        set_tap(&products[i], conv, sum, 2 * parity);
    }
    s3r_products_run(tape->pool, tape->kernels, products, 2 * count);
}

void s3r_conv_pairs_run(s3r_tape *tape, const s3r_conv_pairs *conv)
{
    size_t count = conv->out.count, stride;
    s3r_product *products = s3r_tape_alloc(tape, 2 * count, sizeof *products);
    size_t *pair_at = s3r_tape_alloc(tape, count + 1, sizeof *pair_at);
    if (!products || !pair_at)
        return;
    pair_at[0] = 0;
    for (size_t u = 0; u < count; u++)
        pair_at[u + 1] =
            pair_at[u] + (conv->out.offset[u + 1] - conv->out.offset[u] + 1) / 2;
    s3r_value *shared = s3r_tape_value(tape, pair_at[count], conv->shape->out);
    void *differences = make_differences(tape, conv, &stride);
    bool is_packed = conv->x_narrow ? conv->weight->packed_bf16 != NULL
                                    : conv->weight->packed_f32 != NULL;
    const float *sum = is_packed ? NULL : make_sum(tape, conv);
    if (tape->is_out_of_memory)
        return;
    run_first_round(tape, conv, products, sum, shared, pair_at);
    run_second_round(tape, conv, products, sum, shared, pair_at, differences, stride);
}
