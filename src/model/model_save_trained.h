/*
 * A model whose parameters trained, back into a Hugging Face folder.
 */
#ifndef S3R_MODEL_MODEL_SAVE_TRAINED_H
#define S3R_MODEL_MODEL_SAVE_TRAINED_H

#include "model/parameters.h"
#include "text/vocabulary.h"

typedef struct s3r_save_trained_options {
    s3r_dtype dtype; /* of the model's tensors: F32, F16 or BF16 */
    bool is_forced;  /* replace a model in the folder, keep its other files */
    const s3r_vocabulary *vocabulary; /* of a model with a head; NULL = none */
    /* Tensors of the objective of pretraining: written as they are, under names that
     * readers of the model ignore (quantizer.*, final_proj.*, ...). */
    const s3r_tensor *extra;
    size_t extra_count;
    const json_t *metadata; /* strings for the header of the tensors; NULL = none */
} s3r_save_trained_options;

/*
 * Writes the model of checkpoint and config with the current values of all parameters
 * that are trainable, the rest as it is stored.  The folder appears at once and was
 * compared bit for bit with what was meant; in F32 every value survives exactly.
 * The errors of s3r_model_convert.
 */
s3r_status s3r_model_save_trained(const s3r_checkpoint *checkpoint,
                                  const s3r_model_config *config,
                                  const s3r_parameters *parameters, const char *folder,
                                  const s3r_save_trained_options *options,
                                  s3r_error *err);

#endif
