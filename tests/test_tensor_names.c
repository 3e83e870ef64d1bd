/*
 * Canonical tensor names of every flavour of checkpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "checkpoint/tensor_names.h"

#define PARAMETER S3R_TENSOR_PARAMETER
#define SCORES    S3R_TENSOR_SCORES
#define IGNORED   S3R_TENSOR_IGNORED
#define UNKNOWN   S3R_TENSOR_UNKNOWN

static const struct {
    const char *name, *canonical; /* NULL: the name itself */
    s3r_tensor_role role;
} cases[] = {
    /* Hugging Face */
    {"wav2vec2.feature_extractor.conv_layers.0.conv.weight",
     "feature_extractor.conv_layers.0.conv.weight", PARAMETER},
    {"feature_extractor.conv_layers.6.layer_norm.bias", NULL, PARAMETER},
    {"hubert.encoder.pos_conv_embed.conv.parametrizations.weight.original0",
     "encoder.pos_conv_embed.conv.weight_g", PARAMETER},
    {"wavlm.encoder.pos_conv_embed.conv.parametrizations.weight.original1",
     "encoder.pos_conv_embed.conv.weight_v", PARAMETER},
    {"wav2vec2.encoder.pos_conv_embed.conv.weight_g",
     "encoder.pos_conv_embed.conv.weight_g", PARAMETER},
    {"encoder.pos_conv_embed.conv.bias", NULL, PARAMETER},
    {"data2vec_audio.encoder.pos_conv_embed.layers.4.conv.weight",
     "encoder.pos_conv_embed.layers.4.conv.weight", PARAMETER},
    {"wav2vec2.encoder.layers.11.attention.out_proj.bias",
     "encoder.layers.11.attention.out_proj.bias", PARAMETER},
    {"wav2vec2.masked_spec_embed", "masked_spec_embed", PARAMETER},
    {"wav2vec2.mask_time_emb_vector", "masked_spec_embed", PARAMETER},
    {"wavlm.encoder.layers.0.attention.rel_attn_embed.weight",
     "encoder.layers.0.attention.rel_attn_embed.weight", PARAMETER},
    {"encoder.layers.3.attention.gru_rel_pos_const", NULL, PARAMETER},
    {"wav2vec2.encoder.layers.47.adapter_layer.linear_1.weight",
     "encoder.layers.47.adapter_layer.linear_1.weight", PARAMETER},
    {"lm_head.weight", NULL, PARAMETER},
    {"quantizer.codevectors", NULL, IGNORED},
    {"project_hid.weight", NULL, IGNORED},
    {"project_q.bias", NULL, IGNORED},
    /* fairseq */
    {"feature_extractor.conv_layers.0.0.weight",
     "feature_extractor.conv_layers.0.conv.weight", PARAMETER},
    {"feature_extractor.conv_layers.0.2.weight",
     "feature_extractor.conv_layers.0.layer_norm.weight", PARAMETER},
    {"feature_extractor.conv_layers.5.2.1.bias",
     "feature_extractor.conv_layers.5.layer_norm.bias", PARAMETER},
    {"w2v_encoder.w2v_model.post_extract_proj.weight",
     "feature_projection.projection.weight", PARAMETER},
    {"w2v_encoder.w2v_model.layer_norm.bias", "feature_projection.layer_norm.bias",
     PARAMETER},
    {"w2v_model.encoder.layer_norm.weight", "encoder.layer_norm.weight", PARAMETER},
    {"mask_emb", "masked_spec_embed", PARAMETER},
    {"encoder.pos_conv.0.weight_g", "encoder.pos_conv_embed.conv.weight_g", PARAMETER},
    {"encoder.pos_conv.0.weight_v", "encoder.pos_conv_embed.conv.weight_v", PARAMETER},
    {"encoder.pos_conv.0.bias", "encoder.pos_conv_embed.conv.bias", PARAMETER},
    {"encoder.pos_conv.3.0.weight", "encoder.pos_conv_embed.layers.3.conv.weight",
     PARAMETER},
    {"encoder.pos_conv.0.0.bias", "encoder.pos_conv_embed.layers.0.conv.bias", PARAMETER},
    {"encoder.layers.10.self_attn.k_proj.weight",
     "encoder.layers.10.attention.k_proj.weight", PARAMETER},
    {"encoder.layers.1.self_attn_layer_norm.weight", "encoder.layers.1.layer_norm.weight",
     PARAMETER},
    {"encoder.layers.1.fc1.bias", "encoder.layers.1.feed_forward.intermediate_dense.bias",
     PARAMETER},
    {"encoder.layers.1.fc2.weight", "encoder.layers.1.feed_forward.output_dense.weight",
     PARAMETER},
    {"encoder.layers.1.final_layer_norm.weight", NULL, PARAMETER},
    {"w2v_encoder.proj.bias", "lm_head.bias", PARAMETER},
    {"w2v_encoder.w2v_model.final_proj.weight", NULL, IGNORED},
    {"label_embs_concat", NULL, IGNORED},
    {"_ema", NULL, IGNORED},
    {"w2v_encoder.w2v_model.num_updates", NULL, IGNORED},
    {"quantizer.weight_proj.weight", NULL, IGNORED},
    /* S3-Router */
    {"w2v_encoder.w2v_model.encoder.layers.2.fc1.scores",
     "encoder.layers.2.feed_forward.intermediate_dense.weight", SCORES},
    {"encoder.layers.2.self_attn.q_proj.scores",
     "encoder.layers.2.attention.q_proj.weight", SCORES},
    {"w2v_encoder.w2v_model.post_extract_proj.scores",
     "feature_projection.projection.weight", SCORES},
    {"elsewhere.scores", NULL, UNKNOWN},
    /* Microsoft's WavLM */
    {"encoder.layers.0.self_attn.relative_attention_bias.weight",
     "encoder.layers.0.attention.rel_attn_embed.weight", PARAMETER},
    {"encoder.layers.7.self_attn.grep_linear.bias",
     "encoder.layers.7.attention.gru_rel_pos_linear.bias", PARAMETER},
    {"encoder.layers.7.self_attn.grep_a", "encoder.layers.7.attention.gru_rel_pos_const",
     PARAMETER},
    /* torchaudio */
    {"encoder.feature_projection.projection.bias", "feature_projection.projection.bias",
     PARAMETER},
    {"encoder.transformer.pos_conv_embed.conv.weight_v",
     "encoder.pos_conv_embed.conv.weight_v", PARAMETER},
    {"encoder.transformer.layers.9.feed_forward.output_dense.weight",
     "encoder.layers.9.feed_forward.output_dense.weight", PARAMETER},
    {"encoder.transformer.layer_norm.bias", "encoder.layer_norm.bias", PARAMETER},
    {"wav2vec2.encoder.transformer.layers.0.attention.q_proj.weight",
     "encoder.layers.0.attention.q_proj.weight", PARAMETER},
    {"aux.weight", "lm_head.weight", PARAMETER},
    {"encoder.readout.bias", "lm_head.bias", PARAMETER},
    {"mask_generator.mask_embedding", "masked_spec_embed", PARAMETER},
    /* neither */
    {"wav2vec2.classifier.weight", NULL, UNKNOWN},
    {"encoder.layers.01.fc1.weight", NULL, UNKNOWN},
    {"encoder.layers.1234567.fc1.weight", NULL, UNKNOWN},
    {"encoder.layers..fc1.weight", NULL, UNKNOWN},
    {"encoder.layers.1.fc1.weights", NULL, UNKNOWN},
    {"encoder.layers.1.fc1", NULL, UNKNOWN},
    {"", NULL, UNKNOWN},
    {"wav2vec2.", NULL, UNKNOWN},
    {".scores", NULL, UNKNOWN},
};

static void test_every_flavour_has_one_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char out[S3R_TENSOR_NAME_BYTES];
        const char *expected = cases[i].canonical ? cases[i].canonical : cases[i].name;
        s3r_tensor_role role = s3r_tensor_name_canonical(cases[i].name, out, sizeof out);
        if (role != cases[i].role || strcmp(out, expected) != 0)
            fail_msg("\"%s\": expected %d \"%s\", found %d \"%s\"", cases[i].name,
                     cases[i].role, expected, role, out);
    }
}

static void test_canonical_names_are_fixed_points(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char once[S3R_TENSOR_NAME_BYTES], twice[S3R_TENSOR_NAME_BYTES];
        if (s3r_tensor_name_canonical(cases[i].name, once, sizeof once) != PARAMETER)
            continue;
        assert_int_equal(s3r_tensor_name_canonical(once, twice, sizeof twice), PARAMETER);
        assert_string_equal(twice, once);
    }
}

static void test_small_outputs_are_cut(void **state)
{
    (void)state;
    static const char name[] = "w2v_encoder.proj.weight";
    for (size_t bytes = 1; bytes < sizeof "lm_head.weight"; bytes++) {
        char out[32];
        memset(out, 'x', sizeof out);
        assert_int_equal(s3r_tensor_name_canonical(name, out, bytes), UNKNOWN);
        assert_int_equal(strlen(out), bytes - 1);
        assert_int_equal(out[bytes], 'x');
    }
    char exact[sizeof "lm_head.weight"];
    assert_int_equal(s3r_tensor_name_canonical(name, exact, sizeof exact), PARAMETER);
    assert_string_equal(exact, "lm_head.weight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flavour_has_one_name),
        cmocka_unit_test(test_canonical_names_are_fixed_points),
        cmocka_unit_test(test_small_outputs_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
