/*
 * Attention against double: heads, ragged lengths over block limits, the gated position
 * bias, dropout of the probabilities.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/op_attention.h"
#include "support_gradient.h"

enum { CENTER_SMALL = 70, CENTER_LONG = 200 };

typedef struct attention_case {
    size_t heads, center; /* center 0: no position bias */
    double dropout;
} attention_case;

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    const attention_case *options = op->options;
    s3r_attention_options attention = {.heads = options->heads,
                                       .dropout = (float)options->dropout,
                                       .utterance_keys = in->keys};
    if (options->center) {
        s3r_weight *table = in->weight[0];
        /* The table is a value for the op: one that shares the weight's memory. */
        s3r_value *position = s3r_tape_wrap(in->tape, (float *)(uintptr_t)table->data,
                                            table->rows, table->cols, table->cols);
        if (!position)
            return NULL;
        position->grad = table->grad;
        position->needs_grad = table->grad != NULL;
        attention.position = position;
        attention.gate = in->value[3];
    }
    return s3r_op_attention(in->tape, in->value[0], in->value[1], in->value[2],
                            in->frames, &attention);
}

static double factor_at(const attention_case *options, const test_op_reference *in,
                        size_t query, size_t head, size_t key)
{
    if (options->dropout <= 0)
        return 1;
    uint64_t op_key = s3r_random_at(99, 0, 0); /* 99: the seed of the test support */
    uint64_t row = s3r_random_at(op_key, in->key, query * options->heads + head);
    uint32_t bits = s3r_hash_lane((uint32_t)row, (uint32_t)(row >> 32), (uint32_t)key);
    double p = (double)(float)options->dropout;
    return bits >= (uint32_t)(p * 4294967296.0) ? 1 / (1 - p) : 0;
}

static void attend(const attention_case *options, const test_op_reference *in, size_t dim,
                   size_t query, size_t head, double *out)
{
    size_t width = dim / options->heads, col = head * width;
    double weight[CENTER_LONG], total = 0;
    for (size_t j = 0; j < in->frames; j++) {
        double logit = 0;
        for (size_t c = col; c < col + width; c++)
            logit += in->value[0][query * dim + c] * in->value[1][j * dim + c];
        logit /= sqrt((double)width);
        if (options->center)
            logit += in->value[3][query * options->heads + head] *
                     in->weight[0][head * (2 * options->center + 1) + options->center +
                                   j - query];
        weight[j] = exp(logit);
        total += weight[j];
    }
    for (size_t c = 0; c < width; c++)
        out[c] = 0;
    for (size_t j = 0; j < in->frames; j++) {
        double p = weight[j] / total * factor_at(options, in, query, head, j);
        for (size_t c = 0; c < width; c++)
            out[c] += p * in->value[2][j * dim + col + c];
    }
}

static void attention_reference(const test_op *op, const test_op_reference *in,
                                double *out)
{
    const attention_case *options = op->options;
    size_t dim = op->out_cols, width = dim / options->heads;
    for (size_t i = 0; i < in->frames; i++)
        for (size_t h = 0; h < options->heads; h++)
            attend(options, in, dim, i, h, out + i * dim + h * width);
}

static void test_attention(void **state)
{
    (void)state;
    static const attention_case one = {1, 0, 0}, two = {2, 0, 0}, odd = {3, 0, 0},
                                position = {2, CENTER_SMALL, 0},
                                position_long = {2, CENTER_LONG, 0},
                                dropout = {2, 0, 0.3};
    static const test_op cases[] = {
        {.name = "attention, one head",
         .value_cols = {5, 5, 5},
         .options = &one,
         .lengths = {4, 1, 7}},
        {.name = "attention, two heads",
         .value_cols = {8, 8, 8},
         .options = &two,
         .lengths = {6, 1, 59},
         .long_lengths = {112, 57, 150}},
        {.name = "attention, odd widths",
         .value_cols = {21, 21, 21},
         .options = &odd,
         .lengths = {3, 2, 33}},
        {.name = "attention with position bias",
         .value_cols = {8, 8, 8, 2},
         .weight = {{2, 2 * CENTER_SMALL + 1}},
         .options = &position,
         .lengths = {6, 1, 58}},
        {.name = "attention with position bias, long",
         .value_cols = {4, 4, 4, 2},
         .weight = {{2, 2 * CENTER_LONG + 1}},
         .options = &position_long,
         .lengths = {5, 1, 3},
         .long_lengths = {112, 57, 150}},
        {.name = "attention with dropout",
         .value_cols = {8, 8, 8},
         .options = &dropout,
         .is_training = true,
         .lengths = {6, 1, 57},
         .long_lengths = {112, 57, 150}},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.out_cols = op.value_cols[0];
        op.forward = forward;
        op.reference = attention_reference;
        op.has_products = true;
        test_op_check(&op);
    }
}

/* The most that attention over so many frames takes, forward and backward. */
static size_t memory_of(size_t frames)
{
    enum { HEADS = 2, DIM = 16 };
    s3r_error err;
    s3r_pool *pool;
    s3r_tape tape;
    const uint64_t key = 1;
    const size_t offset[2] = {0, frames};
    assert_int_equal(s3r_pool_create(&pool, 2, &err), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    tape.is_recording = true;
    s3r_value *in[3];
    for (size_t i = 0; i < 3; i++) {
        in[i] = s3r_tape_value(&tape, frames, DIM);
        assert_non_null(in[i]);
        in[i]->needs_grad = true;
        for (size_t k = 0; k < frames * in[i]->stride; k++)
            in[i]->data[k] = (float)(k % 7) - 3;
    }
    const s3r_attention_options options = {.heads = HEADS, .utterance_keys = &key};
    s3r_value *y = s3r_op_attention(&tape, in[0], in[1], in[2],
                                    s3r_tape_ragged(&tape, 1, offset), &options);
    assert_non_null(y);
    float *dy = s3r_tape_grad(&tape, y);
    assert_non_null(dy);
    for (size_t k = 0; k < frames * y->stride; k++)
        dy[k] = 1;
    s3r_tape_backward(&tape);
    assert_int_equal(s3r_tape_status(&tape, &err), S3R_OK);
    size_t bytes = tape.arena.peak_bytes;
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
    return bytes;
}

/* Four times the frames: four times the memory, not sixteen. */
static void test_memory_is_linear(void **state)
{
    (void)state;
    size_t small = memory_of(750), large = memory_of(3000);
    if (large > small / 2 * 9)
        fail_msg("%zu bytes for 750 frames, %zu for 3000", small, large);
    assert_true(large < (size_t)3000 * 3000); /* of one head's logits a quarter */
}

enum { RUN_HEADS = 2, RUN_DIM = 16, RUN_FRAMES = 151 };

/* Attention in bf16 over random values; out [frames, dim]. */
static void run_bf16(size_t frames, double dropout, bool has_gradients, float *out)
{
    s3r_pool *pool;
    s3r_tape tape;
    const uint64_t key = 1;
    const size_t offset[2] = {0, frames};
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    tape.is_bf16 = true;
    tape.is_training = dropout > 0;
    tape.is_recording = has_gradients;
    s3r_value *in[3];
    for (size_t i = 0; i < 3; i++) {
        in[i] = s3r_tape_value(&tape, frames, RUN_DIM);
        assert_non_null(in[i]);
        in[i]->needs_grad = has_gradients;
        for (size_t t = 0; t < frames; t++)
            for (size_t j = 0; j < RUN_DIM; j++)
                in[i]->data[t * in[i]->stride + j] =
                    2 * (float)(s3r_random_at(i, t, j) >> 40) / (float)(1 << 24) - 1;
    }
    const s3r_attention_options options = {
        .heads = RUN_HEADS, .dropout = (float)dropout, .utterance_keys = &key};
    const s3r_value *y = s3r_op_attention(&tape, in[0], in[1], in[2],
                                          s3r_tape_ragged(&tape, 1, offset), &options);
    assert_non_null(y);
    for (size_t t = 0; t < frames; t++)
        memcpy(out + t * RUN_DIM, y->data + t * y->stride, RUN_DIM * sizeof *out);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

/* Without gradients exponentials are made in bf16 at once, which must be as good; with
 * dropout they are the same. */
static void test_bf16_without_gradients(void **state)
{
    (void)state;
    static float with[RUN_FRAMES * RUN_DIM], without[RUN_FRAMES * RUN_DIM];
    static const size_t lengths[] = {1, 2, 57, 64, 113, RUN_FRAMES};
    for (size_t l = 0; l < S3R_ARRAY_LEN(lengths); l++) {
        size_t count = lengths[l] * RUN_DIM;
        run_bf16(lengths[l], 0, true, with);
        run_bf16(lengths[l], 0, false, without);
        for (size_t i = 0; i < count; i++)
            assert_true(fabsf(with[i] - without[i]) < 1.0f / 256);
        run_bf16(lengths[l], 0.3, true, with);
        run_bf16(lengths[l], 0.3, false, without);
        assert_memory_equal(with, without, count * sizeof *with);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_bf16_without_gradients),
        cmocka_unit_test(test_memory_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
