/*
 * Convolutions in int8 against sums in whole numbers: every form, batches and levels, and
 * which convolutions are left as they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "model/conv_prepare.h"
#include "model/weight_quantize.h"

static uint64_t seed;
static s3r_error err;

static float uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(seed >> 32) * (1.0f / 2147483648.0f);
}

#define CONV_FRAMES 29u

/* One element of y by the definition: rows under the kernel and channels rounded. */
static double conv_at(const s3r_conv_shape *shape, const float *x, size_t stride,
                      const float *weight, float bias, double *size)
{
    size_t depth = shape->kernel * shape->in;
    float *seen = s3r_alloc(depth, 4), *taps = s3r_alloc(depth, 4);
    uint8_t *a = s3r_alloc(depth, 1);
    int8_t *b = s3r_alloc(depth, 1);
    for (size_t tap = 0; tap < shape->kernel; tap++) {
        for (size_t c = 0; c < shape->in; c++) {
            seen[tap * shape->in + c] = x[tap * stride + c];
            taps[tap * shape->in + c] = weight[c * shape->kernel + tap];
        }
    }
    const s3r_kernels *portable = s3r_kernels_get(S3R_CPU_PORTABLE);
    double scale = (double)portable->quantize_row(depth, seen, a) *
                   (double)s3r_quantize_weights(depth, taps, b);
    int64_t sum = 0, absolute = 0;
    for (size_t k = 0; k < depth; k++) {
        sum += (a[k] - 128) * b[k];
        absolute += abs((a[k] - 128) * b[k]);
    }
    s3r_free(seen), s3r_free(taps), s3r_free(a), s3r_free(b);
    *size = (double)absolute * scale;
    return (double)sum * scale + (double)bias;
}

typedef struct conv_case {
    size_t in, out, kernel, stride;
} conv_case;

/* A width that rows of x are padded for, one that they are not, panels that end early. */
static const conv_case conv_cases[] = {
    {24, 40, 3, 2}, {64, 300, 3, 2}, {16, 32, 2, 2}, {7, 5, 5, 3}, {512, 33, 8, 4}};

static s3r_value *run_conv(s3r_tape *tape, const s3r_conv_shape *shape, const float *x,
                           s3r_ragged frames, s3r_weight *weight, s3r_weight *bias,
                           bool gelu)
{
    s3r_ragged out;
    s3r_value *value = s3r_tape_value(tape, frames.offset[frames.count], shape->in);
    for (size_t t = 0; t < value->rows; t++)
        memcpy(value->data + t * value->stride, x + t * shape->in, shape->in * 4);
    s3r_value *y = s3r_op_conv(tape, value, frames, shape, weight, bias,
                               gelu ? S3R_CONV_GELU : S3R_CONV_SUM, &out);
    assert_int_equal(s3r_tape_status(tape, &err), S3R_OK);
    assert_int_equal(y->rows, out.offset[out.count]);
    return y;
}

/* A convolution with made-up weights, prepared for kernels, and its input. */
typedef struct conv_setup {
    s3r_conv_shape shape;
    float *x, *values, *bias;
    s3r_weight weight, bias_weight;
    s3r_arena arena;
} conv_setup;

static void prepare_conv(conv_setup *c, s3r_pool *pool, const s3r_kernels *kernels)
{
    const s3r_conv_shape *shape = &c->shape;
    size_t in = shape->in / shape->groups, elements = shape->out * in * shape->kernel;
    c->x = s3r_alloc(CONV_FRAMES * shape->in, 4);
    c->values = s3r_alloc(elements, 4);
    c->bias = s3r_alloc(shape->out, 4);
    seed = 17;
    for (size_t i = 0; i < CONV_FRAMES * shape->in; i++)
        c->x[i] = uniform();
    for (size_t i = 0; i < elements; i++)
        c->values[i] = uniform();
    for (size_t i = 0; i < shape->out; i++)
        c->bias[i] = uniform();
    s3r_tensor tensor = {.dtype = S3R_DTYPE_F32, .rank = 3, .data = c->values};
    tensor.shape[0] = shape->out, tensor.shape[1] = in, tensor.shape[2] = shape->kernel;
    c->bias_weight = (s3r_weight){.data = c->bias, .rows = 1, .cols = shape->out};
    s3r_arena_init(&c->arena, 1 << 20);
    const s3r_conv_source source = {
        .shape = *shape, .tensor = &tensor, .weight = &c->weight};
    const s3r_conv_prepare_options options = {
        .is_int8 = true, .kernels = kernels, .pool = pool, .arena = &c->arena};
    assert_int_equal(s3r_conv_prepare(&source, 1, &options, &err), S3R_OK);
}

static void release_conv(conv_setup *c)
{
    s3r_arena_release(&c->arena);
    s3r_free(c->x), s3r_free(c->values), s3r_free(c->bias);
}

static void expect_conv(const conv_setup *c, const s3r_kernels *kernels,
                        const s3r_value *y, bool has_bias, bool gelu)
{
    const s3r_conv_shape *shape = &c->shape;
    for (size_t t = 0; t < y->rows; t++) {
        for (size_t o = 0; o < shape->out; o++) {
            double size;
            double wanted = conv_at(shape, c->x + t * shape->stride * shape->in,
                                    shape->in, c->values + o * shape->in * shape->kernel,
                                    has_bias ? c->bias[o] : 0.0f, &size);
            if (gelu)
                wanted *= 0.5 * (1 + erf(wanted / sqrt(2.0)));
            double error = fabs(wanted - (double)y->data[t * y->stride + o]);
            if (!(error <= 3e-7 * (1 + size)))
                fail_msg("%s %zu x %zu (%zu, %zu): %g, expected %g",
                         s3r_cpu_level_name(kernels->level), shape->in, shape->out, t, o,
                         (double)y->data[t * y->stride + o], wanted);
        }
    }
}

static void assert_same_rows(const s3r_value *a, size_t first, const s3r_value *b,
                             size_t b_first, size_t count)
{
    for (size_t t = 0; t < count; t++)
        assert_memory_equal(a->data + (first + t) * a->stride,
                            b->data + (b_first + t) * b->stride, a->cols * 4);
}

/* The rows of an utterance in a batch are those of it alone; some have no frame. */
static void check_conv_batch(conv_setup *c, s3r_tape *tape, const s3r_value *whole)
{
    const size_t none[] = {0, 1, 1}, tail[] = {0, CONV_FRAMES - 13};
    const size_t split[] = {0, 0, 12, 13, CONV_FRAMES};
    s3r_weight *bias = &c->bias_weight;
    s3r_value *y = run_conv(tape, &c->shape, c->x, s3r_tape_ragged(tape, 4, split),
                            &c->weight, bias, false);
    s3r_value *alone = run_conv(tape, &c->shape, c->x + 13 * c->shape.in,
                                s3r_tape_ragged(tape, 1, tail), &c->weight, bias, false);
    size_t first = s3r_conv_frames(&c->shape, 12);
    assert_true(first > 0 && alone->rows > 0 && y->rows == first + alone->rows);
    assert_same_rows(y, 0, whole, 0, first);
    assert_same_rows(y, first, alone, 0, alone->rows);
    y = run_conv(tape, &c->shape, c->x, s3r_tape_ragged(tape, 2, none), &c->weight, bias,
                 false);
    assert_int_equal(y->rows, 0);
}

/* What is not a number stays in the frames that see it. */
static void check_conv_nan(conv_setup *c, s3r_tape *tape, const s3r_value *whole)
{
    const size_t all[] = {0, CONV_FRAMES};
    float *damaged = &c->x[3 * c->shape.in], sound = *damaged;
    *damaged = NAN;
    s3r_value *y = run_conv(tape, &c->shape, c->x, s3r_tape_ragged(tape, 1, all),
                            &c->weight, &c->bias_weight, false);
    *damaged = sound;
    assert_true(c->shape.stride == 2 &&
                c->shape.kernel <= 3); /* so frame 1 alone sees it */
    assert_same_rows(y, 0, whole, 0, 1);
    for (size_t o = 0; o < c->shape.out; o++)
        assert_true(isnan(y->data[y->stride + o]));
    assert_same_rows(y, 2, whole, 2, y->rows - 2);
}

static void check_conv(const conv_case *c, s3r_pool *pool, const s3r_kernels *kernels,
                       s3r_value **kept, s3r_tape *kept_tape)
{
    const size_t all[] = {0, CONV_FRAMES};
    conv_setup setup = {.shape = {.in = c->in,
                                  .out = c->out,
                                  .kernel = c->kernel,
                                  .stride = c->stride,
                                  .groups = 1}};
    prepare_conv(&setup, pool, kernels);
    assert_non_null(setup.weight.packed_int8);
    s3r_tape tape;
    s3r_tape_init(&tape, pool, kernels);
    s3r_ragged frames = s3r_tape_ragged(&tape, 1, all);
    for (int form = 0; form < 4; form++) {
        bool has_bias = form % 2, gelu = form / 2;
        s3r_value *y = run_conv(&tape, &setup.shape, setup.x, frames, &setup.weight,
                                has_bias ? &setup.bias_weight : NULL, gelu);
        expect_conv(&setup, kernels, y, has_bias, gelu);
        if (form != 1)
            continue;
        /* Every level and number of threads gives the same bits. */
        if (*kept)
            assert_same_rows(*kept, 0, y, 0, y->rows);
        *kept = s3r_tape_value(kept_tape, y->rows, y->cols);
        for (size_t t = 0; t < y->rows; t++)
            memcpy((*kept)->data + t * (*kept)->stride, y->data + t * y->stride,
                   y->cols * sizeof(float));
        check_conv_batch(&setup, &tape, y);
        if (c->stride == 2)
            check_conv_nan(&setup, &tape, y);
    }
    s3r_tape_release(&tape);
    release_conv(&setup);
}

static void test_convolutions_are_exact(void **state)
{
    (void)state;
    s3r_tape kept_tape;
    s3r_tape_init(&kept_tape, NULL, NULL);
    for (size_t n = 0; n < S3R_ARRAY_LEN(conv_cases); n++) {
        s3r_value *kept = NULL;
        for (size_t threads = 1; threads <= 3; threads++) {
            s3r_pool *pool;
            assert_int_equal(s3r_pool_create(&pool, threads, NULL), S3R_OK);
            for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
                check_conv(&conv_cases[n], pool, s3r_kernels_get((s3r_cpu_level)level),
                           &kept, &kept_tape);
            s3r_pool_destroy(pool);
        }
    }
    s3r_tape_release(&kept_tape);
}

/* Groups, padding, the waveform and kernels over too much stay as they are. */
static void test_other_convolutions_are_not_int8(void **state)
{
    (void)state;
    static const s3r_conv_shape shapes[] = {
        {.in = 1, .out = 8, .kernel = 10, .stride = 5, .groups = 1},
        {.in = 8, .out = 8, .kernel = 4, .stride = 1, .groups = 2},
        {.in = 8, .out = 8, .kernel = 4, .stride = 1, .groups = 1, .pad_left = 2},
        {.in = 8, .out = 8, .kernel = 4, .stride = 1, .groups = 1, .pad_right = 1},
        {.in = 1366, .out = 2, .kernel = 3, .stride = 2, .groups = 1}};
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    for (size_t i = 0; i < S3R_ARRAY_LEN(shapes); i++) {
        conv_setup setup = {.shape = shapes[i]};
        prepare_conv(&setup, pool, s3r_kernels_get(s3r_cpu_detect()));
        assert_null(setup.weight.packed_int8);
        assert_non_null(setup.weight.packed_f32);
        release_conv(&setup);
    }
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions_are_exact),
        cmocka_unit_test(test_other_convolutions_are_not_int8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
