/*
 * What a mask file must say and hold, beyond what its seal proves.
 */
#ifndef S3R_ROUTE_MASK_FILE_CHECK_H
#define S3R_ROUTE_MASK_FILE_CHECK_H

#include "route/mask_file.h"

/* Facts and tensors of a file whose path, sealed and facts are set; fills the texts.
 * S3R_ERR_MODEL, S3R_ERR_RESOURCE. */
s3r_status s3r_mask_file_check(s3r_mask_file *file, s3r_error *err);

#endif
