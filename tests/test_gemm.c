/*
 * Products against a double-precision sum, on every CPU level of the machine: random
 * shapes with tails, all layouts and stored types, overlapping rows, segments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "ops/gemm.h"
#include "ops/half.h"

static uint64_t seed = 12345;

static float uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(seed >> 32) * (1.0f / 2147483648.0f);
}

static float *random_floats(size_t n)
{
    float *x = s3r_alloc(n, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = uniform();
    return x;
}

static void *stored_copy(const float *x, size_t n, s3r_dtype dtype)
{
    unsigned char *out = s3r_alloc(n, s3r_dtype_size(dtype));
    assert_non_null(out);
    for (size_t i = 0; i < n; i++) {
        uint16_t half =
            dtype == S3R_DTYPE_F16 ? s3r_f32_to_f16(x[i]) : s3r_f32_to_bf16(x[i]);
        if (dtype == S3R_DTYPE_F32)
            memcpy(out + 4 * i, x + i, 4);
        else
            memcpy(out + 2 * i, &half, 2);
    }
    return out;
}

typedef struct gemm_case {
    size_t m, n, k;
    size_t a_stride; /* 0 = k */
    size_t segment, segment_stride;
} gemm_case;

static const gemm_case cases[] = {
    {1, 1, 1, 0, 0, 0},     {14, 32, 64, 0, 0, 0},    {15, 33, 66, 0, 0, 0},
    {49, 29, 10, 0, 0, 0},  {7, 80, 2050, 0, 0, 0},   {31, 48, 96, 8, 0, 0},
    {100, 96, 30, 0, 0, 0}, {13, 17, 96, 64, 32, 40}, {3, 64, 1, 0, 0, 0},
    {1030, 5, 16, 0, 0, 0}, {29, 40, 2600, 10, 0, 0}, {2, 130, 77, 0, 0, 0},
};

/* Largest error of C against double, relative to the sum of absolute products. `before`
 * is what C began with, or the addend; it and the bias may be NULL. */
static double worst_error(const gemm_case *g, const float *a, const void *b,
                          s3r_dtype type, s3r_b_layout layout, size_t b_stride,
                          const float *bias, const float *c, const float *before)
{
    double worst = 0;
    size_t a_stride = g->a_stride ? g->a_stride : g->k;
    size_t segment = g->segment ? g->segment : g->k;
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < g->n; j++) {
            double sum = bias ? (double)bias[j] : 0.0, scale = 1;
            sum += before ? (double)before[i * g->n + j] : 0.0;
            for (size_t p = 0; p < g->k; p++) {
                double x = (double)
                    a[i * a_stride + p / segment * g->segment_stride + p % segment];
                size_t at =
                    layout == S3R_B_TRANSPOSED ? j * b_stride + p : p * b_stride + j;
                double term = x * (double)s3r_element_to_f32(b, type, at);
                sum += term;
                scale += fabs(term);
            }
            worst = fmax(worst, fabs(sum - (double)c[i * g->n + j]) / scale);
        }
    }
    return worst;
}

/* What the sums of a product begin with. */
typedef enum sum_start {
    FROM_C,
    FROM_ADDEND,
    FROM_BIAS,
    FROM_ZERO,
    SUM_STARTS
} sum_start;

static void run_case(s3r_pool *pool, const s3r_kernels *kernels, const gemm_case *g,
                     bool is_bf16, s3r_b_layout layout, bool prepack, s3r_dtype type,
                     sum_start start)
{
    size_t a_stride = g->a_stride ? g->a_stride : g->k;
    size_t a_size = g->m * a_stride + g->k * 2 + 64;
    size_t b_stride = (layout == S3R_B_TRANSPOSED ? g->k : g->n) + 3;
    size_t b_size = b_stride * (layout == S3R_B_TRANSPOSED ? g->n : g->k) + 1;
    float *a = random_floats(a_size), *b_values = random_floats(b_size);
    float *bias = random_floats(g->n), *before = random_floats(g->m * g->n);
    uint16_t *a_bf16 = s3r_alloc(a_size, 2);
    kernels->f32_to_bf16(a_size, a, a_bf16);
    for (size_t i = 0; is_bf16 && i < a_size; i++)
        a[i] = s3r_bf16_to_f32(a_bf16[i]);
    unsigned char *b = stored_copy(b_values, b_size, type);
    float *c = s3r_alloc(g->m * g->n, 4);
    memcpy(c, before, g->m * g->n * 4);
    s3r_product product = {.m = g->m,
                           .n = g->n,
                           .k = g->k,
                           .a = is_bf16 ? (const void *)a_bf16 : a,
                           .is_bf16 = is_bf16,
                           .a_stride = a_stride,
                           .a_segment = g->segment,
                           .a_segment_stride = g->segment_stride,
                           .b = b,
                           .b_layout = layout,
                           .b_dtype = type,
                           .b_stride = b_stride,
                           .c = c,
                           .c_stride = g->n,
                           .accumulate = start == FROM_C,
                           .addend = start == FROM_ADDEND ? before : NULL,
                           .addend_stride = g->n,
                           .bias =
                               start == FROM_ADDEND || start == FROM_BIAS ? bias : NULL};
    void *packed = NULL;
    if (prepack) {
        packed = s3r_alloc(s3r_packed_bytes(g->k, g->n, is_bf16), 1);
        s3r_pack_panels(kernels, g->k, g->n, b, layout, type, b_stride, is_bf16, packed);
        product.b = packed;
        product.b_layout = S3R_B_PACKED;
        product.b_stride = 0;
    }
    s3r_products_run(pool, kernels, &product, 1);
    double tolerance = is_bf16 ? 8e-3 : 1e-6;
    if (is_bf16 && type == S3R_DTYPE_BF16)
        tolerance = 2e-6; /* both operands are exact */
    bool has_before = start == FROM_C || start == FROM_ADDEND;
    double worst = worst_error(g, a, b, type, layout, b_stride, product.bias, c,
                               has_before ? before : NULL);
    if (!(worst < tolerance))
        fail_msg("%s m=%zu n=%zu k=%zu bf16=%d layout=%d packed=%d type=%s start=%d: %g",
                 s3r_cpu_level_name(kernels->level), g->m, g->n, g->k, is_bf16, layout,
                 prepack, s3r_dtype_name(type), start, worst);
    s3r_free(packed);
    s3r_free(a), s3r_free(b_values), s3r_free(bias), s3r_free(before);
    s3r_free(a_bf16), s3r_free(b), s3r_free(c);
}

static void test_products_match_double(void **state)
{
    (void)state;
    static const s3r_dtype types[] = {S3R_DTYPE_F32, S3R_DTYPE_F16, S3R_DTYPE_BF16};
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
        assert_int_equal(kernels->level, level);
        for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
            for (int variant = 0; variant < 24 * SUM_STARTS; variant++) {
                bool is_bf16 = variant & 1;
                run_case(pool, kernels, &cases[i], is_bf16,
                         variant & 2 ? S3R_B_PLAIN : S3R_B_TRANSPOSED, variant & 4,
                         types[variant / 8 % 3], (sum_start)(variant / 24));
            }
        }
    }
    s3r_pool_destroy(pool);
}

/* About nine of ten bits of [rows, cols] set; a stored copy of b with the others 0. */
static uint64_t *random_mask(size_t rows, size_t cols, size_t stride, unsigned char *b,
                             size_t b_stride, s3r_dtype type)
{
    uint64_t *bits = s3r_alloc(rows * stride, sizeof *bits);
    size_t bytes = s3r_dtype_size(type);
    assert_non_null(bits);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j++) {
            if (uniform() < 0.8f)
                bits[i * stride + j / 64] |= (uint64_t)1 << j % 64;
            else
                memset(b + (i * b_stride + j) * bytes, 0, bytes);
        }
    }
    return bits;
}

static void run_masked(s3r_pool *pool, const s3r_kernels *kernels, const gemm_case *g,
                       bool is_bf16, s3r_b_layout layout, s3r_dtype type)
{
    bool is_transposed = layout == S3R_B_TRANSPOSED;
    size_t rows = is_transposed ? g->n : g->k, cols = is_transposed ? g->k : g->n;
    size_t a_stride = g->a_stride ? g->a_stride : g->k;
    size_t a_size = g->m * a_stride + g->k * 2 + 64, b_stride = cols + 3;
    size_t kept_stride = S3R_CEIL_DIV(cols, 64u);
    float *a = random_floats(a_size), *b_values = random_floats(rows * b_stride);
    uint16_t *a_bf16 = s3r_alloc(a_size, 2);
    kernels->f32_to_bf16(a_size, a, a_bf16);
    unsigned char *b = stored_copy(b_values, rows * b_stride, type);
    unsigned char *zeroed = stored_copy(b_values, rows * b_stride, type);
    uint64_t *kept = random_mask(rows, cols, kept_stride, zeroed, b_stride, type);
    float *c = s3r_alloc(g->m * g->n, 4), *expected = s3r_alloc(g->m * g->n, 4);
    s3r_product product = {.m = g->m,
                           .n = g->n,
                           .k = g->k,
                           .a = is_bf16 ? (const void *)a_bf16 : a,
                           .is_bf16 = is_bf16,
                           .a_stride = a_stride,
                           .a_segment = g->segment,
                           .a_segment_stride = g->segment_stride,
                           .b = zeroed,
                           .b_layout = layout,
                           .b_dtype = type,
                           .b_stride = b_stride,
                           .c = expected,
                           .c_stride = g->n};
    s3r_products_run(pool, kernels, &product, 1);
    product.b = b;
    product.b_kept = kept;
    product.b_kept_stride = kept_stride;
    product.c = c;
    s3r_products_run(pool, kernels, &product, 1);
    if (memcmp(c, expected, g->m * g->n * 4) != 0)
        fail_msg("%s m=%zu n=%zu k=%zu bf16=%d layout=%d type=%s: not as a zeroed B",
                 s3r_cpu_level_name(kernels->level), g->m, g->n, g->k, is_bf16, layout,
                 s3r_dtype_name(type));
    s3r_free(a), s3r_free(b_values), s3r_free(a_bf16), s3r_free(b), s3r_free(zeroed);
    s3r_free(kept), s3r_free(c), s3r_free(expected);
}

/* A masked product has the bits of one with a zeroed copy of B. */
static void test_masked_products(void **state)
{
    (void)state;
    static const s3r_dtype types[] = {S3R_DTYPE_F32, S3R_DTYPE_F16, S3R_DTYPE_BF16};
    static const gemm_case odd[] = {
        {5, 65, 63, 0, 0, 0},   {3, 31, 129, 0, 0, 0},    {2, 97, 1090, 0, 0, 0},
        {4, 40, 3072, 0, 0, 0}, {1, 100, 200, 0, 50, 60},
    };
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
        for (size_t i = 0; i < S3R_ARRAY_LEN(cases) + S3R_ARRAY_LEN(odd); i++) {
            const gemm_case *g =
                i < S3R_ARRAY_LEN(cases) ? &cases[i] : &odd[i - S3R_ARRAY_LEN(cases)];
            for (int variant = 0; variant < 12; variant++)
                run_masked(pool, kernels, g, variant & 1,
                           variant & 2 ? S3R_B_PLAIN : S3R_B_TRANSPOSED,
                           types[variant / 4]);
        }
    }
    s3r_pool_destroy(pool);
}

/* Of dense matrices: (m, k) fp32 or bf16 by (n, k) fp32, and GELU. */
static s3r_product gelu_product(size_t m, size_t n, size_t k, const void *a, bool is_bf16,
                                const float *b, float *c)
{
    return (s3r_product){.m = m,
                         .n = n,
                         .k = k,
                         .a = a,
                         .is_bf16 = is_bf16,
                         .a_stride = k,
                         .b = b,
                         .b_dtype = S3R_DTYPE_F32,
                         .b_stride = k,
                         .c = c,
                         .c_stride = n,
                         .gelu = true};
}

/* The same product alone, in a longer matrix, and with 1, 2 and 3 threads: same bits. */
static void test_bits_do_not_depend_on_rows_or_threads(void **state)
{
    (void)state;
    enum { M = 77, N = 200, K = 1500 };
    float *a = random_floats(M * K), *b = random_floats(N * K);
    float *c = s3r_alloc(M * N, 4), *reference = s3r_alloc(M * N, 4);
    uint16_t *a_bf16 = s3r_alloc(M * K, 2);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
        kernels->f32_to_bf16(M * K, a, a_bf16);
        for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
            for (size_t threads = 1; threads <= 3; threads++) {
                s3r_pool *pool;
                assert_int_equal(s3r_pool_create(&pool, threads, NULL), S3R_OK);
                for (size_t rows = threads == 1 ? M : 1; rows <= M; rows += 19) {
                    s3r_product product =
                        gelu_product(rows, N, K, is_bf16 ? (const void *)a_bf16 : a,
                                     is_bf16, b, threads == 1 ? reference : c);
                    s3r_products_run(pool, kernels, &product, 1);
                    if (threads > 1)
                        assert_memory_equal(c, reference, rows * N * 4);
                }
                s3r_pool_destroy(pool);
            }
        }
    }
    s3r_free(a), s3r_free(b), s3r_free(c), s3r_free(reference), s3r_free(a_bf16);
}

/* Bits agree between all levels that have fused multiply-add; those of bf16 where no
 * level has its own products of them. */
static void test_levels_agree(void **state)
{
    (void)state;
    enum { M = 20, N = 40, K = 300 };
    float *a = random_floats(M * K), *b = random_floats(N * K);
    float *first = s3r_alloc(2 * M * N, 4), *c = s3r_alloc(M * N, 4);
    uint16_t *a_bf16 = s3r_alloc(M * K, 2);
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    for (int level = S3R_CPU_AVX2; level <= (int)s3r_cpu_detect(); level++) {
        const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
        kernels->f32_to_bf16(M * K, a, a_bf16);
        for (int is_bf16 = 0; is_bf16 < (level < S3R_CPU_AVX512BF16 ? 2 : 1); is_bf16++) {
            float *expected = first + (size_t)is_bf16 * M * N;
            s3r_product product =
                gelu_product(M, N, K, is_bf16 ? (const void *)a_bf16 : a, is_bf16, b,
                             level == S3R_CPU_AVX2 ? expected : c);
            s3r_products_run(pool, kernels, &product, 1);
            if (level > S3R_CPU_AVX2)
                assert_memory_equal(expected, c, M * N * 4);
        }
    }
    s3r_pool_destroy(pool);
    s3r_free(a), s3r_free(b), s3r_free(first), s3r_free(c), s3r_free(a_bf16);
}

static void test_half_conversions(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        float f16 = s3r_f16_to_f32(half), bf16 = s3r_bf16_to_f32(half);
        if (f16 == f16)
            assert_int_equal(s3r_f32_to_f16(f16), half);
        if (bf16 == bf16)
            assert_int_equal(s3r_f32_to_bf16(bf16), half);
    }
    assert_int_equal(s3r_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(s3r_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(s3r_f32_to_bf16(1.00390625f), 0x3f80); /* tie to even */
    assert_int_equal(s3r_f32_to_bf16(1.01171875f), 0x3f82);
}

/* Every level, with edges; nothing is written outside. */
static void test_transposes(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {16, 16}, {17, 15}, {56, 499},
                                      {33, 32}, {5, 48},  {31, 1}};
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
        for (size_t s = 0; s < S3R_ARRAY_LEN(sizes); s++) {
            size_t rows = sizes[s][0], cols = sizes[s][1];
            size_t x_stride = cols + 3, y_stride = rows + 5, count = cols * y_stride;
            float *x = random_floats(rows * x_stride), *y = random_floats(count);
            uint16_t *narrow = s3r_alloc(count, 2);
            float *before = s3r_alloc(count, 4);
            memcpy(before, y, count * 4);
            memset(narrow, 0x55, count * 2);
            kernels->transpose_f32(rows, cols, x, x_stride, y, y_stride);
            kernels->transpose_bf16(rows, cols, x, x_stride, narrow, y_stride);
            for (size_t i = 0; i < count; i++) {
                size_t row = i % y_stride, col = i / y_stride;
                bool is_inside = row < rows, is_pad = row == rows && rows % 2;
                float value = is_inside ? x[row * x_stride + col] : before[i];
                uint16_t half = is_pad ? 0 : is_inside ? s3r_f32_to_bf16(value) : 0x5555;
                assert_true(y[i] == value);
                assert_int_equal(narrow[i], half);
            }
            s3r_free(x), s3r_free(y), s3r_free(narrow), s3r_free(before);
        }
    }
}

/* exp and gelu of every level against libm in double. */
static void test_vector_math(void **state)
{
    (void)state;
    enum { N = 4001 };
    float *x = s3r_alloc(N, 4), *y = s3r_alloc(N, 4), *one = s3r_alloc(N, 4);
    for (size_t i = 0; i < N; i++) {
        x[i] = ((float)i - 2000.0f) * 0.01f;
        one[i] = 1.0f;
    }
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
        kernels->gelu(N, x, y);
        for (size_t i = 0; i < N; i++) {
            double t = (double)x[i], expected = 0.5 * t * erfc(-t / sqrt(2));
            assert_true(fabs((double)y[i] - expected) < 1e-7 * (1 + fabs(t)));
        }
        kernels->gelu_grad(N, x, one, y);
        for (size_t i = 0; i < N; i++) {
            double t = (double)x[i];
            double expected = 0.5 * erfc(-t / sqrt(2)) +
                              t * exp(-0.5 * t * t) / sqrt(2 * 3.14159265358979);
            assert_true(fabs((double)y[i] - expected) < 6e-7); /* a few ulp of 1 */
        }
        double total = kernels->exp_sum(N, 20.0f, x, y), expected_total = 0;
        for (size_t i = 0; i < N; i++) {
            double expected = exp((double)(x[i] - 20.0f));
            expected_total += expected;
            assert_true(fabs((double)y[i] - expected) < 4e-7 * expected);
        }
        assert_true(fabs(total - expected_total) < 1e-6 * expected_total);
        float extreme[3] = {-1e30f, -200.0f, 0.0f};
        kernels->exp_sum(3, 0.0f, extreme, extreme);
        assert_true(extreme[0] == 0.0f && extreme[1] == 0.0f && extreme[2] == 1.0f);
    }
    s3r_free(x), s3r_free(y), s3r_free(one);
}

/* n exponentials in bf16 of x, the largest of which is `shift`; nothing is written behind
 * them. */
static void check_exponentials(const s3r_kernels *kernels, size_t n, float shift,
                               const float *x)
{
    enum { MOST = 500 };
    uint16_t y[MOST + 1];
    double expected_total = 0;
    memset(y, 0x11, sizeof y);
    double total = kernels->exp_sum_bf16(n, shift, x, y);
    for (size_t i = 0; i < n; i++) {
        double expected = exp((double)(x[i] - shift));
        expected_total += expected;
        if (expected < 1e-38)
            assert_int_equal(y[i], 0);
        else
            assert_true(fabs((double)s3r_bf16_to_f32(y[i]) - expected) <=
                        expected * 1.025 / 256);
    }
    assert_int_equal(y[n], 0x1111);
    assert_true(fabs(total - expected_total) < 1e-4 * expected_total);
}

/* Of any number, of large values and far below, on every level. */
static void test_exponentials_in_bf16(void **state)
{
    (void)state;
    enum { N = 500 };
    static const float shifts[] = {3.0f, -3.0f, 1e4f, -1e4f, 1e10f};
    float x[N];
    for (size_t s = 0; s < S3R_ARRAY_LEN(shifts); s++) {
        for (size_t i = 0; i < N; i++)
            x[i] = shifts[s] - fabsf(uniform()) * 30.0f;
        x[7] = -1e30f;
        x[20] = shifts[s];
        x[200] = -INFINITY;
        for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
            for (size_t n = 21; n <= N; n = n < 70 ? n + 3 : n + 61)
                check_exponentials(s3r_kernels_get((s3r_cpu_level)level), n, shifts[s],
                                   x);
    }
}

/* Whether y is gelu(z) rounded to bf16, GELU itself off by a twentieth of that. */
static bool is_rounded_gelu(uint16_t y, float z)
{
    double t = (double)z, expected = 0.5 * t * erfc(-t / sqrt(2));
    double found = (double)s3r_bf16_to_f32(y);
    return fabs(found - expected) <= fabs(expected) * 21.0 / 20.0 / 256.0 + 1e-7;
}

/* GELU for results in bf16, of any width, on every level; nothing is written outside. */
static void test_gelu_in_bf16(void **state)
{
    (void)state;
    enum { ROWS = 3, STRIDE = 160 };
    float c[ROWS * STRIDE];
    uint16_t y[ROWS * STRIDE];
    for (size_t i = 0; i < ROWS * STRIDE; i++)
        c[i] = 12.0f * uniform() * uniform();
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
        for (size_t cols = 1; cols <= STRIDE; cols++) {
            memset(y, 0x55, sizeof y);
            kernels->gelu_rows_bf16(ROWS, cols, c, STRIDE, y, STRIDE);
            for (size_t i = 0; i < ROWS * STRIDE; i++) {
                if (i % STRIDE >= cols)
                    assert_int_equal(y[i], 0x5555);
                else
                    assert_true(is_rounded_gelu(y[i], c[i]));
            }
        }
        const float special[5] = {INFINITY, -INFINITY, NAN, 1e30f, -1e30f};
        kernels->gelu_rows_bf16(1, 5, special, 5, y, 5);
        assert_true(s3r_bf16_to_f32(y[0]) == INFINITY);
        assert_true(fabsf(s3r_bf16_to_f32(y[1])) < 1e-20f);
        assert_true(isnan(s3r_bf16_to_f32(y[2])));
        assert_int_equal(y[3], s3r_f32_to_bf16(1e30f));
        assert_true(fabsf(s3r_bf16_to_f32(y[4])) < 1e-20f);
    }
}

static void test_differences_in_bf16(void **state)
{
    (void)state;
    enum { N = 70 };
    uint16_t x[N], y[N], found[N];
    for (size_t i = 0; i < N; i++) {
        x[i] = s3r_f32_to_bf16(uniform());
        y[i] = s3r_f32_to_bf16(3.0f * uniform());
    }
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        for (size_t n = 0; n <= N; n++) {
            memset(found, 0x55, sizeof found);
            s3r_kernels_get((s3r_cpu_level)level)->subtract_bf16(n, x, y, found);
            for (size_t i = 0; i < N; i++)
                assert_int_equal(found[i], i >= n
                                               ? 0x5555
                                               : s3r_f32_to_bf16(s3r_bf16_to_f32(x[i]) -
                                                                 s3r_bf16_to_f32(y[i])));
        }
    }
}

/* Results in bf16 alone or beside what GELU is taken of, in one block of k and in two, of
 * packed panels and others. */
static void check_narrow(s3r_pool *pool, const s3r_kernels *kernels, bool is_bf16,
                         size_t k, bool is_packed, bool only_narrow, bool has_addend)
{
    enum { M = 45, N = 150 };
    float *a = random_floats(M * k), *b = random_floats(N * k), *c = s3r_alloc(M * N, 4);
    float *z = s3r_alloc(M * N, 4), *addend = random_floats(M * N);
    uint16_t *a_bf16 = s3r_alloc(M * k, 2), *y = s3r_alloc(M * N, 2);
    void *packed = s3r_alloc(s3r_packed_bytes(k, N, is_bf16), 1);
    kernels->f32_to_bf16(M * k, a, a_bf16);
    s3r_product product =
        gelu_product(M, N, k, is_bf16 ? (const void *)a_bf16 : a, is_bf16, b, z);
    if (is_packed) {
        s3r_pack_panels(kernels, k, N, b, S3R_B_TRANSPOSED, S3R_DTYPE_F32, k, is_bf16,
                        packed);
        product.b = packed;
        product.b_layout = S3R_B_PACKED;
        product.b_stride = 0;
    }
    product.addend = has_addend ? addend : NULL;
    product.addend_stride = N;
    product.bias = addend;
    product.gelu = false;
    s3r_products_run(pool, kernels, &product, 1);
    product.gelu = true;
    product.c = c;
    product.narrow = y;
    product.narrow_stride = N;
    product.only_narrow = only_narrow;
    s3r_products_run(pool, kernels, &product, 1);
    if (!only_narrow)
        assert_memory_equal(c, z, M * N * 4);
    for (size_t i = 0; i < M * N; i++)
        assert_true(is_rounded_gelu(y[i], z[i]));
    s3r_free(a), s3r_free(b), s3r_free(c), s3r_free(z), s3r_free(addend);
    s3r_free(a_bf16), s3r_free(y), s3r_free(packed);
}

static void test_narrow_results(void **state)
{
    (void)state;
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
        for (unsigned form = 0; form < 32; form++)
            check_narrow(pool, s3r_kernels_get((s3r_cpu_level)level), form & 1,
                         form & 2 ? 1300 : 96, form & 4, form & 8, form & 16);
    s3r_pool_destroy(pool);
}

/* Of no steps: what sums begin with, and a residual. */
static void test_empty_products(void **state)
{
    (void)state;
    enum { M = 20, N = 40 };
    float *addend = random_floats(M * N), *bias = random_floats(N), c[M * N];
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (unsigned form = 0; form < 8; form++) {
        const s3r_product product = {.m = M,
                                     .n = N,
                                     .b_layout = S3R_B_TRANSPOSED,
                                     .c = c,
                                     .c_stride = N,
                                     .addend = form & 1 ? addend : NULL,
                                     .addend_stride = N,
                                     .bias = form & 2 ? bias : NULL,
                                     .residual = form & 4 ? addend : NULL,
                                     .residual_stride = N};
        memset(c, 0x55, sizeof c);
        s3r_products_run(pool, s3r_kernels_get(s3r_cpu_detect()), &product, 1);
        for (size_t i = 0; i < M * N; i++) {
            float sum = form & 1 ? addend[i] : 0.0f;
            sum += form & 2 ? bias[i % N] : 0.0f;
            assert_true(c[i] == sum + (form & 4 ? addend[i] : 0.0f));
        }
    }
    s3r_pool_destroy(pool);
    s3r_free(addend), s3r_free(bias);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_match_double),
        cmocka_unit_test(test_masked_products),
        cmocka_unit_test(test_bits_do_not_depend_on_rows_or_threads),
        cmocka_unit_test(test_levels_agree),
        cmocka_unit_test(test_transposes),
        cmocka_unit_test(test_half_conversions),
        cmocka_unit_test(test_vector_math),
        cmocka_unit_test(test_exponentials_in_bf16),
        cmocka_unit_test(test_gelu_in_bf16),
        cmocka_unit_test(test_differences_in_bf16),
        cmocka_unit_test(test_narrow_results),
        cmocka_unit_test(test_empty_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
