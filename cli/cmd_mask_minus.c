/*
 * s3r mask minus: keep what only the first mask keeps.
 */
#include <stdint.h>

#include "mask_combine_run.h"

static s3r_status run_mask_minus(const s3r_command *command, s3r_error *err)
{
    return s3r_combine_run_files(command, "minus", err);
}

static const char *const example[] = {"s3r mask minus nl.s3m de.s3m -o only-nl.s3m",
                                      NULL};

const s3r_verb s3r_verb_mask_minus = {
    .name = "mask minus",
    .summary = "Keep what only the first mask keeps",
    .description =
        "Writes a mask that keeps the connections that the first file keeps and no other "
        "does. The result is a mask file that says what it was made from; head, "
        "vocabulary and all else are the first file's, or as --head says.",
    .usage = "FILE FILE...",
    .positionals = {{"FILE", NULL, "Mask files (.s3m) of one backbone."}},
    .min_positionals = 2,
    .max_positionals = SIZE_MAX,
    .options = s3r_combine_option_table,
    .option_count = S3R_COMBINE_OPTION_COUNT,
    .options_size = sizeof(s3r_combine_run),
    .example = example,
    .run = run_mask_minus,
};
