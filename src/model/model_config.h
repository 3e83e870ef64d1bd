/*
 * What a model of the wav2vec 2.0 family looks like: every number that the forward pass
 * and training need, from a Hugging Face config.json or from a fairseq cfg or args.
 *
 * Contradictory or unsupported values are errors here, so that the code behind can trust
 * the struct.  (spec 2.2-2.4, 2.6, 2.11, 2.14)
 */
#ifndef S3R_MODEL_MODEL_CONFIG_H
#define S3R_MODEL_MODEL_CONFIG_H

#include <jansson.h>

#include "checkpoint/checkpoint.h"

#define S3R_MAX_CONV_LAYERS   32u
#define S3R_CONFIG_TEXT_BYTES 72u /* with NUL; a content hash fits */

typedef enum s3r_family {
    S3R_FAMILY_WAV2VEC2,
    S3R_FAMILY_HUBERT,
    S3R_FAMILY_DATA2VEC_AUDIO,
    S3R_FAMILY_WAVLM,
} s3r_family;

typedef enum s3r_extractor_norm {
    S3R_EXTRACTOR_GROUP, /* one norm over time a channel, after conv layer 0 only */
    S3R_EXTRACTOR_LAYER, /* over channels, after every conv layer */
} s3r_extractor_norm;

typedef struct s3r_conv_config {
    size_t dim; /* output channels; layer 0 has one input channel */
    size_t kernel, stride;
} s3r_conv_config;

typedef struct s3r_model_config {
    s3r_family family;
    bool is_fairseq;
    char architecture[S3R_CONFIG_TEXT_BYTES]; /* "Wav2Vec2ForCTC"; "" when not named */
    char license[S3R_CONFIG_TEXT_BYTES]; /* of the configuration, or else of the model
                                            card; or "" */

    /* The matrices of the blocks are int8 (weight_quantize.h), made from the backbone
     * with this content hash, "" when it is not known. */
    bool is_int8;
    char int8_backbone[S3R_CONFIG_TEXT_BYTES];

    /* Convolutional feature extractor; its norms have eps 1e-5 always. */
    size_t conv_count; /* 1 .. S3R_MAX_CONV_LAYERS */
    s3r_conv_config conv[S3R_MAX_CONV_LAYERS];
    bool conv_bias;
    s3r_extractor_norm extractor_norm;

    /* From the last conv layer to the encoder. */
    bool has_feature_projection_norm;
    bool has_feature_projection; /* false only when the widths are equal (fairseq) */

    /* Encoder. */
    bool is_pre_norm; /* do_stable_layer_norm, layer_norm_first */
    size_t hidden_size, ffn_size, block_count, head_count;
    double layer_norm_eps; /* projection and encoder norms */
    size_t pos_conv_kernel, pos_conv_groups;
    size_t pos_conv_depth;         /* convs one after another; 1 but for data2vec */
    bool has_pos_conv_weight_norm; /* false: convs each followed by a plain layer norm */
    size_t num_buckets, max_bucket_distance; /* WavLM only */
    size_t adapter_attn_dim;                 /* MMS adapters; 0 = none */

    /* CTC head. */
    bool has_head;       /* known once the tensors were seen */
    size_t vocab_size;   /* rows of the head; 0 = unknown */
    size_t pad_token_id; /* the blank */

    /* "s3r_normalize_eps" in preprocessor_config.json: of a model that fairseq trained.
     */
#define S3R_NORMALIZE_EPS_KEY "s3r_normalize_eps"
    /* Input: y = (x - mean) / sqrt(variance + normalize_eps) when do_normalize. */
    bool do_normalize;
    double normalize_eps;
    size_t sample_rate; /* Hz */

    /* Training. */
    double hidden_dropout, attention_dropout, activation_dropout, feat_proj_dropout;
    double final_dropout, layerdrop;
    double mask_time_prob, mask_feature_prob;
    size_t mask_time_length, mask_time_min_masks;
    size_t mask_feature_length, mask_feature_min_masks;
} s3r_model_config;

/* JSON and the names of the files that it came from, for messages. */
typedef struct s3r_config_source {
    const json_t *config;       /* config.json, or fairseq's cfg or args */
    const json_t *preprocessor; /* preprocessor_config.json; NULL when absent */
    const char *config_label, *preprocessor_label;
    bool is_fairseq;
} s3r_config_source;

/*
 * From JSON alone.  Values that the source does not name get the defaults of its maker
 * (transformers, fairseq); has_head is false.  S3R_ERR_MODEL with file, key, expected and
 * found; S3R_ERR_RESOURCE.
 */
s3r_status s3r_model_config_parse(s3r_model_config *out, const s3r_config_source *source,
                                  s3r_error *err);

/*
 * The configuration of a checkpoint: as above, and where the JSON is silent about conv
 * biases, norms, the projection, adapters or the head, the tensors tell.
 * language_adapter is an MMS adapter file whose tensors replace those of the same name,
 * or NULL.  The errors above, and S3R_ERR_MODEL when there is no configuration.
 */
s3r_status s3r_model_config_open(s3r_model_config *out, const s3r_checkpoint *checkpoint,
                                 const s3r_checkpoint *language_adapter, s3r_error *err);

/*
 * As Hugging Face's config.json in a new reference: `base` (borrowed, may be NULL) with
 * all fields of config set.  NULL without memory.
 */
json_t *s3r_model_config_to_json(const s3r_model_config *config, const json_t *base);
/* As preprocessor_config.json, in the same way. */
json_t *s3r_model_config_to_preprocessor(const s3r_model_config *config,
                                         const json_t *base);

/* model_type: "wav2vec2", "hubert", "data2vec-audio", "wavlm". */
const char *s3r_family_name(s3r_family family);
/* What precedes tensor names in a CTC model: "wav2vec2." */
const char *s3r_family_prefix(s3r_family family);

/* Frames that the extractor makes of an utterance; 0 when it is too short. */
size_t s3r_config_frames(const s3r_model_config *config, size_t sample_count);
/* Samples that one frame sees: the shortest input. */
size_t s3r_config_receptive_field(const s3r_model_config *config);
/* Samples from one frame to the next. */
size_t s3r_config_stride(const s3r_model_config *config);

#endif
