/*
 * A fresh model: the folder opens, names and shapes are those of the golden models,
 * values have the promised statistics, one seed gives one file, and failures leave
 * nothing.
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
#include "base/folder_list.h"
#include "model/model_hash.h"
#include "model/model_init.h"
#include "model/model_shape.h"
#include "model/model_weights.h"
#include "support_alloc_faults.h"
#include "support_files.h"

static s3r_error err;

typedef struct opened {
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
} opened;

static void open_model(opened *o, const char *path)
{
    if (s3r_checkpoint_open(&o->checkpoint, path, &err) != S3R_OK ||
        s3r_model_config_open(&o->config, o->checkpoint, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static void init_model(const s3r_model_config *config, uint64_t seed, const char *folder)
{
    if (s3r_model_init(config, seed, NULL, folder, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static s3r_model_config default_config(void)
{
    s3r_model_shape shape;
    s3r_model_config config;
    s3r_model_shape_init(&shape);
    shape.blocks = 2;
    assert_int_equal(s3r_model_shape_config(&shape, "test", &config, &err), S3R_OK);
    return config;
}

static s3r_model_config small_config(void)
{
    s3r_model_config config = default_config();
    config.hidden_size = 80;
    config.ffn_size = 32;
    config.conv_count = 2;
    config.conv[0].dim = config.conv[1].dim = 16;
    return config;
}

static const s3r_tensor *find(const s3r_checkpoint *checkpoint, const char *name)
{
    for (size_t i = 0; i < s3r_checkpoint_tensor_count(checkpoint); i++) {
        const s3r_tensor *tensor = s3r_checkpoint_tensor(checkpoint, i);
        if (strcmp(tensor->name, name) == 0)
            return tensor;
    }
    return NULL;
}

/* torchaudio and transformers load the golden models by these names. */
static void check_names(const char *golden_name)
{
    opened golden, fresh;
    char path[128];
    size_t heads = 0;
    snprintf(path, sizeof path, "tests/golden/%s", golden_name);
    open_model(&golden, path);
    const char *folder = test_path(test_folder(), "fresh");
    init_model(&golden.config, 1, folder);
    open_model(&fresh, folder);
    for (size_t i = 0; i < s3r_checkpoint_tensor_count(golden.checkpoint); i++) {
        const s3r_tensor *expected = s3r_checkpoint_tensor(golden.checkpoint, i);
        if (strncmp(expected->name, "lm_head.", 8) == 0) {
            heads++;
            continue;
        }
        const s3r_tensor *found = find(fresh.checkpoint, expected->name);
        if (!found)
            fail_msg("%s: no \"%s\"", golden_name, expected->name);
        assert_int_equal(found->dtype, S3R_DTYPE_F32);
        assert_int_equal(found->rank, expected->rank);
        assert_memory_equal(found->shape, expected->shape,
                            expected->rank * sizeof *expected->shape);
    }
    assert_int_equal(heads, 2);
    assert_int_equal(s3r_checkpoint_tensor_count(fresh.checkpoint) + heads,
                     s3r_checkpoint_tensor_count(golden.checkpoint));
    /* The same model but for its head. */
    fresh.config.has_head = golden.config.has_head;
    assert_int_equal(fresh.config.hidden_size, golden.config.hidden_size);
    assert_int_equal(fresh.config.is_pre_norm, golden.config.is_pre_norm);
    assert_int_equal(fresh.config.do_normalize, golden.config.do_normalize);
    assert_int_equal(fresh.config.extractor_norm, golden.config.extractor_norm);
    s3r_checkpoint_close(golden.checkpoint);
    s3r_checkpoint_close(fresh.checkpoint);
}

static void test_names(void **state)
{
    static const char *const models[] = {"hubert_group", "hubert_no_projection_norm",
                                         "w2v2_group_postln", "w2v2_layer_preln",
                                         "odd_shapes"};
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(models); i++)
        check_names(models[i]);
}

static void check_moments(const s3r_checkpoint *checkpoint, const char *name, double mean,
                          double std)
{
    const s3r_tensor *tensor = find(checkpoint, name);
    if (!tensor)
        fail_msg("no \"%s\"", name);
    const float *x = tensor->data;
    size_t count = s3r_tensor_elements(tensor);
    double sum = 0, squares = 0, n = (double)count;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i];
    for (size_t i = 0; i < count; i++)
        squares += ((double)x[i] - sum / n) * ((double)x[i] - sum / n);
    double found = sqrt(squares / n);
    /* Five standard errors. */
    if (fabs(sum / n - mean) > 5 * std / sqrt(n) + 1e-12 ||
        fabs(found - std) > 5 * std / sqrt(2 * n) + 1e-12)
        fail_msg("%s: expected %g +- %g, found %g +- %g", name, mean, std, sum / n,
                 found);
}

static void test_statistics(void **state)
{
    opened o;
    s3r_model_config config = default_config();
    const char *folder = test_path(test_folder(), "fresh");
    (void)state;
    init_model(&config, 7, folder);
    open_model(&o, folder);
    const struct {
        const char *name;
        double mean, std;
    } cases[] = {
        {"hubert.feature_extractor.conv_layers.0.conv.weight", 0, sqrt(2.0 / 10)},
        {"hubert.feature_extractor.conv_layers.3.conv.weight", 0, sqrt(2.0 / 768)},
        {"hubert.feature_extractor.conv_layers.0.layer_norm.weight", 1, 0},
        {"hubert.feature_extractor.conv_layers.0.layer_norm.bias", 0, 0},
        {"hubert.feature_projection.layer_norm.weight", 1, 0},
        {"hubert.feature_projection.projection.weight", 0, 0.02},
        {"hubert.feature_projection.projection.bias", 0, 0},
        {"hubert.masked_spec_embed", 0.5, sqrt(1.0 / 12)},
        {"hubert.encoder.pos_conv_embed.conv.weight_v", 0, sqrt(4.0 / (128 * 320))},
        {"hubert.encoder.pos_conv_embed.conv.bias", 0, 0},
        {"hubert.encoder.layers.1.attention.q_proj.weight", 0, 0.02},
        {"hubert.encoder.layers.1.attention.q_proj.bias", 0, 0},
        {"hubert.encoder.layers.0.layer_norm.weight", 1, 0},
        {"hubert.encoder.layers.0.final_layer_norm.bias", 0, 0},
        {"hubert.encoder.layers.1.feed_forward.output_dense.weight", 0, 0.02},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        check_moments(o.checkpoint, cases[i].name, cases[i].mean, cases[i].std);
    s3r_checkpoint_close(o.checkpoint);
}

/* Weight norm gives the direction back. */
static void test_gain(void **state)
{
    opened o;
    s3r_model_weights weights;
    s3r_weights_options options;
    s3r_model_config config = small_config();
    const char *folder = test_path(test_folder(), "fresh");
    (void)state;
    init_model(&config, 7, folder);
    open_model(&o, folder);
    s3r_weights_options_init(&options);
    options.keeps_unpacked = true;
    assert_int_equal(
        s3r_model_weights_open(&weights, o.checkpoint, &o.config, &options, &err),
        S3R_OK);
    const s3r_pos_conv_weights *conv = &weights.pos_conv[0];
    const float *effective = conv->weight.data, *direction = conv->direction.data;
    size_t count = conv->weight.rows * conv->weight.cols;
    for (size_t i = 0; i < count; i++)
        assert_true(fabsf(effective[i] - direction[i]) <= 2e-7f * fabsf(direction[i]));
    s3r_model_weights_close(&weights);
    s3r_checkpoint_close(o.checkpoint);
}

static void read_hash(char *hash, const char *folder)
{
    opened o;
    open_model(&o, folder);
    assert_int_equal(s3r_model_hash(hash, o.checkpoint, &o.config, &err), S3R_OK);
    s3r_checkpoint_close(o.checkpoint);
}

static void test_seeds(void **state)
{
    char first[S3R_MODEL_HASH_BYTES], again[S3R_MODEL_HASH_BYTES];
    char other[S3R_MODEL_HASH_BYTES];
    s3r_model_config config = small_config();
    const char *folder = test_folder();
    opened small, large;
    (void)state;
    init_model(&config, 1, test_path(folder, "a"));
    init_model(&config, 1, test_path(folder, "b"));
    init_model(&config, 2, test_path(folder, "c"));
    read_hash(first, test_path(folder, "a"));
    read_hash(again, test_path(folder, "b"));
    read_hash(other, test_path(folder, "c"));
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    /* A tensor does not depend on what else there is, nor do two share values. */
    config.block_count = 3;
    init_model(&config, 1, test_path(folder, "d"));
    open_model(&small, test_path(folder, "a"));
    open_model(&large, test_path(folder, "d"));
    const char *name = "hubert.encoder.layers.1.attention.k_proj.weight";
    const s3r_tensor *x = find(small.checkpoint, name), *y = find(large.checkpoint, name);
    const s3r_tensor *z =
        find(large.checkpoint, "hubert.encoder.layers.2.attention.k_proj.weight");
    assert_memory_equal(x->data, y->data, x->size_bytes);
    assert_memory_not_equal(x->data, z->data, 64);
    s3r_checkpoint_close(small.checkpoint);
    s3r_checkpoint_close(large.checkpoint);
}

static void test_head(void **state)
{
    s3r_vocabulary vocabulary;
    opened o;
    s3r_model_config config = small_config();
    const char *folder = test_path(test_folder(), "fresh");
    (void)state;
    assert_int_equal(
        s3r_vocabulary_open(&vocabulary, "tests/golden/hubert_group", NULL, NULL, &err),
        S3R_OK);
    assert_int_equal(s3r_model_init(&config, 1, &vocabulary, folder, &err), S3R_OK);
    open_model(&o, folder);
    assert_true(o.config.has_head);
    assert_int_equal(o.config.vocab_size, vocabulary.count);
    assert_true(s3r_vocabulary_exists(folder));
    s3r_checkpoint_close(o.checkpoint);
    s3r_vocabulary_close(&vocabulary);
}

static void test_refused(void **state)
{
    opened o;
    s3r_model_config config = small_config();
    const char *folder = test_folder();
    (void)state;
    test_write_file(test_path(folder, "notes.txt"), "mine", 4);
    assert_int_equal(s3r_model_init(&config, 1, NULL, folder, &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "expected a new or empty folder"));
    open_model(&o, "tests/golden/wavlm_base");
    assert_int_equal(s3r_model_init(&o.config, 1, NULL, test_path(folder, "x"), &err),
                     S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "found wavlm"));
    s3r_checkpoint_close(o.checkpoint);
}

typedef struct attempt_context {
    s3r_model_config config;
    const char *parent;
    size_t tries;
} attempt_context;

static s3r_status attempt(void *context, s3r_error *error)
{
    attempt_context *c = context;
    char name[32];
    snprintf(name, sizeof name, "m%zu", c->tries++);
    return s3r_model_init(&c->config, 1, NULL, test_path(c->parent, name), error);
}

static void test_without_memory(void **state)
{
    opened o;
    s3r_folder_list list;
    (void)state;
    open_model(&o, "tests/golden/hubert_group");
    attempt_context context = {o.config, test_folder(), 0};
    s3r_checkpoint_close(o.checkpoint);
    test_survives_alloc_faults(attempt, &context);
    /* Only the last is there, and no leftovers. */
    assert_int_equal(
        s3r_folder_list_read(&list, context.parent, "", S3R_ERR_RUNTIME, &err), S3R_OK);
    assert_int_equal(list.count, 1);
    s3r_folder_list_release(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),          cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_gain),           cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_head),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
