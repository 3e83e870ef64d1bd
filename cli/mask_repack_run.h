/*
 * What `mask pack` and `mask unpack` share: a mask file, its backbone, and the file that
 * is made of it.
 */
#ifndef S3R_CLI_MASK_REPACK_RUN_H
#define S3R_CLI_MASK_REPACK_RUN_H

#include "session.h"

typedef struct s3r_repack_options {
    const char *model;
    const char *out;
} s3r_repack_options;

typedef s3r_status (*s3r_repack_fn)(s3r_context *context, const s3r_model *backbone,
                                    const char *path, const char *out_path,
                                    s3r_error *err);

/* Runs it and prints the sizes of both files. */
s3r_status s3r_repack_run(const s3r_command *command, s3r_repack_fn repack,
                          s3r_error *err);

extern const s3r_option s3r_repack_option_table[];
#define S3R_REPACK_OPTION_COUNT 2

#endif
