/*
 * Mask files (.s3m): describing and checking them.  They are applied by opening a model
 * with one (s3r_model_options.mask_path).
 */
#ifndef S3R_MASK_INFO_H
#define S3R_MASK_INFO_H

#include "s3r/model.h"
#include "s3r/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a mask file says of itself, as a JSON document in a new string
 * (s3r_mask_info_free): "path" (null when it is not UTF-8), "format", "is_compact",
 * "content_hash" (the seal of the plain form), "file_bytes", "kept_elements",
 * "masked_elements", "label_count" (rows of the head; 0 without), "tensors" (array of
 * name, dtype, shape, bytes) and "facts" (docs/formats.md).  The file is checked
 * completely, but for what only the backbone can tell of a compact one.
 *
 * S3R_ERR_MODEL names the file, the thing, expected and found; S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_mask_info(char **json, const char *path, s3r_error *err);
S3R_API void s3r_mask_info_free(char *json); /* NULL is allowed */

/*
 * Checks a mask file completely: container, format version, checksum, facts, sizes, head
 * against vocabulary; with a model (may be NULL) also whether the
 * file was made for it and every part finds its place; a compact file is unpacked.
 * S3R_ERR_MODEL, S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_mask_verify(const char *path, const s3r_model *model,
                                   s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
