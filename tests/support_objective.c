/*
 * Copies of golden tensors, and comparisons with them.
 */
#include "support_objective.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

void test_objective_open(test_objective *objective, const char *name, size_t threads,
                         s3r_cpu_level level)
{
    *objective = (test_objective){.name = name};
    test_golden_open(&objective->golden, "pretraining");
    assert_int_equal(s3r_pool_create(&objective->pool, threads, NULL), S3R_OK);
    s3r_tape_init(&objective->tape, objective->pool, s3r_kernels_get(level));
    objective->tape.is_recording = true;
    s3r_arena_init(&objective->arena, 1 << 20);
}

void test_objective_close(test_objective *objective)
{
    s3r_arena_release(&objective->arena);
    s3r_tape_release(&objective->tape);
    s3r_pool_destroy(objective->pool);
    test_golden_close(&objective->golden);
}

const s3r_tensor *test_objective_find(const test_objective *objective, const char *key)
{
    return test_golden_find(&objective->golden, "%s.%s", objective->name, key);
}

static const s3r_tensor *need(const test_objective *objective, const char *key)
{
    const s3r_tensor *tensor = test_objective_find(objective, key);
    if (!tensor)
        fail_msg("%s.%s is not in the file", objective->name, key);
    return tensor;
}

double test_objective_number(const test_objective *objective, const char *key,
                             size_t index)
{
    const s3r_tensor *tensor = need(objective, key);
    assert_true(index < s3r_tensor_elements(tensor));
    return (double)((const float *)tensor->data)[index];
}

static float *copy_of(test_objective *objective, const s3r_tensor *tensor)
{
    float *copy = s3r_arena_alloc(&objective->arena, tensor->size_bytes, 1);
    assert_non_null(copy);
    return memcpy(copy, tensor->data, tensor->size_bytes);
}

s3r_value *test_objective_value(test_objective *objective, const char *key)
{
    const s3r_tensor *tensor = need(objective, key);
    s3r_value *value =
        s3r_tape_wrap(&objective->tape, copy_of(objective, tensor), tensor->shape[0],
                      tensor->shape[1], tensor->shape[1]);
    if (value)
        value->needs_grad = true;
    return value;
}

s3r_weight test_objective_weight(test_objective *objective, const char *key)
{
    const s3r_tensor *tensor = need(objective, key);
    s3r_weight weight = {.data = copy_of(objective, tensor),
                         .dtype = S3R_DTYPE_F32,
                         .rows = tensor->rank > 1 ? tensor->shape[0] : 1,
                         .cols = tensor->shape[tensor->rank - 1],
                         .grad = copy_of(objective, tensor)};
    memset(weight.grad, 0, tensor->size_bytes);
    return weight;
}

size_t *test_objective_rows(test_objective *objective, const char *key, size_t *count)
{
    const s3r_tensor *tensor = need(objective, key);
    *count = s3r_tensor_elements(tensor);
    size_t *rows = s3r_arena_alloc(&objective->arena, *count, sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < *count; i++)
        rows[i] = (size_t)((const float *)tensor->data)[i];
    return rows;
}

void test_objective_check(const test_objective *objective, const char *key,
                          const float *grad, size_t rows, size_t cols, size_t stride,
                          double tolerance)
{
    const s3r_tensor *tensor =
        test_golden_find(&objective->golden, "%s.grad.%s", objective->name, key);
    const float *expected = tensor ? tensor->data : NULL;
    double largest = 0;
    assert_true(!tensor || s3r_tensor_elements(tensor) == rows * cols);
    for (size_t i = 0; expected && i < rows * cols; i++)
        largest = fmax(largest, fabs((double)expected[i]));
    for (size_t i = 0; i < rows * cols; i++) {
        double found = grad ? (double)grad[i / cols * stride + i % cols] : 0.0;
        double wanted = expected ? (double)expected[i] : 0.0;
        if (!(fabs(found - wanted) <= tolerance * largest))
            fail_msg(
                "%s: gradient of %s, element %zu: expected %.9g, found %.9g (largest "
                "%.3g)",
                objective->name, key, i, wanted, found, largest);
    }
}

void test_objective_check_weight(const test_objective *objective, const char *key,
                                 const s3r_weight *weight, double tolerance)
{
    test_objective_check(objective, key, weight->grad, weight->rows, weight->cols,
                         weight->cols, tolerance);
}
