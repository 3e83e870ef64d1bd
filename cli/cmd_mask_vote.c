/*
 * s3r mask vote: keep what most masks keep.
 */
#include <stdint.h>

#include "mask_combine_run.h"

static s3r_status run_mask_vote(const s3r_command *command, s3r_error *err)
{
    return s3r_combine_run_files(command, "vote", err);
}

static const char *const example[] = {
    "s3r mask vote seed1.s3m seed2.s3m seed3.s3m -o nl.s3m", NULL};

const s3r_verb s3r_verb_mask_vote = {
    .name = "mask vote",
    .summary = "Keep what most masks keep",
    .description =
        "Writes a mask that keeps the connections that more than half of the files keep, "
        "or as many as --at-least says: of masks of one language with several seeds, for "
        "example. The result is a mask file that says what it was made from; head, "
        "vocabulary and all else are the first file's, or as --head says.",
    .usage = "FILE...",
    .positionals = {{"FILE", NULL, "Mask files (.s3m) of one backbone."}},
    .min_positionals = 1,
    .max_positionals = SIZE_MAX,
    .options = s3r_combine_option_table,
    .option_count = S3R_COMBINE_OPTION_COUNT + 1,
    .options_size = sizeof(s3r_combine_run),
    .example = example,
    .run = run_mask_vote,
};
