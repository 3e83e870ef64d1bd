/*
 * JSON files of other people, with errors that name the file, the line and the reason.
 */
#ifndef S3R_BASE_JSON_READ_H
#define S3R_BASE_JSON_READ_H

#include <jansson.h>

#include "base/error.h"

/*
 * Parses an object (new reference; json_decref).  A repeated key is an error, since it
 * would be silently ambiguous.  `label` names the text in messages.  S3R_ERR_MODEL,
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_json_parse_object(json_t **out, const void *bytes, size_t size,
                                 const char *label, s3r_error *err);
/* The same for a file of at most 64 MiB; a byte order mark before it is skipped. */
s3r_status s3r_json_file_load(json_t **out, const char *path, s3r_error *err);

#endif
