/*
 * The backbone of an open model, as the readers of masks want it.
 */
#ifndef S3R_API_MASK_BACKBONE_H
#define S3R_API_MASK_BACKBONE_H

#include "api/handles.h"
#include "model/model_hash.h"
#include "tasks/mask_bits.h"

typedef struct s3r_opened_backbone {
    s3r_mask_backbone backbone;
    s3r_weight_plan plan;
    char hash[S3R_MODEL_HASH_BYTES];
} s3r_opened_backbone;

/* Borrows from the model; must not be moved.  S3R_ERR_MODEL, S3R_ERR_RESOURCE. */
s3r_status s3r_opened_backbone_init(s3r_opened_backbone *out, const s3r_model *model,
                                    s3r_error *err);
void s3r_opened_backbone_release(s3r_opened_backbone *backbone); /* zeroed: allowed */

#endif
