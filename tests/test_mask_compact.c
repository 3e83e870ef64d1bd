/*
 * Coded masks: every type of weights, shape and CPU level gives back the bits; they cost
 * what their entropy under the weights says; damage is found and nothing runs away.
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
#include "base/random.h"
#include "model/stored_values.h"
#include "route/mask_compact.h"
#include "support_alloc_faults.h"
#include "support_api.h"

#define MAX_MATRICES 4u

static s3r_error err;

typedef struct mask_case {
    const char *what;
    s3r_dtype dtype;
    size_t rows, cols, matrices;
    double sparsity;
    double slope; /* how much oftener small weights go */
} mask_case;

static const mask_case cases[] = {
    {"bf16", S3R_DTYPE_BF16, 64, 256, 2, 0.1, 1},
    {"fp32", S3R_DTYPE_F32, 64, 256, 2, 0.3, 1},
    {"fp16", S3R_DTYPE_F16, 64, 256, 1, 0.5, 2},
    {"fp64", S3R_DTYPE_F64, 16, 64, 1, 0.5, 1},
    {"one element", S3R_DTYPE_F32, 1, 1, 1, 0.5, 0},
    {"one column", S3R_DTYPE_BF16, 77, 1, 1, 0.4, 0},
    {"odd columns", S3R_DTYPE_BF16, 31, 97, 3, 0.2, 1},
    {"odd columns, fp32", S3R_DTYPE_F32, 31, 161, 1, 0.2, 1},
    {"nothing removed", S3R_DTYPE_BF16, 32, 128, 1, 0, 0},
    {"all removed", S3R_DTYPE_F32, 32, 128, 1, 1, 0},
};

/* Masks, weights and what belongs to them. */
typedef struct content {
    s3r_weighed_mask masks[MAX_MATRICES], decoded[MAX_MATRICES];
    size_t count;
    s3r_arena owned;
} content;

static void make_matrix(content *c, const mask_case *one, s3r_random *random)
{
    size_t elements = one->rows * one->cols, bad;
    size_t words = s3r_mask_words(one->rows, one->cols);
    float *values = s3r_arena_alloc(&c->owned, elements, sizeof *values);
    void *stored = s3r_arena_alloc(&c->owned, elements, s3r_dtype_size(one->dtype));
    s3r_mask mask = {one->rows, one->cols, s3r_mask_stride(one->cols),
                     s3r_arena_alloc(&c->owned, words, sizeof(uint64_t))};
    memset(mask.bits, 0, words * sizeof *mask.bits);
    for (size_t i = 0; i < elements; i++) {
        values[i] = (float)(0.05 * s3r_random_normal(random));
        /* On average near the sparsity, for any slope. */
        double part = one->sparsity * exp(-one->slope * fabs((double)values[i]) / 0.05) *
                      (1 + one->slope);
        bool is_kept = s3r_random_uniform(random) >= part;
        mask.bits[i / one->cols * mask.stride + i % one->cols / 64] |=
            (uint64_t)is_kept << i % one->cols % 64;
    }
    if (one->dtype == S3R_DTYPE_F64)
        for (size_t i = 0; i < elements; i++)
            ((double *)stored)[i] = (double)values[i];
    else
        assert_true(s3r_stored_from_f32(stored, one->dtype, values, elements, &bad));
    s3r_mask blank = mask;
    blank.bits = s3r_arena_alloc(&c->owned, words, sizeof *blank.bits);
    c->masks[c->count] = (s3r_weighed_mask){mask, {stored, one->dtype}};
    c->decoded[c->count++] = (s3r_weighed_mask){blank, {stored, one->dtype}};
}

static content make_content(const mask_case *one)
{
    content c = {.count = 0};
    s3r_random random;
    s3r_random_init(&random, 7, 0);
    s3r_arena_init(&c.owned, (size_t)1 << 20);
    for (size_t i = 0; i < one->matrices; i++)
        make_matrix(&c, one, &random);
    return c;
}

static void encode(const content *c, uint8_t **bytes, size_t *size, s3r_pool *pool)
{
    if (s3r_masks_encode(bytes, size, c->masks, c->count, pool, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

/* Garbage first, so that every bit must be written. */
static s3r_status decode(content *c, const uint8_t *bytes, size_t size,
                         s3r_cpu_level level, s3r_pool *pool)
{
    for (size_t i = 0; i < c->count; i++) {
        s3r_mask *mask = &c->decoded[i].mask;
        memset(mask->bits, 0xa5,
               s3r_mask_words(mask->rows, mask->cols) * sizeof *mask->bits);
    }
    return s3r_masks_decode(c->decoded, c->count, bytes, size, level, pool, "x.s3m",
                            &err);
}

static bool is_equal(const content *c)
{
    bool same = true;
    for (size_t i = 0; i < c->count; i++) {
        const s3r_mask *mask = &c->masks[i].mask;
        same = same &&
               memcmp(mask->bits, c->decoded[i].mask.bits,
                      s3r_mask_words(mask->rows, mask->cols) * sizeof *mask->bits) == 0;
    }
    return same;
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        content c = make_content(&cases[i]);
        uint8_t *bytes;
        size_t size;
        encode(&c, &bytes, &size, NULL);
        for (int level = S3R_CPU_PORTABLE; level <= (int)s3r_cpu_detect(); level++)
            if (decode(&c, bytes, size, (s3r_cpu_level)level, NULL) != S3R_OK ||
                !is_equal(&c))
                fail_msg("%s, %s: other bits: %s", cases[i].what,
                         s3r_cpu_level_name((s3r_cpu_level)level), err.message);
        s3r_free(bytes);
        s3r_arena_release(&c.owned);
    }
}

/* Weights that lie anywhere. */
static void test_unaligned_weights(void **state)
{
    (void)state;
    content c = make_content(&cases[1]);
    uint8_t *bytes;
    size_t size, elements = cases[1].rows * cases[1].cols;
    for (size_t i = 0; i < c.count; i++) {
        uint8_t *moved = s3r_arena_alloc(&c.owned, elements * sizeof(float) + 1, 1);
        memcpy(moved + 1, c.masks[i].weights.data, elements * sizeof(float));
        c.decoded[i].weights.data = moved + 1;
    }
    encode(&c, &bytes, &size, NULL);
    for (int level = S3R_CPU_PORTABLE; level <= (int)s3r_cpu_detect(); level++)
        assert_true(decode(&c, bytes, size, (s3r_cpu_level)level, NULL) == S3R_OK &&
                    is_equal(&c));
    s3r_free(bytes);
    s3r_arena_release(&c.owned);
}

static double independent_bytes(const content *c)
{
    double bits = 0;
    for (size_t i = 0; i < c->count; i++) {
        double p = s3r_mask_sparsity(&c->masks[i].mask);
        double n = (double)(c->masks[i].mask.rows * c->masks[i].mask.cols);
        bits -= n * (p * log2(p) + (1 - p) * log2(1 - p));
    }
    return bits / 8;
}

/* Bits that know nothing of the weights cost their entropy; bits that do cost less. */
static void test_size(void **state)
{
    (void)state;
    static const mask_case blind = {"blind", S3R_DTYPE_BF16, 512, 1024, 1, 0.1, 0};
    static const mask_case seeing = {"seeing", S3R_DTYPE_BF16, 512, 1024, 1, 0.1, 2};
    uint8_t *bytes;
    size_t size;
    content c = make_content(&blind);
    encode(&c, &bytes, &size, NULL);
    double ratio = (double)size / independent_bytes(&c);
    /* A table, a head and the rounding of probabilities: 0.2 KB of 31. */
    if (!(ratio > 0.999 && ratio < 1.01))
        fail_msg("expected the entropy, found %.4f of it", ratio);
    s3r_free(bytes);
    s3r_arena_release(&c.owned);
    c = make_content(&seeing);
    encode(&c, &bytes, &size, NULL);
    ratio = (double)size / independent_bytes(&c);
    /* Computed from the probabilities above: 0.87. */
    if (!(ratio < 0.9))
        fail_msg("expected less than 0.9 of the entropy, found %.4f", ratio);
    s3r_free(bytes);
    s3r_arena_release(&c.owned);
}

/* Three streams: the same bytes and bits for each number of threads. */
static void test_threads(void **state)
{
    (void)state;
    static const mask_case large = {"large", S3R_DTYPE_BF16, 1024, 2048, 3, 0.2, 1};
    content c = make_content(&large);
    uint8_t *first = NULL, *bytes;
    size_t first_size = 0, size;
    for (size_t threads = 1; threads <= 7; threads += 3) {
        s3r_pool *pool;
        assert_int_equal(s3r_pool_create(&pool, threads, &err), S3R_OK);
        encode(&c, &bytes, &size, pool);
        assert_int_equal(decode(&c, bytes, size, s3r_cpu_detect(), pool), S3R_OK);
        assert_true(is_equal(&c));
        if (first) {
            assert_int_equal(size, first_size);
            assert_memory_equal(bytes, first, size);
            s3r_free(bytes);
        } else {
            first = bytes;
            first_size = size;
        }
        s3r_pool_destroy(pool);
    }
    s3r_free(first);
    s3r_arena_release(&c.owned);
}

static void test_damaged(void **state)
{
    (void)state;
    content c = make_content(&cases[6]);
    uint8_t *bytes;
    size_t size, found = 0, head = 3 * sizeof(s3r_mask_table);
    encode(&c, &bytes, &size, NULL);
    for (size_t length = 0; length < size; length++) {
        uint8_t *copy = s3r_alloc_raw(length, 1);
        memcpy(copy, bytes, length);
        s3r_status status = decode(&c, copy, length, s3r_cpu_detect(), NULL);
        test_expect_failure(status, &err, S3R_ERR_MODEL, "x.s3m: coded masks: expected");
        s3r_free(copy);
    }
    /* A flipped bit of the states or words is always found: the coder cannot end in the
     * same states by another way.  In the tables it may not matter. */
    for (size_t bit = 8 * head; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        for (int level = S3R_CPU_PORTABLE; level <= (int)s3r_cpu_detect(); level += 2) {
            s3r_status status = decode(&c, bytes, size, (s3r_cpu_level)level, NULL);
            if (status != S3R_ERR_MODEL)
                fail_msg("flipped bit %zu of %zu was not found", bit, 8 * size);
            found += strstr(err.message, "x.s3m: expected the coded masks of matrices 0 "
                                         "to 2 to end as they began") != NULL;
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(found > 0);
    s3r_free(bytes);
    s3r_arena_release(&c.owned);
}

static void test_other_weights(void **state)
{
    (void)state;
    content c = make_content(&cases[0]), other = make_content(&cases[1]);
    uint8_t *bytes;
    size_t size;
    encode(&c, &bytes, &size, NULL);
    c.decoded[1].weights = other.masks[1].weights; /* another type */
    test_expect_failure(decode(&c, bytes, size, s3r_cpu_detect(), NULL), &err,
                        S3R_ERR_MODEL, "or coded with other weights");
    s3r_free(bytes);
    s3r_arena_release(&c.owned);
    s3r_arena_release(&other.owned);
}

static s3r_status attempt(void *context, s3r_error *error)
{
    content *c = context;
    uint8_t *bytes = NULL;
    size_t size;
    s3r_status status = s3r_masks_encode(&bytes, &size, c->masks, c->count, NULL, error);
    if (status == S3R_OK)
        status = s3r_masks_decode(c->decoded, c->count, bytes, size, s3r_cpu_detect(),
                                  NULL, "x.s3m", error);
    s3r_free(bytes);
    return status;
}

static void test_without_memory(void **state)
{
    (void)state;
    content c = make_content(&cases[6]);
    test_survives_alloc_faults(attempt, &c);
    s3r_arena_release(&c.owned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_unaligned_weights),
        cmocka_unit_test(test_size),           cmocka_unit_test(test_threads),
        cmocka_unit_test(test_damaged),        cmocka_unit_test(test_other_weights),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
