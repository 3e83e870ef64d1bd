/*
 * One name for each parameter, whoever wrote the checkpoint.  (spec 2.14)
 */
#ifndef S3R_CHECKPOINT_TENSOR_NAMES_H
#define S3R_CHECKPOINT_TENSOR_NAMES_H

#include "base/compiler.h"

typedef enum s3r_tensor_role {
    S3R_TENSOR_PARAMETER, /* a parameter of the model family */
    S3R_TENSOR_SCORES,    /* S3-Router's scores; the name is that of their weight */
    S3R_TENSOR_IGNORED,   /* a leftover of pretraining */
    S3R_TENSOR_UNKNOWN,   /* the name is passed on unchanged */
} s3r_tensor_role;

/* Enough for every name but UNKNOWN ones. */
#define S3R_TENSOR_NAME_BYTES 160u

/*
 * Writes the canonical name of a tensor named by Hugging Face, fairseq, Microsoft or
 * torchaudio: Hugging Face's without the model's prefix, for example
 * "encoder.layers.3.attention.q_proj.weight" or "lm_head.bias"; weight normalisation is
 * always "...conv.weight_g" and "...conv.weight_v".  An unknown name is copied unchanged.
 * A name that does not fit in out_bytes (at least 1) is cut and UNKNOWN.
 */
s3r_tensor_role s3r_tensor_name_canonical(const char *name, char *out, size_t out_bytes);

#endif
