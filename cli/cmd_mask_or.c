/*
 * s3r mask or: keep what any mask keeps.
 */
#include <stdint.h>

#include "mask_combine_run.h"

static s3r_status run_mask_or(const s3r_command *command, s3r_error *err)
{
    return s3r_combine_run_files(command, "or", err);
}

static const char *const example[] = {"s3r mask or nl.s3m de.s3m -o joint.s3m", NULL};

const s3r_verb s3r_verb_mask_or = {
    .name = "mask or",
    .summary = "Keep what any mask keeps",
    .description = "Writes a mask that keeps the connections that one file at least "
                   "keeps, so it removes only what all of them remove. The result is a "
                   "mask file that says what it was made from; head, vocabulary and all "
                   "else are the first file's, or as --head says.",
    .usage = "FILE FILE...",
    .positionals = {{"FILE", NULL, "Mask files (.s3m) of one backbone."}},
    .min_positionals = 2,
    .max_positionals = SIZE_MAX,
    .options = s3r_combine_option_table,
    .option_count = S3R_COMBINE_OPTION_COUNT,
    .options_size = sizeof(s3r_combine_run),
    .example = example,
    .run = run_mask_or,
};
