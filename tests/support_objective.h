/*
 * Test support: a case of tests/golden/pretraining on a tape.
 */
#ifndef S3R_TESTS_SUPPORT_OBJECTIVE_H
#define S3R_TESTS_SUPPORT_OBJECTIVE_H

#include "ops/tape.h"
#include "support_model.h"

typedef struct test_objective {
    test_golden golden;
    const char *name; /* "plain.prediction" */
    s3r_pool *pool;
    s3r_tape tape; /* recording */
    s3r_arena arena;
} test_objective;

void test_objective_open(test_objective *objective, const char *name, size_t threads,
                         s3r_cpu_level level);
void test_objective_close(test_objective *objective);

/* The tensor CASE.KEY, or NULL. */
const s3r_tensor *test_objective_find(const test_objective *objective, const char *key);
/* Element `index` of a tensor that must be there. */
double test_objective_number(const test_objective *objective, const char *key,
                             size_t index);
/* A copy of CASE.KEY as rows or as a value that wants a gradient. */
s3r_value *test_objective_value(test_objective *objective, const char *key);
/* A copy as a weight with a zeroed gradient. */
s3r_weight test_objective_weight(test_objective *objective, const char *key);
/* CASE.KEY as row numbers. */
size_t *test_objective_rows(test_objective *objective, const char *key, size_t *count);

/* Compares [rows, cols] with CASE.grad.KEY (zeros when it is not there), relative to the
 * largest element of it. */
void test_objective_check(const test_objective *objective, const char *key,
                          const float *grad, size_t rows, size_t cols, size_t stride,
                          double tolerance);
void test_objective_check_weight(const test_objective *objective, const char *key,
                                 const s3r_weight *weight, double tolerance);

#endif
