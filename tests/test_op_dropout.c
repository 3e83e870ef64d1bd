/*
 * Dropout: the gradient follows the mask, the mask is fair and depends on the utterance,
 * the frame, the column, the seed and the op alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/op_dropout.h"
#include "support_gradient.h"

#define P 0.3

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    (void)op;
    s3r_value *first = s3r_op_dropout(in->tape, in->value[0], in->frames, in->keys, P);
    return s3r_op_dropout(in->tape, first, in->frames, in->keys, P);
}

static bool is_kept(uint64_t serial, uint64_t utterance, size_t frame, size_t col)
{
    uint64_t op_key = s3r_random_at(99, serial, 0); /* 99: the seed of the test support */
    uint64_t key = s3r_random_at(op_key, utterance, frame);
    uint32_t bits = s3r_hash_lane((uint32_t)key, (uint32_t)(key >> 32), (uint32_t)col);
    return bits >= P * 4294967296.0 - 1;
}

static void dropout_reference(const test_op *op, const test_op_reference *in, double *out)
{
    size_t cols = op->value_cols[0];
    for (size_t i = 0; i < in->frames * cols; i++) {
        size_t frame = i / cols, col = i % cols;
        bool kept = is_kept(0, in->key, frame, col) && is_kept(1, in->key, frame, col);
        out[i] = kept ? in->value[0][i] / ((1 - P) * (1 - P)) : 0;
    }
}

static void test_dropout(void **state)
{
    (void)state;
    const test_op op = {.name = "dropout",
                        .value_cols = {50},
                        .out_cols = 50,
                        .forward = forward,
                        .reference = dropout_reference,
                        .is_training = true,
                        .lengths = {4, 1, 7},
                        .long_lengths = {300, 1, 250}};
    test_op_check(&op);
}

enum { FRAMES = 200, COLS = 96 };

typedef struct fixture {
    s3r_pool *pool;
    s3r_tape tape;
    s3r_value *x;
    s3r_ragged frames;
    uint64_t key;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    static const size_t offset[2] = {0, FRAMES};
    assert_int_equal(s3r_pool_create(&f.pool, 1, NULL), S3R_OK);
    s3r_tape_init(&f.tape, f.pool, s3r_kernels_get(s3r_cpu_detect()));
    f.x = s3r_tape_value(&f.tape, FRAMES, COLS);
    for (size_t i = 0; i < FRAMES * f.x->stride; i++)
        f.x->data[i] = 1;
    f.frames = (s3r_ragged){1, offset};
    f.key = 5;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    s3r_tape_release(&f->tape);
    s3r_pool_destroy(f->pool);
    return 0;
}

static void test_does_nothing_outside_training(void **state)
{
    fixture *f = *state;
    assert_ptr_equal(s3r_op_dropout(&f->tape, f->x, f->frames, &f->key, 0.5), f->x);
    f->tape.is_training = true;
    assert_ptr_equal(s3r_op_dropout(&f->tape, f->x, f->frames, &f->key, 0), f->x);
    assert_null(s3r_op_dropout(&f->tape, NULL, f->frames, &f->key, 0.5));
    assert_int_equal(f->tape.dropout_serial, 3);
}

/* How often two masks agree and how much is kept, within five standard errors. */
static void check_masks(const s3r_value *a, const s3r_value *b, double p)
{
    size_t kept = 0, both = 0;
    for (size_t i = 0; i < FRAMES; i++) {
        for (size_t j = 0; j < COLS; j++) {
            float x = a->data[i * a->stride + j], y = b->data[i * b->stride + j];
            assert_true(x == 0 || fabs((double)x * (1 - p) - 1) < 1e-6);
            kept += x != 0;
            both += x != 0 && y != 0;
        }
    }
    double n = FRAMES * COLS, q = 1 - p;
    assert_true(fabs((double)kept / n - q) < 5 * sqrt(p * q / n));
    assert_true(fabs((double)both / n - q * q) < 5 * sqrt(q * q * (1 - q * q) / n));
}

static void test_masks_are_fair_and_independent(void **state)
{
    fixture *f = *state;
    static const double rates[] = {0.05, 0.1, 0.5, 0.9};
    f->tape.is_training = true;
    for (size_t i = 0; i < S3R_ARRAY_LEN(rates); i++) {
        double p = rates[i];
        f->tape.dropout_seed = 1, f->tape.dropout_serial = 0, f->key = 5;
        s3r_value *first = s3r_op_dropout(&f->tape, f->x, f->frames, &f->key, p);
        s3r_value *next_op = s3r_op_dropout(&f->tape, f->x, f->frames, &f->key, p);
        f->tape.dropout_seed = 2, f->tape.dropout_serial = 0;
        s3r_value *next_seed = s3r_op_dropout(&f->tape, f->x, f->frames, &f->key, p);
        f->tape.dropout_seed = 1, f->tape.dropout_serial = 0, f->key = 6;
        s3r_value *next_key = s3r_op_dropout(&f->tape, f->x, f->frames, &f->key, p);
        check_masks(first, next_op, p);
        check_masks(first, next_seed, p);
        check_masks(first, next_key, p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropout),
        cmocka_unit_test_setup_teardown(test_does_nothing_outside_training, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_masks_are_fair_and_independent, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
