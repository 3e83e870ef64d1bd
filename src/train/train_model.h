/*
 * A backbone opened for training: frozen weights in their memory map, a head for the
 * vocabulary or for languages, and the run's dropouts in its configuration.
 */
#ifndef S3R_TRAIN_TRAIN_MODEL_H
#define S3R_TRAIN_TRAIN_MODEL_H

#include "model/model_hash.h"
#include "model/parameters.h"
#include "text/language_list.h"
#include "text/vocabulary.h"
#include "tasks/contrastive.h"
#include "tasks/masked_prediction.h"
#include "train/train_config.h"

typedef struct s3r_train_model {
    char *path;
    s3r_checkpoint *checkpoint;
    s3r_model_config config; /* has_head, vocab_size: of the vocabulary or languages */
    s3r_model_weights weights;
    s3r_parameters parameters;
    s3r_vocabulary vocabulary;
    s3r_language_list languages; /* task lid; set before trainables are made */
    size_t cluster_count; /* pretraining with clusters; set before trainables are made */
    s3r_masked_prediction_weights prediction; /* of pretraining, by its objective */
    s3r_contrastive_weights contrastive;
    bool has_own_head; /* the checkpoint's head fits the vocabulary and is the start */
    char hash[S3R_MODEL_HASH_BYTES];
} s3r_train_model;

typedef struct s3r_train_model_source {
    const char *path;              /* of the backbone */
    const char *vocabulary_folder; /* NULL: the backbone's own */
    s3r_pool *pool;
    const s3r_kernels *kernels;
} s3r_train_model_source;

/*
 * S3R_ERR_MODEL: what opening a model finds; no vocabulary anywhere (pretraining and the
 * task lid want none and have no head yet); a mask embedding is needed and the checkpoint
 * has none.  S3R_ERR_RESOURCE.
 */
s3r_status s3r_train_model_open(s3r_train_model *out,
                                const s3r_train_model_source *source,
                                const s3r_train_config *config, s3r_error *err);
void s3r_train_model_close(s3r_train_model *model); /* a zeroed one is allowed */

#endif
