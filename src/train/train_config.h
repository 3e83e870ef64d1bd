/*
 * The settings of a training run: one struct, one table that names every key.
 *
 * Sources, later ones win: defaults, --compat, --preset, the configuration file (YAML),
 * options of the command line, key.sub=value overrides.  A file may choose compat and
 * preset itself; they then come before its other keys.  docs/training.md lists the keys.
 * (spec 1.5, 2.6, 2.8, 2.9)
 */
#ifndef S3R_TRAIN_TRAIN_CONFIG_H
#define S3R_TRAIN_TRAIN_CONFIG_H

#include "base/error.h"

#define S3R_CONFIG_MAX_BLOCKS 96u
#define S3R_CONFIG_NAME_BYTES 16u

typedef enum s3r_method {
    S3R_METHOD_MASK,         /* "mask" */
    S3R_METHOD_WEIGHTS,      /* "weights" */
    S3R_METHOD_HEAD,         /* "head" */
    S3R_METHOD_ADAPTER,      /* "adapter" */
    S3R_METHOD_LORA,         /* "lora" */
    S3R_METHOD_BIAS,         /* "bias": biases and norms */
    S3R_METHOD_MAGNITUDE,    /* "magnitude": fixed magnitude mask */
    S3R_METHOD_MASK_WEIGHTS, /* "mask+weights" */
    S3R_METHOD_PRETRAIN,     /* "pretrain": everything, without labels */
} s3r_method;

typedef enum s3r_task_choice {
    S3R_TASK_CHOICE_CTC, /* to transcribe */
    S3R_TASK_CHOICE_LID, /* which language is spoken */
} s3r_task_choice;

typedef enum s3r_objective {
    S3R_OBJECTIVE_HUBERT,   /* masked prediction of clusters */
    S3R_OBJECTIVE_WAV2VEC2, /* contrastive */
} s3r_objective;

typedef enum s3r_mask_init_choice {
    S3R_INIT_ORI,
    S3R_INIT_RI,
    S3R_INIT_WMI
} s3r_mask_init_choice;
typedef enum s3r_mask_scope { S3R_SCOPE_MATRIX, S3R_SCOPE_GLOBAL } s3r_mask_scope;
typedef enum s3r_mask_shape {
    S3R_SHAPE_ELEMENTS,
    S3R_SHAPE_ROWS,
    S3R_SHAPE_COLUMNS
} s3r_mask_shape;
typedef enum s3r_adapter_choice {
    S3R_ADAPTER_CHOICE_ASR,  /* spec 1.8 */
    S3R_ADAPTER_CHOICE_ST,   /* spec 1.8 */
    S3R_ADAPTER_CHOICE_ZERO, /* as st, with the up-projection at zero */
} s3r_adapter_choice;
typedef enum s3r_adam_form { S3R_ADAM_FAIRSEQ, S3R_ADAM_PYTORCH } s3r_adam_form;
typedef enum s3r_schedule_kind {
    S3R_SCHEDULE_TRI_STAGE,
    S3R_SCHEDULE_LINEAR,   /* warm-up, then linearly to final_scale */
    S3R_SCHEDULE_COSINE,   /* warm-up, then half a cosine to final_scale */
    S3R_SCHEDULE_CONSTANT, /* warm-up, then peak */
} s3r_schedule_kind;
typedef enum s3r_metric { S3R_METRIC_WER, S3R_METRIC_CER, S3R_METRIC_PER } s3r_metric;
typedef enum s3r_cache_choice {
    S3R_CACHE_AUTO,
    S3R_CACHE_F32,
    S3R_CACHE_BF16,
    S3R_CACHE_NONE
} s3r_cache_choice;
typedef enum s3r_precision { S3R_PRECISION_F32, S3R_PRECISION_BF16 } s3r_precision;

/* Which matrices of a block: a set. */
enum {
    S3R_MODULE_Q = 1,
    S3R_MODULE_K = 2,
    S3R_MODULE_V = 4,
    S3R_MODULE_OUT = 8,
    S3R_MODULE_FC1 = 16,
    S3R_MODULE_FC2 = 32,
    S3R_MODULE_ATTENTION = 15,
    S3R_MODULE_FFN = 48,
};

/* One number, or one a block ("0.1" or "0.1,0.2,..."; count 1 = for all). */
typedef struct s3r_block_numbers {
    size_t count;
    double values[S3R_CONFIG_MAX_BLOCKS];
} s3r_block_numbers;

typedef struct s3r_train_config {
    s3r_task_choice task;
    s3r_method method;
    bool is_original;                   /* compat: original */
    char preset[S3R_CONFIG_NAME_BYTES]; /* "none", "10m", "1h", "10h", "xlsr", ...: for
                                           the record */
    uint64_t seed;
    s3r_precision precision;
    char language[64]; /* of the result, BCP-47; "" = what the manifest says */

    struct {
        s3r_block_numbers sparsity; /* removed fraction, [0, 1) */
        s3r_mask_init_choice init;
        double init_scale; /* WMI: scores = weight / init_scale */
        unsigned modules;  /* set: "ffn", "attention", "both", or a list "q,v,fc1" */
        size_t first_block, last_block; /* inclusive; last SIZE_MAX = the last */
        s3r_mask_scope scope;
        s3r_mask_shape shape;
        bool is_sigmoid; /* straight-through of the sigmoid */
    } mask;

    struct { /* what trains beside the method's own; the head always does */
        bool mask_embedding, biases, norms, pos_conv, projection, extractor;
    } also;

    struct {
        s3r_adapter_choice kind;
        size_t width;
    } adapter;

    struct {
        size_t rank;
        double alpha; /* scale = alpha / rank */
        unsigned modules;
    } lora;

    struct { /* spec 2.10 */
        s3r_objective objective;
        size_t projection;  /* width of both sides of the similarities */
        double temperature; /* of the similarities */
        double feature_penalty, feature_grad;
        double unmasked_weight;                        /* hubert */
        size_t groups, entries, code_width, negatives; /* wav2vec2 from here */
        double gumbel_first, gumbel_last, gumbel_decay;
        double diversity, feature_dropout;
    } pretrain;

    struct {
        s3r_adam_form form;
        double lr;      /* peak */
        double head_lr; /* of the head; 0 = lr */
        double beta1, beta2, eps;
        double weight_decay; /* decoupled */
        double clip_norm;    /* 0 = off */
    } optimizer;

    struct {
        s3r_schedule_kind kind;
        size_t steps;
        double warmup, hold, decay; /* parts of steps; their sum is 1 for tri_stage */
        double init_scale, final_scale;
    } schedule;

    struct {
        double seconds;                  /* of audio a micro-batch */
        size_t accumulate;               /* micro-batches a step */
        double max_seconds, min_seconds; /* of an utterance; others are left out, named */
    } batch;

    struct { /* spec 2.6; "the model's" stands in the table as a negative number, or as
                SIZE_MAX */
        double time_prob;
        size_t time_length, time_min_masks;
        double channel_prob;
        size_t channel_length, channel_min_masks;
    } augment;

    struct { /* negative = the model's configuration */
        double hidden, attention, activation, projection, final, layer_drop;
    } dropout;

    struct {
        size_t every; /* steps */
        s3r_metric metric;
        size_t keep_best; /* best.s3m and the others by their step */
        size_t patience;  /* evaluations without a better one; 0 = never stop early */
        size_t start;     /* no evaluation before this step */
    } eval;

    struct {
        size_t every; /* steps */
        size_t keep;  /* the newest so many */
    } checkpoint;

    struct {
        s3r_cache_choice features;
        size_t memory_mb; /* then a file in the run folder */
    } cache;

    struct {
        size_t max_skipped; /* consecutive steps with NaN before exit 7 */
        size_t log_every;   /* steps a line of metrics.jsonl */
    } run;
} s3r_train_config;

/* The defaults: the paper's text (docs/training.md says where --compat original
 * differs). */
void s3r_train_config_init(s3r_train_config *config);

/* "original" or "none"; "10m", "1h", "10h", "xlsr".  S3R_ERR_USAGE lists the names. */
s3r_status s3r_train_config_compat(s3r_train_config *config, const char *name,
                                   s3r_error *err);
s3r_status s3r_train_config_preset(s3r_train_config *config, const char *name,
                                   s3r_error *err);

/* A YAML file.  S3R_ERR_USAGE names file, line, key, expected and found, and suggests the
 * nearest key for an unknown one. */
s3r_status s3r_train_config_load(s3r_train_config *config, const char *path,
                                 s3r_error *err);
s3r_status s3r_train_config_parse(s3r_train_config *config, const char *text, size_t size,
                                  const char *label, s3r_error *err);

/* "optimizer.lr=1e-4".  The same errors.  With --compat original schedule.final_scale
 * follows the method as long as it has the value of the method before. */
s3r_status s3r_train_config_set(s3r_train_config *config, const char *assignment,
                                s3r_error *err);

/*
 * Refuses assignments (as for _set) of keys that the chosen method or task does not look
 * at, or that need dev data when there is none: who types them expects an effect.  Files
 * may have them, since they can serve several methods.  S3R_ERR_USAGE names the key.
 */
s3r_status s3r_train_config_check_used(const s3r_train_config *config,
                                       const char *const *assignments, size_t count,
                                       bool has_dev, s3r_error *err);

/* What no single key can tell: sums of phases, block ranges that are empty, rates outside
 * their range, a task that the method does not have.  S3R_ERR_USAGE. */
s3r_status s3r_train_config_check(const s3r_train_config *config, s3r_error *err);

/* All keys as YAML with a comment each, in a new string (s3r_free), the head first.
 * Reading it back gives the same struct.  S3R_ERR_RESOURCE. */
#define S3R_TRAIN_CONFIG_HEAD "# Settings of a training run: s3r train -c THIS_FILE"
s3r_status s3r_train_config_text(const s3r_train_config *config, char **text,
                                 s3r_error *err);

/* The same without what does not touch the result: checkpoint.*, cache.memory_mb,
 * run.log_every, and cache.features when it is what precision asks for.  Equal for runs
 * that learn the same. */
s3r_status s3r_train_config_recipe(const s3r_train_config *config, char **text,
                                   s3r_error *err);

/* The index-th key of the table with its default and its help; false past the last. */
bool s3r_train_config_key(size_t index, const char **key, const char **fallback,
                          const char **help);

#endif
