/*
 * Test support: a model folder opened with everything that the network needs, and the
 * reference tensors beside it.
 */
#ifndef S3R_TESTS_SUPPORT_MODEL_H
#define S3R_TESTS_SUPPORT_MODEL_H

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "model/model_weights.h"

typedef struct test_model {
    s3r_pool *pool;
    const s3r_kernels *kernels;
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
    s3r_model_weights weights;
} test_model;

/* Opens tests/golden/NAME or fails the test. */
void test_model_open(test_model *model, const char *name, s3r_cpu_level level,
                     size_t threads, bool is_bf16, bool keeps_unpacked);
void test_model_close(test_model *model);

typedef struct test_golden {
    s3r_file_map map;
    s3r_safetensors file;
    float *widened;
} test_golden;

/* Opens tests/golden/NAME/golden.safetensors or fails the test; tensors stored as F16,
 * which hold what they hold exactly, are F32 from then on. */
void test_golden_open(test_golden *golden, const char *name);
void test_golden_close(test_golden *golden);
/* The tensor of that printf-like name, NULL when absent. */
const s3r_tensor *test_golden_find(const test_golden *golden, const char *format, ...)
    S3R_PRINTF(2, 3);

#endif
