/*
 * Hugging Face configurations: config.json and preprocessor_config.json.
 *
 * Silent fields get the defaults of transformers, which are the base model's.
 * transformers builds data2vec-audio with layer norms and a post-norm encoder whatever
 * feat_extract_norm and do_stable_layer_norm say, so those are not read there.
 */
#include <stdio.h>
#include <string.h>

#include "model/model_config_read.h"

static const s3r_config_field fields[] = {
    S3R_FIELD("hidden_size", S3R_FIELD_COUNT, hidden_size, 1, 65536),
    S3R_FIELD("intermediate_size", S3R_FIELD_COUNT, ffn_size, 1, 1048576),
    S3R_FIELD("num_hidden_layers", S3R_FIELD_COUNT, block_count, 1, 1024),
    S3R_FIELD("num_attention_heads", S3R_FIELD_COUNT, head_count, 1, 65536),
    S3R_FIELD("layer_norm_eps", S3R_FIELD_REAL, layer_norm_eps, 0, 1),
    S3R_FIELD("conv_bias", S3R_FIELD_FLAG, conv_bias, 0, 0),
    S3R_FIELD("num_conv_pos_embedding_groups", S3R_FIELD_COUNT, pos_conv_groups, 1,
              65536),
    S3R_FIELD("vocab_size", S3R_FIELD_COUNT, vocab_size, 1, 16777216),
    S3R_FIELD("pad_token_id", S3R_FIELD_COUNT, pad_token_id, 0, 16777216),
    S3R_FIELD("hidden_dropout", S3R_FIELD_REAL, hidden_dropout, 0, 0.999),
    S3R_FIELD("attention_dropout", S3R_FIELD_REAL, attention_dropout, 0, 0.999),
    S3R_FIELD("activation_dropout", S3R_FIELD_REAL, activation_dropout, 0, 0.999),
    S3R_FIELD("feat_proj_dropout", S3R_FIELD_REAL, feat_proj_dropout, 0, 0.999),
    S3R_FIELD("final_dropout", S3R_FIELD_REAL, final_dropout, 0, 0.999),
    S3R_FIELD("layerdrop", S3R_FIELD_REAL, layerdrop, 0, 1),
    S3R_FIELD("mask_time_prob", S3R_FIELD_REAL, mask_time_prob, 0, 1),
    S3R_FIELD("mask_time_length", S3R_FIELD_COUNT, mask_time_length, 1, 65536),
    S3R_FIELD("mask_time_min_masks", S3R_FIELD_COUNT, mask_time_min_masks, 0, 65536),
    S3R_FIELD("mask_feature_prob", S3R_FIELD_REAL, mask_feature_prob, 0, 1),
    S3R_FIELD("mask_feature_length", S3R_FIELD_COUNT, mask_feature_length, 1, 65536),
    S3R_FIELD("mask_feature_min_masks", S3R_FIELD_COUNT, mask_feature_min_masks, 0,
              65536),
};

static const s3r_config_field wavlm_fields[] = {
    S3R_FIELD("num_buckets", S3R_FIELD_COUNT, num_buckets, 4, 65536),
    S3R_FIELD("max_bucket_distance", S3R_FIELD_COUNT, max_bucket_distance, 2, 1048576),
};

static const s3r_config_field preprocessor_fields[] = {
    S3R_FIELD("do_normalize", S3R_FIELD_FLAG, do_normalize, 0, 0),
    S3R_FIELD("sampling_rate", S3R_FIELD_COUNT, sample_rate, 1000, 384000),
    S3R_FIELD(S3R_NORMALIZE_EPS_KEY, S3R_FIELD_REAL, normalize_eps, 0, 1),
};

static void set_defaults(s3r_model_config *out)
{
    out->hidden_dropout = out->attention_dropout = out->activation_dropout = 0.1;
    out->final_dropout = out->layerdrop = 0.1;
    out->mask_time_prob = 0.05;
    out->normalize_eps = 1e-7;
    /* Without preprocessor_config.json: layer-norm models need it, for group-norm models
     * it changes nothing (spec 2.1). */
    out->do_normalize = true;
}

static s3r_status read_family(s3r_model_config *out, const s3r_config_node *node,
                              s3r_error *err)
{
    static const s3r_family families[] = {S3R_FAMILY_WAV2VEC2, S3R_FAMILY_HUBERT,
                                          S3R_FAMILY_DATA2VEC_AUDIO, S3R_FAMILY_WAVLM};
    const char *name = "";
    S3R_TRY(s3r_config_read_text(&name, node, "model_type", err));
    for (size_t i = 0; i < S3R_ARRAY_LEN(families); i++) {
        if (strcmp(name, s3r_family_name(families[i])) == 0) {
            out->family = families[i];
            return S3R_OK;
        }
    }
    return s3r_config_fail(node, "model_type",
                           "\"wav2vec2\", \"hubert\", \"data2vec-audio\" or \"wavlm\"",
                           s3r_config_get(node, "model_type"), err);
}

/* One of conv_dim, conv_kernel, conv_stride; `offset` is its place in s3r_conv_config. */
static s3r_status read_conv_list(s3r_model_config *out, const s3r_config_node *node,
                                 const char *key, size_t offset, s3r_error *err)
{
    const json_t *list = s3r_config_get(node, key);
    if (!list)
        return S3R_OK;
    size_t count = json_array_size(list);
    if (count < 1 || count > S3R_MAX_CONV_LAYERS)
        return s3r_config_fail(node, key, "a list of 1 to 32 numbers", list, err);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t number = json_integer_value(value);
        if (!json_is_integer(value) || number < 1 || number > 65536)
            return s3r_config_fail(node, key, "whole numbers from 1 to 65536", list, err);
        *(size_t *)(void *)((char *)&out->conv[i] + offset) = (size_t)number;
    }
    return S3R_OK;
}

static s3r_status read_conv(s3r_model_config *out, const s3r_config_node *node,
                            s3r_error *err)
{
    static const char *const keys[] = {"conv_dim", "conv_kernel", "conv_stride"};
    static const size_t offsets[] = {offsetof(s3r_conv_config, dim),
                                     offsetof(s3r_conv_config, kernel),
                                     offsetof(s3r_conv_config, stride)};
    size_t counts[3];
    for (size_t i = 0; i < 3; i++) {
        S3R_TRY(read_conv_list(out, node, keys[i], offsets[i], err));
        const json_t *list = s3r_config_get(node, keys[i]);
        counts[i] = list ? json_array_size(list) : out->conv_count;
    }
    size_t declared = counts[0];
    S3R_TRY(
        s3r_config_read_count(&declared, node, "num_feat_extract_layers", 1, 32, err));
    if (counts[0] != counts[1] || counts[0] != counts[2] || counts[0] != declared)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: expected as many entries in \"conv_dim\" as in "
                        "\"conv_kernel\" and \"conv_stride\" and as "
                        "\"num_feat_extract_layers\" says, found %zu, %zu, %zu and %zu",
                        node->label, counts[0], counts[1], counts[2], declared);
    out->conv_count = counts[0];
    return S3R_OK;
}

static s3r_status read_norms(s3r_model_config *out, s3r_config_silence *silence,
                             const s3r_config_node *node, s3r_error *err)
{
    if (out->family == S3R_FAMILY_DATA2VEC_AUDIO) {
        out->extractor_norm = S3R_EXTRACTOR_LAYER;
        return S3R_OK;
    }
    const char *norm = NULL;
    S3R_TRY(s3r_config_read_text(&norm, node, "feat_extract_norm", err));
    silence->extractor_norm = norm == NULL;
    if (norm && strcmp(norm, "layer") == 0)
        out->extractor_norm = S3R_EXTRACTOR_LAYER;
    else if (norm && strcmp(norm, "group") != 0)
        return s3r_config_fail(node, "feat_extract_norm", "\"group\" or \"layer\"",
                               s3r_config_get(node, "feat_extract_norm"), err);
    if (out->family == S3R_FAMILY_HUBERT) {
        S3R_TRY(s3r_config_read_flag(&out->has_feature_projection_norm, node,
                                     "feat_proj_layer_norm", err));
        silence->projection_norm = !s3r_config_get(node, "feat_proj_layer_norm");
    }
    return s3r_config_read_flag(&out->is_pre_norm, node, "do_stable_layer_norm", err);
}

static s3r_status read_pos_conv(s3r_model_config *out, const s3r_config_node *node,
                                s3r_error *err)
{
    if (out->family != S3R_FAMILY_DATA2VEC_AUDIO)
        return s3r_config_read_count(&out->pos_conv_kernel, node,
                                     "num_conv_pos_embeddings", 1, 65536, err);
    out->has_pos_conv_weight_norm = false;
    out->pos_conv_depth = 5;
    out->pos_conv_kernel = 19;
    S3R_TRY(s3r_config_read_count(&out->pos_conv_depth, node, "num_conv_pos_embeddings",
                                  1, 64, err));
    return s3r_config_read_count(&out->pos_conv_kernel, node, "conv_pos_kernel_size", 1,
                                 65536, err);
}

static s3r_status reject_unsupported(const s3r_config_node *node, s3r_error *err)
{
    S3R_TRY(s3r_config_expect_text(node, "hidden_act", "gelu", err));
    S3R_TRY(s3r_config_expect_text(node, "feat_extract_activation", "gelu", err));
    /* Relative and rotary positions belong to wav2vec2-conformer. */
    S3R_TRY(s3r_config_expect_text(node, "position_embeddings_type", "absolute", err));
    S3R_TRY(s3r_config_expect_flag(node, "conv_pos_batch_norm", false, err));
    return s3r_config_expect_flag(node, "add_adapter", false, err);
}

static s3r_status read_preprocessor(s3r_model_config *out,
                                    const s3r_config_source *source, s3r_error *err)
{
    s3r_config_node node = {source->preprocessor, source->preprocessor_label, ""};
    size_t feature_size = 1;
    S3R_TRY(s3r_config_expect_text(&node, "feature_extractor_type",
                                   "Wav2Vec2FeatureExtractor", err));
    S3R_TRY(s3r_config_read_count(&feature_size, &node, "feature_size", 1, 1, err));
    return s3r_config_read_fields(out, &node, preprocessor_fields,
                                  S3R_ARRAY_LEN(preprocessor_fields), err);
}

/* Text that is only for people: cut when long, ignored when it is no text. */
static void copy_text(char *out, const json_t *value)
{
    if (json_is_string(value) && json_string_length(value) < S3R_CONFIG_TEXT_BYTES)
        snprintf(out, S3R_CONFIG_TEXT_BYTES, "%s", json_string_value(value));
}

/* "s3r_int8": {"backbone": HASH}: what s3r convert --dtype int8 writes. */
static s3r_status read_int8(s3r_model_config *out, const s3r_config_node *node,
                            s3r_error *err)
{
    const json_t *object = s3r_config_get(node, "s3r_int8");
    if (!object)
        return S3R_OK;
    if (!json_is_object(object))
        return s3r_config_fail(node, "s3r_int8", "an object", object, err);
    out->is_int8 = true;
    copy_text(out->int8_backbone, json_object_get(object, "backbone"));
    return S3R_OK;
}

s3r_status s3r_config_parse_hf(s3r_model_config *out, s3r_config_silence *silence,
                               const s3r_config_source *source, s3r_error *err)
{
    s3r_config_node node = {source->config, source->config_label, ""};
    set_defaults(out);
    S3R_TRY(read_family(out, &node, err));
    S3R_TRY(reject_unsupported(&node, err));
    S3R_TRY(read_conv(out, &node, err));
    S3R_TRY(read_norms(out, silence, &node, err));
    S3R_TRY(s3r_config_read_fields(out, &node, fields, S3R_ARRAY_LEN(fields), err));
    S3R_TRY(read_pos_conv(out, &node, err));
    if (out->family == S3R_FAMILY_WAVLM)
        S3R_TRY(s3r_config_read_fields(out, &node, wavlm_fields,
                                       S3R_ARRAY_LEN(wavlm_fields), err));
    /* Blocks with the norm behind have no adapters, whatever the key says. */
    if (out->family == S3R_FAMILY_WAV2VEC2 && out->is_pre_norm)
        S3R_TRY(s3r_config_read_count(&out->adapter_attn_dim, &node, "adapter_attn_dim",
                                      1, 65536, err));
    S3R_TRY(read_int8(out, &node, err));
    silence->conv_bias = !s3r_config_get(&node, "conv_bias");
    silence->adapter = out->adapter_attn_dim == 0;
    silence->vocab_size = out->vocab_size == 0;
    copy_text(out->architecture,
              json_array_get(json_object_get(source->config, "architectures"), 0));
    copy_text(out->license, json_object_get(source->config, "license"));
    return read_preprocessor(out, source, err);
}
