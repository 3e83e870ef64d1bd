/*
 * Buckets of relative positions, and the position table and gate in front of attention,
 * all of them fed by one value, against double.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "ops/op_attention.h"
#include "ops/op_relative_position.h"
#include "support_gradient.h"

enum {
    HEADS = 2,
    WIDTH = 3,
    DIM = HEADS * WIDTH,
    BUCKETS = 16,
    DISTANCE = 20,
    CENTER = 60
};

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    s3r_value *x = in->value[0];
    s3r_attention_options attention = {.heads = HEADS};
    attention.position = s3r_op_relative_table(in->tape, in->weight[0], DISTANCE, CENTER);
    attention.gate = s3r_op_relative_gate(in->tape, x, HEADS, in->weight[1],
                                          in->weight[2], in->weight[3]);
    if (!attention.position || !attention.gate)
        return NULL;
    return s3r_op_attention(in->tape, x, x, x, in->frames, &attention);
}

/* Written from the definition: small distances have a bucket each. */
static size_t bucket_of(size_t query, size_t key)
{
    double magnitude = fabs((double)key - (double)query), exact = BUCKETS / 4;
    double bucket = magnitude;
    if (magnitude >= exact)
        bucket =
            fmin(exact + floor(log(magnitude / exact) / log(DISTANCE / exact) * exact),
                 BUCKETS / 2 - 1);
    return (size_t)bucket + (key > query ? BUCKETS / 2 : 0);
}

static double gate_of(const test_op_reference *in, size_t query, size_t head)
{
    double sigmoid[2];
    for (size_t s = 0; s < 2; s++) {
        double sum = 0;
        for (size_t r = 4 * s; r < 4 * s + 4; r++) {
            sum += in->weight[2][r];
            for (size_t c = 0; c < WIDTH; c++)
                sum += in->value[0][query * DIM + head * WIDTH + c] *
                       in->weight[1][r * WIDTH + c];
        }
        sigmoid[s] = 1 / (1 + exp(-sum));
    }
    return sigmoid[0] * (sigmoid[1] * in->weight[3][head] - 1) + 2;
}

static void attend(const test_op_reference *in, size_t query, size_t head, double *out)
{
    const double *x = in->value[0] + head * WIDTH;
    double total = 0, gate = gate_of(in, query, head);
    for (size_t c = 0; c < WIDTH; c++)
        out[c] = 0;
    for (size_t j = 0; j < in->frames; j++) {
        double logit = 0;
        for (size_t c = 0; c < WIDTH; c++)
            logit += x[query * DIM + c] * x[j * DIM + c] / sqrt(WIDTH);
        double p = exp(logit + gate * in->weight[0][bucket_of(query, j) * HEADS + head]);
        total += p;
        for (size_t c = 0; c < WIDTH; c++)
            out[c] += p * x[j * DIM + c];
    }
    for (size_t c = 0; c < WIDTH; c++)
        out[c] /= total;
}

static void position_reference(const test_op *op, const test_op_reference *in,
                               double *out)
{
    (void)op;
    for (size_t i = 0; i < in->frames; i++)
        for (size_t h = 0; h < HEADS; h++)
            attend(in, i, h, out + i * DIM + h * WIDTH);
}

static void test_gated_position(void **state)
{
    (void)state;
    const test_op op = {
        .name = "gated relative position",
        .value_cols = {DIM},
        .weight = {{BUCKETS, HEADS}, {8, WIDTH}, {1, 8}, {1, HEADS}},
        .out_cols = DIM,
        .forward = forward,
        .reference = position_reference,
        .has_products = true,
        .lengths = {5, 1, 58},
        .long_lengths = {60, 1, 57},
    };
    test_op_check(&op);
}

static void test_buckets(void **state)
{
    (void)state;
    /* 320 buckets up to 800, as WavLM has them: 80 exact ones a sign, then
     * 80 + floor(80 log10(distance / 80)). */
    static const struct {
        int64_t distance;
        size_t bucket;
    } known[] = {
        {0, 0},      {1, 161},     {-1, 1},     {79, 239},  {-79, 79},
        {80, 240},   {-80, 80},    {-100, 87},  {100, 247}, {-799, 159},
        {-800, 159}, {-5000, 159}, {1000, 319}, {253, 280}, {-252, 119},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(known); i++)
        assert_int_equal(s3r_relative_bucket(known[i].distance, 320, 800),
                         known[i].bucket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gated_position),
        cmocka_unit_test(test_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
