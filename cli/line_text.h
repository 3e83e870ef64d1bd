/*
 * Text that others chose - paths, labels - made safe for one line and for JSON.
 */
#ifndef S3R_CLI_LINE_TEXT_H
#define S3R_CLI_LINE_TEXT_H

#include <jansson.h>

/* A path for a line of fields: control characters as \t, \n, \r or \xHH and a backslash
 * doubled, so that the path can be read back.  malloc; NULL without memory. */
char *s3r_line_from_path(const char *path);

/* A text for a line of fields: each control character is a space, all else stays.
 * malloc; NULL without memory. */
char *s3r_line_from_text(const char *text);

/* A JSON string; bytes that are not UTF-8 become U+FFFD.  NULL gives JSON null. */
json_t *s3r_json_from_bytes(const char *bytes);

/* The value as compact JSON with a newline, and takes the reference of value.  malloc;
 * NULL without memory, also when value is NULL. */
char *s3r_json_line(json_t *value);

#endif
