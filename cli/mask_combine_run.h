/*
 * What the verbs that make a mask of masks share.
 */
#ifndef S3R_CLI_MASK_COMBINE_RUN_H
#define S3R_CLI_MASK_COMBINE_RUN_H

#include "mask_session.h"

typedef struct s3r_combine_run {
    const char *model, *out, *head;
    size_t at_least; /* votes only */
} s3r_combine_run;

/* Combines the command's files by the operation of that name and says what came out. */
s3r_status s3r_combine_run_files(const s3r_command *command, const char *operation,
                                 s3r_error *err);

/* One line: FILE: so many matrices, removed of elements. */
void s3r_combine_print(const char *path, const s3r_mask_counts *counts);

#define S3R_COMBINE_HEAD_HELP                                                            \
    "The mask file that gives head, vocabulary and all else that is no mask; none: the " \
    "result has no head. Without it the first file."

/* The options that all of them have: model, out, head. */
#define S3R_COMBINE_OPTION_COUNT 3
extern const s3r_option s3r_combine_option_table[];

#endif
