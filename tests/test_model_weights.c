/*
 * Weights of every golden model: bound values, packed convolutions against a plain
 * computation, faults of tensors in one message, equal hashes of equal models.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "checkpoint/safetensors.h"
#include "model/model_hash.h"
#include "model/model_weights.h"
#include "model/name_fold.h"
#include "ops/half.h"
#include "ops/op_conv.h"
#include "support_alloc_faults.h"
#include "support_files.h"

#define GOLDEN      "tests/golden/"
#define MAX_TENSORS 128

static s3r_error err;

static const char *const folders[] = {
    "w2v2_group_postln",
    "w2v2_layer_preln",
    "hubert_group",
    "hubert_layer_preln",
    "hubert_no_projection_norm",
    "data2vec_audio",
    "wavlm_base",
    "wavlm_large",
    "odd_shapes",
    "w2v2_group_postln_fairseq/finetuned_zip.pt",
    "w2v2_group_postln_fairseq/pretrained_legacy.pt",
};

typedef struct opened {
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
    s3r_model_weights weights;
} opened;

static void open_golden(opened *o, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : GOLDEN, name);
    if (s3r_checkpoint_open(&o->checkpoint, path, &err) != S3R_OK ||
        s3r_model_config_open(&o->config, o->checkpoint, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static void open_model(opened *o, const char *name, const s3r_weights_options *options)
{
    s3r_weights_options defaults;
    s3r_weights_options_init(&defaults);
    open_golden(o, name);
    if (s3r_model_weights_open(&o->weights, o->checkpoint, &o->config,
                               options ? options : &defaults, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static void close_model(opened *o)
{
    s3r_model_weights_close(&o->weights);
    s3r_checkpoint_close(o->checkpoint);
}

static const s3r_tensor *find_tensor(const s3r_checkpoint *checkpoint, const char *suffix)
{
    for (size_t i = 0; i < s3r_checkpoint_tensor_count(checkpoint); i++) {
        const s3r_tensor *tensor = s3r_checkpoint_tensor(checkpoint, i);
        const char *dot = strchr(tensor->name, '.');
        if (strcmp(tensor->name, suffix) == 0 || (dot && strcmp(dot + 1, suffix) == 0))
            return tensor;
    }
    return NULL;
}

static void assert_f32_equal(const s3r_weight *weight, const s3r_tensor *tensor)
{
    assert_non_null(tensor);
    assert_non_null(weight->data);
    size_t count = s3r_tensor_elements(tensor);
    assert_int_equal(weight->rows * weight->cols, count);
    for (size_t i = 0; i < count; i++) {
        float expected = s3r_element_to_f32(tensor->data, tensor->dtype, i);
        float found = s3r_element_to_f32(weight->data, weight->dtype, i);
        if (found != expected)
            fail_msg("%s: element %zu: expected %g, found %g", tensor->name, i, expected,
                     found);
    }
}

static void test_bound_values(void **state)
{
    opened o;
    (void)state;
    open_model(&o, "wavlm_base", NULL);
    const s3r_model_weights *w = &o.weights;
    const s3r_block_weights *block = &w->blocks[1];
    const struct {
        const s3r_weight *weight;
        const char *name;
    } cases[] = {
        {&w->conv[0].norm.gain, "feature_extractor.conv_layers.0.layer_norm.weight"},
        {&w->feature_norm.bias, "feature_projection.layer_norm.bias"},
        {&w->feature_projection.weight, "feature_projection.projection.weight"},
        {&w->encoder_norm.gain, "encoder.layer_norm.weight"},
        {&w->pos_conv[0].gain, "encoder.pos_conv_embed.conv.weight_g"},
        {&w->relative_position, "encoder.layers.0.attention.rel_attn_embed.weight"},
        {&block->q.weight, "encoder.layers.1.attention.q_proj.weight"},
        {&block->k.bias, "encoder.layers.1.attention.k_proj.bias"},
        {&block->out.weight, "encoder.layers.1.attention.out_proj.weight"},
        {&block->fc1.weight, "encoder.layers.1.feed_forward.intermediate_dense.weight"},
        {&block->fc2.bias, "encoder.layers.1.feed_forward.output_dense.bias"},
        {&block->attention_norm.gain, "encoder.layers.1.layer_norm.weight"},
        {&block->ffn_norm.bias, "encoder.layers.1.final_layer_norm.bias"},
        {&block->gru_linear.weight,
         "encoder.layers.1.attention.gru_rel_pos_linear.weight"},
        {&block->gru_const, "encoder.layers.1.attention.gru_rel_pos_const"},
        {&w->lm_head.weight, "lm_head.weight"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        assert_f32_equal(cases[i].weight, find_tensor(o.checkpoint, cases[i].name));
    /* Large matrices stay in the map and in their type; vectors are fp32. */
    assert_int_equal(block->q.weight.dtype, S3R_DTYPE_BF16);
    assert_ptr_equal(
        block->q.weight.data,
        find_tensor(o.checkpoint, "encoder.layers.1.attention.q_proj.weight")->data);
    assert_int_equal(block->q.bias.dtype, S3R_DTYPE_F32);
    assert_int_equal(w->relative_position.dtype, S3R_DTYPE_F32);
    assert_null(w->conv[1].norm.gain.data);
    assert_null(w->conv[0].bias.data);
    assert_null(w->mask_embedding.data);
    assert_null(block->adapter_down.weight.data);
    close_model(&o);
}

/* Expected fp32 weight [out][tap][in], weight norm by the definition in double. */
static float *expected_conv(const s3r_tensor *tensor, const s3r_tensor *gain)
{
    size_t out = tensor->shape[0], in = tensor->shape[1], taps = tensor->shape[2];
    float *weight = s3r_alloc(out * in * taps, sizeof *weight);
    assert_non_null(weight);
    for (size_t tap = 0; tap < taps; tap++) {
        double squares = 0, scale = 1;
        for (size_t at = tap; at < out * in * taps; at += taps) {
            double x = s3r_element_to_f32(tensor->data, tensor->dtype, at);
            squares += x * x;
        }
        if (gain)
            scale = s3r_element_to_f32(gain->data, gain->dtype, tap) / sqrt(squares);
        for (size_t o = 0; o < out; o++)
            for (size_t i = 0; i < in; i++)
                weight[(o * taps + tap) * in + i] =
                    (float)(scale * s3r_element_to_f32(tensor->data, tensor->dtype,
                                                       (o * in + i) * taps + tap));
    }
    return weight;
}

static void check_conv(const s3r_weight *weight, const s3r_conv_shape *shape,
                       const s3r_tensor *tensor, const s3r_tensor *gain, bool is_bf16)
{
    float *expected = expected_conv(tensor, gain);
    size_t count = s3r_tensor_elements(tensor);
    const float *found = weight->data;
    assert_int_equal(weight->rows * weight->cols, count);
    /* One rounding of the scale and one of the product. */
    for (size_t i = 0; i < count; i++)
        if (fabsf(found[i] - expected[i]) > 2.4e-7f * fabsf(expected[i]))
            fail_msg("%s: element %zu: expected %.9g, found %.9g", tensor->name, i,
                     expected[i], found[i]);
    is_bf16 = is_bf16 && s3r_conv_allows_bf16(shape);
    const void *packed = is_bf16 ? weight->packed_bf16 : weight->packed_f32;
    size_t bytes = s3r_conv_packed_bytes(shape, is_bf16);
    unsigned char *panels = s3r_alloc(bytes, 1);
    assert_true(packed && panels);
    assert_null(is_bf16 ? weight->packed_f32 : weight->packed_bf16);
    s3r_conv_pack(s3r_kernels_get(s3r_cpu_detect()), shape, found, is_bf16, panels);
    assert_memory_equal(packed, panels, bytes);
    s3r_free(panels);
    s3r_free(expected);
}

static void check_convs(const opened *o, bool is_bf16)
{
    const s3r_model_config *c = &o->config;
    char name[96];
    for (size_t i = 0; i < c->conv_count; i++) {
        s3r_conv_shape shape = {.in = i ? c->conv[i - 1].dim : 1,
                                .out = c->conv[i].dim,
                                .kernel = c->conv[i].kernel,
                                .stride = c->conv[i].stride,
                                .groups = 1};
        snprintf(name, sizeof name, "feature_extractor.conv_layers.%zu.conv.weight", i);
        check_conv(&o->weights.conv[i].weight, &shape, find_tensor(o->checkpoint, name),
                   NULL, is_bf16);
    }
    s3r_conv_shape shape = {.in = c->hidden_size,
                            .out = c->hidden_size,
                            .kernel = c->pos_conv_kernel,
                            .stride = 1,
                            .groups = c->pos_conv_groups};
    for (size_t i = 0; i < c->pos_conv_depth; i++) {
        const s3r_tensor *gain =
            find_tensor(o->checkpoint, "encoder.pos_conv_embed.conv.weight_g");
        const s3r_tensor *direction =
            find_tensor(o->checkpoint, "encoder.pos_conv_embed.conv.weight_v");
        if (!gain) {
            gain = find_tensor(
                o->checkpoint,
                "encoder.pos_conv_embed.conv.parametrizations.weight.original0");
            direction = find_tensor(
                o->checkpoint,
                "encoder.pos_conv_embed.conv.parametrizations.weight.original1");
        }
        snprintf(name, sizeof name, "encoder.pos_conv_embed.layers.%zu.conv.weight", i);
        if (!gain)
            direction = find_tensor(o->checkpoint, name);
        check_conv(&o->weights.pos_conv[i].weight, &shape, direction, gain, is_bf16);
        assert_int_equal(o->weights.pos_conv[i].direction.data != NULL, gain != NULL);
    }
}

static void test_convolutions(void **state)
{
    (void)state;
    for (size_t i = 0; i < 9; i++) {
        for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
            s3r_weights_options options;
            opened o, packed_only;
            s3r_weights_options_init(&options);
            options.is_bf16 = is_bf16;
            options.keeps_unpacked = true;
            open_model(&o, folders[i], &options);
            check_convs(&o, is_bf16);
            options.keeps_unpacked = false;
            assert_int_equal(s3r_pool_create(&options.pool, 3, &err), S3R_OK);
            open_model(&packed_only, folders[i], &options);
            const s3r_weight *a = &o.weights.pos_conv[0].weight,
                             *b = &packed_only.weights.pos_conv[0].weight;
            s3r_conv_shape shape = {.in = o.config.hidden_size,
                                    .out = o.config.hidden_size,
                                    .kernel = o.config.pos_conv_kernel,
                                    .stride = 1,
                                    .groups = o.config.pos_conv_groups};
            assert_null(b->data);
            assert_int_equal(a->packed_bf16 != NULL, b->packed_bf16 != NULL);
            assert_memory_equal(a->packed_bf16 ? a->packed_bf16 : a->packed_f32,
                                b->packed_bf16 ? b->packed_bf16 : b->packed_f32,
                                s3r_conv_packed_bytes(&shape, a->packed_bf16 != NULL));
            close_model(&packed_only);
            s3r_pool_destroy(options.pool);
            close_model(&o);
        }
    }
}

static void test_all_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(folders); i++) {
        opened o;
        open_model(&o, folders[i], NULL);
        assert_int_equal(o.weights.lm_head.weight.data != NULL, o.config.has_head);
        close_model(&o);
    }
}

/* ---- faults: a copy of a golden model with tensors changed ---- */

typedef void (*change_fn)(s3r_tensor *tensors, size_t *count);

static s3r_tensor *named(s3r_tensor *tensors, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return &tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void drop_biases(s3r_tensor *tensors, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (!strstr(tensors[i].name, "k_proj.bias") &&
            !strstr(tensors[i].name, "encoder.layer_norm.weight"))
            tensors[kept++] = tensors[i];
    *count = kept;
}

static void add_strangers(s3r_tensor *tensors, size_t *count)
{
    static const char *const names[] = {"head.0.stranger", "head.1.stranger",
                                        "head.2.stranger", "quantizer.vars",
                                        "head.5.stranger"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(names); i++) {
        tensors[*count] = tensors[0];
        tensors[(*count)++].name = names[i];
    }
}

static void misshape(s3r_tensor *tensors, size_t *count)
{
    s3r_tensor *g =
        named(tensors, *count, "wav2vec2.encoder.pos_conv_embed.conv.weight_g");
    g->shape[0] = 16;
    g->shape[2] = 1;
    for (size_t i = 0; i < *count; i++)
        if (strstr(tensors[i].name, "output_dense.weight")) {
            tensors[i].shape[0] = 32;
            tensors[i].shape[1] = 16;
        }
}

static void retype(s3r_tensor *tensors, size_t *count)
{
    named(tensors, *count, "lm_head.weight")->dtype = S3R_DTYPE_I16;
}

static void repeat(s3r_tensor *tensors, size_t *count)
{
    tensors[*count] =
        *named(tensors, *count, "wav2vec2.encoder.pos_conv_embed.conv.weight_g");
    tensors[(*count)++].name =
        "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original0";
}

static void flatten_gain(s3r_tensor *tensors, size_t *count)
{
    s3r_tensor *g =
        named(tensors, *count, "wav2vec2.encoder.pos_conv_embed.conv.weight_g");
    g->rank = 1;
    g->shape[0] = g->shape[2];
}

static void add_scores(s3r_tensor *tensors, size_t *count)
{
    tensors[*count] =
        *named(tensors, *count, "wav2vec2.encoder.layers.0.attention.q_proj.weight");
    tensors[(*count)++].name = "wav2vec2.encoder.layers.0.attention.q_proj.scores";
}

static void change_nothing(s3r_tensor *tensors, size_t *count)
{
    (void)tensors, (void)count;
}

/* Writes a changed copy of w2v2_group_postln and returns its folder. */
static const char *write_changed(change_fn change)
{
    const char *folder = test_folder();
    s3r_tensor tensors[MAX_TENSORS];
    s3r_checkpoint *checkpoint;
    assert_int_equal(s3r_checkpoint_open(&checkpoint, GOLDEN "w2v2_group_postln", &err),
                     S3R_OK);
    size_t count = s3r_checkpoint_tensor_count(checkpoint);
    assert_true(count < MAX_TENSORS - 8);
    for (size_t i = 0; i < count; i++)
        tensors[i] = *s3r_checkpoint_tensor(checkpoint, i);
    change(tensors, &count);
    if (s3r_safetensors_save(test_path(folder, "model.safetensors"), tensors, count, NULL,
                             NULL, NULL, &err) != S3R_OK ||
        json_dump_file(s3r_checkpoint_config(checkpoint),
                       test_path(folder, "config.json"), 0) != 0)
        fail_msg("%s", err.message);
    s3r_checkpoint_close(checkpoint);
    return folder;
}

static void test_faults(void **state)
{
    static const struct {
        change_fn change;
        const char *messages[2];
    } cases[] = {
        {drop_biases,
         {"missing: encoder.layer_norm.weight, "
          "encoder.layers.[0-1].attention.k_proj.bias (2 tensors)",
          "the tensors do not fit the configuration"}},
        {add_strangers, {"unused: head.[0-2,5].stranger (4 tensors)", ""}},
        {misshape,
         {"unlike the configuration: encoder.pos_conv_embed.conv.weight_g: expected "
          "[1,1,16], found [16,1,1]",
          "encoder.layers.[0-1].feed_forward.output_dense.weight (2 tensors): expected "
          "[16,32], found [32,16]"}},
        {retype, {"lm_head.weight: expected F32, F16, BF16 or F64, found I16", ""}},
        {add_scores, {"holds 1 tensors of scores, as the original S3-Router", ""}},
        {repeat, {"there twice: encoder.pos_conv_embed.conv.weight_g", ""}},
    };
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        opened o;
        s3r_weights_options options;
        s3r_weights_options_init(&options);
        open_golden(&o, write_changed(cases[i].change));
        assert_int_equal(
            s3r_model_weights_open(&o.weights, o.checkpoint, &o.config, &options, &err),
            S3R_ERR_MODEL);
        for (size_t k = 0; k < 2; k++)
            if (!strstr(err.message, cases[i].messages[k]))
                fail_msg("expected \"%s\", found \"%s\"", cases[i].messages[k],
                         err.message);
        assert_null(o.weights.blocks);
        s3r_checkpoint_close(o.checkpoint);
    }
}

static void test_harmless_changes(void **state)
{
    opened o;
    (void)state;
    open_model(&o, write_changed(flatten_gain), NULL);
    close_model(&o);
}

/* A head of a language replaces that of the model. */
static void test_language_adapter(void **state)
{
    float rows[3 * 16], bias[3] = {1, 2, 3};
    const char *path = test_path(test_folder(), "adapter.xyz.safetensors");
    s3r_tensor head[2] = {
        {"lm_head.weight", S3R_DTYPE_F32, 2, {3, 16}, rows, sizeof rows},
        {"lm_head.bias", S3R_DTYPE_F32, 1, {3}, bias, sizeof bias}};
    s3r_checkpoint *adapter;
    s3r_weights_options options;
    opened o;
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(rows); i++)
        rows[i] = (float)i;
    assert_int_equal(s3r_safetensors_save(path, head, 2, NULL, NULL, NULL, &err), S3R_OK);
    assert_int_equal(s3r_checkpoint_open(&adapter, path, &err), S3R_OK);
    open_golden(&o, "w2v2_group_postln");
    assert_int_equal(s3r_model_config_open(&o.config, o.checkpoint, adapter, &err),
                     S3R_OK);
    assert_int_equal(o.config.vocab_size, 3);
    s3r_weights_options_init(&options);
    options.language_adapter = adapter;
    if (s3r_model_weights_open(&o.weights, o.checkpoint, &o.config, &options, &err) !=
        S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(o.weights.lm_head.weight.rows, 3);
    assert_true(((const float *)o.weights.lm_head.bias.data)[2] == 3.0f);
    close_model(&o);
    s3r_checkpoint_close(adapter);
}

static void test_fold(void **state)
{
    s3r_fault_list list = {0};
    s3r_text text;
    char name[64];
    (void)state;
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "a.%d.linear_1.b", i);
        assert_true(s3r_fault_list_add(&list, name, i == 7 ? "odd" : ""));
    }
    assert_true(s3r_fault_list_add(&list, "c.1.2", ""));
    assert_true(s3r_fault_list_add(&list, "c.1.3", ""));
    assert_true(s3r_text_create(&text, 256));
    assert_true(s3r_fault_list_fold(&list, &text));
    assert_string_equal(text.bytes, "a.[0-6,8-11].linear_1.b (11 tensors), "
                                    "a.7.linear_1.b: odd, c.1.[2-3] (2 tensors)");
    s3r_free(text.bytes);
    s3r_fault_list_release(&list);
}

static void hash_of(const char *name, char *text)
{
    opened o;
    open_golden(&o, name);
    if (s3r_model_hash(text, o.checkpoint, &o.config, &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_checkpoint_close(o.checkpoint);
}

static void drop_head(s3r_tensor *tensors, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (!strstr(tensors[i].name, "lm_head"))
            tensors[kept++] = tensors[i];
    *count = kept;
}

static void rename_norm(s3r_tensor *tensors, size_t *count)
{
    named(tensors, *count, "wav2vec2.encoder.pos_conv_embed.conv.weight_g")->name =
        "encoder.pos_conv.0.weight_g";
}

static void change_one_value(s3r_tensor *tensors, size_t *count)
{
    static uint16_t values[16];
    s3r_tensor *bias =
        named(tensors, *count, "wav2vec2.encoder.layers.1.attention.k_proj.bias");
    memcpy(values, bias->data, sizeof values);
    values[3] ^= 1;
    bias->data = values;
}

static void test_hash(void **state)
{
    char golden[S3R_MODEL_HASH_BYTES], other[S3R_MODEL_HASH_BYTES];
    (void)state;
    hash_of("w2v2_group_postln", golden);
    assert_int_equal(strlen(golden), 64);
    static const change_fn equal[] = {change_nothing, drop_head, rename_norm,
                                      flatten_gain};
    for (size_t i = 0; i < S3R_ARRAY_LEN(equal); i++) {
        hash_of(write_changed(equal[i]), other);
        assert_string_equal(other, golden);
    }
    hash_of(write_changed(change_one_value), other);
    assert_string_not_equal(other, golden);
    hash_of("w2v2_group_postln_fairseq/finetuned_zip.pt", other); /* F16, not BF16 */
    assert_string_not_equal(other, golden);
}

static s3r_status attempt_open(void *context, s3r_error *error)
{
    opened *o = context;
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    options.keeps_unpacked = true;
    s3r_status status =
        s3r_model_weights_open(&o->weights, o->checkpoint, &o->config, &options, error);
    s3r_model_weights_close(&o->weights);
    return status;
}

static s3r_status attempt_bad(void *context, s3r_error *error)
{
    s3r_status status = attempt_open(context, error);
    return status == S3R_ERR_MODEL ? S3R_OK : status;
}

static s3r_status attempt_hash(void *context, s3r_error *error)
{
    opened *o = context;
    char text[S3R_MODEL_HASH_BYTES];
    return s3r_model_hash(text, o->checkpoint, &o->config, error);
}

static void test_allocation_failures(void **state)
{
    opened o;
    (void)state;
    open_golden(&o, "odd_shapes");
    test_survives_alloc_faults(attempt_open, &o);
    test_survives_alloc_faults(attempt_hash, &o);
    s3r_checkpoint_close(o.checkpoint);
    open_golden(&o, write_changed(drop_biases));
    test_survives_alloc_faults(attempt_bad, &o);
    s3r_checkpoint_close(o.checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_values),
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_all_open),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_harmless_changes),
        cmocka_unit_test(test_language_adapter),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
