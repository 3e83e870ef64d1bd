/*
 * A model with a mask file applied: the mask, the head, the vocabulary (or the languages
 * that the head tells apart) and the normalisation change together or not at all.
 *
 * The backbone's weights stay shared in their memory map; what the mask file replaces
 * lies in its own map or in the route's own memory.
 */
#ifndef S3R_TASKS_ROUTED_MODEL_H
#define S3R_TASKS_ROUTED_MODEL_H

#include "model/model_config.h"
#include "model/model_convert.h"
#include "model/model_weights.h"
#include "route/mask_file.h"
#include "text/language_list.h"
#include "text/vocabulary.h"

typedef struct s3r_route {
    s3r_mask_file file;
    s3r_model_config config;   /* the backbone's with the file's head and normalisation;
                                  has_head: a CTC head */
    s3r_model_weights weights; /* shallow copy of the backbone's with the file's parts;
                                  its `owned` arena is not the backbone's */
    s3r_vocabulary vocabulary;
    bool has_vocabulary;
    s3r_language_list languages; /* of the task "lid", whose head is weights.lm_head (see
                                    language_head.h); else empty */
    size_t masked_count, removed_count; /* elements of masked matrices, of them removed */
    s3r_arena owned;
} s3r_route;

/*
 * Opens the mask file and applies it to an opened backbone, which must outlive the route.
 * S3R_ERR_MODEL: what s3r_mask_file_open finds; another backbone (both hashes and
 * families); another sample rate; a parameter that does not exist or has another shape.
 * S3R_ERR_RESOURCE.  *out is empty after a failure.
 *
 *   backbone_hash  of the checkpoint (model_hash.h)
 *   options        as the weights were opened; convolutions that the file replaces are
 *                  prepared in the same way
 */
s3r_status s3r_route_open(s3r_route *out, const char *path,
                          const s3r_checkpoint *checkpoint,
                          const s3r_model_config *config,
                          const s3r_model_weights *weights, const char *backbone_hash,
                          const s3r_weights_options *options, s3r_error *err);
void s3r_route_close(s3r_route *route); /* a zeroed one is allowed */

/*
 * Writes the merged model as a Hugging Face folder (model_convert.h): removed weights are
 * zero, replaced values replaced, low-rank updates added (rounded to fp32 once); head,
 * vocabulary and normalisation of the mask file.  With fp32 and without low-rank updates
 * the folder computes what the route computes, bit for bit.
 *
 *   config  of the backbone
 *
 * The errors of s3r_model_convert; S3R_ERR_MODEL for adapters and for the head of the
 * task "lid", which such a folder cannot express.
 */
s3r_status s3r_route_convert(const s3r_route *route, const s3r_checkpoint *checkpoint,
                             const s3r_model_config *config, const char *folder,
                             const s3r_convert_options *options, s3r_error *err);

#endif
