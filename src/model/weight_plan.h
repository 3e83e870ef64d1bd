/*
 * Which tensors a model consists of, by one table, and where a checkpoint has them.
 *
 * Binding, hashing and converting all walk the same plan.
 */
#ifndef S3R_MODEL_WEIGHT_PLAN_H
#define S3R_MODEL_WEIGHT_PLAN_H

#include "checkpoint/tensor_names.h"
#include "model/model_config.h"

#define S3R_WEIGHT_MAX_RANK 4u

typedef enum s3r_weight_kind {
    S3R_WEIGHT_VECTOR,    /* bound as fp32 */
    S3R_WEIGHT_TABLE,     /* a small matrix, bound as fp32 */
    S3R_WEIGHT_MATRIX,    /* bound in place */
    S3R_WEIGHT_CONV,      /* [out, in, kernel], packed */
    S3R_WEIGHT_POS_CONV,  /* [out, in / groups, kernel], packed a group */
    S3R_WEIGHT_DIRECTION, /* the same under weight norm; goes with the gain before it */
    S3R_WEIGHT_GAIN,      /* weight_g [1, 1, kernel], fp32 */
    S3R_WEIGHT_SCALES,    /* of the int8 matrix before it: [out], fp32 */
} s3r_weight_kind;

/* What a rule's "#" counts, and the struct that its offset is in. */
typedef enum s3r_weight_owner {
    S3R_OWNER_MODEL,
    S3R_OWNER_CONV,
    S3R_OWNER_POS_CONV,
    S3R_OWNER_BLOCK,
} s3r_weight_owner;

typedef struct s3r_weight_rule {
    const char *name; /* canonical, "#" for the number of the owner */
    s3r_weight_owner owner;
    s3r_weight_kind kind;
    size_t offset; /* of the s3r_weight in its owner */
    /* One letter a dimension: dim_of() in weight_plan.c explains them. */
    const char *shape;
    /* NULL: always there. */
    bool (*applies)(const s3r_model_config *config, size_t number);
    bool is_optional;
} s3r_weight_rule;

typedef struct s3r_weight_entry {
    const s3r_weight_rule *rule;
    size_t number; /* of the owner */
    char name[S3R_TENSOR_NAME_BYTES];
    const s3r_tensor *tensor;
    unsigned rank;
    size_t shape[S3R_WEIGHT_MAX_RANK]; /* canonical; the tensor's elements are as many */
} s3r_weight_entry;

typedef struct s3r_weight_plan {
    s3r_weight_entry *entries; /* in the order of the table; absent weights left out */
    size_t count;
} s3r_weight_plan;

/*
 * Finds every weight of config in the checkpoint; tensors of language_adapter (may be
 * NULL) come first.  S3R_ERR_MODEL with all missing, unused, repeated, mis-shaped and
 * wrongly typed tensors in one message; S3R_ERR_RESOURCE.
 */
s3r_status s3r_weight_plan_make(s3r_weight_plan *out, const s3r_checkpoint *checkpoint,
                                const s3r_checkpoint *language_adapter,
                                const s3r_model_config *config, s3r_error *err);
/* True for a matrix that is int8 where config->is_int8 says so. */
bool s3r_weight_rule_is_quantizable(const s3r_weight_rule *rule);
/* The scales of an int8 matrix. */
const s3r_tensor *s3r_weight_plan_scales(const s3r_weight_plan *plan,
                                         const s3r_weight_entry *matrix);
/* The canonical name of the scales of such a matrix. */
#define S3R_WEIGHT_SCALES_NAME ".weight_scale" /* instead of ".weight" */
void s3r_weight_scales_name(char out[S3R_TENSOR_NAME_BYTES], const char *matrix);
/* Every weight that a model of config can have, optional ones too; tensor is NULL.
 * S3R_ERR_RESOURCE. */
s3r_status s3r_weight_plan_list(s3r_weight_plan *out, const s3r_model_config *config,
                                s3r_error *err);
void s3r_weight_plan_release(s3r_weight_plan *plan);

#endif
