/*
 * Text files of other people line by line: UTF-8 with or without a byte order mark, lines
 * that end in LF or CRLF.  Other encodings and absurd lines are refused by line number.
 */
#ifndef S3R_DATA_LINE_READER_H
#define S3R_DATA_LINE_READER_H

#include "base/error.h"
#include "base/file.h"

#define S3R_MAX_LINE_BYTES ((size_t)1 << 20)

typedef struct s3r_line_reader {
    const char *path;
    char *text;    /* the current line without its end, NUL-terminated; may be cut up */
    size_t length; /* of text */
    size_t line;   /* its number, from 1 */
    /* private */
    s3r_file_map map;
    const char *bytes;
    size_t size, at, capacity;
} s3r_line_reader;

/* path must outlive the reader.  S3R_ERR_DATA: the file cannot be read, or is UTF-16. */
s3r_status s3r_line_reader_open(s3r_line_reader *out, const char *path, s3r_error *err);
/* The same from bytes that outlive the reader; label names them in messages. */
s3r_status s3r_line_reader_from_bytes(s3r_line_reader *out, const char *bytes,
                                      size_t size, const char *label, s3r_error *err);
void s3r_line_reader_close(s3r_line_reader *reader); /* a zeroed one is allowed */

/* The next line into text; *has_line false at the end.  S3R_ERR_DATA: not UTF-8, longer
 * than S3R_MAX_LINE_BYTES; S3R_ERR_RESOURCE. */
s3r_status s3r_line_reader_next(s3r_line_reader *reader, bool *has_line, s3r_error *err);

/* "PATH: line N: ...": S3R_ERR_DATA. */
s3r_status s3r_line_fail(const s3r_line_reader *reader, s3r_error *err,
                         const char *format, ...) S3R_PRINTF(3, 4);
/* Puts "PATH: line N: " before the message of a failure. */
s3r_status s3r_line_prefix(const s3r_line_reader *reader, s3r_status status,
                           s3r_error *err);

/* Cuts line at each tab: fields receives up to `limit` of them.  Returns how many fields
 * the line has, which may be more than limit. */
size_t s3r_line_fields(char *line, char separator, char **fields, size_t limit);

#endif
