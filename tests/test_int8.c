/*
 * int8: products against sums in whole numbers, the same bits on every CPU level; models
 * converted and opened, alone, in batches, with masks, and what they refuse.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include <sndfile.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/weight_quantize.h"
#include "ops/gemm.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"
#include "support_mask.h"

static uint64_t seed = 99;
static s3r_error err;

static float uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(seed >> 32) * (1.0f / 2147483648.0f);
}

/* ---- products ---- */

typedef struct product_case {
    size_t m, n, k;
    bool is_masked, accumulates;
} product_case;

static const product_case cases[] = {
    {1, 1, 1, false, false},     {14, 32, 64, false, false}, {15, 33, 67, true, false},
    {3, 31, 5, true, true},      {50, 64, 768, true, false}, {7, 17, 4100, true, false},
    {29, 100, 9001, true, true}, {2, 48, 130, false, true},
};

typedef struct operands {
    float *x, *a_scales, *b_scales, *c;
    uint8_t *a;
    int8_t *b;
    uint64_t *kept;
    size_t a_stride, b_stride, kept_stride;
} operands;

static operands make_operands(const product_case *p, const s3r_kernels *kernels)
{
    operands o = {.a_stride = p->k + 9, .b_stride = p->k + 2};
    o.kept_stride = S3R_CEIL_DIV(p->k, 64u);
    o.x = s3r_alloc(p->m * p->k, 4);
    o.a_scales = s3r_alloc(p->m, 4);
    o.b_scales = s3r_alloc(p->n, 4);
    o.c = s3r_alloc(p->m * p->n, 4);
    o.a = s3r_alloc(p->m * o.a_stride, 1);
    o.b = s3r_alloc(p->n * o.b_stride, 1);
    o.kept = s3r_alloc(p->n * o.kept_stride, 8);
    seed = 4711;
    for (size_t i = 0; i < p->m * p->k; i++)
        o.x[i] = uniform();
    memset(o.a, 77, p->m * o.a_stride); /* what lies behind a row does not count */
    for (size_t i = 0; i < p->m; i++)
        o.a_scales[i] = kernels->quantize_row(p->k, o.x + i * p->k, o.a + i * o.a_stride);
    for (size_t i = 0; i < p->n * o.b_stride; i++)
        o.b[i] = (int8_t)(uniform() * 127.4f);
    for (size_t i = 0; i < p->n; i++)
        o.b_scales[i] = 0.001f + fabsf(uniform());
    for (size_t i = 0; i < p->n * o.kept_stride; i++)
        o.kept[i] = ((uint64_t)(uniform() * 2e9f) << 32) ^ (uint64_t)(uniform() * 2e9f);
    for (size_t i = 0; i < p->m * p->n; i++)
        o.c[i] = uniform();
    return o;
}

static void release_operands(operands *o)
{
    s3r_free(o->x), s3r_free(o->a_scales), s3r_free(o->b_scales), s3r_free(o->c);
    s3r_free(o->a), s3r_free(o->b), s3r_free(o->kept);
}

/* *size is the sum of the absolute products. */
static double expected_at(const product_case *p, const operands *o, size_t i, size_t j,
                          double *size)
{
    int64_t sum = 0, absolute = 0;
    for (size_t k = 0; k < p->k; k++) {
        int product = (o->a[i * o->a_stride + k] - 128) * o->b[j * o->b_stride + k];
        if (!p->is_masked || (o->kept[j * o->kept_stride + k / 64] >> k % 64 & 1)) {
            sum += product;
            absolute += abs(product);
        }
    }
    double scale = (double)o->a_scales[i] * (double)o->b_scales[j];
    *size = (double)absolute * scale;
    return (double)sum * scale;
}

static void test_products_are_exact(void **state)
{
    (void)state;
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (size_t n = 0; n < S3R_ARRAY_LEN(cases); n++) {
        const product_case *p = &cases[n];
        float *first = NULL;
        for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
            const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
            operands o = make_operands(p, kernels);
            float *before = s3r_alloc(p->m * p->n, 4);
            memcpy(before, o.c, p->m * p->n * 4);
            s3r_product product = {.m = p->m,
                                   .n = p->n,
                                   .k = p->k,
                                   .a = o.a,
                                   .a_stride = o.a_stride,
                                   .a_scales = o.a_scales,
                                   .b = o.b,
                                   .b_layout = S3R_B_TRANSPOSED,
                                   .b_dtype = S3R_DTYPE_I8,
                                   .b_stride = o.b_stride,
                                   .b_scales = o.b_scales,
                                   .b_kept = p->is_masked ? o.kept : NULL,
                                   .b_kept_stride = o.kept_stride,
                                   .c = o.c,
                                   .c_stride = p->n,
                                   .accumulate = p->accumulates};
            s3r_products_run(pool, kernels, &product, 1);
            for (size_t i = 0; i < p->m; i++) {
                for (size_t j = 0; j < p->n; j++) {
                    double size, wanted = expected_at(p, &o, i, j, &size);
                    if (p->accumulates)
                        wanted += (double)before[i * p->n + j];
                    double error = fabs(wanted - (double)o.c[i * p->n + j]);
                    if (!(error <= 2e-7 * (1 + size)))
                        fail_msg("%s case %zu (%zu, %zu): %g, expected %g",
                                 s3r_cpu_level_name(kernels->level), n, i, j,
                                 (double)o.c[i * p->n + j], wanted);
                }
            }
            if (first)
                assert_memory_equal(first, o.c, p->m * p->n * 4);
            else
                first = memcpy(s3r_alloc(p->m * p->n, 4), o.c, p->m * p->n * 4);
            s3r_free(before);
            release_operands(&o);
        }
        s3r_free(first);
    }
    s3r_pool_destroy(pool);
}

static void test_rows_are_rounded_to_nearest(void **state)
{
    (void)state;
    const float x[] = {-127, 127, 0.5f, 1.5f, -0.5f, 2.4f, -126.6f, 0};
    const uint8_t wanted[] = {1, 255, 128, 130, 128, 130, 1, 128};
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        const s3r_kernels *kernels = s3r_kernels_get((s3r_cpu_level)level);
        uint8_t y[8];
        assert_true(kernels->quantize_row(8, x, y) == 1.0f);
        assert_memory_equal(y, wanted, sizeof wanted);
        assert_true(kernels->quantize_row(2, (const float[]){0, -0.0f}, y) == 0.0f);
        assert_int_equal(y[0], 128);
        assert_true(isnan(kernels->quantize_row(2, (const float[]){1, NAN}, y)));
        assert_true(isnan(kernels->quantize_row(2, (const float[]){-INFINITY, 1}, y)));
    }
}

static void test_weights_keep_their_zeros_and_extremes(void **state)
{
    (void)state;
    const float row[] = {0.5f, -2.54f, 0, 0.01f, 0.03f};
    int8_t q[5];
    float back[5], scale = s3r_quantize_weights(5, row, q);
    assert_int_equal(q[1], -127);
    assert_int_equal(q[2], 0);
    s3r_dequantize_weights(back, q, &scale, 5, 0, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(fabsf(back[i] - row[i]) <= 0.5001f * scale);
    assert_true(s3r_quantize_weights(3, (const float[]){0, 0, 0}, q) == 0);
    assert_int_equal(q[0], 0);
    assert_true(isnan(s3r_quantize_weights(2, (const float[]){1, NAN}, q)));
    assert_true(isnan(s3r_quantize_weights(2, (const float[]){-INFINITY, 1}, q)));
    assert_int_equal(q[0], 0);
}

/* ---- models ---- */

#define WAV_FLOAT (SF_FORMAT_WAV | SF_FORMAT_FLOAT)
#define MODEL     TEST_GOLDEN "w2v2_group_postln"

static const char *convert(const char *from, const char *mask, const char *dtype)
{
    test_api api = {0};
    char name[64];
    snprintf(name, sizeof name, "%s%s%zu", dtype, mask ? "-merged-" : "-", strlen(from));
    const char *folder = test_path(test_folder(), name);
    s3r_model_options options;
    s3r_model_options_init(&options);
    options.mask_path = mask;
    assert_int_equal(s3r_context_create(&api.context, NULL, &err), S3R_OK);
    if (s3r_model_open(&api.model, api.context, from, &options, &err) != S3R_OK ||
        s3r_model_save(api.model, folder, dtype, true, &err) != S3R_OK)
        fail_msg("%s", err.message);
    test_api_close(&api);
    return folder;
}

typedef struct outputs {
    float *log_probs;
    size_t frames, labels;
} outputs;

static outputs run(const char *model, const char *mask, const char *level, size_t count)
{
    s3r_context_options context_options;
    s3r_context *context;
    s3r_model *opened;
    s3r_model_options options;
    s3r_model_info info;
    outputs out = {0};
    s3r_context_options_init(&context_options);
    context_options.cpu_level = level;
    s3r_model_options_init(&options);
    options.mask_path = mask;
    float *samples = s3r_alloc(count, 4);
    test_make_speech(samples, count, 3);
    assert_int_equal(s3r_context_create(&context, &context_options, &err), S3R_OK);
    if (s3r_model_open(&opened, context, model, &options, &err) != S3R_OK ||
        s3r_forward(context, opened, samples, count, &out.frames, &out.log_probs, NULL,
                    &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_model_get_info(opened, &info);
    out.labels = info.label_count;
    s3r_model_close(opened);
    s3r_context_destroy(context);
    s3r_free(samples);
    return out;
}

/* Mean absolute difference of probabilities. */
static double difference(const outputs *a, const outputs *b)
{
    double sum = 0;
    assert_int_equal(a->frames, b->frames);
    assert_int_equal(a->labels, b->labels);
    for (size_t i = 0; i < a->frames * a->labels; i++)
        sum += fabs(exp((double)a->log_probs[i]) - exp((double)b->log_probs[i]));
    return sum / (double)(a->frames * a->labels);
}

static void test_models_give_nearly_the_same(void **state)
{
    (void)state;
    static const char *const golden[] = {"w2v2_group_postln", "hubert_layer_preln",
                                         "wavlm_base", "odd_shapes"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(golden); i++) {
        const char *model = test_path(TEST_GOLDEN, golden[i]);
        const char *folder = convert(model, NULL, "int8");
        outputs exact = run(model, NULL, "auto", 24000);
        outputs rounded = run(folder, NULL, "auto", 24000);
        double apart = difference(&exact, &rounded);
        if (!(apart > 0 && apart < 0.01))
            fail_msg("%s: %g apart", golden[i], apart);
        s3r_buffer_free(exact.log_probs);
        s3r_buffer_free(rounded.log_probs);
    }
}

/* Masks of the backbone fit the int8 form of it, and remove exactly what they say. */
static void test_masks_fit(void **state)
{
    (void)state;
    const char *mask = test_path(test_folder(), "random.s3m");
    const test_mask_options options = {
        .has_masks = true, .sparsity = 0.4, .labels = 20, .seed = 5};
    if (test_mask_write(mask, MODEL, &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    const char *folder = convert(MODEL, NULL, "int8");
    const char *merged = convert(MODEL, mask, "int8");
    outputs plain = run(MODEL, NULL, "auto", 24000);
    outputs exact = run(MODEL, mask, "auto", 24000);
    outputs rounded = run(folder, mask, "auto", 24000);
    outputs baked = run(merged, NULL, "auto", 24000);
    assert_true(difference(&exact, &rounded) < 0.01);
    assert_true(difference(&exact, &baked) < 0.01);
    assert_true(plain.labels != exact.labels);
    s3r_buffer_free(plain.log_probs), s3r_buffer_free(exact.log_probs);
    s3r_buffer_free(rounded.log_probs), s3r_buffer_free(baked.log_probs);
}

static void test_levels_give_the_same_bits(void **state)
{
    (void)state;
    const char *folder = convert(MODEL, NULL, "int8");
    outputs first = {0};
    for (int level = S3R_CPU_AVX2; level <= (int)s3r_cpu_detect(); level++) {
        outputs next = run(folder, NULL, s3r_cpu_level_name((s3r_cpu_level)level), 12000);
        if (first.log_probs)
            assert_memory_equal(first.log_probs, next.log_probs,
                                first.frames * first.labels * sizeof(float));
        s3r_buffer_free(first.log_probs);
        first = next;
    }
    s3r_buffer_free(first.log_probs);
}

static void emissions(const char *model, const char *const *paths, size_t count,
                      const char *out)
{
    test_api api;
    test_results *results = s3r_alloc(1, sizeof *results);
    s3r_transcribe_options options;
    s3r_transcribe_options_init(&options);
    options.emissions_folder = out;
    test_api_open(&api, model, 2, NULL);
    assert_int_equal(s3r_transcribe(api.context, api.model, paths, count, &options,
                                    test_take_result, results, &err),
                     S3R_OK);
    test_results_release(results);
    s3r_free(results);
    test_api_close(&api);
}

static void test_a_batch_equals_its_utterances(void **state)
{
    (void)state;
    const char *model = convert(MODEL, NULL, "int8"), *folder = test_folder();
    const char *paths[2] = {test_write_speech(folder, "a.wav", WAV_FLOAT, 20000, 1),
                            test_write_speech(folder, "b.wav", WAV_FLOAT, 33000, 2)};
    const char *together = test_path(test_folder(), "together");
    const char *alone = test_path(test_folder(), "alone");
    emissions(model, paths, 2, together);
    emissions(model, &paths[0], 1, alone);
    emissions(model, &paths[1], 1, alone);
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "a.npy" : "b.npy";
        size_t rows[2], cols[2];
        float *x = test_read_npy(test_path(together, name), &rows[0], &cols[0]);
        float *y = test_read_npy(test_path(alone, name), &rows[1], &cols[1]);
        assert_int_equal(rows[0], rows[1]);
        assert_memory_equal(x, y, rows[0] * cols[0] * sizeof(float));
        s3r_free(x), s3r_free(y);
    }
}

static void assert_same_files(const char *a, const char *b)
{
    s3r_file_map x, y;
    assert_int_equal(s3r_file_map_open(&x, a, S3R_ERR_RUNTIME, &err), S3R_OK);
    assert_int_equal(s3r_file_map_open(&y, b, S3R_ERR_RUNTIME, &err), S3R_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    s3r_file_map_close(&x);
    s3r_file_map_close(&y);
}

static void test_conversion_back(void **state)
{
    (void)state;
    const char *folder = convert(MODEL, NULL, "int8");
    const char *back = convert(folder, NULL, "f32"),
               *again = convert(folder, NULL, "int8");
    assert_same_files(test_path(folder, "model.safetensors"),
                      test_path(again, "model.safetensors"));
    assert_same_files(test_path(folder, "config.json"), test_path(again, "config.json"));
    outputs rounded = run(folder, NULL, "auto", 24000);
    outputs wide = run(back, NULL, "auto", 24000);
    assert_true(difference(&rounded, &wide) < 0.01);
    s3r_buffer_free(rounded.log_probs);
    s3r_buffer_free(wide.log_probs);
}

static void expect_open_fails(const char *folder, const char *said)
{
    s3r_context *context;
    s3r_model *model = NULL;
    assert_int_equal(s3r_context_create(&context, NULL, &err), S3R_OK);
    s3r_status status = s3r_model_open(&model, context, folder, NULL, &err);
    test_expect_failure(status, &err, S3R_ERR_MODEL, said);
    s3r_context_destroy(context);
}

/* config.json and the tensors must agree on what is int8. */
static void test_disagreement_is_told(void **state)
{
    (void)state;
    const char *folder = convert(MODEL, NULL, "int8"),
               *plain = test_copy_model("w2v2_group_postln");
    const char *config = test_path(folder, "config.json");
    const char *plain_config = test_path(plain, "config.json");
    json_t *json = json_load_file(config, 0, NULL);
    assert_non_null(json_object_get(json, "s3r_int8"));
    json_object_del(json, "s3r_int8");
    json_dump_file(json, config, 0);
    expect_open_fails(folder, "expected F32, F16, BF16 or F64, found I8");
    expect_open_fails(folder, "weight_scale");
    json_object_set_new(json, "s3r_int8", json_string("yes"));
    json_dump_file(json, config, 0);
    expect_open_fails(folder, "\"s3r_int8\": expected an object");
    json_decref(json);
    json = json_load_file(plain_config, 0, NULL);
    json_object_set_new(json, "s3r_int8", json_object());
    json_dump_file(json, plain_config, 0);
    expect_open_fails(plain, "expected I8, found BF16");
    json_decref(json);
}

/* ---- no memory ---- */

static s3r_status attempt_forward(void *folder, s3r_error *error)
{
    s3r_context *context;
    s3r_model *model = NULL;
    float samples[4000], *log_probs = NULL;
    size_t frames;
    test_make_speech(samples, S3R_ARRAY_LEN(samples), 3);
    S3R_TRY(s3r_context_create(&context, NULL, error));
    s3r_status status = s3r_model_open(&model, context, folder, NULL, error);
    if (status == S3R_OK)
        status = s3r_forward(context, model, samples, S3R_ARRAY_LEN(samples), &frames,
                             &log_probs, NULL, error);
    s3r_buffer_free(log_probs);
    s3r_model_close(model);
    s3r_context_destroy(context);
    return status;
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    test_survives_alloc_faults(attempt_forward,
                               (void *)(uintptr_t)convert(MODEL, NULL, "int8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_are_exact),
        cmocka_unit_test(test_rows_are_rounded_to_nearest),
        cmocka_unit_test(test_weights_keep_their_zeros_and_extremes),
        cmocka_unit_test(test_models_give_nearly_the_same),
        cmocka_unit_test(test_masks_fit),
        cmocka_unit_test(test_levels_give_the_same_bits),
        cmocka_unit_test(test_a_batch_equals_its_utterances),
        cmocka_unit_test(test_conversion_back),
        cmocka_unit_test(test_disagreement_is_told),
        cmocka_unit_test(test_allocation_failures_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
