/*
 * Lines on a stream in the order of the inputs, though results come in any order: a line
 * waits until all earlier inputs are done.
 */
#ifndef S3R_CLI_ORDERED_LINES_H
#define S3R_CLI_ORDERED_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct s3r_ordered_lines {
    FILE *out;
    char **lines;  /* [count] those that wait */
    bool *is_done; /* [count] */
    size_t count;
    size_t next; /* the first that is not done */
} s3r_ordered_lines;

/* False without memory; release it in any case. */
bool s3r_ordered_lines_init(s3r_ordered_lines *lines, FILE *out, size_t count);

/* Input `index` is done.  Takes ownership of line (malloc, with its newline); NULL for an
 * input without a line.  False when the stream cannot be written. */
bool s3r_ordered_lines_put(s3r_ordered_lines *lines, size_t index, char *line);

/* Writes what still waits, skipping inputs that were never done. */
bool s3r_ordered_lines_finish(s3r_ordered_lines *lines);

void s3r_ordered_lines_release(s3r_ordered_lines *lines);

#endif
