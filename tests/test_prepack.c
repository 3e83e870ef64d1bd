/*
 * Weights that stay packed: every use gives the bits of a weight that is packed each
 * time, for all stored types, masks, threads and CPU levels.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "ops/half.h"
#include "ops/op_linear.h"
#include "ops/prepack.h"
#include "support_files.h"
#include "support_router.h"

enum { ROWS = 37, IN = 150, OUT = 203, KEPT_WORDS = 3 };

static const s3r_dtype types[] = {S3R_DTYPE_F32, S3R_DTYPE_F16, S3R_DTYPE_BF16,
                                  S3R_DTYPE_I8};

/* One weight with its memory, as stored. */
typedef struct stored {
    float wide[OUT * IN];
    uint16_t narrow[OUT * IN];
    int8_t small[OUT * IN];
    float scales[OUT];
    uint64_t kept[OUT * KEPT_WORDS];
    s3r_weight weight;
} stored;

static void make_stored(stored *s, s3r_dtype type, bool is_masked)
{
    s3r_random random;
    s3r_random_init(&random, 11, 0);
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < OUT * IN; i++) {
        s->wide[i] = (float)s3r_random_normal(&random);
        s->narrow[i] = type == S3R_DTYPE_F16 ? s3r_f32_to_f16(s->wide[i])
                                             : s3r_f32_to_bf16(s->wide[i]);
        s->small[i] = (int8_t)(254 * s3r_random_uniform(&random) - 127);
        if (s3r_random_uniform(&random) < 0.8)
            s->kept[i / IN * KEPT_WORDS + i % IN / 64] |= (uint64_t)1 << i % IN % 64;
    }
    for (size_t i = 0; i < OUT; i++)
        s->scales[i] = 0.01f + (float)s3r_random_uniform(&random);
    s->weight = (s3r_weight){.dtype = type, .rows = OUT, .cols = IN};
    s->weight.data = s->narrow;
    if (type == S3R_DTYPE_F32)
        s->weight.data = s->wide;
    if (type == S3R_DTYPE_I8) {
        s->weight.data = s->small;
        s->weight.scales = s->scales;
    }
    if (is_masked) {
        s->weight.kept = s->kept;
        s->weight.kept_stride = KEPT_WORDS;
    }
}

/* The layer's output for fixed x, `rows` of it. */
static void run(s3r_pool *pool, const s3r_kernels *kernels, s3r_weight *weight,
                bool is_bf16, size_t rows, float *out)
{
    s3r_tape tape;
    s3r_random random;
    s3r_random_init(&random, 3, 0);
    s3r_tape_init(&tape, pool, kernels);
    tape.is_bf16 = is_bf16;
    s3r_value *x = s3r_tape_value(&tape, rows, weight->cols);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < weight->cols; j++)
            x->data[i * x->stride + j] = (float)s3r_random_normal(&random);
    s3r_value *y = s3r_op_linear(&tape, x, weight, NULL, false);
    if (y)
        for (size_t i = 0; i < rows; i++)
            memcpy(out + i * weight->rows, y->data + i * y->stride,
                   weight->rows * sizeof *out);
    s3r_tape_release(&tape);
}

static size_t available = SIZE_MAX;

static size_t get_available(void)
{
    return available;
}

static s3r_prepack_options options_of(bool is_bf16)
{
    return (s3r_prepack_options){.is_bf16 = is_bf16, .available_bytes = get_available};
}

static void check_uses(s3r_pool *pool, const s3r_kernels *kernels, stored *s,
                       bool is_bf16)
{
    static float expected[ROWS * OUT], found[ROWS * OUT];
    s3r_prepacks prepacks;
    const s3r_prepack_source source = {&s->weight, {0}};
    s3r_prepack_options options = options_of(is_bf16);
    options.is_at_once = true;
    run(pool, kernels, &s->weight, is_bf16, ROWS, expected);
    s3r_prepacks_open(&prepacks, &source, 1, &options);
    assert_non_null(s->weight.prepack);
    for (int use = 0; use < 3; use++) {
        memset(found, 0, sizeof found);
        run(pool, kernels, &s->weight, is_bf16, ROWS, found);
        assert_memory_equal(found, expected, sizeof found);
    }
    /* A few rows are cut into other tasks. */
    run(pool, kernels, &s->weight, is_bf16, 3, found);
    assert_memory_equal(found, expected, 3 * OUT * sizeof *found);
    s->weight.prepack = NULL;
    s3r_prepacks_close(&prepacks);
}

static void test_every_use_gives_the_same_bits(void **state)
{
    (void)state;
    static stored s;
    s3r_pool *pools[2];
    assert_int_equal(s3r_pool_create(&pools[0], 1, NULL), S3R_OK);
    assert_int_equal(s3r_pool_create(&pools[1], 3, NULL), S3R_OK);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
        for (size_t variant = 0; variant < 2 * 2 * 2 * S3R_ARRAY_LEN(types); variant++) {
            make_stored(&s, types[variant / 8], variant & 4);
            check_uses(pools[variant & 1], s3r_kernels_get((s3r_cpu_level)level), &s,
                       variant & 2);
        }
    s3r_pool_destroy(pools[0]);
    s3r_pool_destroy(pools[1]);
}

static s3r_product product_of(const stored *s, bool is_bf16)
{
    return (s3r_product){.n = OUT,
                         .k = IN,
                         .is_bf16 = is_bf16,
                         .b = s->weight.data,
                         .b_layout = S3R_B_TRANSPOSED,
                         .b_dtype = s->weight.dtype,
                         .b_stride = IN};
}

/* NULL for some uses, then panels; returns how many. */
static size_t count_uses(s3r_prepack *prepack, s3r_pool *pool, const s3r_product *product)
{
    const s3r_kernels *kernels = s3r_kernels_get(s3r_cpu_detect());
    size_t uses = 0;
    while (uses < 100 && !s3r_prepack_get(prepack, pool, kernels, product))
        uses++;
    return uses;
}

static void test_packed_after_some_uses(void **state)
{
    (void)state;
    static stored s;
    s3r_pool *pool;
    s3r_prepacks prepacks;
    const s3r_kernels *kernels = s3r_kernels_get(s3r_cpu_detect());
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    make_stored(&s, S3R_DTYPE_F32, false);
    enum { WEIGHTS = 8 };
    s3r_weight weights[WEIGHTS];
    s3r_prepack_source sources[WEIGHTS];
    const s3r_product narrow = product_of(&s, true), wide = product_of(&s, false);
    s3r_prepack_options options = options_of(true);
    for (size_t i = 0; i < WEIGHTS; i++) {
        weights[i] = s.weight;
        sources[i] = (s3r_prepack_source){&weights[i], {0}};
    }
    s3r_prepacks_open(&prepacks, sources, WEIGHTS, &options);
    assert_null(s3r_prepack_get(weights[0].prepack, pool, kernels, &wide)); /* no use */
    for (size_t i = 0; i < WEIGHTS; i++)
        assert_int_equal(count_uses(weights[i].prepack, pool, &narrow), 4 + 2 * i);
    const void *panels = s3r_prepack_get(weights[0].prepack, pool, kernels, &narrow);
    assert_non_null(panels);
    assert_ptr_equal(s3r_prepack_get(weights[0].prepack, pool, kernels, &narrow), panels);
    assert_null(s3r_prepack_get(weights[0].prepack, pool, kernels, &wide));
    s3r_prepacks_close(&prepacks);
    options.is_at_once = true;
    s3r_prepacks_open(&prepacks, sources, WEIGHTS, &options);
    assert_int_equal(count_uses(weights[WEIGHTS - 1].prepack, pool, &narrow), 0);
    s3r_prepacks_close(&prepacks);
    s3r_pool_destroy(pool);
}

static void test_without_memory(void **state)
{
    (void)state;
    static stored s;
    s3r_pool *pool;
    s3r_prepacks prepacks;
    make_stored(&s, S3R_DTYPE_F32, false);
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    size_t bytes = s3r_packed_bytes(IN, OUT, false);
    const s3r_prepack_source source = {&s.weight, {0}};
    const s3r_product product = product_of(&s, false);
    s3r_prepack_options options = options_of(false);
    options.is_at_once = true;
    available = 2 * bytes - 1;
    s3r_prepacks_open(&prepacks, &source, 1, &options);
    assert_null(s.weight.prepack);
    assert_int_equal(s3r_prepacks_bytes(&prepacks), 0);
    s3r_prepacks_close(&prepacks);
    available = 2 * bytes;
    s3r_prepacks_open(&prepacks, &source, 0, &options);
    assert_null(prepacks.items);
    s3r_alloc_fail_at(1);
    s3r_prepacks_open(&prepacks, &source, 1, &options);
    s3r_alloc_fail_at(0);
    assert_null(s.weight.prepack);
    assert_null(prepacks.items);
    /* Too little is left, or nothing is given, when the weight is due: never again. */
    for (int is_refused = 0; is_refused < 2; is_refused++) {
        s3r_prepacks_open(&prepacks, &source, 1, &options);
        assert_non_null(s.weight.prepack);
        available = is_refused ? 2 * bytes : 2 * bytes - 1;
        s3r_alloc_fail_at(is_refused);
        assert_int_equal(count_uses(s.weight.prepack, pool, &product), 100);
        s3r_alloc_fail_at(0);
        available = SIZE_MAX;
        assert_int_equal(count_uses(s.weight.prepack, pool, &product), 100);
        assert_int_equal(s3r_prepacks_bytes(&prepacks), 0);
        s3r_prepacks_close(&prepacks);
        s.weight.prepack = NULL;
    }
    s3r_prepacks_open(&prepacks, &source, 1, &options);
    assert_int_equal(count_uses(s.weight.prepack, pool, &product), 0);
    assert_in_range(s3r_prepacks_bytes(&prepacks), bytes, bytes + S3R_ALIGNMENT);
    s3r_prepacks_close(&prepacks);
    /* int8 of which one panel would not do */
    s3r_weight deep = {.dtype = S3R_DTYPE_I8,
                       .rows = 8,
                       .cols = S3R_INT8_PACKED_DEPTH + 1,
                       .scales = s.scales};
    const s3r_prepack_source both[] = {{&deep, {0}}, source};
    s3r_prepacks_open(&prepacks, both, 2, &options);
    assert_null(deep.prepack);
    assert_non_null(s.weight.prepack);
    s3r_prepacks_close(&prepacks);
    s3r_pool_destroy(pool);
}

/* KiB of mapped files that are resident; 0 where the system does not tell. */
static size_t file_kib(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "RssFile: %lu", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

/* The pages are given back after packing, and are there for who asks for them again. */
static void test_pages_of_the_map_are_given_back(void **state)
{
    (void)state;
    enum { WIDE = 1024, KIB = WIDE * WIDE * sizeof(float) / 1024 };
    const char *path = test_path(test_folder(), "weight");
    float *values = s3r_alloc((size_t)WIDE * WIDE, sizeof *values);
    float *expected = s3r_alloc((size_t)ROWS * WIDE, sizeof *expected);
    float *found = s3r_alloc((size_t)ROWS * WIDE, sizeof *found);
    s3r_pool *pool;
    s3r_file_map map;
    s3r_prepacks prepacks;
    s3r_random random;
    const s3r_kernels *kernels = s3r_kernels_get(s3r_cpu_detect());
    s3r_weight weight = {.data = values, .rows = WIDE, .cols = WIDE};
    assert_true(values && expected && found);
    s3r_random_init(&random, 12, 0);
    for (size_t i = 0; i < (size_t)WIDE * WIDE; i++)
        values[i] = (float)s3r_random_normal(&random);
    test_write_file(path, values, (size_t)WIDE * WIDE * sizeof *values);
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, NULL), S3R_OK);
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    run(pool, kernels, &weight, false, ROWS, expected);
    weight.data = map.data;
    const s3r_prepack_source source = {&weight, map};
    const s3r_prepack_options options = options_of(false);
    s3r_prepacks_open(&prepacks, &source, 1, &options);
    run(pool, kernels, &weight, false, ROWS, found);
    size_t before = file_kib();
    for (int use = 0; use < 6; use++) {
        run(pool, kernels, &weight, false, ROWS, found);
        assert_memory_equal(found, expected, (size_t)ROWS * WIDE * sizeof *found);
    }
    assert_non_null(prepacks.items[0].panels);
    if (before > 0 && file_kib() + KIB / 2 > before)
        fail_msg("%zu KiB of files before, %zu after, %d of the weight", before,
                 file_kib(), KIB);
    assert_memory_equal(map.data, values, (size_t)WIDE * WIDE * sizeof *values);
    s3r_prepacks_close(&prepacks);
    s3r_pool_destroy(pool);
    s3r_file_map_close(&map);
    s3r_free(values);
    s3r_free(expected);
    s3r_free(found);
}

typedef struct user {
    s3r_weight *weight;
    const float *expected;
    bool is_right;
} user;

static void *use_often(void *context)
{
    user *u = context;
    s3r_pool *pool;
    float *found = s3r_alloc((size_t)ROWS * OUT, sizeof *found);
    u->is_right = found && s3r_pool_create(&pool, 2, NULL) == S3R_OK;
    if (u->is_right) {
        for (int use = 0; use < 20 && u->is_right; use++) {
            run(pool, s3r_kernels_get(s3r_cpu_detect()), u->weight, false, ROWS, found);
            u->is_right = memcmp(found, u->expected, ROWS * OUT * sizeof *found) == 0;
        }
        s3r_pool_destroy(pool);
    }
    s3r_free(found);
    return NULL;
}

static void test_threads_share_a_weight(void **state)
{
    (void)state;
    enum { USERS = 4 };
    static stored s;
    static float expected[ROWS * OUT];
    s3r_pool *pool;
    pthread_t threads[USERS];
    user users[USERS];
    make_stored(&s, S3R_DTYPE_BF16, false);
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    run(pool, s3r_kernels_get(s3r_cpu_detect()), &s.weight, false, ROWS, expected);
    s3r_pool_destroy(pool);
    for (int round = 0; round < 5; round++) {
        s3r_prepacks prepacks;
        const s3r_prepack_source source = {&s.weight, {0}};
        const s3r_prepack_options options = options_of(false);
        s3r_prepacks_open(&prepacks, &source, 1, &options);
        for (int i = 0; i < USERS; i++) {
            users[i] = (user){&s.weight, expected, false};
            assert_int_equal(pthread_create(&threads[i], NULL, use_often, &users[i]), 0);
        }
        for (int i = 0; i < USERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_true(users[i].is_right);
        }
        s.weight.prepack = NULL;
        s3r_prepacks_close(&prepacks);
    }
}

enum { SAMPLES = 6000 };

/* What a model hears, the same in each pass; to be freed. */
static float *hear(const test_api *api, const char *mask, bool is_bf16,
                   s3r_weights_memory weights, int passes, size_t *bytes)
{
    static float samples[SAMPLES];
    s3r_model *model;
    s3r_error err = {0};
    s3r_model_options options;
    s3r_model_info info;
    float *first = NULL;
    size_t frames;
    test_make_speech(samples, SAMPLES, 5);
    s3r_model_options_init(&options);
    options.is_bf16 = is_bf16;
    options.mask_path = mask;
    options.weights = weights;
    if (s3r_model_open(&model, api->context, TEST_ROUTER_MODEL, &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_model_get_info(model, &info);
    size_t prepared = info.prepared_bytes;
    for (int pass = 0; pass < passes; pass++) {
        float *hidden;
        assert_int_equal(s3r_forward(api->context, model, samples, SAMPLES, &frames, NULL,
                                     &hidden, &err),
                         S3R_OK);
        *bytes = frames * info.hidden_size * sizeof *hidden;
        if (first) {
            assert_memory_equal(hidden, first, *bytes);
            s3r_buffer_free(hidden);
        } else {
            first = hidden;
        }
    }
    s3r_model_get_info(model, &info);
    if (weights == S3R_WEIGHTS_SHARED)
        assert_int_equal(info.prepared_bytes, prepared);
    else
        assert_true(info.prepared_bytes > prepared);
    s3r_model_close(model);
    return first;
}

static void test_models_of_every_kind(void **state)
{
    (void)state;
    test_api api;
    const char *folder = test_router_masks(TEST_ROUTER_MODEL);
    char name[64];
    test_router_open_api(&api, TEST_ROUTER_MODEL, 2, false);
    for (size_t kind = 0; kind <= TEST_MASKS; kind++) {
        const char *mask = NULL;
        if (kind < TEST_MASKS) {
            snprintf(name, sizeof name, "%s.s3m", test_router_kinds[kind].name);
            mask = test_path(folder, name);
        }
        for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
            size_t bytes, packed_bytes;
            float *shared = hear(&api, mask, is_bf16, S3R_WEIGHTS_SHARED, 2, &bytes);
            float *packed =
                hear(&api, mask, is_bf16, S3R_WEIGHTS_PACKED, 3, &packed_bytes);
            assert_int_equal(packed_bytes, bytes);
            assert_memory_equal(shared, packed, bytes);
            s3r_buffer_free(packed);
            packed = hear(&api, mask, is_bf16, S3R_WEIGHTS_AUTO, 24, &packed_bytes);
            assert_memory_equal(shared, packed, bytes);
            s3r_buffer_free(shared);
            s3r_buffer_free(packed);
        }
    }
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_use_gives_the_same_bits),
        cmocka_unit_test(test_packed_after_some_uses),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_pages_of_the_map_are_given_back),
        cmocka_unit_test(test_threads_share_a_weight),
        cmocka_unit_test(test_models_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
