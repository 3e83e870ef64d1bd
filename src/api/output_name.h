/*
 * Names of the files that are written for an input.
 */
#ifndef S3R_API_OUTPUT_NAME_H
#define S3R_API_OUTPUT_NAME_H

#include "base/error.h"

/* The last part of a path without its extension, "stdin" for "-" (s3r_free).  NULL
 * without memory. */
char *s3r_output_name(const char *path);
/* The same with "." and the first `length` bytes of mask behind it: of an input with
 * results of several masks. */
char *s3r_output_name_of_mask(const char *path, const char *mask, size_t length);

/*
 * Two outputs must not go to one file.  S3R_ERR_USAGE names the inputs and the file,
 * which would be NAME and extension (".npy"); S3R_ERR_RESOURCE.
 *
 *   masks  NULL, or [count] the names of an input's masks as in s3r_router_request: with
 *          several each has an output; with NULL, one name, "auto" or "auto:" there is
 *          one. S3R_ERR_USAGE for "all", which names none
 */
s3r_status s3r_output_names_check(const char *const *paths, const char *const *masks,
                                  size_t count, const char *extension, s3r_error *err);

/* "folder/NAME.EXTENSION" (s3r_free).  S3R_ERR_RESOURCE. */
s3r_status s3r_output_file(char **path, const char *folder, const char *name,
                           const char *extension, s3r_error *err);
/* The same inputs: S3R_ERR_USAGE when folder/NAME.EXTENSION of one is there. */
s3r_status s3r_output_names_check_new(const char *const *paths, const char *const *masks,
                                      size_t count, const char *folder,
                                      const char *extension, s3r_error *err);
/* S3R_ERR_USAGE for a file that is there. */
s3r_status s3r_output_check_new(const char *path, s3r_error *err);
/* S3R_ERR_USAGE when writing to out would replace one of the inputs (NULL: not given). */
s3r_status s3r_output_check_inputs(const char *out, const char *const *inputs,
                                   size_t count, s3r_error *err);

#endif
