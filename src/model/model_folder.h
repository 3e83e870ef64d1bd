/*
 * What a Hugging Face model folder consists of, for those who write one.
 */
#ifndef S3R_MODEL_MODEL_FOLDER_H
#define S3R_MODEL_MODEL_FOLDER_H

#include "model/model_config.h"
#include "text/vocabulary.h"

#define S3R_MODEL_FILE "model.safetensors"

/* An s3r_folder_owns_fn: files of a model folder, what a new model replaces, also when it
 * has no such file. */
bool s3r_model_folder_owns(const char *name);

/* S3R_ERR_USAGE when folder holds anything and is_forced is false. */
s3r_status s3r_model_folder_check(const char *folder, bool is_forced, s3r_error *err);

/* What a folder says about the model, besides its weights. */
typedef struct s3r_model_description {
    const s3r_model_config *config;
    const s3r_vocabulary *vocabulary;              /* NULL = none */
    s3r_dtype dtype;                               /* F32, F16 or BF16 */
    const json_t *base_config, *base_preprocessor; /* settings to keep; NULL = none */
} s3r_model_description;

/* Writes config.json, preprocessor_config.json and the vocabulary's files into folder.
 * S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_model_folder_describe(const char *folder,
                                     const s3r_model_description *description,
                                     s3r_error *err);

#endif
