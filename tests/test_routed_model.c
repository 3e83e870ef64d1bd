/*
 * Models with a mask file: what they compute is what the merged model computes, bit for
 * bit; all or nothing; other backbones and misfits are named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/model_hash.h"
#include "s3r/mask_info.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"
#include "support_mask.h"
#include "tasks/routed_model.h"

#define SAMPLES ((size_t)9000)

static s3r_error err;
static float samples[SAMPLES];

static const test_mask_options masks_only = {
    .has_masks = true, .sparsity = 0.3, .labels = 9, .seed = 1};
static const test_mask_options everything = {.method = "mask+weights",
                                             .has_masks = true,
                                             .has_all_values = true,
                                             .sparsity = 0.4,
                                             .labels = 7,
                                             .seed = 2};
static const test_mask_options vectors = {
    .method = "bias", .has_vectors = true, .labels = 12, .seed = 3};
static const test_mask_options lora = {.method = "lora",
                                       .has_masks = true,
                                       .has_lora = true,
                                       .sparsity = 0.1,
                                       .labels = 12,
                                       .seed = 4};
static const test_mask_options adapters_asr = {
    .method = "adapter", .has_adapters = true, .labels = 12, .seed = 5};
static const test_mask_options adapters_st = {
    .method = "adapter", .has_adapters = true, .is_st = true, .labels = 12, .seed = 5};

static const test_mask_options languages = {.has_masks = true,
                                            .sparsity = 0.1,
                                            .labels = 3,
                                            .identifies_languages = true,
                                            .seed = 6};

/* A new path in one folder. */
static const char *new_path(const char *suffix)
{
    static const char *root;
    static unsigned number;
    char name[32];
    if (!root)
        root = test_folder();
    snprintf(name, sizeof name, "%u%s", number++, suffix);
    return test_path(root, name);
}

static const char *write_mask(const char *model, const test_mask_options *options)
{
    const char *path = new_path("x.s3m");
    if (test_mask_write(path, model, options, &err) != S3R_OK)
        fail_msg("%s: %s", model, err.message);
    return path;
}

static s3r_status open_masked(test_api *api, const char *model, const char *mask,
                              size_t threads, bool is_bf16)
{
    s3r_context_options context;
    s3r_model_options options;
    s3r_context_options_init(&context);
    context.thread_count = threads;
    *api = (test_api){0};
    assert_int_equal(s3r_context_create(&api->context, &context, &err), S3R_OK);
    s3r_model_options_init(&options);
    options.mask_path = mask;
    options.is_bf16 = is_bf16;
    err.message[0] = '\0';
    return s3r_model_open(&api->model, api->context, model, &options, &err);
}

static void open_or_fail(test_api *api, const char *model, const char *mask,
                         size_t threads, bool is_bf16)
{
    if (open_masked(api, model, mask, threads, is_bf16) != S3R_OK)
        fail_msg("%s: %s", model, err.message);
}

/* Log-probabilities [frames, labels] of the test signal. */
static float *run(const test_api *api, size_t *frames)
{
    float *log_probs = NULL;
    if (s3r_forward(api->context, api->model, samples, SAMPLES, frames, &log_probs, NULL,
                    &err) != S3R_OK)
        fail_msg("%s", err.message);
    return log_probs;
}

/* Largest difference of what two opened models compute; NAN when they have other shapes.
 */
static double difference(const test_api *a, const test_api *b)
{
    s3r_model_info x, y;
    size_t frames, frames_b;
    s3r_model_get_info(a->model, &x);
    s3r_model_get_info(b->model, &y);
    float *p = run(a, &frames), *q = run(b, &frames_b);
    double largest = frames == frames_b && x.label_count == y.label_count ? 0 : NAN;
    for (size_t i = 0; largest >= 0 && i < frames * x.label_count; i++)
        largest = fmax(largest, fabs((double)p[i] - (double)q[i]));
    s3r_buffer_free(p);
    s3r_buffer_free(q);
    return largest;
}

static const char *const models[] = {
    TEST_GOLDEN "w2v2_group_postln",
    TEST_GOLDEN "w2v2_layer_preln",
    TEST_GOLDEN "hubert_layer_preln",
    TEST_GOLDEN "data2vec_audio",
    TEST_GOLDEN "wavlm_base",
    TEST_GOLDEN "odd_shapes",
    TEST_GOLDEN "w2v2_group_postln_fairseq/finetuned_zip.pt",
    TEST_GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt"};

/* tolerance: 0 where the merged model must give the same bits. */
static void check_merged(const char *model, const test_mask_options *options,
                         bool is_bf16, double tolerance)
{
    const char *mask = write_mask(model, options);
    const char *folder = new_path("merged");
    test_api routed, merged, plain;
    s3r_model_info info;
    open_or_fail(&routed, model, mask, 1, is_bf16);
    if (s3r_model_save(routed.model, folder, "f32", false, &err) != S3R_OK)
        fail_msg("%s: %s", model, err.message);
    open_or_fail(&merged, folder, NULL, 2, is_bf16);
    double apart = difference(&routed, &merged);
    if (!(apart <= tolerance))
        fail_msg("%s, method %s: the merged model is %g apart", model, options->method,
                 apart);
    s3r_model_get_info(merged.model, &info);
    assert_true(info.has_vocabulary && info.label_count == options->labels);
    assert_string_equal(s3r_model_label(merged.model, 2), "A");
    assert_null(info.mask_path);

    /* And the mask did something. */
    open_or_fail(&plain, model, NULL, 1, is_bf16);
    s3r_model_get_info(plain.model, &info);
    if (info.label_count == options->labels)
        assert_true(difference(&routed, &plain) > 1e-3);
    s3r_model_get_info(routed.model, &info);
    assert_string_equal(info.mask_path, mask);
    assert_string_equal(info.mask_language, "und");
    assert_int_equal(info.removed_elements > 0, options->has_masks);
    test_api_close(&routed);
    test_api_close(&merged);
    test_api_close(&plain);
}

static void test_merged_models_are_equal(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(models); i++) {
        check_merged(models[i], &masks_only, false, 0);
        check_merged(models[i], &everything, false, 0);
        check_merged(models[i], &vectors, false, 0);
    }
}

/* The update is added to the weight and rounded once, not to the product: fp32 rounding
 * of sums of some hundred terms through two blocks. */
static void test_merged_low_rank_updates(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(models); i++)
        check_merged(models[i], &lora, false, 2e-3);
}

/* Products in bf16 round the same weights in the same way. */
static void test_bf16(void **state)
{
    (void)state;
    check_merged(models[0], &masks_only, true, 0);
    check_merged(models[1], &everything, true, 0);
}

static void test_threads(void **state)
{
    (void)state;
    const char *mask = write_mask(models[1], &everything);
    test_api one, three;
    open_or_fail(&one, models[1], mask, 1, false);
    open_or_fail(&three, models[1], mask, 3, false);
    assert_true(difference(&one, &three) == 0);
    test_api_close(&one);
    test_api_close(&three);
}

/* The hash is the backbone's, with a mask file and without. */
static void test_hash_stays(void **state)
{
    (void)state;
    char before[S3R_HASH_HEX_BYTES], after[S3R_HASH_HEX_BYTES];
    test_api api;
    open_or_fail(&api, models[0], NULL, 1, false);
    assert_int_equal(s3r_model_get_hash(api.model, before, &err), S3R_OK);
    test_api_close(&api);
    open_or_fail(&api, models[0], write_mask(models[0], &everything), 1, false);
    assert_int_equal(s3r_model_get_hash(api.model, after, &err), S3R_OK);
    test_api_close(&api);
    assert_string_equal(before, after);
}

static void test_adapters(void **state)
{
    (void)state;
    const test_mask_options *kinds[] = {&adapters_asr, &adapters_st};
    test_api apis[2];
    for (size_t i = 0; i < 2; i++) {
        open_or_fail(&apis[i], models[0], write_mask(models[0], kinds[i]), 1, false);
        const char *folder = new_path("merged");
        test_expect_failure(s3r_model_save(apis[i].model, folder, "f32", false, &err),
                            &err, S3R_ERR_MODEL, "x.s3m: has adapters");
        assert_false(s3r_path_exists(folder));
    }
    assert_true(difference(&apis[0], &apis[1]) > 1e-3);
    test_api_close(&apis[0]);
    test_api_close(&apis[1]);
}

/* ---- what does not fit ---- */

static void test_other_backbones(void **state)
{
    (void)state;
    char hash[S3R_HASH_HEX_BYTES], said[512];
    test_api api;
    open_or_fail(&api, models[0], NULL, 1, false);
    assert_int_equal(s3r_model_get_hash(api.model, hash, &err), S3R_OK);
    const char *mask = write_mask(models[0], &masks_only);
    snprintf(said, sizeof said,
             "x.s3m: made for another backbone than %s: expected wav2vec2 %s, "
             "found hubert ",
             models[2], hash);
    test_api other;
    s3r_status status = open_masked(&other, models[2], mask, 1, false);
    test_expect_failure(status, &err, S3R_ERR_MODEL, said);
    test_api_close(&other);
    assert_int_equal(s3r_mask_verify(mask, api.model, &err), S3R_OK);
    assert_int_equal(s3r_mask_verify(mask, NULL, &err), S3R_OK);
    open_or_fail(&other, models[1], NULL, 1, false);
    test_expect_failure(s3r_mask_verify(mask, other.model, &err), &err, S3R_ERR_MODEL,
                        "expected wav2vec2 ");
    test_api_close(&other);
    test_api_close(&api);
}

/* Masks on one open backbone give what each gives with a backbone of its own, in any
 * order of opening and closing; a refused one leaves the others as they are. */
static void test_masks_on_one_backbone(void **state)
{
    (void)state;
    const test_mask_options *const kinds[] = {&masks_only, &everything, &lora, &vectors};
    for (size_t m = 0; m < 5; m++) {
        test_api backbone, shared[S3R_ARRAY_LEN(kinds)], own;
        s3r_model *refused = NULL;
        open_or_fail(&backbone, models[m], write_mask(models[m], &vectors), 2, false);
        for (size_t i = 0; i < S3R_ARRAY_LEN(kinds); i++) {
            shared[i] = (test_api){.context = backbone.context};
            if (s3r_model_open_mask(&shared[i].model, backbone.context, backbone.model,
                                    write_mask(models[m], kinds[i]), &err) != S3R_OK)
                fail_msg("%s: %s", models[m], err.message);
        }
        test_expect_failure(
            s3r_model_open_mask(&refused, backbone.context, backbone.model,
                                write_mask(models[(m + 1) % 5], &masks_only), &err),
            &err, S3R_ERR_MODEL, "expected");
        assert_null(refused);
        for (size_t i = S3R_ARRAY_LEN(kinds); i-- > 0;) {
            s3r_model_info info;
            s3r_model_get_info(shared[i].model, &info);
            open_or_fail(&own, models[m], info.mask_path, 1, false);
            assert_true(difference(&shared[i], &own) == 0);
            test_api_close(&own);
            s3r_model_close(shared[i].model);
        }
        test_api_close(&backbone);
    }
}

static void test_language_with_mask(void **state)
{
    (void)state;
    s3r_context *context;
    s3r_model *model = NULL;
    s3r_model_options options;
    assert_int_equal(s3r_context_create(&context, NULL, &err), S3R_OK);
    s3r_model_options_init(&options);
    options.mask_path = write_mask(models[0], &masks_only);
    options.language = "deu";
    test_expect_failure(s3r_model_open(&model, context, models[0], &options, &err), &err,
                        S3R_ERR_USAGE, "language \"deu\"");
    s3r_context_destroy(context);
}

typedef struct misfit {
    const char *tensor; /* renamed (when `name` is set), its matrices entry too, */
    const char *name;
    size_t shape[2]; /* or reshaped, [0] = leave */
    unsigned rank;
    const char *fact; /* or a fact set to value (JSON) */
    const char *value;
    const char *said;
} misfit;

static void change(test_mask_content *content, const misfit *c)
{
    for (size_t i = 0; c->tensor && i < content->count; i++) {
        if (strcmp(content->tensors[i].name, c->tensor) != 0)
            continue;
        if (c->name)
            content->tensors[i].name = c->name;
        if (c->rank) {
            content->tensors[i].rank = c->rank;
            memcpy(content->tensors[i].shape, c->shape, sizeof c->shape);
        }
    }
    size_t index;
    json_t *matrix;
    json_array_foreach(json_object_get(content->facts, "matrices"), index, matrix)
    {
        const char *name = json_string_value(json_object_get(matrix, "name"));
        if (c->tensor && c->name && strcmp(name, c->tensor + strlen("mask/")) == 0)
            json_object_set_new(matrix, "name", json_string(c->name + strlen("mask/")));
        else if (c->tensor && !c->name && strcmp(name, c->tensor + 5) == 0)
            json_object_set_new(matrix, "shape", json_loads(c->value, 0, NULL));
    }
    if (c->fact)
        json_object_set_new(content->facts, c->fact,
                            json_loads(c->value, JSON_DECODE_ANY, NULL));
}

/* Whole files that fit in themselves but not the model. */
static void test_misfits(void **state)
{
    (void)state;
    static const misfit cases[] = {
        {.tensor = "mask/encoder.layers.0.attention.q_proj.weight",
         .name = "mask/encoder.layers.7.attention.q_proj.weight",
         .said = "expected a parameter of the encoder, found no such parameter"},
        {.tensor = "mask/encoder.layers.0.attention.q_proj.weight",
         .name = "mask/lm_head.weight",
         .said = "expected a parameter of the encoder"},
        {.tensor = "mask/encoder.layers.0.attention.q_proj.weight",
         .name = "mask/encoder.pos_conv_embed.conv.weight_v",
         .said = "expected the name of a matrix"},
        {.tensor = "mask/encoder.layers.0.attention.q_proj.weight",
         .value = "[8,32]",
         .said = "expected a matrix [16,16], found bits of [8,32]"},
        {.tensor = "values/encoder.layer_norm.bias",
         .shape = {4, 4},
         .rank = 2,
         .said = "\"values/encoder.layer_norm.bias\": expected [16], found [4,4]"},
        {.tensor = "values/encoder.layer_norm.bias",
         .name = "values/encoder.layer_norm.bins",
         .said = "\"encoder.layer_norm.bins\": expected a parameter"},
        {.tensor = "head/weight", .shape = {7, 8}, .rank = 2, .said = "head/weight"},
        {.fact = "sample_rate", .value = "8000", .said = "expected 16000 Hz"},
    };
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
    static test_mask_content content;
    assert_int_equal(s3r_checkpoint_open(&checkpoint, models[0], &err), S3R_OK);
    assert_int_equal(s3r_model_config_open(&config, checkpoint, NULL, &err), S3R_OK);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *path = new_path("x.s3m");
        test_api api;
        assert_int_equal(test_mask_make(&content, checkpoint, &config, &everything, &err),
                         S3R_OK);
        change(&content, &cases[i]);
        if (strcmp(cases[i].said, "head/weight") == 0)
            content.tensors[content.count - 2].size_bytes = 7 * 8 * 4;
        assert_int_equal(
            s3r_mask_file_save(path, content.tensors, content.count, content.facts, &err),
            S3R_OK);
        s3r_status status = open_masked(&api, models[0], path, 1, false);
        test_expect_failure(status, &err, S3R_ERR_MODEL, cases[i].said);
        test_api_close(&api);
        test_mask_release(&content);
    }
    s3r_checkpoint_close(checkpoint);
}

/* ---- memory ---- */

typedef struct route_case {
    const char *mask, *folder;
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
    s3r_model_weights weights;
    char hash[S3R_MODEL_HASH_BYTES];
} route_case;

static s3r_status attempt_route(void *context, s3r_error *error)
{
    route_case *c = context;
    s3r_route route;
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    S3R_TRY(s3r_route_open(&route, c->mask, c->checkpoint, &c->config, &c->weights,
                           c->hash, &options, error));
    s3r_route_close(&route);
    return S3R_OK;
}

static s3r_status attempt_convert(void *context, s3r_error *error)
{
    route_case *c = context;
    s3r_route route;
    s3r_weights_options options;
    const s3r_convert_options convert = {.dtype = S3R_DTYPE_F32, .is_forced = true};
    s3r_weights_options_init(&options);
    S3R_TRY(s3r_route_open(&route, c->mask, c->checkpoint, &c->config, &c->weights,
                           c->hash, &options, error));
    s3r_status status =
        s3r_route_convert(&route, c->checkpoint, &c->config, c->folder, &convert, error);
    s3r_route_close(&route);
    return status;
}

/* As test_survives_alloc_faults, but for jansson's own allocations: its scanner asserts
 * when one fails within a string that has escapes, as the facts have. */
static void survive(test_attempt_fn attempt, route_case *c)
{
    s3r_status status = S3R_ERR_RESOURCE;
    for (size_t n = 1; status != S3R_OK; n++) {
        err.message[0] = '\0';
        s3r_alloc_fail_at(n);
        status = attempt(c, &err);
        s3r_alloc_fail_at(0);
        if (status != S3R_OK && (status != S3R_ERR_RESOURCE || !err.message[0]))
            fail_msg("allocation %zu: %s: %s", n, s3r_status_name(status), err.message);
    }
}

static void test_without_memory(void **state)
{
    (void)state;
    route_case c = {.mask = write_mask(models[0], &everything)};
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    assert_int_equal(s3r_checkpoint_open(&c.checkpoint, models[0], &err), S3R_OK);
    assert_int_equal(s3r_model_config_open(&c.config, c.checkpoint, NULL, &err), S3R_OK);
    assert_int_equal(
        s3r_model_weights_open(&c.weights, c.checkpoint, &c.config, &options, &err),
        S3R_OK);
    assert_int_equal(s3r_model_hash(c.hash, c.checkpoint, &c.config, &err), S3R_OK);
    survive(attempt_route, &c);
    c.mask = write_mask(models[0], &lora);
    c.folder = new_path("out");
    survive(attempt_convert, &c);
    s3r_model_weights_close(&c.weights);
    s3r_checkpoint_close(c.checkpoint);
}

/* A head for languages is none for CTC: what would need one says why not. */
static void test_languages(void **state)
{
    (void)state;
    const char *mask = write_mask(models[0], &languages);
    s3r_model_info info;
    test_api api;
    size_t frames;
    float *log_probs = NULL;
    open_or_fail(&api, models[0], mask, 1, false);
    s3r_model_get_info(api.model, &info);
    assert_string_equal(info.task, "lid");
    assert_false(info.has_head || info.has_vocabulary);
    assert_int_equal(info.label_count, 0);
    assert_int_equal(info.language_count, 3);
    assert_string_equal(s3r_model_language(api.model, 2), "l2");
    assert_null(s3r_model_language(api.model, 3));
    assert_null(s3r_model_label(api.model, 0));
    assert_int_equal(s3r_forward(api.context, api.model, samples, SAMPLES, &frames,
                                 &log_probs, NULL, &err),
                     S3R_OK);
    assert_null(log_probs);
    static const char said[] = "identifies languages (task lid)";
    test_expect_failure(s3r_model_save(api.model, new_path("m"), "f32", false, &err),
                        &err, S3R_ERR_MODEL, said);
    test_expect_failure(
        s3r_transcribe(api.context, api.model, &mask, 1, NULL, NULL, NULL, &err), &err,
        S3R_ERR_MODEL, said);
    test_api_close(&api);
    open_or_fail(&api, models[0], NULL, 1, false);
    s3r_model_get_info(api.model, &info);
    assert_string_equal(info.task, info.has_head ? "ctc" : "none");
    assert_null(s3r_model_language(api.model, 0));
    test_api_close(&api);
}

int main(void)
{
    test_make_speech(samples, SAMPLES, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merged_models_are_equal),
        cmocka_unit_test(test_merged_low_rank_updates),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_hash_stays),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_other_backbones),
        cmocka_unit_test(test_masks_on_one_backbone),
        cmocka_unit_test(test_language_with_mask),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
