/*
 * How near the linear layers come to the peak of this machine.
 *
 *   gemm_bench [SECONDS_A_CASE]
 *
 * The peak is measured first, with chains of multiply-adds that stay in registers.  Then
 * come products as the encoder runs them: weights in the stored order [n, k], of which 12
 * copies (int8: 48) take turns so that none stays in a cache, as in a network of 12
 * blocks.  A case gives the median and the best of its runs; fractions are of the peak.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "ops/gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define COPIES     12
#define MAX_RUNS   200
#define MIN_RUNS   12
#define PEAK_LOOPS 400000
#define PEAK_RUNS  30

/* Y[m, n] = X[m, k] W[n, k]^T */
typedef struct shape {
    size_t m, k, n;
} shape;

static const shape shapes[] = {
    {50, 768, 768},  {100, 768, 768},  {500, 768, 768},  {1500, 768, 768},
    {50, 768, 3072}, {100, 768, 3072}, {500, 768, 3072}, {1500, 768, 3072},
    {50, 3072, 768}, {100, 3072, 768}, {500, 3072, 768}, {1500, 3072, 768},
};

typedef enum number_kind { KIND_FP32, KIND_BF16, KIND_INT8, KINDS } number_kind;
static const char *const kind_name[KINDS] = {"fp32", "bf16", "int8"};
/* Which processors have instructions for it, and multiply-adds of 64 bytes. */
static const s3r_cpu_level kind_level[KINDS] = {S3R_CPU_AVX2, S3R_CPU_AVX512BF16,
                                                S3R_CPU_AVX512VNNI};
static const double kind_lanes[KINDS] = {16, 32, 64};
static const size_t kind_bytes[KINDS] = {4, 2, 1};

/* Of int8: any bytes, since time does not depend on them. */
typedef struct operands {
    float *x, *weights, *y, *ones;
    uint16_t *x_bf16;
} operands;

static double now_s(void)
{
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare_doubles(const void *left, const void *right)
{
    double x = *(const double *)left, y = *(const double *)right;
    return (x > y) - (x < y);
}

/* ---- the peak ---- */

#if defined(__x86_64__)
/* Twelve chains: enough for two units of a latency of four (fp32) or six (bf16). */
#define CHAINS 12

__attribute__((target("avx512f"))) static float chains_avx512(void)
{
    __m512 sum[CHAINS], x = _mm512_set1_ps(0.5f);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (size_t loop = 0; loop < PEAK_LOOPS; loop++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_fmadd_ps(x, x, sum[i]);
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512bf16,avx512f"))) static float chains_avx512bf16(void)
{
    __m512 sum[CHAINS];
    __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (size_t loop = 0; loop < PEAK_LOOPS; loop++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512vnni,avx512f"))) static float chains_avx512vnni(void)
{
    __m512i sum[CHAINS], x = _mm512_set1_epi8(1);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_epi32(i);
    for (size_t loop = 0; loop < PEAK_LOOPS; loop++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_dpbusd_epi32(sum[i], x, x);
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    return (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(sum[0]));
}

__attribute__((target("avx2,fma"))) static float chains_avx2(void)
{
    __m256 sum[CHAINS], x = _mm256_set1_ps(0.5f);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_set1_ps((float)i);
    for (size_t loop = 0; loop < PEAK_LOOPS; loop++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm256_fmadd_ps(x, x, sum[i]);
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return _mm256_cvtss_f32(sum[0]);
}

typedef struct peak_run {
    float (*chains)(void);
    volatile float sink;
} peak_run;

static void run_chains(void *context, size_t task, size_t worker)
{
    peak_run *run = context;
    (void)task;
    (void)worker;
    run->sink = run->chains();
}

/* GFLOP/s of all threads of the pool together. */
static double measure_peak(s3r_pool *pool, s3r_cpu_level level, number_kind kind)
{
    size_t threads = s3r_pool_threads(pool);
    bool is_narrow = level < S3R_CPU_AVX512;
    double lanes = is_narrow ? kind_lanes[kind] / 2 : kind_lanes[kind];
    float (*const chains[KINDS])(void) = {is_narrow ? chains_avx2 : chains_avx512,
                                          chains_avx512bf16, chains_avx512vnni};
    peak_run run = {chains[kind], 0};
    double best = 0, flops = 2 * lanes * CHAINS * PEAK_LOOPS * (double)threads;
    for (int i = 0; i < PEAK_RUNS; i++) {
        double start = now_s();
        s3r_pool_run(pool, threads, run_chains, &run);
        double rate = flops / (now_s() - start) / 1e9;
        best = rate > best ? rate : best;
    }
    return best;
}
#endif

/* 0 when this processor has no such instructions. */
static double peak_of(s3r_pool *pool, s3r_cpu_level level, number_kind kind)
{
#if defined(__x86_64__)
    if (level >= kind_level[kind])
        return measure_peak(pool, level, kind);
#else
    (void)pool;
    (void)level;
    (void)kind;
#endif
    return 0;
}

/* ---- the products ---- */

static void fill(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(i * 7919 % 1000) * 1e-3f - 0.5f;
}

static void free_operands(operands *data)
{
    s3r_free(data->x);
    s3r_free(data->weights);
    s3r_free(data->y);
    s3r_free(data->x_bf16);
    s3r_free(data->ones);
}

/* As large as the largest shape needs. */
static bool make_operands(operands *data, const s3r_kernels *kernels)
{
    size_t x_count = 1500 * s3r_padded_stride(3072, 2);
    size_t weight_count = (size_t)COPIES * 768 * 3072;
    data->x = s3r_alloc(x_count, sizeof *data->x);
    data->x_bf16 = s3r_alloc(x_count, sizeof *data->x_bf16);
    data->weights = s3r_alloc(weight_count, sizeof *data->weights);
    data->y = s3r_alloc(x_count, sizeof *data->y);
    data->ones = s3r_alloc(3072, sizeof *data->ones);
    if (!data->x || !data->x_bf16 || !data->weights || !data->y || !data->ones)
        return false;
    for (size_t i = 0; i < 3072; i++)
        data->ones[i] = 1.0f;
    fill(data->x, x_count);
    fill(data->weights, weight_count);
    kernels->f32_to_bf16(x_count, data->x, data->x_bf16);
    return true;
}

static void measure_product(s3r_pool *pool, const s3r_kernels *kernels,
                            const operands *data, const shape *size, number_kind kind,
                            double seconds, double peak)
{
    double rates[MAX_RUNS], flops = 2.0 * (double)(size->m * size->n * size->k);
    size_t runs = 0, warm_up = 2;
    double start = now_s();
    size_t weight_bytes = kind == KIND_INT8 ? 1 : 4;
    size_t copies = COPIES * 4 / weight_bytes;
    s3r_product product = {
        .m = size->m,
        .n = size->n,
        .k = size->k,
        .a = kind == KIND_BF16 ? (const void *)data->x_bf16 : data->x,
        .is_bf16 = kind == KIND_BF16,
        .a_stride = s3r_padded_stride(size->k, kind_bytes[kind]),
        .a_scales = kind == KIND_INT8 ? data->ones : NULL,
        .b_scales = kind == KIND_INT8 ? data->ones : NULL,
        .b_layout = S3R_B_TRANSPOSED,
        .b_dtype = kind == KIND_INT8 ? S3R_DTYPE_I8 : S3R_DTYPE_F32,
        .b_stride = size->k,
        .c = data->y,
        .c_stride = s3r_padded_stride(size->n, 4),
    };
    for (size_t i = 0; runs < MIN_RUNS || (runs < MAX_RUNS && now_s() - start < seconds);
         i++) {
        product.b = (const unsigned char *)data->weights +
                    i % copies * size->n * size->k * weight_bytes;
        double begin = now_s();
        s3r_products_run(pool, kernels, &product, 1);
        if (i >= warm_up)
            rates[runs++] = flops / (now_s() - begin) / 1e9;
    }
    qsort(rates, runs, sizeof rates[0], compare_doubles);
    printf("%5zu x %4zu x %4zu  %s  %zu  %8.1f %8.1f", size->m, size->k, size->n,
           kind_name[kind], s3r_pool_threads(pool), rates[runs / 2], rates[runs - 1]);
    if (peak > 0)
        printf("  %6.2f %6.2f", rates[runs / 2] / peak, rates[runs - 1] / peak);
    putchar('\n');
}

static void measure_all(s3r_pool *pool, const s3r_kernels *kernels, const operands *data,
                        double seconds)
{
    for (number_kind kind = 0; kind < KINDS; kind++) {
        double peak = peak_of(pool, kernels->level, kind);
        printf("\npeak %s, %zu threads: %.1f GFLOP/s\n", kind_name[kind],
               s3r_pool_threads(pool), peak);
        printf(
            "    m x    k x    n  type  threads  median     best  GFLOP/s, fractions\n");
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            measure_product(pool, kernels, data, &shapes[i], kind, seconds, peak);
    }
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    const s3r_kernels *kernels = s3r_kernels_get(s3r_cpu_detect());
    operands data = {0};
    s3r_error err = {0};
    bool is_done = make_operands(&data, kernels);
    for (size_t threads = 1; is_done && threads <= 2; threads++) {
        s3r_pool *pool = NULL;
        is_done = s3r_pool_create(&pool, threads, &err) == S3R_OK;
        if (is_done)
            measure_all(pool, kernels, &data, seconds);
        s3r_pool_destroy(pool);
    }
    free_operands(&data);
    if (!is_done)
        fputs("gemm_bench: no memory or no threads\n", stderr);
    return is_done ? 0 : 1;
}
