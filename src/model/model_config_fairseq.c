/*
 * fairseq configurations: the pickled "cfg" (omegaconf, 2021 on) or "args" (2020).
 *
 * A pretrained model describes its encoder at the top (args) or under "model" (cfg).  A
 * fine-tuned one describes its wrapper there and the encoder under "w2v_args", which is
 * again a cfg or args; the wrapper's dropouts and masks then overrule the encoder's, as
 * fairseq's arg_overrides do.  Microsoft's WavLM has the encoder's fields at the top.
 */
#include <stdio.h>
#include <string.h>

#include "model/conv_layers_text.h"
#include "model/model_config_read.h"

/* Where the parts of a configuration are; NULL objects are absent. */
typedef struct fairseq_nodes {
    s3r_config_node top;     /* the whole */
    s3r_config_node tuned;   /* the model of this file */
    s3r_config_node w2v;     /* w2v_args */
    s3r_config_node encoder; /* the encoder's fields */
    s3r_config_node task, w2v_task;
} fairseq_nodes;

static const s3r_config_field encoder_fields[] = {
    S3R_FIELD("encoder_embed_dim", S3R_FIELD_COUNT, hidden_size, 1, 65536),
    S3R_FIELD("encoder_ffn_embed_dim", S3R_FIELD_COUNT, ffn_size, 1, 1048576),
    S3R_FIELD("encoder_layers", S3R_FIELD_COUNT, block_count, 1, 1024),
    S3R_FIELD("encoder_attention_heads", S3R_FIELD_COUNT, head_count, 1, 65536),
    S3R_FIELD("conv_bias", S3R_FIELD_FLAG, conv_bias, 0, 0),
    S3R_FIELD("layer_norm_first", S3R_FIELD_FLAG, is_pre_norm, 0, 0),
    S3R_FIELD("conv_pos", S3R_FIELD_COUNT, pos_conv_kernel, 1, 65536),
    S3R_FIELD("conv_pos_groups", S3R_FIELD_COUNT, pos_conv_groups, 1, 65536),
    S3R_FIELD("pos_conv_depth", S3R_FIELD_COUNT, pos_conv_depth, 1, 64),
    S3R_FIELD("encoder_layerdrop", S3R_FIELD_REAL, layerdrop, 0, 1),
};

/* In the encoder and, overruling it, in the wrapper. */
static const s3r_config_field training_fields[] = {
    S3R_FIELD("dropout", S3R_FIELD_REAL, hidden_dropout, 0, 0.999),
    S3R_FIELD("attention_dropout", S3R_FIELD_REAL, attention_dropout, 0, 0.999),
    S3R_FIELD("activation_dropout", S3R_FIELD_REAL, activation_dropout, 0, 0.999),
    S3R_FIELD("dropout_input", S3R_FIELD_REAL, feat_proj_dropout, 0, 0.999),
    S3R_FIELD("mask_prob", S3R_FIELD_REAL, mask_time_prob, 0, 1),
    S3R_FIELD("mask_length", S3R_FIELD_COUNT, mask_time_length, 1, 65536),
    S3R_FIELD("mask_channel_prob", S3R_FIELD_REAL, mask_feature_prob, 0, 1),
    S3R_FIELD("mask_channel_length", S3R_FIELD_COUNT, mask_feature_length, 1, 65536),
};

static const s3r_config_field wrapper_fields[] = {
    S3R_FIELD("layerdrop", S3R_FIELD_REAL, layerdrop, 0, 1),
    S3R_FIELD("final_dropout", S3R_FIELD_REAL, final_dropout, 0, 0.999),
};

static const s3r_config_field wavlm_fields[] = {
    S3R_FIELD("num_buckets", S3R_FIELD_COUNT, num_buckets, 4, 65536),
    S3R_FIELD("max_distance", S3R_FIELD_COUNT, max_bucket_distance, 2, 1048576),
};

static void set_defaults(s3r_model_config *out)
{
    out->hidden_dropout = out->attention_dropout = 0.1;
    out->mask_time_prob = 0.65;
    out->normalize_eps = 1e-5;
    out->do_normalize = false;
    out->max_bucket_distance = 1280; /* what WavLM's own class has */
}

static const json_t *object_in(const json_t *parent, const char *key)
{
    const json_t *value = json_object_get(parent, key);
    return json_is_object(value) ? value : NULL;
}

static void find_encoder(fairseq_nodes *nodes)
{
    const json_t *w2v = nodes->w2v.object;
    bool is_under_model = nodes->tuned.object != nodes->top.object;
    nodes->encoder = nodes->tuned;
    if (!w2v)
        return;
    nodes->encoder = nodes->w2v;
    if (object_in(w2v, "model")) {
        nodes->encoder.object = object_in(w2v, "model");
        nodes->encoder.path =
            is_under_model ? "model.w2v_args.model." : "w2v_args.model.";
    } else if (object_in(w2v, "args")) {
        nodes->encoder.object = object_in(w2v, "args");
        nodes->encoder.path = is_under_model ? "model.w2v_args.args." : "w2v_args.args.";
    }
}

static fairseq_nodes find_nodes(const s3r_config_source *source)
{
    const s3r_config_node top = {source->config, source->config_label, ""};
    fairseq_nodes nodes = {top, top, top, top, top, top};
    if (object_in(top.object, "model")) {
        nodes.tuned.object = object_in(top.object, "model");
        nodes.tuned.path = "model.";
    }
    nodes.w2v.object = object_in(nodes.tuned.object, "w2v_args");
    nodes.w2v.path = nodes.tuned.object == top.object ? "w2v_args." : "model.w2v_args.";
    nodes.task.object = object_in(top.object, "task");
    nodes.task.path = "task.";
    nodes.w2v_task.object = object_in(nodes.w2v.object, "task");
    nodes.w2v_task.path =
        nodes.tuned.object == top.object ? "w2v_args.task." : "model.w2v_args.task.";
    find_encoder(&nodes);
    return nodes;
}

/* "_name" of a dataclass, "arch" of an argparse.Namespace. */
static s3r_status read_model_name(const char **name, const char **key,
                                  const fairseq_nodes *nodes, s3r_error *err)
{
    *name = NULL;
    *key = "_name";
    S3R_TRY(s3r_config_read_text(name, &nodes->encoder, *key, err));
    if (*name)
        return S3R_OK;
    *key = "arch";
    return s3r_config_read_text(name, &nodes->encoder, *key, err);
}

static s3r_status read_family(s3r_model_config *out, const fairseq_nodes *nodes,
                              s3r_error *err)
{
    const char *name, *key;
    bool has_position_bias = false;
    S3R_TRY(read_model_name(&name, &key, nodes, err));
    if (!nodes->w2v.object && name && (strstr(name, "_ctc") || strstr(name, "seq2seq")))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: \"%sw2v_args\": expected the encoder's configuration of the "
                        "fine-tuned model \"%s\", found none",
                        nodes->top.label, nodes->tuned.path, name);
    S3R_TRY(s3r_config_read_flag(&has_position_bias, &nodes->encoder,
                                 "relative_position_embedding", err));
    if (has_position_bias) {
        bool has_gate = false;
        out->family = S3R_FAMILY_WAVLM;
        S3R_TRY(s3r_config_read_flag(&has_gate, &nodes->encoder, "gru_rel_pos", err));
        if (!has_gate)
            return s3r_config_fail(&nodes->encoder, "gru_rel_pos",
                                   "true (a position bias without gate is unsupported)",
                                   s3r_config_get(&nodes->encoder, "gru_rel_pos"), err);
        return S3R_OK;
    }
    if (!name || strncmp(name, "wav2vec2", 8) == 0)
        out->family = S3R_FAMILY_WAV2VEC2;
    else if (strncmp(name, "hubert", 6) == 0)
        out->family = S3R_FAMILY_HUBERT;
    else if (strcmp(name, "data2vec_audio") == 0)
        out->family = S3R_FAMILY_DATA2VEC_AUDIO;
    else
        return s3r_config_fail(&nodes->encoder, key,
                               "\"wav2vec2\", \"hubert\" or \"data2vec_audio\"",
                               s3r_config_get(&nodes->encoder, key), err);
    return S3R_OK;
}

static s3r_status reject_unsupported(const s3r_config_node *encoder, s3r_error *err)
{
    S3R_TRY(s3r_config_expect_text(encoder, "activation_fn", "gelu", err));
    S3R_TRY(s3r_config_expect_text(encoder, "layer_type", "transformer", err));
    S3R_TRY(s3r_config_expect_flag(encoder, "conv_pos_batch_norm", false, err));
    return s3r_config_expect_flag(encoder, "quantize_input", false, err);
}

static s3r_status read_extractor(s3r_model_config *out, const s3r_config_node *encoder,
                                 s3r_error *err)
{
    const char *layers = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2";
    const char *mode = "default";
    S3R_TRY(s3r_config_read_text(&layers, encoder, "conv_feature_layers", err));
    if (!s3r_conv_layers_from_text(out->conv, &out->conv_count, layers))
        return s3r_config_fail(encoder, "conv_feature_layers",
                               "lists of 1 to 32 (dim, kernel, stride), each at least 1",
                               s3r_config_get(encoder, "conv_feature_layers"), err);
    S3R_TRY(s3r_config_read_text(&mode, encoder, "extractor_mode", err));
    if (strcmp(mode, "layer_norm") == 0)
        out->extractor_norm = S3R_EXTRACTOR_LAYER;
    else if (strcmp(mode, "default") != 0)
        return s3r_config_fail(encoder, "extractor_mode", "\"default\" or \"layer_norm\"",
                               s3r_config_get(encoder, "extractor_mode"), err);
    return S3R_OK;
}

/* conv_pos is the width of all stacked convs together.  (spec 2.11) */
static void divide_pos_conv(s3r_model_config *out)
{
    if (out->pos_conv_depth == 1)
        return;
    size_t kernel = out->pos_conv_kernel / out->pos_conv_depth;
    out->family = S3R_FAMILY_DATA2VEC_AUDIO;
    out->has_pos_conv_weight_norm = false;
    out->pos_conv_kernel = S3R_MAX(kernel, (size_t)3);
}

static s3r_status read_encoder(s3r_model_config *out, const fairseq_nodes *nodes,
                               s3r_error *err)
{
    const s3r_config_node *encoder = &nodes->encoder;
    if (out->family == S3R_FAMILY_DATA2VEC_AUDIO) {
        out->pos_conv_kernel = 95;
        out->pos_conv_depth = 5;
        out->mask_time_min_masks = 1;
    }
    S3R_TRY(reject_unsupported(encoder, err));
    S3R_TRY(read_extractor(out, encoder, err));
    S3R_TRY(s3r_config_read_fields(out, encoder, encoder_fields,
                                   S3R_ARRAY_LEN(encoder_fields), err));
    if (out->family == S3R_FAMILY_WAVLM)
        S3R_TRY(s3r_config_read_fields(out, encoder, wavlm_fields,
                                       S3R_ARRAY_LEN(wavlm_fields), err));
    else
        divide_pos_conv(out);
    S3R_TRY(s3r_config_read_fields(out, encoder, training_fields,
                                   S3R_ARRAY_LEN(training_fields), err));
    if (!nodes->w2v.object)
        return S3R_OK;
    S3R_TRY(s3r_config_read_fields(out, &nodes->tuned, training_fields,
                                   S3R_ARRAY_LEN(training_fields), err));
    return s3r_config_read_fields(out, &nodes->tuned, wrapper_fields,
                                  S3R_ARRAY_LEN(wrapper_fields), err);
}

/* The first of the places that says how the input is prepared decides. */
static s3r_status read_input(s3r_model_config *out, const fairseq_nodes *nodes,
                             s3r_error *err)
{
    const s3r_config_node *places[] = {&nodes->task, &nodes->tuned,   &nodes->w2v_task,
                                       &nodes->w2v,  &nodes->encoder, &nodes->top};
    for (size_t i = 0; i < S3R_ARRAY_LEN(places); i++) {
        if (!s3r_config_get(places[i], "normalize"))
            continue;
        S3R_TRY(s3r_config_read_flag(&out->do_normalize, places[i], "normalize", err));
        break;
    }
    for (size_t i = 0; i < S3R_ARRAY_LEN(places); i++) {
        if (s3r_config_get(places[i], "sample_rate"))
            return s3r_config_read_count(&out->sample_rate, places[i], "sample_rate",
                                         1000, 384000, err);
    }
    return S3R_OK;
}

s3r_status s3r_config_parse_fairseq(s3r_model_config *out, s3r_config_silence *silence,
                                    const s3r_config_source *source, s3r_error *err)
{
    fairseq_nodes nodes = find_nodes(source);
    set_defaults(out);
    S3R_TRY(read_family(out, &nodes, err));
    S3R_TRY(read_encoder(out, &nodes, err));
    S3R_TRY(read_input(out, &nodes, err));
    silence->conv_bias = !s3r_config_get(&nodes.encoder, "conv_bias");
    silence->extractor_norm = !s3r_config_get(&nodes.encoder, "extractor_mode");
    silence->vocab_size = true;
    return S3R_OK;
}
