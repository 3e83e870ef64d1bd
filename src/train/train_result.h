/*
 * The result of a run: a mask file with all that turns the backbone into this language or
 * task. (route/mask_file.h; docs/formats.md)
 */
#ifndef S3R_TRAIN_TRAIN_RESULT_H
#define S3R_TRAIN_TRAIN_RESULT_H

#include <jansson.h>

#include "train/train_set.h"
#include "train/train_state.h"

typedef struct s3r_train_result {
    const s3r_train_model *model;
    const s3r_trainable *trainable;
    const s3r_train_config *config;
    const s3r_train_set *train, *dev; /* dev NULL without one */
    size_t step;
    const json_t *metrics; /* of the dev set at this step: name -> number; or NULL */
} s3r_train_result;

/* The facts of the mask file, a new reference; NULL without memory. */
json_t *s3r_train_result_facts(const s3r_train_result *result);

/* Writes the mask file.  What is in it depends on the run's input alone: no dates, no
 * times.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_train_result_save(const s3r_train_result *result, const char *path,
                                 s3r_error *err);

#endif
