/*
 * Configurations as transformers reads them.
 *
 * What the model needs is written over a copy of the original file, so that settings
 * that are not ours (labels of a classifier, loss options) survive.
 */
#include <string.h>

#include "model/model_config.h"

/* Steals value; false when there is no memory. */
static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static bool set_count(json_t *object, const char *key, size_t value)
{
    return set(object, key, json_integer((json_int_t)value));
}

static json_t *copy_or_new(const json_t *base)
{
    return base ? json_deep_copy(base) : json_object();
}

static const char *class_name(const s3r_model_config *config)
{
    static const char *const names[][2] = {
        {"Wav2Vec2Model", "Wav2Vec2ForCTC"},
        {"HubertModel", "HubertForCTC"},
        {"Data2VecAudioModel", "Data2VecAudioForCTC"},
        {"WavLMModel", "WavLMForCTC"},
    };
    return names[config->family][config->has_head];
}

static bool set_extractor(json_t *out, const s3r_model_config *config)
{
    json_t *dim = json_array(), *kernel = json_array(), *stride = json_array();
    bool is_set = true;
    for (size_t i = 0; i < config->conv_count; i++) {
        const s3r_conv_config *conv = &config->conv[i];
        is_set &= json_array_append_new(dim, json_integer((json_int_t)conv->dim)) == 0;
        is_set &=
            json_array_append_new(kernel, json_integer((json_int_t)conv->kernel)) == 0;
        is_set &=
            json_array_append_new(stride, json_integer((json_int_t)conv->stride)) == 0;
    }
    /* Each call takes its array, also when it fails. */
    is_set &= set(out, "conv_dim", dim);
    is_set &= set(out, "conv_kernel", kernel);
    is_set &= set(out, "conv_stride", stride);
    bool is_layer = config->extractor_norm == S3R_EXTRACTOR_LAYER;
    return is_set && set_count(out, "num_feat_extract_layers", config->conv_count) &&
           set(out, "conv_bias", json_boolean(config->conv_bias)) &&
           set(out, "feat_extract_activation", json_string("gelu")) &&
           set(out, "feat_extract_norm", json_string(is_layer ? "layer" : "group"));
}

static bool set_encoder(json_t *out, const s3r_model_config *config)
{
    bool is_data2vec = config->family == S3R_FAMILY_DATA2VEC_AUDIO;
    size_t pos_conv = is_data2vec ? config->pos_conv_depth : config->pos_conv_kernel;
    bool is_set =
        set_count(out, "hidden_size", config->hidden_size) &&
        set_count(out, "intermediate_size", config->ffn_size) &&
        set_count(out, "num_hidden_layers", config->block_count) &&
        set_count(out, "num_attention_heads", config->head_count) &&
        set_count(out, "num_conv_pos_embeddings", pos_conv) &&
        set_count(out, "num_conv_pos_embedding_groups", config->pos_conv_groups) &&
        set(out, "layer_norm_eps", json_real(config->layer_norm_eps)) &&
        set(out, "hidden_act", json_string("gelu")) &&
        set(out, "do_stable_layer_norm", json_boolean(config->is_pre_norm));
    if (is_set && is_data2vec)
        is_set = set_count(out, "conv_pos_kernel_size", config->pos_conv_kernel);
    if (is_set && config->family == S3R_FAMILY_HUBERT)
        is_set = set(out, "feat_proj_layer_norm",
                     json_boolean(config->has_feature_projection_norm));
    if (is_set && config->family == S3R_FAMILY_WAVLM)
        is_set = set_count(out, "num_buckets", config->num_buckets) &&
                 set_count(out, "max_bucket_distance", config->max_bucket_distance);
    if (is_set && config->adapter_attn_dim > 0)
        is_set = set_count(out, "adapter_attn_dim", config->adapter_attn_dim);
    return is_set;
}

static bool set_training(json_t *out, const s3r_model_config *config)
{
    return set(out, "hidden_dropout", json_real(config->hidden_dropout)) &&
           set(out, "attention_dropout", json_real(config->attention_dropout)) &&
           set(out, "activation_dropout", json_real(config->activation_dropout)) &&
           set(out, "feat_proj_dropout", json_real(config->feat_proj_dropout)) &&
           set(out, "final_dropout", json_real(config->final_dropout)) &&
           set(out, "layerdrop", json_real(config->layerdrop)) &&
           set(out, "mask_time_prob", json_real(config->mask_time_prob)) &&
           set_count(out, "mask_time_length", config->mask_time_length) &&
           set_count(out, "mask_time_min_masks", config->mask_time_min_masks) &&
           set(out, "mask_feature_prob", json_real(config->mask_feature_prob)) &&
           set_count(out, "mask_feature_length", config->mask_feature_length) &&
           set_count(out, "mask_feature_min_masks", config->mask_feature_min_masks);
}

static bool set_head(json_t *out, const s3r_model_config *config)
{
    bool is_set = set_count(out, "pad_token_id", config->pad_token_id);
    if (is_set && config->vocab_size > 0)
        is_set = set_count(out, "vocab_size", config->vocab_size);
    return is_set;
}

json_t *s3r_model_config_to_json(const s3r_model_config *config, const json_t *base)
{
    json_t *out = copy_or_new(base);
    bool is_complete =
        out && set(out, "architectures", json_pack("[s]", class_name(config))) &&
        set(out, "model_type", json_string(s3r_family_name(config->family))) &&
        set_extractor(out, config) && set_encoder(out, config) && set_head(out, config) &&
        set_training(out, config);
    if (out)
        json_object_del(out, "s3r_int8"); /* of base */
    if (is_complete && config->is_int8)
        is_complete =
            set(out, "s3r_int8", json_pack("{s:s}", "backbone", config->int8_backbone));
    if (is_complete && config->license[0])
        is_complete = set(out, "license", json_string(config->license));
    if (!is_complete) {
        json_decref(out);
        return NULL;
    }
    return out;
}

json_t *s3r_model_config_to_preprocessor(const s3r_model_config *config,
                                         const json_t *base)
{
    /* Group norm sees the padding, whatever a mask says: no mask is asked for. */
    bool has_mask = config->extractor_norm == S3R_EXTRACTOR_LAYER;
    json_t *out = copy_or_new(base);
    bool is_complete =
        out &&
        set(out, "feature_extractor_type", json_string("Wav2Vec2FeatureExtractor")) &&
        set_count(out, "feature_size", 1) &&
        set(out, "do_normalize", json_boolean(config->do_normalize)) &&
        set_count(out, "sampling_rate", config->sample_rate);
    /* What Hugging Face's has is not said; fairseq's is another. */
    if (out)
        json_object_del(out, S3R_NORMALIZE_EPS_KEY);
    if (is_complete && config->do_normalize && config->normalize_eps != 1e-7)
        is_complete = set(out, S3R_NORMALIZE_EPS_KEY, json_real(config->normalize_eps));
    if (is_complete && !json_object_get(out, "padding_value"))
        is_complete = set(out, "padding_value", json_real(0.0));
    if (is_complete && !json_object_get(out, "padding_side"))
        is_complete = set(out, "padding_side", json_string("right"));
    if (is_complete && !json_object_get(out, "return_attention_mask"))
        is_complete = set(out, "return_attention_mask", json_boolean(has_mask));
    if (!is_complete) {
        json_decref(out);
        return NULL;
    }
    return out;
}
