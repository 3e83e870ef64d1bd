/*
 * A growing string.  A failed allocation is remembered, so that a sequence of additions
 * needs one check at its end.
 */
#ifndef S3R_BASE_TEXT_BUFFER_H
#define S3R_BASE_TEXT_BUFFER_H

#include "base/error.h"

/* Zero it to begin. */
typedef struct s3r_text_buffer {
    char *text; /* NUL-terminated; NULL while nothing was added */
    size_t length, capacity;
    bool has_failed;
} s3r_text_buffer;

/* As printf, numbers with a point in every locale. */
void s3r_buffer_add(s3r_text_buffer *buffer, const char *format, ...) S3R_PRINTF(2, 3);
/* Any bytes, for buffers that are not text. */
void s3r_buffer_add_bytes(s3r_text_buffer *buffer, const void *bytes, size_t size);
/* A string as it is, one with & < > " ' as HTML entities, and one whose characters mean
 * nothing in Markdown (a line break becomes a space).  NULL adds nothing. */
void s3r_buffer_add_string(s3r_text_buffer *buffer, const char *string);
void s3r_buffer_add_html(s3r_text_buffer *buffer, const char *string);
void s3r_buffer_add_markdown(s3r_text_buffer *buffer, const char *string);

/* Hands over the string (s3r_free); the buffer is empty again in both cases.  `what`
 * names it in S3R_ERR_RESOURCE. */
s3r_status s3r_buffer_take(s3r_text_buffer *buffer, char **text, const char *what,
                           s3r_error *err);
void s3r_buffer_release(s3r_text_buffer *buffer);

#endif
