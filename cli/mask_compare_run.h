/*
 * What `mask sim` and `mask diff` share: the comparison of mask files as JSON.
 */
#ifndef S3R_CLI_MASK_COMPARE_RUN_H
#define S3R_CLI_MASK_COMPARE_RUN_H

#include <jansson.h>

#include "mask_session.h"

/* Compares the command's files; *out is the caller's. */
s3r_status s3r_compare_run(json_t **out, const s3r_command *command, const char *model,
                           s3r_error *err);

/* Prints the document; S3R_ERR_RESOURCE. */
s3r_status s3r_compare_print_json(const json_t *object, s3r_error *err);

/* A measure as text of 6 places in a buffer of 16 bytes, "-" for null. */
const char *s3r_compare_number(char text[16], const json_t *overlap, const char *key);

/* Calls print for all matrices, each block, and with `details` each matrix. */
typedef void (*s3r_compare_print_fn)(const char *part, const json_t *overlap);
void s3r_compare_each(const json_t *pair, bool has_matrices, s3r_compare_print_fn print);

/* Width of the column of parts. */
#define S3R_COMPARE_PART_WIDTH 42

#endif
