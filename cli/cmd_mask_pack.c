/*
 * s3r mask pack: the compact form of a mask file.
 */
#include <s3r/mask_pack.h>

#include "mask_repack_run.h"

static s3r_status run_mask_pack(const s3r_command *command, s3r_error *err)
{
    return s3r_repack_run(command, s3r_mask_pack, err);
}

static const char *const example[] = {"s3r mask pack nl.s3m -o nl-small.s3m", NULL};

const s3r_verb s3r_verb_mask_pack = {
    .name = "mask pack",
    .summary = "Make a mask file compact",
    .description =
        "Writes the masks of a file entropy-coded: the magnitude of the backbone's "
        "weights says how likely a connection is removed. Nothing is lost; s3r mask "
        "unpack gives back the same bytes. A compact file is a mask file for every verb; "
        "those that read its masks need the backbone.",
    .usage = "FILE",
    .positionals = {{"FILE", NULL, "A mask file (.s3m)."}},
    .min_positionals = 1,
    .max_positionals = 1,
    .options = s3r_repack_option_table,
    .option_count = S3R_REPACK_OPTION_COUNT,
    .options_size = sizeof(s3r_repack_options),
    .example = example,
    .run = run_mask_pack,
};
