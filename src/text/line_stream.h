/*
 * Lines of a text that may be large and may be compressed: a plain file, a gzip file or
 * standard input, in bounded memory.
 */
#ifndef S3R_TEXT_LINE_STREAM_H
#define S3R_TEXT_LINE_STREAM_H

#include "base/error.h"

#define S3R_LINE_STREAM_MAX ((size_t)1 << 20) /* bytes of a line */

/* Read path, text, length and line freely. */
typedef struct s3r_line_stream {
    const char *path;
    char *text;    /* the current line without its end, NUL-terminated; may be cut up */
    size_t length; /* of text */
    size_t line;   /* its number, from 1 */
    /* private */
    void *file; /* gzFile; NULL for bytes */
    const char *bytes;
    size_t byte_count; /* of bytes, not yet read */
    char *buffer;
    size_t at, end;
    bool is_over;
} s3r_line_stream;

/* path "-" is standard input; gzip is recognised by its first bytes.  path must outlive
 * the stream.  S3R_ERR_DATA: it cannot be opened; S3R_ERR_RESOURCE. */
s3r_status s3r_line_stream_open(s3r_line_stream *out, const char *path, s3r_error *err);
/* The same from bytes that outlive the stream, not compressed; label names them. */
s3r_status s3r_line_stream_from_bytes(s3r_line_stream *out, const char *bytes,
                                      size_t size, const char *label, s3r_error *err);
void s3r_line_stream_close(s3r_line_stream *stream); /* a zeroed one is allowed */

/* The next line into text, without LF or CRLF (and without a byte order mark in the
 * first); *has_line false at the end.  S3R_ERR_DATA: a line longer than
 * S3R_LINE_STREAM_MAX, a zero byte, a damaged or cut gzip file, a read error. */
s3r_status s3r_line_stream_next(s3r_line_stream *stream, bool *has_line, s3r_error *err);

/* "PATH: line N: ...": S3R_ERR_DATA. */
s3r_status s3r_line_stream_fail(const s3r_line_stream *stream, s3r_error *err,
                                const char *format, ...) S3R_PRINTF(3, 4);

/* Cuts the next word off *at, which moves behind it: bytes that are not space or tab.
 * NULL when there is none. */
char *s3r_next_word(char **at, size_t *length);

#endif
