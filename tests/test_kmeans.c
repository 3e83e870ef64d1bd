/*
 * k-means: clusters that are known, equal bits for any threads and any source of rows,
 * data that cannot be clustered, and the promise that iterations only improve.
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
#include "support_alloc_faults.h"
#include "tasks/kmeans_clusters.h"

#define MAX_ROWS 10000u
#define MAX_DIM  40u

static float rows_data[MAX_ROWS * MAX_DIM];
static uint32_t labels[MAX_ROWS];
static float distances[MAX_ROWS];

/* Row i belongs to group i % groups, around a point whose coordinates are -10 or 10. */
static void make_groups(size_t count, size_t dim, size_t groups, double spread)
{
    s3r_random random;
    s3r_random_init(&random, 7, 0);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++) {
            uint64_t side = s3r_random_at(3, i % groups, j) & 1;
            rows_data[i * dim + j] =
                (float)((side ? 10 : -10) + spread * s3r_random_normal(&random));
        }
}

static s3r_kmeans_rows in_memory(size_t count, size_t dim)
{
    return (s3r_kmeans_rows){
        .count = count, .dim = dim, .data = rows_data, .stride = dim};
}

static s3r_status read_rows(void *context, size_t block, float *out, s3r_error *err)
{
    const s3r_kmeans_rows *rows = context;
    size_t first = block * S3R_KMEANS_BLOCK_ROWS;
    size_t count = S3R_MIN((size_t)S3R_KMEANS_BLOCK_ROWS, rows->count - first);
    (void)err;
    memcpy(out, rows_data + first * rows->dim, count * rows->dim * sizeof *out);
    return S3R_OK;
}

static s3r_status learn_with(s3r_kmeans *kmeans, s3r_kmeans_result *result,
                             const s3r_kmeans_rows *rows,
                             const s3r_kmeans_settings *settings, size_t threads,
                             s3r_error *err)
{
    s3r_pool *pool;
    S3R_TRY(s3r_pool_create(&pool, threads, err));
    s3r_status status = s3r_kmeans_learn(kmeans, result, rows, settings, pool,
                                         s3r_kernels_get(s3r_cpu_detect()), err);
    s3r_pool_destroy(pool);
    return status;
}

static s3r_kmeans learn(const s3r_kmeans_rows *rows, const s3r_kmeans_settings *settings,
                        s3r_kmeans_result *result)
{
    s3r_kmeans kmeans;
    s3r_error err = {S3R_OK, ""};
    if (learn_with(&kmeans, result, rows, settings, 2, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return kmeans;
}

static void assign(const s3r_kmeans *kmeans, size_t count, size_t threads)
{
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, threads, NULL), S3R_OK);
    s3r_kmeans_assign(kmeans, pool, rows_data, kmeans->dim, count, labels, distances);
    s3r_pool_destroy(pool);
}

/* Rows have one label exactly when they are of one group. */
static void check_groups(size_t count, size_t groups)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(labels[i], labels[i % groups]);
        for (size_t g = 0; i < groups && g < i; g++)
            assert_int_not_equal(labels[i], labels[g]);
    }
}

static void finds_groups(void **state)
{
    static const size_t table[][3] = {/* rows, dim, groups */
                                      {300, 8, 3},
                                      {5000, 13, 20},
                                      {9000, 39, 40},
                                      {64, 40, 12},
                                      {10, 20, 10}};
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(table); i++)
        for (int standardizes = 0; standardizes < 2; standardizes++) {
            size_t count = table[i][0], dim = table[i][1], groups = table[i][2];
            s3r_kmeans_settings settings;
            s3r_kmeans_result result;
            make_groups(count, dim, groups, 0.1);
            s3r_kmeans_rows rows = in_memory(count, dim);
            s3r_kmeans_settings_init(&settings, groups);
            settings.standardizes = standardizes;
            s3r_kmeans kmeans = learn(&rows, &settings, &result);
            assign(&kmeans, count, 2);
            check_groups(count, groups);
            assert_true(result.has_converged && result.empty == 0);
            /* A variance of 0.01 a dimension, less what the means take up. */
            if (!standardizes)
                assert_true(result.inertia < 0.012 * (double)dim);
            s3r_kmeans_release(&kmeans);
        }
}

static void distances_are_exact(void **state)
{
    s3r_kmeans_settings settings;
    s3r_kmeans_result result;
    size_t count = 500, dim = 11;
    double sum = 0;
    (void)state;
    make_groups(count, dim, 4, 3.0);
    s3r_kmeans_rows rows = in_memory(count, dim);
    s3r_kmeans_settings_init(&settings, 6);
    settings.standardizes = true;
    s3r_kmeans kmeans = learn(&rows, &settings, &result);
    assign(&kmeans, count, 1);
    for (size_t i = 0; i < count; i++) {
        double best = INFINITY;
        for (size_t c = 0; c < 6; c++) {
            double distance = 0;
            for (size_t j = 0; j < dim; j++) {
                float x = (rows_data[i * dim + j] - kmeans.mean[j]) * kmeans.scale[j];
                double d = (double)x - (double)kmeans.centroids[c * dim + j];
                distance += d * d;
            }
            best = fmin(best, distance);
        }
        /* Both in double, then one rounding to float. */
        assert_true(fabs((double)distances[i] - best) <= 1e-6 * best);
        sum += (double)distances[i];
    }
    assert_true(fabs(sum / (double)count - result.inertia) <= 1e-12 * sum);
    s3r_kmeans_release(&kmeans);
}

static void standardises(void **state)
{
    s3r_kmeans_settings settings;
    s3r_kmeans_result result;
    size_t count = 9000, dim = 3;
    s3r_random random;
    (void)state;
    s3r_random_init(&random, 5, 0);
    for (size_t i = 0; i < count; i++) {
        rows_data[i * dim] = (float)(1000 + 0.01 * s3r_random_normal(&random));
        rows_data[i * dim + 1] = (float)(-3 + 50 * s3r_random_normal(&random));
        rows_data[i * dim + 2] = 12.3f; /* constant */
    }
    s3r_kmeans_rows rows = in_memory(count, dim);
    s3r_kmeans_settings_init(&settings, 2);
    settings.standardizes = true;
    s3r_kmeans kmeans = learn(&rows, &settings, &result);
    /* 9000 draws give the scale to 1 / sqrt(2 * 9000), the mean to 50 / sqrt(9000). */
    assert_true(fabs((double)kmeans.mean[0] - 1000) < 1e-3);
    assert_true(fabs((double)kmeans.mean[1] + 3) < 2);
    assert_true(fabs((double)kmeans.scale[0] * 0.01 - 1) < 0.03);
    assert_true(fabs((double)kmeans.scale[1] * 50 - 1) < 0.03);
    assert_true(kmeans.mean[2] == 12.3f && kmeans.scale[2] == 1.0f);
    s3r_kmeans_release(&kmeans);
}

/* Threads, and rows from a callback instead of memory, change no bit. */
static void same_bits(void **state)
{
    s3r_kmeans_settings settings;
    size_t count = 9001, dim = 19, clusters = 33;
    uint32_t first[MAX_ROWS] = {0};
    s3r_kmeans reference = {0};
    (void)state;
    make_groups(count, dim, 7, 4.0);
    s3r_kmeans_settings_init(&settings, clusters);
    settings.iterations = 7;
    settings.restarts = 2;
    settings.standardizes = true;
    for (size_t threads = 1; threads <= 5; threads += 2)
        for (int is_read = 0; is_read < 2; is_read++) {
            s3r_kmeans_rows rows = in_memory(count, dim);
            s3r_kmeans_result result;
            s3r_kmeans kmeans;
            if (is_read) {
                rows.data = NULL;
                rows.read = read_rows;
                rows.read_context = &rows;
            }
            assert_int_equal(
                learn_with(&kmeans, &result, &rows, &settings, threads, NULL), S3R_OK);
            assign(&kmeans, count, threads);
            if (!reference.centroids) {
                reference = kmeans;
                memcpy(first, labels, sizeof labels);
                continue;
            }
            assert_memory_equal(kmeans.centroids, reference.centroids,
                                clusters * dim * sizeof(float));
            assert_memory_equal(kmeans.scale, reference.scale, dim * sizeof(float));
            assert_memory_equal(labels, first, count * sizeof *labels);
            s3r_kmeans_release(&kmeans);
        }
    s3r_kmeans_release(&reference);
}

typedef struct history {
    double inertia[512];
    size_t count, starts;
    size_t stop_at;
} history;

static bool remember(void *context, size_t start, size_t iteration, double inertia)
{
    history *h = context;
    h->starts = start + 1;
    /* Means are rounded to float, which may add a little. */
    if (iteration > 0)
        assert_true(inertia <= h->inertia[h->count - 1] * (1 + 1e-6));
    h->inertia[h->count++] = inertia;
    return h->count != h->stop_at;
}

static void improves(void **state)
{
    s3r_kmeans_settings settings;
    s3r_kmeans_result one, several;
    history h = {0};
    (void)state;
    make_groups(3000, 6, 40, 2.0);
    s3r_kmeans_rows rows = in_memory(3000, 6);
    s3r_kmeans_settings_init(&settings, 25);
    settings.goes_on = remember;
    settings.goes_on_context = &h;
    settings.start_rows = 100;
    s3r_kmeans kmeans = learn(&rows, &settings, &one);
    assert_int_equal(h.count, one.iterations + 1);
    assert_true(h.inertia[h.count - 1] == one.inertia);
    s3r_kmeans_release(&kmeans);
    h.count = 0;
    settings.restarts = 5;
    kmeans = learn(&rows, &settings, &several);
    assert_int_equal(h.starts, 5);
    assert_true(several.inertia <= one.inertia);
    s3r_kmeans_release(&kmeans);
    /* Another seed, another result. */
    settings.seed = 2;
    settings.restarts = 1;
    h.count = 0;
    kmeans = learn(&rows, &settings, &several);
    assert_true(several.inertia != one.inertia);
    s3r_kmeans_release(&kmeans);
    /* The watcher may stop it. */
    s3r_error err;
    h = (history){.stop_at = 2};
    assert_int_equal(learn_with(&kmeans, &one, &rows, &settings, 1, &err),
                     S3R_ERR_INTERRUPTED);
    assert_string_equal(err.message, "interrupted");
    assert_null(kmeans.centroids);
}

/* The start sees few rows and misses the group that is far away; a cluster that is empty
 * goes there. */
static void moves_empty_clusters(void **state)
{
    s3r_kmeans_settings settings;
    s3r_kmeans_result result;
    size_t count = 8000;
    (void)state;
    for (size_t i = 0; i < count; i++)
        rows_data[i] = i < 7 ? 1000.0f + (float)i : (i % 2 ? 1.0f : 2.0f);
    s3r_kmeans_rows rows = in_memory(count, 1);
    s3r_kmeans_settings_init(&settings, 9);
    settings.start_rows = 20;
    s3r_kmeans kmeans = learn(&rows, &settings, &result);
    assert_int_equal(result.empty, 0);
    assert_true(result.inertia == 0);
    assign(&kmeans, count, 1);
    for (size_t i = 1; i < 7; i++)
        assert_int_not_equal(labels[i], labels[i - 1]);
    s3r_kmeans_release(&kmeans);
}

static void takes_degenerate_rows(void **state)
{
    s3r_kmeans_settings settings;
    s3r_kmeans_result result;
    (void)state;
    for (int standardizes = 0; standardizes < 2; standardizes++)
        for (size_t distinct = 1; distinct <= 6; distinct++) {
            for (size_t i = 0; i < 200; i++)
                for (size_t j = 0; j < 3; j++)
                    rows_data[i * 3 + j] = (float)(i % distinct) * 0.1f + 5.0f;
            s3r_kmeans_rows rows = in_memory(200, 3);
            s3r_kmeans_settings_init(&settings, 6);
            settings.standardizes = standardizes;
            s3r_kmeans kmeans = learn(&rows, &settings, &result);
            assert_int_equal(result.empty, 6 - distinct);
            /* Centroids are means, rounded. */
            assert_true(result.inertia < 1e-10);
            assign(&kmeans, 200, 2);
            check_groups(200, distinct);
            for (size_t j = 0; j < 18; j++)
                assert_true(isfinite(kmeans.centroids[j]));
            s3r_kmeans_release(&kmeans);
        }
}

static void as_many_clusters_as_rows(void **state)
{
    s3r_kmeans_settings settings;
    s3r_kmeans_result result;
    (void)state;
    make_groups(50, 5, 50, 1.0);
    s3r_kmeans_rows rows = in_memory(50, 5);
    s3r_kmeans_settings_init(&settings, 50);
    s3r_kmeans kmeans = learn(&rows, &settings, &result);
    assert_true(result.inertia == 0 && result.empty == 0 && result.iterations == 0);
    s3r_kmeans_release(&kmeans);
}

static void refuses(void **state)
{
    static const struct {
        size_t count, dim, clusters, restarts;
        s3r_status status;
        const char *said;
    } table[] = {
        {5, 3, 6, 1, S3R_ERR_DATA, "expected at least as many rows as clusters (6)"},
        {0, 3, 1, 1, S3R_ERR_DATA, "found 0"},
        {5, 3, 0, 1, S3R_ERR_USAGE, "found 0 of 3"},
        {5, 0, 2, 1, S3R_ERR_USAGE, "found 2 of 0"},
        {5, 3, 70000, 1, S3R_ERR_USAGE, "1 to 65536 clusters"},
        {5, 3, 2, 0, S3R_ERR_USAGE, "at least 1 start"},
    };
    (void)state;
    make_groups(100, 3, 2, 1.0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(table); i++) {
        s3r_kmeans kmeans;
        s3r_kmeans_result result;
        s3r_kmeans_settings settings;
        s3r_error err = {S3R_OK, ""};
        s3r_kmeans_rows rows = in_memory(table[i].count, table[i].dim);
        s3r_kmeans_settings_init(&settings, table[i].clusters);
        settings.restarts = table[i].restarts;
        assert_int_equal(learn_with(&kmeans, &result, &rows, &settings, 1, &err),
                         table[i].status);
        if (!strstr(err.message, table[i].said))
            fail_msg("\"%s\" without \"%s\"", err.message, table[i].said);
        assert_null(kmeans.centroids);
    }
}

static void refuses_rows_that_are_not_finite(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e30f};
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(bad); i++) {
        s3r_kmeans kmeans;
        s3r_kmeans_result result;
        s3r_kmeans_settings settings;
        s3r_error err = {S3R_OK, ""};
        make_groups(5000, 4, 2, 1.0);
        rows_data[4711 * 4 + 2] = bad[i];
        s3r_kmeans_rows rows = in_memory(5000, 4);
        s3r_kmeans_settings_init(&settings, 2);
        settings.start_rows = 10;
        assert_int_equal(learn_with(&kmeans, &result, &rows, &settings, 2, &err),
                         S3R_ERR_DATA);
        assert_string_equal(err.message, "row 4711: expected finite numbers of a "
                                         "sensible size, found others");
    }
}

static s3r_status attempt(void *context, s3r_error *err)
{
    s3r_kmeans kmeans;
    s3r_kmeans_result result;
    s3r_kmeans_settings settings;
    s3r_kmeans_rows rows = in_memory(100, 4);
    (void)context;
    rows.data = NULL;
    rows.read = read_rows;
    rows.read_context = &rows;
    s3r_kmeans_settings_init(&settings, 5);
    settings.restarts = 2;
    S3R_TRY(learn_with(&kmeans, &result, &rows, &settings, 1, err));
    s3r_kmeans_release(&kmeans);
    return S3R_OK;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    make_groups(100, 4, 5, 1.0);
    test_survives_alloc_faults(attempt, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_groups),
        cmocka_unit_test(distances_are_exact),
        cmocka_unit_test(standardises),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(improves),
        cmocka_unit_test(moves_empty_clusters),
        cmocka_unit_test(takes_degenerate_rows),
        cmocka_unit_test(as_many_clusters_as_rows),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_rows_that_are_not_finite),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
