/*
 * What a run is made of, so that it is resumed with the same: settings, backbone,
 * vocabulary, the numbers of the model's configuration, the embedding and the head that
 * it starts from, frame labels, data.
 *
 * All but the data is known before any audio is read, and compared then.
 */
#ifndef S3R_TRAIN_TRAIN_IDENTITY_H
#define S3R_TRAIN_TRAIN_IDENTITY_H

#include <jansson.h>

#include "train/trainable.h"

/* Hashes, in the order in which they are compared; "" = there is none. */
typedef enum s3r_identity_part {
    S3R_IDENTITY_BACKBONE,
    S3R_IDENTITY_VOCABULARY,
    S3R_IDENTITY_START, /* mask embedding, and a head that the checkpoint has */
    S3R_IDENTITY_LABELS,
    S3R_IDENTITY_DEV_LABELS,
    S3R_IDENTITY_TRAIN, /* data from here on */
    S3R_IDENTITY_DEV,
    S3R_IDENTITY_PARTS
} s3r_identity_part;

typedef struct s3r_train_identity {
    char *settings;        /* s3r_train_config_recipe */
    json_t *configuration; /* of the model, with the run's dropouts and masking */
    char parts[S3R_IDENTITY_PARTS][S3R_MODEL_HASH_BYTES];
} s3r_train_identity;

/* Everything but labels and data, of a model whose trained arrays are made and still have
 * their first values.  S3R_ERR_RESOURCE. */
s3r_status s3r_train_identity_make(s3r_train_identity *out,
                                   const s3r_train_config *config,
                                   const s3r_train_model *model,
                                   const s3r_trainable *trainable, s3r_error *err);
void s3r_train_identity_release(s3r_train_identity *identity); /* zeroed is allowed */
void s3r_train_identity_set(s3r_train_identity *identity, s3r_identity_part part,
                            const char *hash);

/* Adds all of it to the facts of a checkpoint.  False without memory. */
bool s3r_train_identity_write(const s3r_train_identity *identity, json_t *facts);

/*
 * Compares with the facts of the checkpoint in path: the data, or all that is known
 * before.  S3R_ERR_USAGE names what differs; S3R_ERR_RESOURCE.
 */
s3r_status s3r_train_identity_check(const s3r_train_identity *identity,
                                    const json_t *facts, bool is_data, const char *path,
                                    s3r_error *err);

#endif
