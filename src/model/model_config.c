/*
 * The configuration of a checkpoint: parse, ask the tensors where the JSON is silent,
 * check what involves several values.
 */
#include "model/model_config.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/tensor_names.h"
#include "model/model_card_read.h"
#include "model/model_config_read.h"

/* A receptive field beyond this is no model; it bounds all products of strides. */
#define MAX_RECEPTIVE_FIELD ((size_t)1 << 30)

const char *s3r_family_name(s3r_family family)
{
    static const char *const names[] = {"wav2vec2", "hubert", "data2vec-audio", "wavlm"};
    return names[family];
}

const char *s3r_family_prefix(s3r_family family)
{
    static const char *const prefixes[] = {"wav2vec2.", "hubert.", "data2vec_audio.",
                                           "wavlm."};
    return prefixes[family];
}

size_t s3r_config_frames(const s3r_model_config *config, size_t sample_count)
{
    size_t length = sample_count;
    for (size_t i = 0; i < config->conv_count; i++) {
        if (length < config->conv[i].kernel)
            return 0;
        length = (length - config->conv[i].kernel) / config->conv[i].stride + 1;
    }
    return length;
}

size_t s3r_config_stride(const s3r_model_config *config)
{
    size_t stride = 1;
    for (size_t i = 0; i < config->conv_count; i++)
        stride *= config->conv[i].stride;
    return stride;
}

size_t s3r_config_receptive_field(const s3r_model_config *config)
{
    size_t field = 1;
    for (size_t i = config->conv_count; i > 0; i--)
        field = (field - 1) * config->conv[i - 1].stride + config->conv[i - 1].kernel;
    return field;
}

static s3r_status check_extractor(const s3r_model_config *config, const char *label,
                                  s3r_error *err)
{
    size_t field = 1, stride = 1;
    for (size_t i = 0; i < config->conv_count; i++) {
        /* Both factors are at most 2^30 and 2^16. */
        uint64_t next_field = field + (uint64_t)(config->conv[i].kernel - 1) * stride;
        uint64_t next_stride = (uint64_t)stride * config->conv[i].stride;
        if (next_field > MAX_RECEPTIVE_FIELD || next_stride > MAX_RECEPTIVE_FIELD)
            return s3r_fail(
                err, S3R_ERR_MODEL,
                "%s: the convolutions of the extractor see too much: expected "
                "at most %zu samples a frame, found more",
                label, MAX_RECEPTIVE_FIELD);
        field = (size_t)next_field;
        stride = (size_t)next_stride;
    }
    return S3R_OK;
}

static s3r_status check_divides(const s3r_model_config *config, const char *label,
                                size_t divisor, const char *hf_key,
                                const char *fairseq_key, s3r_error *err)
{
    if (config->hidden_size % divisor == 0)
        return S3R_OK;
    const char *width = config->is_fairseq ? "encoder_embed_dim" : "hidden_size";
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: \"%s\": expected a divisor of \"%s\" %zu, found %zu", label,
                    config->is_fairseq ? fairseq_key : hf_key, width, config->hidden_size,
                    divisor);
}

static s3r_status check(const s3r_model_config *config, const char *label, s3r_error *err)
{
    S3R_TRY(check_extractor(config, label, err));
    S3R_TRY(check_divides(config, label, config->head_count, "num_attention_heads",
                          "encoder_attention_heads", err));
    S3R_TRY(check_divides(config, label, config->pos_conv_groups,
                          "num_conv_pos_embedding_groups", "conv_pos_groups", err));
    if (config->family != S3R_FAMILY_WAVLM)
        return S3R_OK;
    if (config->num_buckets % 2 != 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: \"num_buckets\": expected an even number, found %zu", label,
                        config->num_buckets);
    /* Below a quarter of the buckets each distance has its own. */
    if (config->max_bucket_distance <= config->num_buckets / 4)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: \"%s\": expected more than a quarter of \"num_buckets\" "
                        "%zu, found %zu",
                        label,
                        config->is_fairseq ? "max_distance" : "max_bucket_distance",
                        config->num_buckets, config->max_bucket_distance);
    return S3R_OK;
}

/* What all makers and families share. */
static void set_defaults(s3r_model_config *out, bool is_fairseq)
{
    static const s3r_conv_config conv[] = {{512, 10, 5}, {512, 3, 2}, {512, 3, 2},
                                           {512, 3, 2},  {512, 3, 2}, {512, 2, 2},
                                           {512, 2, 2}};
    *out = (s3r_model_config){
        .is_fairseq = is_fairseq,
        .conv_count = S3R_ARRAY_LEN(conv),
        .has_feature_projection_norm = true,
        .has_feature_projection = true,
        .hidden_size = 768,
        .ffn_size = 3072,
        .block_count = 12,
        .head_count = 12,
        .layer_norm_eps = 1e-5,
        .pos_conv_kernel = 128,
        .pos_conv_groups = 16,
        .pos_conv_depth = 1,
        .has_pos_conv_weight_norm = true,
        .num_buckets = 320,
        .max_bucket_distance = 800,
        .sample_rate = 16000,
        .mask_time_length = 10,
        .mask_time_min_masks = 2,
        .mask_feature_length = 10,
    };
    memcpy(out->conv, conv, sizeof conv);
}

s3r_status s3r_config_parse_checked(s3r_model_config *out, s3r_config_silence *silence,
                                    const s3r_config_source *source, s3r_error *err)
{
    s3r_model_config config;
    *silence = (s3r_config_silence){0};
    set_defaults(&config, source->is_fairseq);
    if (!json_is_object(source->config))
        return s3r_fail(err, S3R_ERR_MODEL, "%s: expected a configuration, found none",
                        source->config_label);
    if (source->is_fairseq)
        S3R_TRY(s3r_config_parse_fairseq(&config, silence, source, err));
    else
        S3R_TRY(s3r_config_parse_hf(&config, silence, source, err));
    if (config.family != S3R_FAMILY_WAVLM)
        config.num_buckets = config.max_bucket_distance = 0;
    S3R_TRY(check(&config, source->config_label, err));
    *out = config;
    return S3R_OK;
}

s3r_status s3r_model_config_parse(s3r_model_config *out, const s3r_config_source *source,
                                  s3r_error *err)
{
    s3r_config_silence silence;
    return s3r_config_parse_checked(out, &silence, source, err);
}

/* ---- what the tensors tell ---- */

typedef struct tensor_facts {
    bool has_conv_bias, has_conv_norm_1, has_projection_norm, has_projection;
    bool has_head, has_adapter;
    size_t head_rows, adapter_rows; /* 0 when the tensor is no matrix */
} tensor_facts;

static size_t matrix_rows(const s3r_tensor *tensor)
{
    return tensor->rank == 2 ? tensor->shape[0] : 0;
}

static void note(tensor_facts *facts, const char *name, const s3r_tensor *tensor)
{
    if (strcmp(name, "feature_extractor.conv_layers.0.conv.bias") == 0)
        facts->has_conv_bias = true;
    else if (strcmp(name, "feature_extractor.conv_layers.1.layer_norm.weight") == 0)
        facts->has_conv_norm_1 = true;
    else if (strcmp(name, "feature_projection.layer_norm.weight") == 0)
        facts->has_projection_norm = true;
    else if (strcmp(name, "feature_projection.projection.weight") == 0)
        facts->has_projection = true;
    else if (strcmp(name, "lm_head.weight") == 0) {
        facts->has_head = true;
        facts->head_rows = matrix_rows(tensor);
    } else if (strcmp(name, "encoder.layers.0.adapter_layer.linear_1.weight") == 0) {
        facts->has_adapter = true;
        facts->adapter_rows = matrix_rows(tensor);
    }
}

static void collect_facts(tensor_facts *facts, const s3r_checkpoint *checkpoint)
{
    char name[S3R_TENSOR_NAME_BYTES];
    for (size_t i = 0; i < s3r_checkpoint_tensor_count(checkpoint); i++) {
        const s3r_tensor *tensor = s3r_checkpoint_tensor(checkpoint, i);
        if (s3r_tensor_name_canonical(tensor->name, name, sizeof name) ==
            S3R_TENSOR_PARAMETER)
            note(facts, name, tensor);
    }
}

static void fill_silence(s3r_model_config *config, const s3r_config_silence *silence,
                         const tensor_facts *facts, bool has_language)
{
    if (silence->conv_bias)
        config->conv_bias = facts->has_conv_bias;
    if (silence->extractor_norm && facts->has_conv_norm_1)
        config->extractor_norm = S3R_EXTRACTOR_LAYER;
    if (silence->projection_norm)
        config->has_feature_projection_norm = facts->has_projection_norm;
    if (facts->adapter_rows > 0 && (silence->adapter || has_language))
        config->adapter_attn_dim = facts->adapter_rows;
    /* fairseq leaves the projection out when it would change no width. */
    if (config->is_fairseq && !facts->has_projection &&
        config->conv[config->conv_count - 1].dim == config->hidden_size)
        config->has_feature_projection = false;
    config->has_head = facts->has_head;
    if (facts->head_rows > 0 && (silence->vocab_size || has_language))
        config->vocab_size = facts->head_rows;
}

static s3r_status check_head(const s3r_model_config *config, const char *label,
                             s3r_error *err)
{
    if (config->has_head && config->vocab_size == 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: \"lm_head.weight\": expected at least one row, found none",
                        label);
    if (!config->has_head || config->pad_token_id < config->vocab_size)
        return S3R_OK;
    return s3r_fail(
        err, S3R_ERR_MODEL,
        "%s: \"pad_token_id\" (the blank): expected less than the %zu rows of "
        "the head, found %zu",
        label, config->vocab_size, config->pad_token_id);
}

static s3r_status open_source(s3r_model_config *out, const s3r_config_source *source,
                              const s3r_checkpoint *checkpoint,
                              const s3r_checkpoint *language_adapter, s3r_error *err)
{
    s3r_config_silence silence;
    tensor_facts facts = {0};
    if (!source->config)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: no configuration: expected %s",
                        source->config_label,
                        source->is_fairseq ? "\"cfg\" or \"args\" in the file"
                                           : "this file beside the weights");
    S3R_TRY(s3r_config_parse_checked(out, &silence, source, err));
    collect_facts(&facts, checkpoint);
    if (language_adapter)
        collect_facts(&facts, language_adapter);
    fill_silence(out, &silence, &facts, language_adapter != NULL);
    return check_head(out, source->config_label, err);
}

s3r_status s3r_model_config_open(s3r_model_config *out, const s3r_checkpoint *checkpoint,
                                 const s3r_checkpoint *language_adapter, s3r_error *err)
{
    const char *folder = s3r_checkpoint_folder(checkpoint);
    char *config_label = s3r_path_join(folder, "config.json");
    char *preprocessor_label = s3r_path_join(folder, "preprocessor_config.json");
    s3r_config_source source = {
        .config = s3r_checkpoint_config(checkpoint),
        .preprocessor = s3r_checkpoint_preprocessor(checkpoint),
        .config_label = config_label,
        .preprocessor_label = preprocessor_label,
        .is_fairseq = s3r_checkpoint_is_fairseq(checkpoint),
    };
    if (source.is_fairseq)
        source.config_label = s3r_checkpoint_path(checkpoint);
    s3r_model_config config;
    s3r_status status =
        config_label && preprocessor_label
            ? open_source(&config, &source, checkpoint, language_adapter, err)
            : s3r_fail_memory(err, "a path", strlen(folder));
    s3r_free(config_label);
    s3r_free(preprocessor_label);
    if (status != S3R_OK)
        return status;
    if (!config.license[0])
        s3r_model_card_license(folder, config.license, sizeof config.license);
    *out = config;
    return S3R_OK;
}
