/*
 * Cepstra against torchaudio, the frames that are kept, and equal bits for any threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_alloc_faults.h"
#include "support_model.h"
#include "tasks/mfcc.h"

static const char *const cases[] = {"voice",   "quiet",     "offset",    "clipped",
                                    "silence", "one_frame", "two_frames"};

static float *rows_of(const float *samples, size_t count, size_t threads,
                      s3r_cpu_level level)
{
    s3r_pool *pool;
    s3r_mfcc *mfcc;
    float *rows = s3r_alloc(s3r_mfcc_frames(count) * S3R_MFCC_DIM, sizeof *rows);
    assert_non_null(rows);
    assert_int_equal(s3r_pool_create(&pool, threads, NULL), S3R_OK);
    assert_int_equal(s3r_mfcc_create(&mfcc, s3r_kernels_get(level), NULL), S3R_OK);
    s3r_mfcc_run(mfcc, pool, samples, count, rows);
    s3r_mfcc_destroy(mfcc);
    s3r_pool_destroy(pool);
    return rows;
}

/* Cepstra lie between -100 and 100.  What differs is the rounding of the spectrum, 1e-7
 * of the loudest bin or of a constant part; where a mel bin is far below, its logarithm
 * feels it.  Found are 6e-4 (a constant part of 0.05) and 2e-4 (the others). */
#define TOLERANCE 2e-3

static void matches_torchaudio(void **state)
{
    test_golden golden;
    (void)state;
    test_golden_open(&golden, "mfcc");
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const s3r_tensor *wave = test_golden_find(&golden, "%s.wave", cases[i]);
        const s3r_tensor *rows = test_golden_find(&golden, "%s.rows", cases[i]);
        assert_true(wave && rows && rows->shape[1] == S3R_MFCC_DIM);
        assert_int_equal(s3r_mfcc_frames(wave->shape[0]), rows->shape[0]);
        for (s3r_cpu_level level = S3R_CPU_PORTABLE; level <= s3r_cpu_detect(); level++) {
            float *found = rows_of(wave->data, wave->shape[0], 2, level);
            const float *expected = rows->data;
            double worst = 0;
            for (size_t j = 0; j < rows->shape[0] * S3R_MFCC_DIM; j++)
                worst = fmax(worst, fabs((double)found[j] - (double)expected[j]));
            if (!(worst <= TOLERANCE))
                fail_msg("%s, level %d: differs by %g", cases[i], (int)level, worst);
            s3r_free(found);
        }
    }
    test_golden_close(&golden);
}

static void threads_do_not_matter(void **state)
{
    test_golden golden;
    (void)state;
    test_golden_open(&golden, "mfcc");
    const s3r_tensor *wave = test_golden_find(&golden, "voice.wave");
    size_t bytes = s3r_mfcc_frames(wave->shape[0]) * S3R_MFCC_DIM * sizeof(float);
    float *one = rows_of(wave->data, wave->shape[0], 1, s3r_cpu_detect());
    float *five = rows_of(wave->data, wave->shape[0], 5, s3r_cpu_detect());
    assert_memory_equal(one, five, bytes);
    s3r_free(one);
    s3r_free(five);
    test_golden_close(&golden);
}

static void counts_frames(void **state)
{
    static const size_t table[][2] = {{0, 0},   {399, 0}, {400, 1},    {559, 1},
                                      {560, 2}, {719, 2}, {16000, 98}, {16080, 99}};
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(table); i++)
        assert_int_equal(s3r_mfcc_frames(table[i][0]), table[i][1]);
}

static void keeps_every_second(void **state)
{
    static const size_t table[][3] = {/* frames, wanted, kept */
                                      {0, 5, 0}, {1, 5, 1}, {2, 5, 1}, {5, 5, 3},
                                      {5, 2, 2}, {9, 0, 0}, {9, 5, 5}};
    float rows[9 * S3R_MFCC_DIM];
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(table); i++) {
        for (size_t j = 0; j < S3R_ARRAY_LEN(rows); j++)
            rows[j] = (float)j;
        assert_int_equal(s3r_mfcc_halve(rows, table[i][0], table[i][1]), table[i][2]);
        for (size_t j = 0; j < table[i][2] * S3R_MFCC_DIM; j++) {
            size_t frame = j / S3R_MFCC_DIM;
            assert_true(rows[j] == (float)(j + frame * S3R_MFCC_DIM));
        }
    }
}

static s3r_status attempt(void *context, s3r_error *err)
{
    s3r_mfcc *mfcc;
    (void)context;
    S3R_TRY(s3r_mfcc_create(&mfcc, s3r_kernels_get(S3R_CPU_PORTABLE), err));
    s3r_mfcc_destroy(mfcc);
    return S3R_OK;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    test_survives_alloc_faults(attempt, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_torchaudio),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(counts_frames),
        cmocka_unit_test(keeps_every_second),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
