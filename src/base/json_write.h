/*
 * Writing a JSON value as a file.
 */
#ifndef S3R_BASE_JSON_WRITE_H
#define S3R_BASE_JSON_WRITE_H

#include <jansson.h>

#include "base/error.h"

/*
 * Writes object, indented and with a newline at the end, to folder/name, atomically.
 * flags are jansson's beyond the indentation (JSON_SORT_KEYS or 0).  A NULL object is
 * what lack of memory made of it.  S3R_ERR_RESOURCE, S3R_ERR_RUNTIME.
 */
s3r_status s3r_json_write(const json_t *object, const char *folder, const char *name,
                          size_t flags, s3r_error *err);

#endif
