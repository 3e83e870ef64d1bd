/*
 * What a method trains: a list of arrays with gradients and optimiser moments, and the
 * masked matrices among them.
 *
 * All methods are the same encoder with another list.  (spec 1.1-1.5, 1.8; paper 3.1-3.3)
 */
#ifndef S3R_TRAIN_TRAINABLE_H
#define S3R_TRAIN_TRAINABLE_H

#include "base/random.h"
#include "route/mask.h"
#include "train/train_model.h"

/* One trained array. */
typedef struct s3r_trained {
    const char *name; /* "scores/NAME", "values/NAME", "lora/NAME/down", "head/weight" */
    float *values, *grad, *first, *second; /* [count], the op's layout */
    size_t count;
    size_t rows, cols;              /* their product is count */
    const s3r_parameter *parameter; /* of "values/": knows the stored shape; else NULL */
    bool is_head;
} s3r_trained;

/* One masked matrix. */
typedef struct s3r_masked {
    s3r_parameter *parameter;
    const void *weight; /* the backbone's, stored type; or trained values (F32) */
    s3r_dtype dtype;
    float *scores;     /* NULL: the mask is fixed */
    float *score_grad; /* where dL/d(score) goes; the weight's gradient buffer itself
                          unless the weight trains too */
    s3r_random stream; /* of the first scores */
    size_t removed;
    s3r_mask mask;               /* in use */
    s3r_mask initial, evaluated; /* at the start and at the last evaluation */
} s3r_masked;

typedef struct s3r_trainable {
    s3r_trained *items;
    size_t count, capacity;
    s3r_masked *masked;
    size_t masked_count;
    s3r_mask_target *targets; /* of the selection */
    void *select_scratch;
    double *partial; /* of norms */
    s3r_mask_structure structure;
    s3r_mask_scope scope;
    size_t removed_total; /* with a global scope */
    size_t trained_total; /* elements of all items */
    bool is_sigmoid;
    s3r_arena owned;
} s3r_trainable;

/*
 * Makes the list for config->method on the model: gives weights gradients, masks,
 * low-rank updates and adapters, and fresh first values drawn from config->seed.
 * S3R_ERR_USAGE: block numbers that the model does not have, a wrong count of sparsities;
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_trainable_make(s3r_trainable *out, s3r_train_model *model, s3r_pool *pool,
                              const s3r_train_config *config, size_t memory_limit,
                              s3r_error *err);
void s3r_trainable_release(s3r_trainable *trainable); /* a zeroed one is allowed */

/* Scores to masks. */
void s3r_trainable_select(s3r_trainable *trainable, s3r_pool *pool);
void s3r_trainable_clear_grads(s3r_trainable *trainable, s3r_pool *pool);
/* After the backward passes of a step: gradients of effective weights become those of
 * scores (and of weights that train beside them). */
void s3r_trainable_finish_grads(s3r_trainable *trainable, s3r_pool *pool);
/* Sum of squares of all gradients; not finite when one is not. */
double s3r_trainable_square_sum(const s3r_trainable *trainable, s3r_pool *pool);

/* Remembers the masks as those of the last evaluation. */
void s3r_trainable_mark_evaluated(s3r_trainable *trainable);
/* Elements that differ now from a remembered state, and elements masked at all. */
size_t s3r_trainable_changed(const s3r_trainable *trainable, bool since_start);
size_t s3r_trainable_masked_elements(const s3r_trainable *trainable);

#endif
