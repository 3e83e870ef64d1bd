/*
 * Where the running program and this library lie, so that what was installed beside them
 * is found wherever the tree was moved to.
 */
#ifndef S3R_BASE_OWN_PLACE_H
#define S3R_BASE_OWN_PLACE_H

#include "base/error.h"

/*
 * The folder of the file that holds this code (the shared library, or the program that it
 * is linked into) and the folder of the running program: from the root, without links, in
 * new strings (s3r_free).  *out is NULL when the system does not say (no /proc).
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_own_library_folder(char **out, s3r_error *err);
s3r_status s3r_own_program_folder(char **out, s3r_error *err);

#endif
