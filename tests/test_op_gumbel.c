/*
 * The hard choice against a plain loop, its straight-through gradient against differences
 * of the soft choice, the distribution of the noise, and the choice without noise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/op_gumbel.h"
#include "support_gradient.h"

#define ROWS    37u
#define GROUPS  2u
#define ENTRIES 21u
#define DIM     5u
#define COLS    (GROUPS * ENTRIES)
#define WIDTH   (GROUPS * DIM)

typedef struct run_result {
    float y[ROWS * WIDTH];
    uint32_t codes[ROWS * GROUPS];
    float dlogits[ROWS * COLS], dvectors[COLS * DIM];
} run_result;

typedef struct fixture {
    float logits[ROWS * COLS], vectors[COLS * DIM], dy[ROWS * WIDTH];
    uint64_t keys[ROWS];
    double temperature;
    bool has_noise;
} fixture;

static void fill(float *x, size_t count, uint64_t stream)
{
    s3r_random random;
    s3r_random_init(&random, 3, stream);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)s3r_random_normal(&random);
}

static void fixture_init(fixture *f)
{
    *f = (fixture){.temperature = 1.7, .has_noise = true};
    fill(f->logits, ROWS * COLS, 1);
    fill(f->vectors, COLS * DIM, 2);
    fill(f->dy, ROWS * WIDTH, 3);
    for (size_t i = 0; i < ROWS; i++)
        f->keys[i] = s3r_random_at(5, i, 0);
}

static void run(fixture *f, run_result *result, size_t threads, s3r_cpu_level level)
{
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, threads, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(level));
    tape.is_recording = true;
    memset(result, 0, sizeof *result);
    s3r_weight vectors = {.data = f->vectors,
                          .dtype = S3R_DTYPE_F32,
                          .rows = COLS,
                          .cols = DIM,
                          .grad = result->dvectors};
    const s3r_gumbel_options options = {.groups = GROUPS,
                                        .keys = f->has_noise ? f->keys : NULL,
                                        .temperature = f->temperature};
    s3r_value *logits = s3r_tape_wrap(&tape, f->logits, ROWS, COLS, COLS);
    logits->needs_grad = true;
    s3r_value *y = s3r_op_gumbel(&tape, logits, &vectors, &options, result->codes);
    float *dy = s3r_tape_grad(&tape, y);
    for (size_t i = 0; i < ROWS; i++) {
        memcpy(result->y + i * WIDTH, y->data + i * y->stride, WIDTH * sizeof(float));
        memcpy(dy + i * y->stride, f->dy + i * WIDTH, WIDTH * sizeof(float));
    }
    s3r_tape_backward(&tape);
    assert_int_equal(s3r_tape_status(&tape, NULL), S3R_OK);
    if (logits->grad)
        memcpy(result->dlogits, logits->grad, sizeof result->dlogits);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

/* Sum over entries of softmax((logits + noise) / T) * (vector . dy) in one group. */
static double soft_choice(const fixture *f, const double *logits, size_t row,
                          size_t group)
{
    double total = 0, earned = 0;
    for (size_t j = 0; j < ENTRIES; j++) {
        size_t col = group * ENTRIES + j;
        double p =
            exp((logits[j] + s3r_gumbel_noise(f->keys[row], col)) / f->temperature);
        double product = 0;
        for (size_t d = 0; d < DIM; d++)
            product += (double)f->vectors[col * DIM + d] *
                       (double)f->dy[row * WIDTH + group * DIM + d];
        total += p;
        earned += p * product;
    }
    return earned / total;
}

static void check_choice(const fixture *f, const run_result *result, size_t row,
                         size_t group)
{
    double z[ENTRIES];
    size_t best = 0;
    for (size_t j = 0; j < ENTRIES; j++) {
        size_t col = group * ENTRIES + j;
        z[j] = (double)f->logits[row * COLS + col];
        if (f->has_noise)
            z[j] += s3r_gumbel_noise(f->keys[row], col);
        best = z[j] > z[best] ? j : best;
    }
    assert_int_equal(result->codes[row * GROUPS + group], best);
    assert_memory_equal(result->y + row * WIDTH + group * DIM,
                        f->vectors + (group * ENTRIES + best) * DIM, DIM * sizeof(float));
}

static void test_gradient(void **state)
{
    static fixture f;
    static run_result result;
    float expected[COLS * DIM] = {0};
    (void)state;
    fixture_init(&f);
    run(&f, &result, 1, s3r_cpu_detect());
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t g = 0; g < GROUPS; g++) {
            double x[ENTRIES];
            check_choice(&f, &result, row, g);
            for (size_t j = 0; j < ENTRIES; j++)
                x[j] = (double)f.logits[row * COLS + g * ENTRIES + j];
            for (size_t j = 0; j < ENTRIES; j++) {
                double at = x[j], step = 1e-5;
                x[j] = at + step;
                double up = soft_choice(&f, x, row, g);
                x[j] = at - step;
                double down = soft_choice(&f, x, row, g);
                x[j] = at;
                /* fp32 softmax and sums of values around 1 */
                assert_float_equal(result.dlogits[row * COLS + g * ENTRIES + j],
                                   (float)((up - down) / (2 * step)), 2e-6);
            }
            size_t code = result.codes[row * GROUPS + g];
            for (size_t d = 0; d < DIM; d++)
                expected[(g * ENTRIES + code) * DIM + d] +=
                    f.dy[row * WIDTH + g * DIM + d];
        }
    }
    for (size_t i = 0; i < COLS * DIM; i++)
        assert_float_equal(result.dvectors[i], expected[i], 1e-5);
}

static void test_same_bits(void **state)
{
    static fixture f;
    static run_result one, other;
    (void)state;
    fixture_init(&f);
    run(&f, &one, 1, s3r_cpu_detect());
    run(&f, &other, 3, s3r_cpu_detect());
    assert_memory_equal(&one, &other, sizeof one);
    run(&f, &other, 2, S3R_CPU_PORTABLE);
    assert_memory_equal(one.codes, other.codes, sizeof one.codes);
}

static void test_without_noise(void **state)
{
    static fixture f;
    static run_result result;
    (void)state;
    fixture_init(&f);
    f.has_noise = false;
    run(&f, &result, 2, s3r_cpu_detect());
    for (size_t row = 0; row < ROWS; row++)
        for (size_t g = 0; g < GROUPS; g++)
            check_choice(&f, &result, row, g);
    for (size_t i = 0; i < ROWS * COLS; i++)
        assert_true(result.dlogits[i] == 0.0f);
}

/* Standard Gumbel: mean 0.5772, variance pi^2 / 6. */
static void test_noise(void **state)
{
    double sum = 0, squares = 0;
    size_t count = 100000;
    (void)state;
    for (size_t i = 0; i < count; i++) {
        double x = s3r_gumbel_noise(s3r_random_at(1, i / 100, 0), i % 100);
        sum += x;
        squares += x * x;
    }
    double mean = sum / (double)count, variance = squares / (double)count - mean * mean;
    /* Five standard errors: 1.28 / sqrt(1e5), and 2.1 / sqrt(1e5) * 1.64 */
    assert_float_equal((float)mean, 0.5772157f, 0.02);
    assert_float_equal((float)variance, 1.6449341f, 0.06);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_without_noise),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
