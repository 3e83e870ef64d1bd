/*
 * Configurations: frame counts, Hugging Face and fairseq sources, every rejected value,
 * and that what is written reads back the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "model/conv_layers_text.h"
#include "model/model_config.h"
#include "support_alloc_faults.h"

#define GOLDEN "tests/golden/"

static s3r_error err;

static s3r_status parse_text(s3r_model_config *out, const char *config,
                             const char *preprocessor, bool is_fairseq)
{
    json_t *root = json_loads(config, 0, NULL);
    json_t *side = preprocessor ? json_loads(preprocessor, 0, NULL) : NULL;
    s3r_config_source source = {root, side, "config.json", "preprocessor_config.json",
                                is_fairseq};
    err.message[0] = '\0';
    if (!root)
        fail_msg("not JSON: %s", config);
    s3r_status status = s3r_model_config_parse(out, &source, &err);
    json_decref(root);
    json_decref(side);
    return status;
}

static void assert_parses(s3r_model_config *out, const char *config, bool is_fairseq)
{
    if (parse_text(out, config, NULL, is_fairseq) != S3R_OK)
        fail_msg("%s: %s", config, err.message);
}

static void test_frames(void **state)
{
    static const struct {
        size_t samples, frames;
    } cases[] = {{0, 0},        {399, 0},      {400, 1},      {719, 1},      {720, 2},
                 {8000, 24},    {16000, 49},   {16080, 50},   {32000, 99},   {80000, 249},
                 {160000, 499}, {250000, 781}, {320000, 999}, {480000, 1499}};
    s3r_model_config config;
    (void)state;
    assert_parses(&config, "{\"model_type\": \"wav2vec2\"}", false);
    assert_int_equal(s3r_config_receptive_field(&config), 400);
    assert_int_equal(s3r_config_stride(&config), 320);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        assert_int_equal(s3r_config_frames(&config, cases[i].samples), cases[i].frames);
    assert_int_equal(s3r_config_frames(&config, SIZE_MAX), (SIZE_MAX - 400) / 320 + 1);
}

static void test_conv_layers_text(void **state)
{
    static const struct {
        const char *text;
        size_t count; /* 0 = not accepted */
        s3r_conv_config last;
    } cases[] = {
        {"[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] * 2", 7, {512, 2, 2}},
        {"[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]",
         7,
         {512, 2, 2}},
        {"[(512, 10, 5), (512, 8, 4)] + [(512, 4, 2)] * 3 + [(512, 1, 1),]",
         6,
         {512, 1, 1}},
        {" 2*[(1,2,3),(4,5,6)] ", 4, {4, 5, 6}},
        {"[(1,2,3)]*2*3", 6, {1, 2, 3}},
        {"[[1,2,3],[4,5,6]]", 2, {4, 5, 6}},
        {"[(1,2,3)] * 32", 32, {1, 2, 3}},
        {"[(1,2,3)] * 33", 0, {0, 0, 0}},
        {"[(1,2,3)] * 99999999999999999999", 0, {0, 0, 0}},
        {"[(1,2,3)] * 0", 0, {0, 0, 0}},
        {"[]", 0, {0, 0, 0}},
        {"", 0, {0, 0, 0}},
        {"[(1,0,3)]", 0, {0, 0, 0}},
        {"[(1,2)]", 0, {0, 0, 0}},
        {"[(1,2,3]", 0, {0, 0, 0}},
        {"[(1,2,3)", 0, {0, 0, 0}},
        {"[(1,2,-3)]", 0, {0, 0, 0}},
        {"[(1,2,3)] * 2; import os", 0, {0, 0, 0}},
        {"[(70000,2,3)]", 0, {0, 0, 0}},
        {"2*2*[(1,2,3)]", 0, {0, 0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_conv_config layers[S3R_MAX_CONV_LAYERS];
        size_t count = 0;
        bool is_read = s3r_conv_layers_from_text(layers, &count, cases[i].text);
        if (is_read != (cases[i].count > 0) || (is_read && count != cases[i].count))
            fail_msg("%s: found %zu layers", cases[i].text, is_read ? count : 0);
        if (is_read)
            assert_memory_equal(&layers[count - 1], &cases[i].last, sizeof *layers);
    }
}

static void test_hf_values(void **state)
{
    s3r_model_config c;
    (void)state;
    assert_int_equal(
        parse_text(&c,
                   "{\"model_type\":\"wavlm\",\"architectures\":[\"WavLMForCTC\"],"
                   "\"hidden_size\":1024,\"num_attention_heads\":16,"
                   "\"intermediate_size\":4096,\"num_hidden_layers\":24,"
                   "\"feat_extract_norm\":\"layer\",\"do_stable_layer_norm\":true,"
                   "\"conv_bias\":false,\"num_buckets\":64,\"max_bucket_distance\":99,"
                   "\"hidden_dropout\":0,\"layerdrop\":0.25,\"mask_time_prob\":0.5,"
                   "\"pad_token_id\":3,\"vocab_size\":40,\"license\":\"mit\"}",
                   "{\"do_normalize\":false,\"sampling_rate\":8000}", false),
        S3R_OK);
    assert_int_equal(c.family, S3R_FAMILY_WAVLM);
    assert_string_equal(c.architecture, "WavLMForCTC");
    assert_string_equal(c.license, "mit");
    assert_int_equal(c.extractor_norm, S3R_EXTRACTOR_LAYER);
    assert_true(c.is_pre_norm && !c.do_normalize && !c.conv_bias);
    assert_int_equal(c.num_buckets, 64);
    assert_int_equal(c.max_bucket_distance, 99);
    assert_int_equal(c.sample_rate, 8000);
    assert_int_equal(c.pad_token_id, 3);
    assert_true(c.hidden_dropout == 0 && c.layerdrop == 0.25 && c.mask_time_prob == 0.5);
    assert_true(c.attention_dropout == 0.1 && c.normalize_eps == 1e-7);
    assert_int_equal(c.conv_count, 7);

    assert_parses(&c,
                  "{\"model_type\":\"data2vec-audio\",\"do_stable_layer_norm\":true,"
                  "\"feat_extract_norm\":\"group\"}",
                  false);
    assert_false(c.is_pre_norm);
    assert_int_equal(c.extractor_norm, S3R_EXTRACTOR_LAYER);
    assert_int_equal(c.pos_conv_depth, 5);
    assert_int_equal(c.pos_conv_kernel, 19);
    assert_false(c.has_pos_conv_weight_norm);
    assert_int_equal(c.num_buckets, 0);
}

static void test_fairseq_values(void **state)
{
    s3r_model_config c;
    (void)state;
    /* Pretrained, cfg; silent values are fairseq's. */
    assert_parses(
        &c, "{\"model\":{\"_name\":\"wav2vec2\"},\"task\":{\"normalize\":true}}", true);
    assert_int_equal(c.family, S3R_FAMILY_WAV2VEC2);
    assert_true(c.do_normalize && c.normalize_eps == 1e-5);
    assert_int_equal(s3r_config_stride(&c), 320);
    assert_true(c.mask_time_prob == 0.65 && c.layerdrop == 0);
    /* Fine-tuned: the wrapper overrules the encoder; references are no values. */
    assert_parses(&c,
                  "{\"task\":{\"normalize\":true,\"sample_rate\":8000},\"model\":{"
                  "\"_name\":\"wav2vec_ctc\",\"normalize\":\"${task.normalize}\","
                  "\"dropout\":0.2,\"layerdrop\":0.3,\"final_dropout\":0.4,"
                  "\"mask_channel_prob\":0.25,\"mask_channel_length\":64,"
                  "\"w2v_args\":{\"task\":{},\"model\":{\"_name\":\"hubert\","
                  "\"encoder_embed_dim\":1024,\"encoder_attention_heads\":16,"
                  "\"encoder_layers\":24,\"encoder_ffn_embed_dim\":4096,"
                  "\"extractor_mode\":\"layer_norm\",\"layer_norm_first\":true,"
                  "\"conv_bias\":true,\"dropout\":0.5,\"encoder_layerdrop\":0.6,"
                  "\"attention_dropout\":0.7}}}}",
                  true);
    assert_int_equal(c.family, S3R_FAMILY_HUBERT);
    assert_true(c.is_pre_norm && c.conv_bias && c.do_normalize);
    assert_int_equal(c.sample_rate, 8000);
    assert_int_equal(c.block_count, 24);
    assert_true(c.hidden_dropout == 0.2 && c.layerdrop == 0.3 && c.final_dropout == 0.4);
    assert_true(c.attention_dropout == 0.7 && c.mask_feature_prob == 0.25);
    assert_int_equal(c.mask_feature_length, 64);
    /* args of 2020, fine-tuned. */
    assert_parses(&c,
                  "{\"arch\":\"wav2vec_ctc\",\"normalize\":false,\"task\":\"audio\","
                  "\"w2v_args\":{\"arch\":\"wav2vec2\",\"encoder_layers\":3}}",
                  true);
    assert_int_equal(c.block_count, 3);
    assert_parses(&c, "{\"model\":{\"w2v_args\":{\"args\":{\"encoder_layers\":5}}}}",
                  true);
    assert_int_equal(c.block_count, 5);
    /* data2vec. */
    assert_parses(&c,
                  "{\"model\":{\"_name\":\"data2vec_audio\",\"pos_conv_depth\":5,"
                  "\"conv_pos\":95,\"extractor_mode\":\"layer_norm\"}}",
                  true);
    assert_int_equal(c.family, S3R_FAMILY_DATA2VEC_AUDIO);
    assert_int_equal(c.pos_conv_kernel, 19);
    assert_int_equal(c.pos_conv_depth, 5);
    assert_false(c.has_pos_conv_weight_norm);
    /* Microsoft's WavLM. */
    assert_parses(&c,
                  "{\"relative_position_embedding\":true,\"gru_rel_pos\":true,"
                  "\"num_buckets\":320,\"max_distance\":800,\"normalize\":true}",
                  true);
    assert_int_equal(c.family, S3R_FAMILY_WAVLM);
    assert_int_equal(c.max_bucket_distance, 800);
    assert_true(c.do_normalize);
}

typedef struct bad_case {
    const char *config, *message; /* what the message must contain */
} bad_case;

static void assert_rejected(const bad_case *cases, size_t count, bool is_fairseq)
{
    for (size_t i = 0; i < count; i++) {
        s3r_model_config config;
        s3r_status status = parse_text(&config, cases[i].config, NULL, is_fairseq);
        if (status != S3R_ERR_MODEL || !strstr(err.message, cases[i].message) ||
            strncmp(err.message, "config.json: ", 13) != 0)
            fail_msg("%s: expected \"%s\", found %s \"%s\"", cases[i].config,
                     cases[i].message, s3r_status_name(status), err.message);
    }
}

static void test_bad_hf(void **state)
{
    static const bad_case cases[] = {
        {"{}", "\"model_type\": expected \"wav2vec2\", \"hubert\", \"data2vec-audio\" or "
               "\"wavlm\", found nothing"},
        {"{\"model_type\":\"whisper\"}", "found \"whisper\""},
        {"{\"model_type\":7}", "\"model_type\": expected a text, found 7"},
        {"{\"model_type\":\"wav2vec2\",\"num_attention_heads\":7}",
         "\"num_attention_heads\": expected a divisor of \"hidden_size\" 768, found 7"},
        {"{\"model_type\":\"wav2vec2\",\"num_attention_heads\":0}",
         "\"num_attention_heads\": expected a whole number from 1 to 65536, found 0"},
        {"{\"model_type\":\"wav2vec2\",\"hidden_size\":12.5}", "found 12.5"},
        {"{\"model_type\":\"wav2vec2\",\"hidden_size\":\"768\"}", "found \"768\""},
        {"{\"model_type\":\"wav2vec2\",\"hidden_size\":1e300}", "\"hidden_size\""},
        {"{\"model_type\":\"wav2vec2\",\"num_conv_pos_embedding_groups\":5}",
         "\"num_conv_pos_embedding_groups\": expected a divisor"},
        {"{\"model_type\":\"wav2vec2\",\"conv_kernel\":[10,3,3,3,3,2,0]}",
         "\"conv_kernel\": expected whole numbers from 1 to 65536, found "
         "[10, 3, 3, 3, 3, 2, 0]"},
        {"{\"model_type\":\"wav2vec2\",\"conv_dim\":[]}",
         "\"conv_dim\": expected a list of 1 to 32 numbers, found []"},
        {"{\"model_type\":\"wav2vec2\",\"conv_dim\":[8,8]}", "found 2, 7, 7 and 2"},
        {"{\"model_type\":\"wav2vec2\",\"num_feat_extract_layers\":6}", "and 6"},
        {"{\"model_type\":\"wav2vec2\",\"conv_dim\":[1,1,1],\"conv_kernel\":[9,9,9],"
         "\"conv_stride\":[65536,65536,65536]}",
         "see too much"},
        {"{\"model_type\":\"wav2vec2\",\"hidden_act\":\"relu\"}",
         "\"hidden_act\": expected \"gelu\" (nothing else is supported), found \"relu\""},
        {"{\"model_type\":\"wav2vec2\",\"feat_extract_activation\":\"gelu_new\"}",
         "\"feat_extract_activation\""},
        {"{\"model_type\":\"wav2vec2\",\"position_embeddings_type\":\"rotary\"}",
         "\"position_embeddings_type\""},
        {"{\"model_type\":\"hubert\",\"conv_pos_batch_norm\":true}",
         "\"conv_pos_batch_norm\": expected false"},
        {"{\"model_type\":\"wav2vec2\",\"add_adapter\":true}", "\"add_adapter\""},
        {"{\"model_type\":\"wav2vec2\",\"feat_extract_norm\":\"batch\"}",
         "\"feat_extract_norm\": expected \"group\" or \"layer\", found \"batch\""},
        {"{\"model_type\":\"wav2vec2\",\"do_stable_layer_norm\":\"yes\"}",
         "expected true or false, found \"yes\""},
        {"{\"model_type\":\"wav2vec2\",\"layerdrop\":1.5}",
         "\"layerdrop\": expected a number from 0 to 1, found 1.5"},
        {"{\"model_type\":\"wavlm\",\"num_buckets\":321}", "expected an even number"},
        {"{\"model_type\":\"wavlm\",\"max_bucket_distance\":80}",
         "expected more than a quarter of \"num_buckets\" 320, found 80"},
        {"{\"model_type\":\"wav2vec2\",\"vocab_size\":-1}", "\"vocab_size\""},
    };
    s3r_model_config config;
    (void)state;
    assert_rejected(cases, S3R_ARRAY_LEN(cases), false);
    assert_int_equal(parse_text(&config, "{\"model_type\":\"hubert\"}",
                                "{\"feature_extractor_type\":\"Whisper\"}", false),
                     S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "preprocessor_config.json: "
                                        "\"feature_extractor_type\""));
    assert_int_equal(parse_text(&config, "{\"model_type\":\"hubert\"}",
                                "{\"feature_size\":80}", false),
                     S3R_ERR_MODEL);
}

static void test_bad_fairseq(void **state)
{
    static const bad_case cases[] = {
        {"{\"model\":{\"_name\":\"wav2vec_ctc\"}}",
         "\"model.w2v_args\": expected the encoder's configuration of the fine-tuned "
         "model "
         "\"wav2vec_ctc\", found none"},
        {"{\"model\":{\"_name\":\"roberta\"}}", "\"model._name\": expected"},
        {"{\"arch\":\"data2vec_multi\"}", "\"arch\": expected"},
        {"{\"model\":{\"w2v_args\":{\"model\":{\"encoder_attention_heads\":5}}}}",
         "\"encoder_attention_heads\": expected a divisor of \"encoder_embed_dim\" 768"},
        {"{\"model\":{\"w2v_args\":{\"model\":{\"encoder_layers\":0}}}}",
         "\"model.w2v_args.model.encoder_layers\": expected"},
        {"{\"conv_feature_layers\":\"__import__('os')\"}", "\"conv_feature_layers\""},
        {"{\"extractor_mode\":\"batch\"}", "\"default\" or \"layer_norm\""},
        {"{\"layer_type\":\"conformer\"}", "\"layer_type\": expected \"transformer\""},
        {"{\"activation_fn\":\"relu\"}", "\"activation_fn\""},
        {"{\"relative_position_embedding\":true}", "\"gru_rel_pos\""},
        {"{\"relative_position_embedding\":true,\"gru_rel_pos\":false}",
         "\"gru_rel_pos\": expected true"},
        {"{\"sample_rate\":\"fast\"}", "\"sample_rate\""},
        {"{\"quantize_input\":true}", "\"quantize_input\""},
    };
    (void)state;
    assert_rejected(cases, S3R_ARRAY_LEN(cases), true);
}

static void open_checkpoint(s3r_checkpoint **checkpoint, const char *path)
{
    if (s3r_checkpoint_open(checkpoint, path, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

/* Every case of tests/golden opens; fairseq copies describe the same model. */
static void test_golden(void **state)
{
    static const struct {
        const char *folder;
        s3r_family family;
        bool is_pre_norm, is_layer, has_norm;
    } cases[] = {
        {"w2v2_group_postln", S3R_FAMILY_WAV2VEC2, false, false, true},
        {"w2v2_layer_preln", S3R_FAMILY_WAV2VEC2, true, true, true},
        {"hubert_group", S3R_FAMILY_HUBERT, false, false, true},
        {"hubert_layer_preln", S3R_FAMILY_HUBERT, true, true, true},
        {"hubert_no_projection_norm", S3R_FAMILY_HUBERT, true, true, false},
        {"data2vec_audio", S3R_FAMILY_DATA2VEC_AUDIO, false, true, true},
        {"wavlm_base", S3R_FAMILY_WAVLM, false, false, true},
        {"wavlm_large", S3R_FAMILY_WAVLM, true, true, true},
        {"odd_shapes", S3R_FAMILY_WAV2VEC2, true, true, true},
    };
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char path[128];
        s3r_checkpoint *checkpoint;
        s3r_model_config c;
        snprintf(path, sizeof path, GOLDEN "%s", cases[i].folder);
        open_checkpoint(&checkpoint, path);
        if (s3r_model_config_open(&c, checkpoint, NULL, &err) != S3R_OK)
            fail_msg("%s", err.message);
        assert_int_equal(c.family, cases[i].family);
        assert_int_equal(c.is_pre_norm, cases[i].is_pre_norm);
        assert_int_equal(c.extractor_norm == S3R_EXTRACTOR_LAYER, cases[i].is_layer);
        assert_int_equal(c.has_feature_projection_norm, cases[i].has_norm);
        assert_true(c.has_head && c.has_feature_projection);
        s3r_checkpoint_close(checkpoint);
    }
}

static void test_fairseq_golden(void **state)
{
    s3r_checkpoint *checkpoint;
    s3r_model_config hf, zip, legacy;
    (void)state;
    open_checkpoint(&checkpoint, GOLDEN "w2v2_group_postln");
    assert_int_equal(s3r_model_config_open(&hf, checkpoint, NULL, &err), S3R_OK);
    s3r_checkpoint_close(checkpoint);
    open_checkpoint(&checkpoint, GOLDEN "w2v2_group_postln_fairseq/finetuned_zip.pt");
    if (s3r_model_config_open(&zip, checkpoint, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_checkpoint_close(checkpoint);
    open_checkpoint(&checkpoint, GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt");
    if (s3r_model_config_open(&legacy, checkpoint, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_checkpoint_close(checkpoint);
    const s3r_model_config *copies[] = {&zip, &legacy};
    for (size_t i = 0; i < 2; i++) {
        assert_true(copies[i]->is_fairseq);
        assert_int_equal(copies[i]->hidden_size, hf.hidden_size);
        assert_int_equal(copies[i]->ffn_size, hf.ffn_size);
        assert_int_equal(copies[i]->block_count, hf.block_count);
        assert_int_equal(copies[i]->head_count, hf.head_count);
        assert_int_equal(copies[i]->conv_count, hf.conv_count);
        assert_memory_equal(copies[i]->conv, hf.conv, hf.conv_count * sizeof *hf.conv);
        assert_int_equal(copies[i]->pos_conv_kernel, hf.pos_conv_kernel);
        assert_int_equal(copies[i]->pos_conv_groups, hf.pos_conv_groups);
        assert_false(copies[i]->do_normalize);
    }
    assert_true(zip.has_head && !legacy.has_head);
    assert_int_equal(zip.vocab_size, hf.vocab_size);
    assert_true(zip.mask_time_prob == 0.65 && zip.layerdrop == 0.05);
}

static void test_written_reads_back(void **state)
{
    static const char *const folders[] = {"w2v2_layer_preln", "hubert_no_projection_norm",
                                          "data2vec_audio", "wavlm_base", "odd_shapes"};
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(folders); i++) {
        char path[128];
        s3r_checkpoint *checkpoint;
        s3r_model_config before, after;
        snprintf(path, sizeof path, GOLDEN "%s", folders[i]);
        open_checkpoint(&checkpoint, path);
        assert_int_equal(s3r_model_config_open(&before, checkpoint, NULL, &err), S3R_OK);
        s3r_checkpoint_close(checkpoint);
        json_t *base = json_pack("{s:s, s:i}", "keep", "me", "hidden_size", 5);
        json_t *config = s3r_model_config_to_json(&before, base);
        json_t *side = s3r_model_config_to_preprocessor(&before, NULL);
        assert_string_equal(json_string_value(json_object_get(config, "keep")), "me");
        s3r_config_source source = {config, side, "c", "p", false};
        if (s3r_model_config_parse(&after, &source, &err) != S3R_OK)
            fail_msg("%s", err.message);
        after.has_head = before.has_head;
        memcpy(after.architecture, before.architecture, sizeof after.architecture);
        assert_int_equal(after.family, before.family);
        assert_int_equal(after.hidden_size, before.hidden_size);
        assert_int_equal(after.vocab_size, before.vocab_size);
        assert_int_equal(after.pad_token_id, before.pad_token_id);
        assert_int_equal(after.pos_conv_kernel, before.pos_conv_kernel);
        assert_int_equal(after.pos_conv_depth, before.pos_conv_depth);
        assert_int_equal(after.pos_conv_groups, before.pos_conv_groups);
        assert_int_equal(after.num_buckets, before.num_buckets);
        assert_int_equal(after.is_pre_norm, before.is_pre_norm);
        assert_int_equal(after.extractor_norm, before.extractor_norm);
        assert_int_equal(after.do_normalize, before.do_normalize);
        assert_int_equal(after.has_feature_projection_norm,
                         before.has_feature_projection_norm);
        assert_true(after.layer_norm_eps == before.layer_norm_eps);
        assert_memory_equal(after.conv, before.conv, sizeof after.conv);
        json_decref(base);
        json_decref(config);
        json_decref(side);
    }
}

static s3r_status attempt_open(void *context, s3r_error *error)
{
    s3r_model_config config;
    return s3r_model_config_open(&config, context, NULL, error);
}

static s3r_status attempt_write(void *context, s3r_error *error)
{
    json_t *json = s3r_model_config_to_json(context, NULL);
    json_t *side = s3r_model_config_to_preprocessor(context, NULL);
    s3r_status status = json && side ? S3R_OK : s3r_fail_memory(error, "JSON", 0);
    json_decref(json);
    json_decref(side);
    return status;
}

static void test_allocation_failures(void **state)
{
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
    (void)state;
    open_checkpoint(&checkpoint, GOLDEN "wavlm_base");
    test_survives_alloc_faults(attempt_open, checkpoint);
    assert_int_equal(s3r_model_config_open(&config, checkpoint, NULL, &err), S3R_OK);
    test_survives_alloc_faults(attempt_write, &config);
    s3r_checkpoint_close(checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_conv_layers_text),
        cmocka_unit_test(test_hf_values),
        cmocka_unit_test(test_fairseq_values),
        cmocka_unit_test(test_bad_hf),
        cmocka_unit_test(test_bad_fairseq),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_fairseq_golden),
        cmocka_unit_test(test_written_reads_back),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
