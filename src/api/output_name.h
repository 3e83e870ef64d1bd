/*
 * Names of the files that are written for an input.
 */
#ifndef S3R_API_OUTPUT_NAME_H
#define S3R_API_OUTPUT_NAME_H

#include "base/error.h"

/* The last part of a path without its extension, "stdin" for "-" (s3r_free).  NULL
 * without memory. */
char *s3r_output_name(const char *path);

/* Outputs of two inputs must not go to one file.  S3R_ERR_USAGE names both inputs and the
 * file, which would be NAME and extension (".npy"); S3R_ERR_RESOURCE. */
s3r_status s3r_output_names_check(const char *const *paths, size_t count,
                                  const char *extension, s3r_error *err);

#endif
