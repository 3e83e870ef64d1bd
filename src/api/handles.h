/*
 * What the public handles hold.
 */
#ifndef S3R_API_HANDLES_H
#define S3R_API_HANDLES_H

#include <stdatomic.h>

#include "base/thread_pool.h"
#include "model/model_hash.h"
#include "model/model_prepack.h"
#include "model/model_weights.h"
#include "ops/tape.h"
#include "s3r/context.h"
#include "s3r/model.h"
#include "tasks/routed_model.h"
#include "text/vocabulary.h"

struct s3r_context {
    s3r_pool *pool;
    const s3r_kernels *kernels;
    s3r_tape tape; /* kept between calls, so that its memory is */
};

/* The hash of a backbone, once somebody has asked for it: opening a mask asks each time,
 * and hashing takes longer than all else that opening does. */
typedef struct s3r_hash_memo {
    atomic_int state; /* 0: not known, 1: being written, 2: text is the hash */
    char text[S3R_MODEL_HASH_BYTES];
} s3r_hash_memo;

struct s3r_model {
    s3r_checkpoint *checkpoint;
    s3r_checkpoint *language_adapter; /* MMS: what the language replaces; or NULL */
    s3r_model_config config;
    s3r_model_weights weights;
    s3r_prepacks prepacks;     /* of matrices of weights; empty where not wanted */
    s3r_vocabulary vocabulary; /* zeroed when the checkpoint has none */
    bool has_vocabulary;
    bool is_bf16;
    bool is_borrowing; /* checkpoint and backbone weights are another model's */
    /* With a mask file the four above belong to the route, and these are the model's. */
    bool has_route;
    s3r_route route;
    s3r_model_config backbone_config; /* set without a mask file too */
    s3r_model_weights backbone_weights;
    s3r_hash_memo own_hash;
    s3r_hash_memo *hash; /* of the model whose checkpoint it is; never NULL */
};

/* S3R_ERR_MODEL when the model has no CTC head: names the file that lacks it and says
 * what follows. */
s3r_status s3r_model_check_head(const s3r_model *model, const char *consequence,
                                s3r_error *err);
/* The same when it has no CTC head or no vocabulary. */
s3r_status s3r_model_check_labels(const s3r_model *model, const char *consequence,
                                  s3r_error *err);
/* S3R_ERR_MODEL when the model does not tell languages apart. */
s3r_status s3r_model_check_languages(const s3r_model *model, s3r_error *err);

#endif
