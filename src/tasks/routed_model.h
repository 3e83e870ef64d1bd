/*
 * A model with a mask file applied: the mask, the head, the vocabulary and the
 * normalisation change together or not at all.
 *
 * The backbone's weights stay shared in their memory map; what the mask file replaces
 * lies in the route's own memory.
 */
#ifndef S3R_TASKS_ROUTED_MODEL_H
#define S3R_TASKS_ROUTED_MODEL_H

#include "model/model_config.h"
#include "model/model_weights.h"
#include "route/mask_file.h"
#include "text/vocabulary.h"

typedef struct s3r_route {
    s3r_mask_file file;
    s3r_model_config config;   /* the backbone's with the file's head and normalisation */
    s3r_model_weights weights; /* shallow copy of the backbone's with the file's parts;
                                  its `owned` arena is not the backbone's */
    s3r_vocabulary vocabulary;
    bool has_vocabulary;
    s3r_arena owned;
} s3r_route;

/*
 * Opens the mask file and applies it to an opened backbone, which must outlive the route
 * (weights opened without panels of masked matrices).  S3R_ERR_MODEL: what
 * s3r_mask_file_open finds; another backbone (both hashes and families); a matrix that
 * does not exist or has another shape.  S3R_ERR_RESOURCE.
 *
 *   backbone_hash  of the checkpoint (model_hash.h)
 */
s3r_status s3r_route_open(s3r_route *out, const char *path,
                          const s3r_checkpoint *checkpoint,
                          const s3r_model_config *config,
                          const s3r_model_weights *weights, const char *backbone_hash,
                          s3r_error *err);
void s3r_route_close(s3r_route *route); /* a zeroed one is allowed */

#endif
