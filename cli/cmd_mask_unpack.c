/*
 * s3r mask unpack: the file that was packed.
 */
#include <s3r/mask_pack.h>

#include "mask_repack_run.h"

static s3r_status run_mask_unpack(const s3r_command *command, s3r_error *err)
{
    return s3r_repack_run(command, s3r_mask_unpack, err);
}

static const char *const example[] = {"s3r mask unpack nl-small.s3m -o nl.s3m", NULL};

const s3r_verb s3r_verb_mask_unpack = {
    .name = "mask unpack",
    .summary = "Undo s3r mask pack",
    .description =
        "Writes the plain form of a compact mask file, byte for byte as it was "
        "before s3r mask pack, which other programs can read without the "
        "backbone.",
    .usage = "FILE",
    .positionals = {{"FILE", NULL, "A compact mask file (.s3m)."}},
    .min_positionals = 1,
    .max_positionals = 1,
    .options = s3r_repack_option_table,
    .option_count = S3R_REPACK_OPTION_COUNT,
    .options_size = sizeof(s3r_repack_options),
    .example = example,
    .run = run_mask_unpack,
};
