/*
 * The name of this machine.
 */
#ifndef S3R_BASE_HOST_NAME_H
#define S3R_BASE_HOST_NAME_H

#include "base/compiler.h"

/* Into text, with only letters, digits, "-" and "." (others become "-"), so that it can
 * be part of a file name; "localhost" when it is not known.  text_bytes > 16. */
void s3r_host_name(char *text, size_t text_bytes);

#endif
