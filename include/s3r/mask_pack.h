/*
 * The compact form of mask files: entropy-coded under the magnitude of the backbone's
 * weights, lossless.  A compact file is a mask file everywhere; what reads its masks
 * needs the backbone, which opening a model with it has anyway.
 */
#ifndef S3R_MASK_PACK_H
#define S3R_MASK_PACK_H

#include "s3r/model.h"
#include "s3r/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Writes the compact form of the mask file at path.
 *
 *   backbone  the model that the file was made for; a mask that it was opened with plays
 *             no part
 *   out_path  may be path; written atomically
 *
 * S3R_ERR_USAGE: the file is compact already, or has no masks; S3R_ERR_MODEL: it is
 * damaged, was made for another backbone, or was not written by s3r, so that the same
 * bytes could not be given back; S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_mask_pack(s3r_context *context, const s3r_model *backbone,
                                 const char *path, const char *out_path, s3r_error *err);

/* Whether a mask file is compact, so that reading its masks needs the backbone.  The file
 * is checked as s3r_mask_info does.  S3R_ERR_MODEL, S3R_ERR_RESOURCE. */
S3R_API s3r_status s3r_mask_is_compact(const char *path, bool *is_compact,
                                       s3r_error *err);

/* The way back: writes the file that was packed, byte for byte.  S3R_ERR_USAGE: the file
 * is not compact; other errors as above. */
S3R_API s3r_status s3r_mask_unpack(s3r_context *context, const s3r_model *backbone,
                                   const char *path, const char *out_path,
                                   s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
