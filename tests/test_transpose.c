/*
 * Transposes of shapes around the blocks, in both types, on every CPU level.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "ops/half.h"
#include "ops/transpose.h"

#define PAD 3u /* elements behind each row of x */

static void check_shape(s3r_tape *tape, size_t rows, size_t cols, bool is_bf16)
{
    size_t elements, stride, x_stride = cols + PAD;
    assert_true(s3r_transpose_size(rows, cols, is_bf16, &elements, &stride));
    float *x = s3r_alloc(rows * x_stride, sizeof *x);
    float *out = s3r_alloc_raw(elements, sizeof *out);
    assert_true(x && out && stride >= rows + rows % 2);
    memset(out, 0x7f, elements * sizeof *out);
    for (size_t i = 0; i < rows * x_stride; i++)
        x[i] = (float)i;
    s3r_transpose(tape, rows, cols, x, x_stride, is_bf16, out, stride);
    const uint16_t *narrow = (const uint16_t *)(void *)out;
    for (size_t j = 0; j < cols; j++) {
        for (size_t i = 0; i < rows; i++) {
            float expected = x[i * x_stride + j];
            if (is_bf16)
                assert_int_equal(narrow[j * stride + i], s3r_f32_to_bf16(expected));
            else
                assert_true(out[j * stride + i] == expected);
        }
        if (is_bf16 && rows % 2 == 1)
            assert_int_equal(narrow[j * stride + rows], 0);
    }
    s3r_free(x);
    s3r_free(out);
}

static void test_shapes(void **state)
{
    static const size_t rows[] = {1, 2, 17, 255, 256, 257, 513};
    static const size_t cols[] = {1, 16, 63, 64, 65, 130};
    (void)state;
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        s3r_pool *pool;
        s3r_tape tape;
        assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
        s3r_tape_init(&tape, pool, s3r_kernels_get((s3r_cpu_level)level));
        for (size_t i = 0; i < S3R_ARRAY_LEN(rows); i++)
            for (size_t j = 0; j < S3R_ARRAY_LEN(cols); j++)
                for (int is_bf16 = 0; is_bf16 < 2; is_bf16++)
                    check_shape(&tape, rows[i], cols[j], is_bf16);
        s3r_tape_release(&tape);
        s3r_pool_destroy(pool);
    }
}

static void test_too_large(void **state)
{
    size_t elements, stride;
    (void)state;
    assert_false(
        s3r_transpose_size(SIZE_MAX / 16, SIZE_MAX / 16, false, &elements, &stride));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
