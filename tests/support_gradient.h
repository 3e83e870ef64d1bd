/*
 * Test support: an op of the tape against a reference in double that the test writes.
 *
 * The reference knows one utterance, so that whatever an op does across utterances shows.
 * Checked are the forward pass, all gradients (against central differences of the
 * reference), frozen weights, independence from threads and batch bit for bit, every CPU
 * level, bf16 products and failing allocations.
 */
#ifndef S3R_TESTS_SUPPORT_GRADIENT_H
#define S3R_TESTS_SUPPORT_GRADIENT_H

#include "ops/tape.h"

#define TEST_OP_VALUES  4
#define TEST_OP_WEIGHTS 8

typedef struct test_op test_op;

/* What an op is made of: fp32 on the tape. */
typedef struct test_op_input {
    s3r_tape *tape;
    s3r_ragged frames;
    const uint64_t *keys; /* one an utterance */
    s3r_value *value[TEST_OP_VALUES];
    s3r_weight *weight[TEST_OP_WEIGHTS];
} test_op_input;

/* The same in double for one utterance. */
typedef struct test_op_reference {
    size_t frames;
    uint64_t key;
    const double *value[TEST_OP_VALUES];   /* [frames][cols] */
    const double *weight[TEST_OP_WEIGHTS]; /* [rows][cols] */
} test_op_reference;

typedef struct test_shape {
    size_t rows, cols;
} test_shape;

struct test_op {
    const char *name;
    size_t value_cols[TEST_OP_VALUES];  /* 0 = no more values */
    test_shape weight[TEST_OP_WEIGHTS]; /* rows 0 = no more weights */
    size_t out_cols;
    /* Frames that come out of an utterance; NULL: as many as go in. */
    size_t (*out_frames)(const test_op *op, size_t frames);
    s3r_value *(*forward)(const test_op *op, const test_op_input *in);
    void (*reference)(const test_op *op, const test_op_reference *in, double *out);
    const void *options;
    bool has_products; /* also runs in bf16 */
    bool is_training;
    /* Largest error relative to the largest element; 0: 2e-6 and 1e-5. */
    double forward_tolerance, gradient_tolerance;
    float offset;           /* added to the inputs, to provoke cancellation */
    size_t lengths[4];      /* small utterances for the differences; 0 = no more */
    size_t long_lengths[3]; /* enough frames for several parallel ranges and pieces, of
                               which fewer gradients are checked; may be 0 */
};

/* gelu(x), exact, for references. */
double test_gelu(double x);

/* All checks.  Fails the running test with the op's name and the numbers. */
void test_op_check(const test_op *op);

#endif
