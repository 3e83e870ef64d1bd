/*
 * The weights of an encoder and its CTC head, bound to a checkpoint by name.
 *
 * Large matrices stay where they are, in the checkpoint's memory map and in their stored
 * type; vectors become fp32; convolution weights are packed once into the panels that
 * their matrix products read.  Every tensor is accounted for: what is missing, unused or
 * of another shape is told in one message.  (spec 2.2-2.4, 2.11, 2.14)
 */
#ifndef S3R_MODEL_MODEL_WEIGHTS_H
#define S3R_MODEL_MODEL_WEIGHTS_H

#include "base/memory.h"
#include "base/thread_pool.h"
#include "model/model_config.h"
#include "ops/tape.h"

/* In all of these data and panels are NULL for what the model does not have. */

/* A low-rank update: y += scale * up (down x). (Hu et al. 2021) */
typedef struct s3r_lora_weights {
    s3r_weight down, up; /* [rank, in], [out, rank], fp32 */
    float scale;
} s3r_lora_weights;

typedef struct s3r_linear_weights {
    s3r_weight weight; /* [out, in], stored type, perhaps not aligned to its elements */
    s3r_weight bias;   /* [1, out] */
    s3r_lora_weights lora; /* never in a checkpoint; training and mask files add it */
} s3r_linear_weights;

typedef struct s3r_norm_weights {
    s3r_weight gain, bias; /* [1, width] */
} s3r_norm_weights;

/*
 * A weight is packed as s3r_conv_pack does: group after group (one but for positional
 * convolutions), each the panels of s3r_pack_panels for k = kernel * in / groups,
 * n = out / groups; in bf16 where the options ask for it and s3r_conv_allows_bf16, else
 * in fp32.  Its data, fp32 [out, kernel * in / groups] tap by tap, is kept on request
 * only: data may be NULL where panels are not.
 */
typedef struct s3r_conv_weights {
    s3r_weight weight, bias;
    s3r_norm_weights norm;
} s3r_conv_weights;

typedef struct s3r_pos_conv_weights {
    s3r_weight weight, bias; /* weight norm applied */
    s3r_weight gain;         /* weight_g [1, kernel]; NULL without weight norm */
    s3r_weight direction;    /* weight_v in the layout of weight; kept as data is */
} s3r_pos_conv_weights;

/* The adapters of spec 1.8, on the feed-forward output before the residual addition:
 *   ASR   x + norm(up(gelu(down(x))))
 *   ST    x + up(relu(down(norm(x)))) */
typedef enum s3r_adapter_kind {
    S3R_ADAPTER_NONE,
    S3R_ADAPTER_ASR,
    S3R_ADAPTER_ST
} s3r_adapter_kind;

typedef struct s3r_ffn_adapter_weights {
    s3r_adapter_kind kind;
    s3r_norm_weights norm;
    s3r_linear_weights down, up; /* [width, hidden], [hidden, width] */
} s3r_ffn_adapter_weights;

typedef struct s3r_block_weights {
    s3r_linear_weights q, k, v, out, fc1, fc2;
    s3r_norm_weights attention_norm, ffn_norm;
    s3r_linear_weights gru_linear;               /* WavLM: [8, head width], fp32 */
    s3r_weight gru_const;                        /* WavLM: [1, heads] */
    s3r_norm_weights adapter_norm;               /* MMS */
    s3r_linear_weights adapter_down, adapter_up; /* MMS: to adapter_attn_dim and back */
    s3r_ffn_adapter_weights ffn_adapter;         /* never in a checkpoint, as lora */
} s3r_block_weights;

typedef struct s3r_model_weights {
    s3r_conv_weights conv[S3R_MAX_CONV_LAYERS];
    s3r_norm_weights feature_norm;
    s3r_linear_weights feature_projection;
    s3r_weight mask_embedding;      /* [1, hidden]; NULL when the file has none */
    s3r_pos_conv_weights *pos_conv; /* [pos_conv_depth] */
    s3r_norm_weights encoder_norm;
    s3r_block_weights *blocks;    /* [block_count] */
    s3r_weight relative_position; /* WavLM: [num_buckets, heads], fp32 */
    s3r_linear_weights lm_head;   /* NULL without a head */
    s3r_arena owned;              /* all memory of the weights that is not mapped */
} s3r_model_weights;

typedef struct s3r_weights_options {
    bool is_bf16;               /* panels of convolutions in bf16 where possible */
    bool keeps_unpacked;        /* keep fp32 convolution weights too, for training */
    const s3r_kernels *kernels; /* NULL: those of this machine */
    s3r_pool *pool;             /* packs in parallel; NULL: the calling thread packs */
    /* MMS: tensors that replace those of the same name; or NULL. */
    const s3r_checkpoint *language_adapter;
} s3r_weights_options;

/* fp32, nothing kept, this machine's kernels, no pool, no adapter. */
void s3r_weights_options_init(s3r_weights_options *options);

/*
 * Binds the checkpoint's tensors as config describes them.  The checkpoint (and the
 * adapter) must outlive the weights.  S3R_ERR_MODEL lists all that does not fit;
 * S3R_ERR_RESOURCE.  *out is empty after a failure.
 */
s3r_status s3r_model_weights_open(s3r_model_weights *out,
                                  const s3r_checkpoint *checkpoint,
                                  const s3r_model_config *config,
                                  const s3r_weights_options *options, s3r_error *err);
/* Empty (zeroed) weights are allowed. */
void s3r_model_weights_close(s3r_model_weights *weights);

/* The weight of a positional convolution for this step: the prepared one, or when its
 * gain or direction trains (and so may have changed), that of s3r_op_weight_norm. */
s3r_weight *s3r_pos_conv_weight(s3r_tape *tape, s3r_pos_conv_weights *conv);

struct s3r_weight_rule;
/* The weight that a rule of the plan (weight_plan.h) fills, for the owner's number. */
s3r_weight *s3r_model_weights_target(s3r_model_weights *weights,
                                     const struct s3r_weight_rule *rule, size_t number);

#endif
