/*
 * The feature cache: fp32 comes back bit for bit and bf16 rounded, from memory and from
 * the file, for any number of threads; bounds, full disks and failing allocations.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/spill_file.h"
#include "ops/half.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"
#include "train/feature_cache.h"

enum { COUNT = 9, COLS = 37, STRIDE = 41, MAX_ROWS = 300 };

static const size_t row_counts[COUNT] = {1, 300, 64, 65, 0, 128, 2, 199, 63};

static float value_of(size_t utterance, size_t row, size_t col)
{
    uint64_t bits = s3r_random_at(utterance, row, col);
    uint32_t word = (uint32_t)bits & 0xbfffffffu; /* any finite number, denormals too */
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static s3r_status fill(s3r_feature_cache *cache, s3r_error *err)
{
    float *rows = s3r_alloc(MAX_ROWS * STRIDE, sizeof *rows);
    s3r_status status = rows ? S3R_OK : s3r_fail_memory(err, "rows", 0);
    /* Not in the order of their numbers. */
    for (size_t k = 0; status == S3R_OK && k < COUNT; k++) {
        size_t u = (k * 5 + 3) % COUNT;
        for (size_t i = 0; i < row_counts[u] * STRIDE; i++)
            rows[i] = value_of(u, i / STRIDE, i % STRIDE);
        status = s3r_feature_cache_put(cache, u, rows, row_counts[u], STRIDE, err);
    }
    s3r_free(rows);
    return status;
}

static void assert_content(const s3r_feature_cache *cache, s3r_pool *pool, bool is_bf16)
{
    static float rows[MAX_ROWS * STRIDE];
    for (size_t u = 0; u < COUNT; u++) {
        assert_true(s3r_feature_cache_has(cache, u));
        assert_int_equal(s3r_feature_cache_rows(cache, u), row_counts[u]);
        memset(rows, 0x7b, sizeof rows);
        s3r_feature_cache_get(cache, pool, u, rows, STRIDE);
        for (size_t i = 0; i < MAX_ROWS * STRIDE; i++) {
            size_t row = i / STRIDE, col = i % STRIDE;
            float expected = value_of(u, row, col);
            if (is_bf16)
                expected = s3r_bf16_to_f32(s3r_f32_to_bf16(expected));
            if (row >= row_counts[u] || col >= COLS)
                memset(&expected, 0x7b, sizeof expected); /* untouched */
            if (memcmp(&rows[i], &expected, sizeof expected) != 0)
                fail_msg("utterance %zu, row %zu, column %zu: expected %a, found %a", u,
                         row, col, (double)expected, (double)rows[i]);
        }
    }
}

static void test_content(void **state)
{
    (void)state;
    static const size_t limits[] = {SIZE_MAX, 30000, 0};
    for (size_t threads = 1; threads <= 3; threads++) {
        for (size_t k = 0; k < 2 * S3R_ARRAY_LEN(limits); k++) {
            bool is_bf16 = k % 2;
            s3r_feature_cache *cache;
            s3r_pool *pool;
            s3r_error err;
            assert_int_equal(s3r_pool_create(&pool, threads, &err), S3R_OK);
            assert_int_equal(
                s3r_feature_cache_create(&cache, COUNT, COLS,
                                         is_bf16 ? S3R_DTYPE_BF16 : S3R_DTYPE_F32,
                                         limits[k / 2], test_folder(), &err),
                S3R_OK);
            assert_false(s3r_feature_cache_has(cache, 0));
            assert_int_equal(fill(cache, &err), S3R_OK);
            assert_content(cache, pool, is_bf16);
            assert_true(s3r_feature_cache_memory_bytes(cache) <= limits[k / 2]);
            assert_true((s3r_feature_cache_file_bytes(cache) > 0) == (k / 2 > 0));
            if (k / 2 == 0)
                assert_int_equal(s3r_feature_cache_memory_bytes(cache),
                                 822 * COLS * (is_bf16 ? 2 : 4));
            s3r_feature_cache_destroy(cache);
            s3r_pool_destroy(pool);
        }
    }
}

/* The file has no name: nothing is left in the folder, even while it is open. */
static void test_folder_stays_empty(void **state)
{
    (void)state;
    const char *folder = test_folder();
    s3r_feature_cache *cache;
    s3r_error err;
    assert_int_equal(
        s3r_feature_cache_create(&cache, COUNT, COLS, S3R_DTYPE_F32, 0, folder, &err),
        S3R_OK);
    assert_int_equal(fill(cache, &err), S3R_OK);
    assert_int_equal(test_folder_entries(folder), 0);
    s3r_feature_cache_destroy(cache);
    s3r_feature_cache_destroy(NULL);
    const char *none = test_path(folder, "none");
    assert_int_equal(
        s3r_feature_cache_create(&cache, COUNT, COLS, S3R_DTYPE_F32, 0, none, &err),
        S3R_OK);
    test_expect_failure(fill(cache, &err), &err, S3R_ERR_RUNTIME, none);
    s3r_feature_cache_destroy(cache);
}

/* A limit on the size of files stands for a full disk. */
static void test_full_disk(void **state)
{
    (void)state;
    struct rlimit old, small = {1 << 20, 0};
    const char *folder = test_folder();
    s3r_feature_cache *cache;
    s3r_error err;
    assert_int_equal(
        s3r_feature_cache_create(&cache, COUNT, COLS, S3R_DTYPE_F32, 0, folder, &err),
        S3R_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    s3r_status status = fill(cache, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    test_expect_failure(status, &err, S3R_ERR_RUNTIME, folder);
    test_expect_failure(status, &err, S3R_ERR_RUNTIME, "cache.features: none");
    assert_false(s3r_feature_cache_has(cache, 3));
    assert_int_equal(fill(cache, &err), S3R_OK); /* and goes on when there is space */
    s3r_feature_cache_destroy(cache);
}

/* Pieces of a file stay in place, are zero, and hold what is written. */
static void test_spill_file(void **state)
{
    (void)state;
    s3r_spill_file *file;
    s3r_error err;
    unsigned char *pieces[4];
    static const size_t sizes[4] = {1, 65536, 65537, 0};
    assert_int_equal(s3r_spill_file_open(&file, test_folder(), &err), S3R_OK);
    for (size_t i = 0; i < 4; i++) {
        void *data;
        assert_int_equal(s3r_spill_file_extend(file, sizes[i], &data, &err), S3R_OK);
        pieces[i] = data;
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], 0);
        memset(data, (int)i + 1, sizes[i]);
    }
    assert_int_equal(s3r_spill_file_bytes(file), 5 * 65536);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], i + 1);
    }
    void *data;
    assert_int_equal(s3r_spill_file_extend(file, SIZE_MAX, &data, &err),
                     S3R_ERR_RESOURCE);
    s3r_spill_file_close(file);
    s3r_spill_file_close(NULL);
}

static s3r_status create_and_fill(void *context, s3r_error *err)
{
    s3r_feature_cache *cache;
    S3R_TRY(s3r_feature_cache_create(&cache, COUNT, COLS, S3R_DTYPE_F32, 50000, context,
                                     err));
    s3r_status status = fill(cache, err);
    s3r_feature_cache_destroy(cache);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    char folder[512];
    strcpy(folder, test_folder());
    test_survives_alloc_faults(create_and_fill, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),   cmocka_unit_test(test_folder_stays_empty),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_spill_file),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
