/*
 * Writing any checkpoint as a Hugging Face folder that transformers loads.
 */
#ifndef S3R_MODEL_MODEL_CONVERT_H
#define S3R_MODEL_MODEL_CONVERT_H

#include "model/model_config.h"
#include "model/weight_plan.h"
#include "text/vocabulary.h"

/* What is written instead of what the checkpoint holds. */
typedef struct s3r_convert_edit {
    void *context;
    /* Are values of this parameter changed? */
    bool (*touches)(void *context, const s3r_weight_entry *entry);
    /* Changes its values [first, first + count), in the stored order. */
    void (*apply)(void *context, const s3r_weight_entry *entry, size_t first,
                  size_t count, float *values);
    /* The head, instead of any other; NULL: what is there stays, unless config has none.
     */
    const s3r_tensor *head_weight, *head_bias;
    const s3r_model_config *config; /* what the result is, with that head */
} s3r_convert_edit;

typedef struct s3r_convert_options {
    /* Of all tensors: F32, F16 or BF16; or I8: of the matrices of the blocks, the others
     * stay as they are stored. */
    s3r_dtype dtype;
    bool is_forced; /* replace a model in the folder, keep its other files */
    const s3r_checkpoint
        *language_adapter;        /* MMS: tensors that replace others; or NULL */
    const s3r_convert_edit *edit; /* or NULL */
    /* Tensors of pretraining that are written as they are, behind the others; readers
     * ignore their names (tensor_names.h). */
    const s3r_tensor *extra;
    size_t extra_count;
    /* Sees the complete model in a folder that is not in its place yet; another status
     * than S3R_OK ends the conversion with it. NULL = nobody. */
    s3r_status (*accept)(void *context, const char *folder, s3r_error *err);
    void *accept_context;
    /* Asked before a tensor is written or compared; false ends the conversion with
     * S3R_ERR_INTERRUPTED. NULL = nobody. */
    bool (*progress)(void *context, size_t done, size_t total);
    void *progress_context;
    const json_t *metadata; /* strings for the header of the tensors; NULL = none */
} s3r_convert_options;

/*
 * Writes config.json, preprocessor_config.json, model.safetensors and, when there is a
 * vocabulary (else NULL), its files.  Tensors are streamed; the result is opened again
 * and compared bit for bit with what was meant.  It appears at once: after a failure
 * (a full disk, a value beyond the type) folder holds what it held before.  With
 * is_forced a model that was there is replaced; other files in the folder stay.
 *
 * int8 is a form of our own, which transformers does not read; the other types of an int8
 * model are what its numbers are worth.
 *
 * S3R_ERR_MODEL: tensors that do not fit config, a value that dtype cannot hold, a form
 * that transformers does not have.  S3R_ERR_USAGE: folder holds anything and
 * is_forced is false, or dtype is none of the four.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
s3r_status s3r_model_convert(const s3r_checkpoint *checkpoint,
                             const s3r_model_config *config,
                             const s3r_vocabulary *vocabulary, const char *folder,
                             const s3r_convert_options *options, s3r_error *err);

#endif
