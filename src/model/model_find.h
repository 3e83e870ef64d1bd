/*
 * The models that are shipped, and where a model without a path is looked for.
 */
#ifndef S3R_MODEL_MODEL_FIND_H
#define S3R_MODEL_MODEL_FIND_H

#include "base/error.h"

/*
 * Makes the path of a model in *out (s3r_free).
 *
 *   NULL, "default"   the shipped model
 *   a bare name (no slash) of no file and no folder   the shipped model of that name
 *   anything else     is the path already
 *
 * Shipped models are folders in $S3R_MODELS, then in share/s3r/models beside the library
 * or program (a build folder) or in their installation.  S3R_ERR_MODEL names every place;
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_model_find_path(char **out, const char *name, s3r_error *err);

#endif
