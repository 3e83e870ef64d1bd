/*
 * Parameter names as a table of patterns.
 *
 * A name loses the prefixes that the classes around the model gave it, and is then
 * compared with the patterns: "#" stands for a number, "*" for the rest of the name when
 * that is "weight" or "bias".  The canonical form has the same marks, which are filled in
 * order.  The first matching pattern decides.
 */
#include "checkpoint/tensor_names.h"

#include <stdio.h>
#include <string.h>

#define MAX_NUMBERS 2u
#define MAX_DIGITS  6u

typedef struct rule {
    const char *pattern;
    const char *canonical; /* NULL: the pattern is canonical itself */
} rule;

static const char *const prefixes[] = {
    "wav2vec2.",    "hubert.",    "data2vec_audio.", "wavlm.",
    "w2v_encoder.", "w2v_model.", "module.",         "model.",
};

static const rule rules[] = {
    /* convolutional feature extractor */
    {"feature_extractor.conv_layers.#.conv.*", NULL},
    {"feature_extractor.conv_layers.#.layer_norm.*", NULL},
    {"feature_extractor.conv_layers.#.0.*", "feature_extractor.conv_layers.#.conv.*"},
    {"feature_extractor.conv_layers.#.2.1.*",
     "feature_extractor.conv_layers.#.layer_norm.*"},
    {"feature_extractor.conv_layers.#.2.*",
     "feature_extractor.conv_layers.#.layer_norm.*"},
    /* feature projection and mask embedding */
    {"feature_projection.layer_norm.*", NULL},
    {"feature_projection.projection.*", NULL},
    {"layer_norm.*", "feature_projection.layer_norm.*"},
    {"post_extract_proj.*", "feature_projection.projection.*"},
    {"encoder.feature_projection.layer_norm.*", "feature_projection.layer_norm.*"},
    {"encoder.feature_projection.projection.*", "feature_projection.projection.*"},
    {"masked_spec_embed", NULL},
    {"mask_time_emb_vector", "masked_spec_embed"},
    {"mask_emb", "masked_spec_embed"},
    {"mask_generator.mask_embedding", "masked_spec_embed"},
    /* positional convolution */
    {"encoder.pos_conv_embed.conv.weight_g", NULL},
    {"encoder.pos_conv_embed.conv.weight_v", NULL},
    {"encoder.pos_conv_embed.conv.*", NULL},
    {"encoder.pos_conv_embed.conv.parametrizations.weight.original0",
     "encoder.pos_conv_embed.conv.weight_g"},
    {"encoder.pos_conv_embed.conv.parametrizations.weight.original1",
     "encoder.pos_conv_embed.conv.weight_v"},
    {"encoder.pos_conv_embed.batch_norm.*", NULL},
    {"encoder.pos_conv_embed.batch_norm.running_mean", NULL},
    {"encoder.pos_conv_embed.batch_norm.running_var", NULL},
    {"encoder.pos_conv_embed.layers.#.conv.*", NULL},
    {"encoder.pos_conv.0.weight_g", "encoder.pos_conv_embed.conv.weight_g"},
    {"encoder.pos_conv.0.weight_v", "encoder.pos_conv_embed.conv.weight_v"},
    {"encoder.pos_conv.0.parametrizations.weight.original0",
     "encoder.pos_conv_embed.conv.weight_g"},
    {"encoder.pos_conv.0.parametrizations.weight.original1",
     "encoder.pos_conv_embed.conv.weight_v"},
    {"encoder.pos_conv.0.*", "encoder.pos_conv_embed.conv.*"},
    {"encoder.pos_conv.#.0.*", "encoder.pos_conv_embed.layers.#.conv.*"},
    /* transformer */
    {"encoder.layer_norm.*", NULL},
    {"encoder.layers.#.attention.q_proj.*", NULL},
    {"encoder.layers.#.attention.k_proj.*", NULL},
    {"encoder.layers.#.attention.v_proj.*", NULL},
    {"encoder.layers.#.attention.out_proj.*", NULL},
    {"encoder.layers.#.layer_norm.*", NULL},
    {"encoder.layers.#.feed_forward.intermediate_dense.*", NULL},
    {"encoder.layers.#.feed_forward.output_dense.*", NULL},
    {"encoder.layers.#.final_layer_norm.*", NULL},
    {"encoder.layers.#.self_attn.q_proj.*", "encoder.layers.#.attention.q_proj.*"},
    {"encoder.layers.#.self_attn.k_proj.*", "encoder.layers.#.attention.k_proj.*"},
    {"encoder.layers.#.self_attn.v_proj.*", "encoder.layers.#.attention.v_proj.*"},
    {"encoder.layers.#.self_attn.out_proj.*", "encoder.layers.#.attention.out_proj.*"},
    {"encoder.layers.#.self_attn_layer_norm.*", "encoder.layers.#.layer_norm.*"},
    {"encoder.layers.#.fc1.*", "encoder.layers.#.feed_forward.intermediate_dense.*"},
    {"encoder.layers.#.fc2.*", "encoder.layers.#.feed_forward.output_dense.*"},
    /* WavLM */
    {"encoder.layers.#.attention.rel_attn_embed.weight", NULL},
    {"encoder.layers.#.attention.gru_rel_pos_linear.*", NULL},
    {"encoder.layers.#.attention.gru_rel_pos_const", NULL},
    {"encoder.layers.#.self_attn.relative_attention_bias.weight",
     "encoder.layers.#.attention.rel_attn_embed.weight"},
    {"encoder.layers.#.self_attn.grep_linear.*",
     "encoder.layers.#.attention.gru_rel_pos_linear.*"},
    {"encoder.layers.#.self_attn.grep_a", "encoder.layers.#.attention.gru_rel_pos_const"},
    /* scales of int8 matrices */
    {"encoder.layers.#.attention.q_proj.weight_scale", NULL},
    {"encoder.layers.#.attention.k_proj.weight_scale", NULL},
    {"encoder.layers.#.attention.v_proj.weight_scale", NULL},
    {"encoder.layers.#.attention.out_proj.weight_scale", NULL},
    {"encoder.layers.#.feed_forward.intermediate_dense.weight_scale", NULL},
    {"encoder.layers.#.feed_forward.output_dense.weight_scale", NULL},
    /* MMS adapters */
    {"encoder.layers.#.adapter_layer.norm.*", NULL},
    {"encoder.layers.#.adapter_layer.linear_1.*", NULL},
    {"encoder.layers.#.adapter_layer.linear_2.*", NULL},
    /* head */
    {"lm_head.*", NULL},
    {"proj.*", "lm_head.*"},
    {"aux.*", "lm_head.*"},
    {"encoder.readout.*", "lm_head.*"},
};

/* Beginnings of what only pretraining needs. */
static const char *const leftovers[] = {
    "quantizer.",
    "project_q.",
    "project_hid.",
    "final_proj.",
    "target_glu.",
    "logit_generator.",
    "input_quantizer.",
    "project_inp.",
    "label_embs_concat",
    "_ema",
    "ema.",
    "num_updates",
    "regression_head.",
    "dropout_features.",
    "mask_generator.",
    "spk_proj.",
};

/* Reads a number at *at; false when there is none. */
static bool match_number(const char **at, const char **digits, size_t *length)
{
    size_t count = strspn(*at, "0123456789");
    if (count == 0 || count > MAX_DIGITS || (count > 1 && **at == '0'))
        return false;
    *digits = *at;
    *length = count;
    *at += count;
    return true;
}

typedef struct captures {
    const char *digits[MAX_NUMBERS];
    size_t digit_counts[MAX_NUMBERS];
    size_t number_count;
    const char *suffix;
} captures;

static bool match(const char *pattern, const char *name, captures *found)
{
    *found = (captures){0};
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            found->suffix = name;
            return strcmp(name, "weight") == 0 || strcmp(name, "bias") == 0;
        }
        if (*pattern == '#') {
            size_t i = found->number_count++;
            if (!match_number(&name, &found->digits[i], &found->digit_counts[i]))
                return false;
        } else if (*pattern != *name++) {
            return false;
        }
    }
    return *name == '\0';
}

/* Fills the marks of a canonical form; false when out is too small. */
static bool expand(const char *form, const captures *found, char *out, size_t out_bytes)
{
    size_t used = 0, number = 0;
    for (; *form; form++) {
        const char *piece = form;
        size_t length = 1;
        if (*form == '#') {
            piece = found->digits[number];
            length = found->digit_counts[number++];
        } else if (*form == '*') {
            piece = found->suffix;
            length = strlen(piece);
        }
        if (length >= out_bytes - used)
            return false;
        memcpy(out + used, piece, length);
        used += length;
    }
    out[used] = '\0';
    return true;
}

/* torchaudio nests the encoder one level deeper. */
static const char *skip_transformer(const char *name, char *buffer, size_t buffer_bytes)
{
    static const char nested[] = "encoder.transformer.";
    if (strncmp(name, nested, sizeof nested - 1) != 0)
        return name;
    int length = snprintf(buffer, buffer_bytes, "encoder.%s", name + sizeof nested - 1);
    return length > 0 && (size_t)length < buffer_bytes ? buffer : name;
}

static const char *skip_prefixes(const char *name)
{
    for (size_t i = 0; i < S3R_ARRAY_LEN(prefixes);) {
        size_t length = strlen(prefixes[i]);
        bool is_there = strncmp(name, prefixes[i], length) == 0;
        name += is_there ? length : 0;
        i = is_there ? 0 : i + 1;
    }
    return name;
}

static bool is_leftover(const char *name)
{
    for (size_t i = 0; i < S3R_ARRAY_LEN(leftovers); i++) {
        if (strncmp(name, leftovers[i], strlen(leftovers[i])) == 0)
            return true;
    }
    return false;
}

/* Canonical form of a name without its prefix. */
static bool apply_rules(const char *name, char *out, size_t out_bytes)
{
    captures found;
    for (size_t i = 0; i < S3R_ARRAY_LEN(rules); i++) {
        if (match(rules[i].pattern, name, &found))
            return expand(rules[i].canonical ? rules[i].canonical : rules[i].pattern,
                          &found, out, out_bytes);
    }
    return false;
}

s3r_tensor_role s3r_tensor_name_canonical(const char *name, char *out, size_t out_bytes)
{
    static const char scores[] = ".scores";
    char weight[S3R_TENSOR_NAME_BYTES], flat[S3R_TENSOR_NAME_BYTES];
    const char *bare = skip_transformer(skip_prefixes(name), flat, sizeof flat);
    size_t length = strlen(bare), scores_length = sizeof scores - 1;
    bool is_scores = length > scores_length &&
                     strcmp(bare + length - scores_length, scores) == 0 &&
                     length < sizeof weight;
    if (is_scores) {
        snprintf(weight, sizeof weight, "%.*s.weight", (int)(length - scores_length),
                 bare);
        bare = weight;
    }
    if (apply_rules(bare, out, out_bytes))
        return is_scores ? S3R_TENSOR_SCORES : S3R_TENSOR_PARAMETER;
    snprintf(out, out_bytes, "%s", name);
    return is_leftover(bare) ? S3R_TENSOR_IGNORED : S3R_TENSOR_UNKNOWN;
}
