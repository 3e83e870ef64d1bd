/*
 * Masks: bits and their packed form, the counts of spec 1.2, selection against a plain
 * sort, first scores (spec 9.3) and the straight-through gradient (spec 9.4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "ops/half.h"
#include "route/mask.h"
#include "route/mask_kernels.h"
#include "support_alloc_faults.h"

static s3r_mask make_mask(size_t rows, size_t cols)
{
    s3r_mask mask = {rows, cols, s3r_mask_stride(cols), NULL};
    mask.bits = s3r_alloc(s3r_mask_words(rows, cols), sizeof *mask.bits);
    assert_non_null(mask.bits);
    return mask;
}

static bool is_kept(const s3r_mask *mask, size_t row, size_t col)
{
    return mask->bits[row * mask->stride + col / 64] >> col % 64 & 1;
}

static const struct {
    size_t rows, cols;
} shapes[] = {{1, 1},   {1, 64},  {3, 63},   {5, 65},    {7, 128},   {64, 1},
              {13, 37}, {9, 200}, {33, 127}, {768, 100}, {100, 769}, {800, 1001}};

/* ------------------------------------------------------------------------------- bits */

static void test_packed_form(void **state)
{
    (void)state;
    s3r_random random;
    s3r_random_init(&random, 3, 0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(shapes); i++) {
        size_t rows = shapes[i].rows, cols = shapes[i].cols, kept = 0, differ = 0;
        s3r_mask mask = make_mask(rows, cols), back = make_mask(rows, cols),
                 full = make_mask(rows, cols);
        s3r_mask_fill(&full);
        assert_int_equal(s3r_mask_kept_count(&full), rows * cols);
        size_t bytes = s3r_mask_packed_bytes(rows, cols);
        assert_int_equal(bytes, (rows * cols + 7) / 8);
        uint8_t *expected = s3r_alloc(bytes, 1), *packed = s3r_alloc(bytes, 1);
        for (size_t at = 0; at < rows * cols; at++) {
            if (s3r_random_bits(&random) & 1)
                continue;
            size_t row = at / cols, col = at % cols;
            mask.bits[row * mask.stride + col / 64] |= (uint64_t)1 << col % 64;
            expected[at / 8] |= (uint8_t)(1u << at % 8);
            kept++;
        }
        differ = rows * cols - kept;
        assert_int_equal(s3r_mask_kept_count(&mask), kept);
        assert_true(s3r_mask_sparsity(&mask) ==
                    1.0 - (double)kept / (double)(rows * cols));
        assert_int_equal(s3r_mask_distance(&mask, &full), differ);
        s3r_mask_to_packed(&mask, packed);
        assert_memory_equal(packed, expected, bytes);
        assert_int_equal(s3r_packed_kept_count(packed, bytes), kept);
        memset(back.bits, 0xff, s3r_mask_words(rows, cols) * 8);
        s3r_mask_from_packed(&back, packed);
        assert_memory_equal(back.bits, mask.bits, s3r_mask_words(rows, cols) * 8);
        s3r_free(expected);
        s3r_free(packed);
        s3r_free(mask.bits);
        s3r_free(back.bits);
        s3r_free(full.bits);
    }
}

/* ----------------------------------------------------------------------------- counts */

static const struct {
    double keep;
    size_t removed[4]; /* base FFN, base attention, large FFN, large attention */
} table[] = {
    {.98, {47185, 11796, 83886, 20971}},       {.96, {94371, 23592, 167772, 41943}},
    {.95, {117964, 29491, 209715, 52428}},     {.94, {141557, 35389, 251658, 62914}},
    {.93, {165150, 41287, 293601, 73400}},     {.92, {188743, 47185, 335544, 83886}},
    {.91, {212336, 53084, 377487, 94371}},     {.90, {235929, 58982, 419430, 104857}},
    {.88, {283115, 70778, 503316, 125829}},    {.86, {330301, 82575, 587202, 146800}},
    {.80, {471859, 117964, 838860, 209715}},   {.70, {707788, 176947, 1258291, 314572}},
    {.60, {943718, 235929, 1677721, 419430}},  {.50, {1179648, 294912, 2097152, 524288}},
    {.40, {1415577, 353894, 2516582, 629145}}, {.30, {1651507, 412876, 2936012, 734003}},
    {.20, {1887436, 471859, 3355443, 838860}},
};

static void test_removed_counts(void **state)
{
    (void)state;
    static const size_t sizes[4] = {2359296, 589824, 4194304, 1048576};
    for (size_t i = 0; i < S3R_ARRAY_LEN(table); i++) {
        char text[16];
        for (size_t j = 0; j < 4; j++) {
            /* The kept fraction as the original gets it, and ours as people type it. */
            snprintf(text, sizeof text, "%.2f", 1 - table[i].keep);
            assert_int_equal(s3r_removed_count(1 - table[i].keep, sizes[j]),
                             table[i].removed[j]);
            assert_int_equal(s3r_removed_count(strtod(text, NULL), sizes[j]),
                             table[i].removed[j]);
        }
    }
    /* (1 - 0.9) * 10 is a little less than 1. */
    assert_int_equal(s3r_removed_count(0.1, 10), 0);
    assert_int_equal(s3r_removed_count(0.5, 10), 5);
    assert_int_equal(s3r_removed_count(0, 10), 0);
    assert_int_equal(s3r_removed_count(1, 10), 10);
    assert_int_equal(s3r_removed_count(0.3, 0), 0);
}

/* -------------------------------------------------------------------------- selection */

typedef struct item {
    double size;
    size_t place; /* over all targets, one after another */
} item;

static int compare_items(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* The plain way: sort everything, mark the first `removed` as gone. */
static void plain_select(bool *gone, item *items, size_t count, size_t removed)
{
    qsort(items, count, sizeof *items, compare_items);
    for (size_t i = 0; i < count; i++)
        gone[items[i].place] = i < removed;
}

static double size_of(float score)
{
    return isnan(score) ? 0 : fabs((double)score);
}

/* What a selection works on; fills items, returns their number. */
static size_t list_items(item *items, const s3r_mask_target *target, size_t first_place,
                         s3r_mask_structure structure)
{
    size_t rows = target->mask.rows, cols = target->mask.cols;
    size_t n = structure == S3R_MASK_ELEMENTS ? rows * cols
               : structure == S3R_MASK_ROWS   ? rows
                                              : cols;
    for (size_t i = 0; i < n; i++)
        items[i] = (item){0, first_place + i};
    for (size_t at = 0; at < rows * cols; at++) {
        size_t i = structure == S3R_MASK_ELEMENTS ? at
                   : structure == S3R_MASK_ROWS   ? at / cols
                                                  : at % cols;
        items[i].size += size_of(target->scores[at]);
    }
    if (structure != S3R_MASK_ELEMENTS)
        for (size_t i = 0; i < n; i++)
            items[i].size = (float)(items[i].size /
                                    (double)(structure == S3R_MASK_ROWS ? cols : rows));
    return n;
}

static void check_bits(const s3r_mask_target *target, const bool *gone,
                       s3r_mask_structure structure)
{
    const s3r_mask *mask = &target->mask;
    size_t kept = 0;
    for (size_t at = 0; at < mask->rows * mask->cols; at++) {
        size_t row = at / mask->cols, col = at % mask->cols;
        size_t i = structure == S3R_MASK_ELEMENTS ? at
                   : structure == S3R_MASK_ROWS   ? row
                                                  : col;
        if (is_kept(mask, row, col) == gone[i])
            fail_msg("[%zu,%zu] at (%zu,%zu), score %g: kept %d", mask->rows, mask->cols,
                     row, col, (double)target->scores[at], is_kept(mask, row, col));
        kept += !gone[i];
    }
    assert_int_equal(s3r_mask_kept_count(mask), kept); /* nothing beyond the columns */
}

enum {
    KIND_UNIFORM,
    KIND_WIDE,
    KIND_FEW_VALUES,
    KIND_EQUAL,
    KIND_ODD,
    KIND_COLUMNS,
    KINDS
};

static float draw_score(s3r_random *random, int kind, size_t col)
{
    double u = 2 * s3r_random_uniform(random) - 1;
    switch (kind) {
    case KIND_UNIFORM:
        return (float)(u * 0.036);
    case KIND_WIDE:
        return (float)(u * exp(80 * u));
    case KIND_FEW_VALUES:
        return (float)((double)s3r_random_below(random, 5) - 2);
    case KIND_EQUAL:
        return 0.25f;
    case KIND_COLUMNS: /* structure that a careless sample misses */
        return (float)(u * (col % 16 ? 1 : 1000));
    default: {
        static const float odd[] = {0.0f, -0.0f, NAN, INFINITY, -INFINITY, 1e-42f, 1};
        return odd[s3r_random_below(random, S3R_ARRAY_LEN(odd))];
    }
    }
}

static void fill_target(s3r_mask_target *target, size_t rows, size_t cols, int kind,
                        s3r_random *random)
{
    float *scores = s3r_alloc(rows * cols, sizeof *scores);
    for (size_t i = 0; i < rows * cols; i++)
        scores[i] = draw_score(random, kind, i % cols);
    *target = (s3r_mask_target){scores, make_mask(rows, cols), 0};
    memset(target->mask.bits, 0x5a, s3r_mask_words(rows, cols) * 8);
}

static void release_target(s3r_mask_target *target)
{
    s3r_free((float *)(uintptr_t)target->scores);
    s3r_free(target->mask.bits);
}

static void check_select(s3r_mask_target *target, double sparsity,
                         s3r_mask_structure structure, s3r_pool *const *pools)
{
    size_t n = target->mask.rows * target->mask.cols;
    item *items = s3r_alloc(n, sizeof *items);
    bool *gone = s3r_alloc(n, 1);
    size_t count = list_items(items, target, 0, structure);
    target->removed = s3r_removed_count(sparsity, count);
    plain_select(gone, items, count, target->removed);
    for (size_t p = 0; p < 2; p++) {
        size_t bytes = s3r_mask_select_scratch_bytes(target, 1, structure,
                                                     s3r_pool_threads(pools[p]));
        void *scratch = s3r_alloc_raw(bytes, 1);
        memset(scratch, 0xcd, bytes);
        s3r_mask_select(pools[p], target, 1, structure, scratch);
        check_bits(target, gone, structure);
        s3r_free(scratch);
    }
    s3r_free(items);
    s3r_free(gone);
}

static void open_pools(s3r_pool **pools)
{
    assert_int_equal(s3r_pool_create(&pools[0], 1, NULL), S3R_OK);
    assert_int_equal(s3r_pool_create(&pools[1], 3, NULL), S3R_OK);
}

static void test_select(void **state)
{
    (void)state;
    s3r_pool *pools[2];
    open_pools(pools);
    s3r_random random;
    s3r_random_init(&random, 4, 0);
    static const double sparsities[] = {0, .1, .5, .77, 1};
    for (size_t i = 0; i < S3R_ARRAY_LEN(shapes); i++) {
        bool is_large = shapes[i].rows * shapes[i].cols > 100000;
        for (int kind = 0; kind < KINDS; kind++) {
            s3r_mask_target target;
            fill_target(&target, shapes[i].rows, shapes[i].cols, kind, &random);
            for (size_t s = is_large ? 1 : 0; s < (is_large ? 3 : 5); s++)
                for (int structure = 0; structure < 3; structure++)
                    check_select(&target, sparsities[s], (s3r_mask_structure)structure,
                                 pools);
            release_target(&target);
        }
    }
    s3r_pool_destroy(pools[0]);
    s3r_pool_destroy(pools[1]);
}

/* Several matrices: each for itself, and with one threshold over all. */
static void check_several(s3r_mask_structure structure, int kind, s3r_pool *pool)
{
    enum { COUNT = 3 };
    static const size_t rows[COUNT] = {40, 90, 17}, cols[COUNT] = {100, 33, 700};
    static item items[40 * 100 + 90 * 33 + 17 * 700];
    static bool gone[S3R_ARRAY_LEN(items)];
    s3r_mask_target targets[COUNT];
    s3r_random random;
    s3r_random_init(&random, 5, (uint64_t)kind);
    size_t count = 0, first[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        fill_target(&targets[i], rows[i], cols[i], kind, &random);
        first[i] = count;
        count += list_items(items + count, &targets[i], count, structure);
    }
    size_t bytes =
        s3r_mask_select_scratch_bytes(targets, COUNT, structure, s3r_pool_threads(pool));
    void *scratch = s3r_alloc_raw(bytes, 1);
    size_t removed = count / 3;
    plain_select(gone, items, count, removed);
    s3r_mask_select_global(pool, targets, COUNT, structure, removed, scratch);
    for (size_t i = 0; i < COUNT; i++)
        check_bits(&targets[i], gone + first[i], structure);

    for (size_t i = 0; i < COUNT; i++) {
        size_t n = list_items(items, &targets[i], first[i], structure);
        targets[i].removed = n / (i + 2);
        plain_select(gone, items, n, targets[i].removed);
    }
    s3r_mask_select(pool, targets, COUNT, structure, scratch);
    for (size_t i = 0; i < COUNT; i++)
        check_bits(&targets[i], gone + first[i], structure);
    for (size_t i = 0; i < COUNT; i++)
        release_target(&targets[i]);
    s3r_free(scratch);
}

static void test_select_several(void **state)
{
    (void)state;
    s3r_pool *pools[2];
    open_pools(pools);
    for (int kind = 0; kind < KINDS; kind++)
        for (int structure = 0; structure < 3; structure++)
            for (size_t p = 0; p < 2; p++)
                check_several((s3r_mask_structure)structure, kind, pools[p]);
    s3r_pool_destroy(pools[0]);
    s3r_pool_destroy(pools[1]);
}

/* Every level finds the same keys and writes the same bits, to the last element. */
static void test_kernels(void **state)
{
    (void)state;
    enum { N = 64 * 7, KEYS = N + S3R_MASK_BLOCK };
    s3r_random random;
    s3r_random_init(&random, 11, 0);
    for (int kind = 0; kind < KINDS; kind++) {
        float *scores = s3r_alloc_raw(N + 1, sizeof *scores);
        for (size_t i = 0; i <= N; i++)
            scores[i] = draw_score(&random, kind, i);
        uint32_t low = s3r_score_key(scores[3]), width = 1u << (4 * kind);
        for (s3r_cpu_level level = S3R_CPU_PORTABLE; level <= s3r_cpu_detect(); level++) {
            const s3r_mask_kernels *kernels = s3r_mask_kernels_get(level);
            for (size_t n = 0; n <= N; n += 1 + n / 3) {
                uint32_t keys[KEYS], expected[KEYS];
                size_t below = 5, below_expected = 5, count = 0;
                for (size_t i = 0; i < n; i++) {
                    uint32_t key = s3r_score_key(scores[1 + i]);
                    below_expected += key < low;
                    if (key >= low && key <= low + width)
                        expected[count++] = key;
                }
                assert_int_equal(
                    kernels->collect(scores + 1, n, low, width, keys, &below), count);
                assert_int_equal(below, below_expected);
                assert_memory_equal(keys, expected, count * sizeof *keys);
            }
            uint64_t bits[N / 64];
            kernels->keep(scores + 1, N / 64, low, bits);
            for (size_t i = 0; i < N; i++)
                assert_int_equal(bits[i / 64] >> i % 64 & 1,
                                 s3r_score_key(scores[1 + i]) > low);
        }
        s3r_free(scores);
    }
}

/* ----------------------------------------------------------------------------- scores */

enum { ROWS = 61, COLS = 130, COUNT = ROWS * COLS };

static void fill_weight(float *weight, s3r_random *random)
{
    for (size_t i = 0; i < COUNT; i++)
        weight[i] = (float)(0.05 * s3r_random_normal(random));
}

static int compare_sizes(const void *a, const void *b)
{
    double x = fabs((double)*(const float *)a), y = fabs((double)*(const float *)b);
    return (x > y) - (x < y);
}

static void init_scores(float *scores, s3r_score_init init, const void *weight,
                        s3r_dtype dtype, uint64_t seed)
{
    s3r_random random;
    s3r_random_init(&random, seed, 7);
    assert_int_equal(
        s3r_scores_init(scores, init, weight, dtype, ROWS, COLS, 2, &random, NULL),
        S3R_OK);
}

static void test_random_scores(void **state)
{
    (void)state;
    static float scores[COUNT], again[COUNT];
    init_scores(scores, S3R_SCORE_RANDOM, NULL, S3R_DTYPE_F32, 1);
    init_scores(again, S3R_SCORE_RANDOM, NULL, S3R_DTYPE_F32, 1);
    assert_memory_equal(scores, again, sizeof scores);
    double bound = 1 / sqrt(COLS), sum = 0, squares = 0, largest = 0;
    for (size_t i = 0; i < COUNT; i++) {
        sum += scores[i];
        squares += (double)scores[i] * scores[i];
        largest = fmax(largest, fabs((double)scores[i]));
    }
    assert_true(largest <= bound && largest > 0.99 * bound);
    /* Five standard errors of the mean and about as much of the variance. */
    assert_true(fabs(sum / COUNT) < 5 * bound / sqrt(3.0 * COUNT));
    assert_true(fabs(squares / COUNT / (bound * bound / 3) - 1) < 0.06);
}

static void test_magnitude_scores(void **state)
{
    (void)state;
    static float weight[COUNT], scores[COUNT];
    s3r_random random;
    s3r_random_init(&random, 2, 0);
    fill_weight(weight, &random);
    init_scores(scores, S3R_SCORE_MAGNITUDE, weight, S3R_DTYPE_F32, 1);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(scores[i] == weight[i] / 2);
}

/* Same multiset of |s|, same order as |w|, the mask of magnitudes, random signs. */
static void check_ordered(s3r_dtype dtype)
{
    static float weight[COUNT], random_scores[COUNT], scores[COUNT], a[COUNT], b[COUNT];
    static uint16_t halves[COUNT];
    s3r_random random;
    s3r_random_init(&random, 6, 0);
    fill_weight(weight, &random);
    for (size_t i = 0; dtype == S3R_DTYPE_BF16 && i < COUNT; i++) {
        halves[i] = s3r_f32_to_bf16(weight[i]);
        weight[i] = s3r_bf16_to_f32(halves[i]);
    }
    const void *stored = dtype == S3R_DTYPE_BF16 ? (void *)halves : weight;
    init_scores(random_scores, S3R_SCORE_RANDOM, stored, dtype, 9);
    init_scores(scores, S3R_SCORE_ORDERED, stored, dtype, 9);

    memcpy(a, random_scores, sizeof a);
    memcpy(b, scores, sizeof b);
    qsort(a, COUNT, sizeof *a, compare_sizes);
    qsort(b, COUNT, sizeof *b, compare_sizes);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(fabsf(a[i]) == fabsf(b[i]));

    static item items[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        items[i] = (item){fabs((double)weight[i]), i};
    qsort(items, COUNT, sizeof *items, compare_items);
    size_t same_sign = 0;
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(fabsf(scores[items[i].place]) == fabsf(b[i]));
        same_sign += (scores[i] > 0) == (weight[i] > 0);
    }
    /* Signs agree by chance: five standard deviations of a fair coin. */
    assert_true(fabs((double)same_sign - COUNT / 2.0) < 2.5 * sqrt(COUNT));

    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    size_t removed = s3r_removed_count(0.1, COUNT);
    s3r_mask_target targets[2] = {{scores, make_mask(ROWS, COLS), removed},
                                  {weight, make_mask(ROWS, COLS), removed}};
    void *scratch =
        s3r_alloc(s3r_mask_select_scratch_bytes(targets, 2, S3R_MASK_ELEMENTS, 1), 1);
    s3r_mask_select(pool, targets, 2, S3R_MASK_ELEMENTS, scratch);
    assert_int_equal(s3r_mask_distance(&targets[0].mask, &targets[1].mask), 0);
    s3r_free(targets[0].mask.bits);
    s3r_free(targets[1].mask.bits);
    s3r_free(scratch);
    s3r_pool_destroy(pool);
}

static void test_ordered_scores(void **state)
{
    (void)state;
    check_ordered(S3R_DTYPE_F32);
    check_ordered(S3R_DTYPE_BF16); /* many equal weights: the lower index is smaller */
}

static s3r_status attempt_init(void *context, s3r_error *err)
{
    s3r_random random;
    static float scores[COUNT];
    s3r_random_init(&random, 1, 1);
    return s3r_scores_init(scores, S3R_SCORE_ORDERED, context, S3R_DTYPE_F32, ROWS, COLS,
                           1, &random, err);
}

static void test_init_without_memory(void **state)
{
    (void)state;
    static float weight[COUNT];
    test_survives_alloc_faults(attempt_init, weight);
}

/* --------------------------------------------------------------------------- gradient */

/* L = sum of y over random x: dW = sum of x, for kept and removed elements alike; so the
 * score's gradient does not know the mask.  (spec 9.4) */
static void check_gradient(s3r_dtype dtype, bool is_sigmoid, s3r_pool *pool)
{
    enum { N = 70001 };
    static float scores[N], weight[N], grad[N], before[N];
    static uint16_t halves[N + 1];
    s3r_random random;
    s3r_random_init(&random, 8, 0);
    for (size_t i = 0; i < N; i++) {
        scores[i] = (float)s3r_random_normal(&random);
        weight[i] = (float)s3r_random_normal(&random);
        grad[i] = before[i] = (float)s3r_random_normal(&random);
        uint16_t half = dtype == S3R_DTYPE_F16 ? s3r_f32_to_f16(weight[i])
                                               : s3r_f32_to_bf16(weight[i]);
        memcpy((char *)halves + 1 + 2 * i, &half, 2); /* maps are not aligned */
        if (dtype == S3R_DTYPE_F16)
            weight[i] = s3r_f16_to_f32(half);
        if (dtype == S3R_DTYPE_BF16)
            weight[i] = s3r_bf16_to_f32(half);
    }
    scores[0] = 0, scores[1] = -0.0f, scores[2] = NAN;
    const void *stored = dtype == S3R_DTYPE_F32 ? (void *)weight : (char *)halves + 1;
    s3r_score_grad(pool, grad, scores, stored, dtype, N, is_sigmoid);
    for (size_t i = 0; i < 3; i++)
        assert_true(grad[i] == 0);
    for (size_t i = 3; i < N; i++) {
        float expected = (scores[i] > 0 ? 1.0f : -1.0f) * weight[i] * before[i];
        if (!is_sigmoid) {
            assert_true(grad[i] == expected);
            continue;
        }
        double y = 1 / (1 + exp(-fabs((double)scores[i])));
        double exact = (double)expected * y * (1 - y);
        /* a few roundings of fp32 */
        assert_true(fabs(grad[i] - exact) <= 1e-6 * fabs(exact));
    }
}

static void test_score_grad(void **state)
{
    (void)state;
    s3r_pool *pools[2];
    open_pools(pools);
    static const s3r_dtype dtypes[] = {S3R_DTYPE_F32, S3R_DTYPE_BF16, S3R_DTYPE_F16};
    for (size_t i = 0; i < S3R_ARRAY_LEN(dtypes); i++)
        for (size_t p = 0; p < 2; p++) {
            check_gradient(dtypes[i], false, pools[p]);
            check_gradient(dtypes[i], true, pools[p]);
        }
    s3r_pool_destroy(pools[0]);
    s3r_pool_destroy(pools[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_form),
        cmocka_unit_test(test_removed_counts),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_select_several),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_random_scores),
        cmocka_unit_test(test_magnitude_scores),
        cmocka_unit_test(test_ordered_scores),
        cmocka_unit_test(test_init_without_memory),
        cmocka_unit_test(test_score_grad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
