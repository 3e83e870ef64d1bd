/*
 * s3r mask verify: whether a mask file is sound, and whether it fits a model.
 */
#include <stdio.h>
#include <stdlib.h>

#include <s3r/mask_info.h>

#include "line_text.h"
#include "session.h"

typedef struct verify_options {
    const char *model;
} verify_options;

static s3r_status run_mask_verify(const s3r_command *command, s3r_error *err)
{
    const verify_options *options = command->options;
    const char *path = command->positionals[0];
    s3r_session session = {0};
    s3r_status status = S3R_OK;
    if (options->model)
        status = s3r_session_open(&session, command,
                                  &(s3r_session_options){.model = options->model}, err);
    if (status == S3R_OK)
        status = s3r_mask_verify(path, session.model, err);
    s3r_session_close(&session);
    if (status != S3R_OK)
        return status;
    char *line = s3r_line_from_path(path);
    printf("%s: sound%s\n", line ? line : "", options->model ? ", fits the model" : "");
    free(line);
    return S3R_OK;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(verify_options, model),
     .argument = "MODEL",
     .help = "Also check that the file was made for this model; reads all of it."},
};

static const char *const example[] = {"s3r mask verify nl.s3m",
                                      "s3r mask verify -m wav2vec2-base nl.s3m", NULL};

const s3r_verb s3r_verb_mask_verify = {
    .name = "mask verify",
    .summary = "Check a mask file",
    .description =
        "Checks that nothing of a mask file is missing or changed (format, checksum, "
        "sizes, head and vocabulary), and with -m that it belongs to that model: the "
        "hash of the backbone, and every matrix by name and shape. Prints one line when "
        "all is well; otherwise the exit code is 3.",
    .usage = "FILE",
    .positionals = {{"FILE", NULL, "A mask file (.s3m)."}},
    .min_positionals = 1,
    .max_positionals = 1,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(verify_options),
    .example = example,
    .run = run_mask_verify,
};
