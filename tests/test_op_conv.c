/*
 * Convolution against double: strides, groups, padding, utterances shorter than the
 * kernel, packed weights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/half.h"
#include "ops/op_conv.h"
#include "support_gradient.h"

typedef struct conv_options {
    s3r_conv_shape shape;
    bool bias, gelu;
} conv_options;

static size_t out_frames(const test_op *op, size_t frames)
{
    const s3r_conv_shape *shape = &((const conv_options *)op->options)->shape;
    size_t padded = frames + shape->pad_left + shape->pad_right, count = 0;
    for (size_t at = 0; frames && at + shape->kernel <= padded; at += shape->stride)
        count++;
    return count;
}

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    const conv_options *options = op->options;
    s3r_ragged frames;
    s3r_value *y = s3r_op_conv(in->tape, in->value[0], in->frames, &options->shape,
                               in->weight[0], options->bias ? in->weight[1] : NULL,
                               options->gelu ? S3R_CONV_GELU : S3R_CONV_SUM, &frames);
    for (size_t u = 0; y && u < frames.count; u++)
        assert_int_equal(frames.offset[u + 1] - frames.offset[u],
                         out_frames(op, in->frames.offset[u + 1] - in->frames.offset[u]));
    return y;
}

/* Output channel o at frame t. */
static double output_at(const conv_options *options, const test_op_reference *in,
                        size_t t, size_t o)
{
    const s3r_conv_shape *shape = &options->shape;
    size_t width = shape->in / shape->groups, group = o / (shape->out / shape->groups);
    double sum = options->bias ? in->weight[1][o] : 0;
    for (size_t tap = 0; tap < shape->kernel; tap++) {
        size_t padded = t * shape->stride + tap;
        if (padded < shape->pad_left || padded - shape->pad_left >= in->frames)
            continue;
        const double *x =
            in->value[0] + (padded - shape->pad_left) * shape->in + group * width;
        const double *w = in->weight[0] + (o * shape->kernel + tap) * width;
        for (size_t j = 0; j < width; j++)
            sum += x[j] * w[j];
    }
    return options->gelu ? test_gelu(sum) : sum;
}

static void conv_reference(const test_op *op, const test_op_reference *in, double *out)
{
    for (size_t i = 0; i < out_frames(op, in->frames) * op->out_cols; i++)
        out[i] = output_at(op->options, in, i / op->out_cols, i % op->out_cols);
}

static const struct {
    const char *name;
    conv_options options;
    size_t lengths[4], long_lengths[3];
} cases[] = {
    {"first layer",
     {{1, 6, 10, 5, 1, 0, 0}, false, false},
     {41, 10, 63},
     {3000, 10, 900}},
    {"first layer, gelu", {{1, 5, 10, 5, 1, 0, 0}, true, true}, {41, 9, 14}, {0}},
    {"strided", {{6, 8, 3, 2, 1, 0, 0}, true, true}, {7, 3, 12}, {700, 4, 333}},
    {"strided, too short", {{6, 4, 3, 2, 1, 0, 0}, true, false}, {7, 2, 4}, {0}},
    {"kernel 2", {{4, 34, 2, 2, 1, 0, 0}, false, true}, {6, 5, 2}, {0}},
    {"stride 4", {{6, 34, 7, 4, 1, 0, 0}, true, true}, {31, 5, 14}, {900, 6, 243}},
    {"stride beyond the kernel", {{4, 6, 2, 3, 1, 0, 0}, false, true}, {9, 1, 5}, {0}},
    {"positional, even", {{8, 8, 6, 1, 2, 3, 2}, true, true}, {9, 1, 4}, {200, 1, 70}},
    {"positional, wide", {{12, 12, 16, 1, 3, 8, 7}, true, false}, {3, 1, 20}, {0}},
    {"positional, odd", {{8, 8, 5, 1, 4, 2, 2}, true, true}, {6, 1, 2}, {150, 1, 9}},
    {"odd width", {{9, 6, 3, 1, 3, 1, 1}, false, false}, {6, 1, 2}, {0}},
    {"padded, one group", {{5, 7, 3, 1, 1, 1, 1}, true, true}, {4, 1, 8}, {0}},
    {"pointwise", {{5, 7, 1, 1, 1, 0, 0}, true, true}, {4, 1, 8}, {0}},
};

static void test_conv(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const s3r_conv_shape *shape = &cases[i].options.shape;
        test_op op = {.name = cases[i].name,
                      .value_cols = {shape->in},
                      .weight = {{shape->out, shape->kernel * shape->in / shape->groups},
                                 {1, shape->out}},
                      .out_cols = shape->out,
                      .out_frames = out_frames,
                      .forward = forward,
                      .reference = conv_reference,
                      .options = &cases[i].options,
                      .has_products = true};
        if (!cases[i].options.bias)
            op.weight[1] = (test_shape){0, 0};
        memcpy(op.lengths, cases[i].lengths, sizeof op.lengths);
        memcpy(op.long_lengths, cases[i].long_lengths, sizeof op.long_lengths);
        test_op_check(&op);
    }
}

enum { FRAMES = 40, WEIGHTS_MAX = 8 * 64 };

/* A recorded pass and the gradient of x for a gradient of the result that is x again. */
static s3r_value *run_recorded(s3r_tape *tape, const float *x,
                               const s3r_conv_shape *shape, s3r_weight *weight)
{
    const size_t offset[2] = {0, FRAMES};
    s3r_ragged frames = {1, offset}, out;
    tape->is_recording = true;
    s3r_value *value = s3r_tape_value(tape, FRAMES, shape->in);
    for (size_t t = 0; t < FRAMES; t++)
        memcpy(value->data + t * value->stride, x + t * shape->in, shape->in * sizeof *x);
    value->needs_grad = true;
    s3r_value *y =
        s3r_op_conv(tape, value, frames, shape, weight, NULL, S3R_CONV_GELU, &out);
    float *dy = s3r_tape_grad(tape, y);
    memcpy(dy, y->data, y->rows * y->stride * sizeof *dy);
    s3r_tape_backward(tape);
    tape->is_recording = false;
    return value;
}

/* Padded convolutions need no data beside the panels to pass gradients down. */
static void check_packed_gradient(s3r_tape *tape, const float *x,
                                  const s3r_conv_shape *shape, s3r_weight weight)
{
    if (shape->groups == 1 && shape->pad_left == 0 && shape->pad_right == 0)
        return;
    s3r_weight plain = weight;
    plain.packed_f32 = plain.packed_bf16 = NULL;
    weight.data = NULL;
    const s3r_value *a = run_recorded(tape, x, shape, &plain);
    const s3r_value *b = run_recorded(tape, x, shape, &weight);
    for (size_t t = 0; t < FRAMES; t++)
        assert_memory_equal(a->grad + t * a->stride, b->grad + t * b->stride,
                            shape->in * sizeof *a->grad);
}

static void test_packed_weights_give_the_same_bits(void **state)
{
    (void)state;
    static float x[FRAMES * 12], values[WEIGHTS_MAX * 8];
    const size_t offset[2] = {0, FRAMES};
    s3r_random random;
    s3r_random_init(&random, 9, 0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(x); i++)
        x[i] = (float)s3r_random_normal(&random);
    for (size_t i = 0; i < S3R_ARRAY_LEN(values); i++)
        values[i] = (float)s3r_random_normal(&random);
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    const s3r_kernels *kernels = s3r_kernels_get(s3r_cpu_detect());
    for (size_t i = 0; i < 2 * S3R_ARRAY_LEN(cases); i++) {
        const s3r_conv_shape *shape = &cases[i / 2].options.shape;
        bool is_bf16 = i % 2;
        if (is_bf16 && !s3r_conv_allows_bf16(shape))
            continue;
        s3r_tape tape;
        s3r_tape_init(&tape, pool, kernels);
        tape.is_bf16 = is_bf16;
        s3r_value *value = s3r_tape_wrap(&tape, x, FRAMES, shape->in, shape->in);
        s3r_weight weight = {.data = values,
                             .rows = shape->out,
                             .cols = shape->kernel * shape->in / shape->groups};
        void *packed = s3r_alloc(s3r_conv_packed_bytes(shape, is_bf16), 1);
        assert_non_null(packed);
        s3r_conv_pack(kernels, shape, values, is_bf16, packed);
        s3r_ragged frames = {1, offset}, out;
        s3r_value *plain =
            s3r_op_conv(&tape, value, frames, shape, &weight, NULL, S3R_CONV_GELU, &out);
        if (is_bf16)
            weight.packed_bf16 = packed;
        else
            weight.packed_f32 = packed;
        s3r_value *fast =
            s3r_op_conv(&tape, value, frames, shape, &weight, NULL, S3R_CONV_GELU, &out);
        for (size_t t = 0; t < plain->rows; t++)
            assert_memory_equal(plain->data + t * plain->stride,
                                fast->data + t * fast->stride,
                                plain->cols * sizeof(float));
        check_packed_gradient(&tape, x, shape, weight);
        s3r_free(packed);
        s3r_tape_release(&tape);
    }
    s3r_pool_destroy(pool);
}

/* A result in bf16 alone against the same in fp32, and as the next convolution reads it:
 * utterances of odd and even length, of one frame and of none. */
static void check_narrow(s3r_pool *pool, const s3r_kernels *kernels, size_t in,
                         const s3r_conv_shape *next_shape, const float *values,
                         const float *samples)
{
    enum { ROWS = 52 };
    const size_t offset[] = {0, 31, 34, 36, ROWS};
    const s3r_conv_shape shape = {in, next_shape->in, 3, 2, 1, 0, 0};
    s3r_ragged out, last;
    s3r_tape tape;
    s3r_tape_init(&tape, pool, kernels);
    tape.is_bf16 = true;
    s3r_ragged frames = s3r_tape_ragged(&tape, 4, offset);
    s3r_value *x = s3r_tape_wrap(&tape, (float *)(uintptr_t)samples, ROWS, in, in);
    s3r_weight weight = {.data = values, .rows = shape.out, .cols = 3 * in};
    s3r_weight next = {.data = values,
                       .rows = next_shape->out,
                       .cols = next_shape->kernel * next_shape->in};
    s3r_value *plain =
        s3r_op_conv(&tape, x, frames, &shape, &weight, NULL, S3R_CONV_GELU, &out);
    s3r_value *narrow =
        s3r_op_conv(&tape, x, frames, &shape, &weight, NULL, S3R_CONV_GELU_NARROW, &out);
    assert_true(plain && narrow && !narrow->data && narrow->narrow);
    assert_int_equal(narrow->rows, 15 + 1 + 0 + 7);
    s3r_value *wide = s3r_tape_value(&tape, narrow->rows, narrow->cols);
    for (size_t t = 0; t < narrow->rows; t++)
        for (size_t j = 0; j < narrow->cols; j++) {
            float exact = plain->data[t * plain->stride + j];
            float found = s3r_bf16_to_f32(narrow->narrow[t * narrow->narrow_stride + j]);
            assert_true(fabsf(found - exact) <= fabsf(exact) * 1.05f / 256.0f + 1e-6f);
            wide->data[t * wide->stride + j] = found;
        }
    s3r_value *a =
        s3r_op_conv(&tape, narrow, out, next_shape, &next, NULL, S3R_CONV_SUM, &last);
    s3r_value *b =
        s3r_op_conv(&tape, wide, out, next_shape, &next, NULL, S3R_CONV_SUM, &last);
    assert_int_equal(s3r_tape_status(&tape, NULL), S3R_OK);
    for (size_t t = 0; t < a->rows; t++)
        assert_memory_equal(a->data + t * a->stride, b->data + t * b->stride,
                            a->cols * sizeof(float));
    s3r_tape_release(&tape);
}

static void test_results_in_bf16_alone(void **state)
{
    (void)state;
    enum { MOST = 520 };
    static const s3r_conv_shape next[] = {{40, 33, 3, 2, 1, 0, 0},
                                          {40, 8, 2, 2, 1, 0, 0}};
    static const size_t in[] = {24, MOST}; /* sums of one block of k, and of two */
    static float values[40 * 3 * MOST], samples[52 * MOST];
    s3r_pool *pool;
    s3r_random random;
    s3r_random_init(&random, 12, 0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(values); i++)
        values[i] = (float)(0.1 * s3r_random_normal(&random));
    for (size_t i = 0; i < S3R_ARRAY_LEN(samples); i++)
        samples[i] = (float)s3r_random_normal(&random);
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
        for (size_t i = 0; i < 4; i++)
            check_narrow(pool, s3r_kernels_get((s3r_cpu_level)level), in[i % 2],
                         &next[i / 2], values, samples);
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_packed_weights_give_the_same_bits),
        cmocka_unit_test(test_results_in_bf16_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
