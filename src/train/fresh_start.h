/*
 * The fresh model that a pretraining run begins with.
 */
#ifndef S3R_TRAIN_FRESH_START_H
#define S3R_TRAIN_FRESH_START_H

#include "model/model_config.h"

typedef struct s3r_fresh_start {
    const s3r_model_config *config;
    uint64_t seed;
} s3r_fresh_start;

/*
 * Writes FOLDER/start, with a record of what it was made from, and hands over its path
 * (s3r_free).  is_kept: a run goes on with it, so it must be there, of the same shape and
 * seed.  S3R_ERR_USAGE: it is another, or a model that no run made is in the way; and as
 * s3r_model_init.
 */
s3r_status s3r_fresh_start_make(char **path, const s3r_fresh_start *fresh,
                                const char *folder, bool is_kept, s3r_error *err);
/* A folder of its own under the temporary one, for a forecast; remove it once the model
 * is open. */
s3r_status s3r_fresh_start_lend(char **path, const s3r_fresh_start *fresh,
                                const char *temporary, s3r_error *err);

#endif
