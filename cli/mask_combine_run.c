/*
 * Mask files in, one mask file out.
 */
#include "mask_combine_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "line_text.h"

/* The last one is of votes only. */
const s3r_option s3r_combine_option_table[S3R_COMBINE_OPTION_COUNT + 1] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(s3r_combine_run, model),
     .argument = "MODEL",
     .help = S3R_MASK_MODEL_HELP},
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(s3r_combine_run, out),
     .argument = "FILE",
     .help = "The mask file to write."},
    {.name = "head",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(s3r_combine_run, head),
     .argument = "FILE",
     .help = S3R_COMBINE_HEAD_HELP},
    {.name = "at-least",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(s3r_combine_run, at_least),
     .argument = "N",
     .help = "Votes that keep a connection; 0 is more than half."},
};

void s3r_combine_print(const char *path, const s3r_mask_counts *counts)
{
    char *line = s3r_line_from_path(path);
    printf("%s: %zu matrices, %zu of %zu connections removed (%.1f %%)\n",
           line ? line : "", counts->matrices, counts->removed, counts->elements,
           100 * (double)counts->removed / (double)counts->elements);
    free(line);
}

s3r_status s3r_combine_run_files(const s3r_command *command, const char *operation,
                                 s3r_error *err)
{
    const s3r_combine_run *run = command->options;
    s3r_session session = {0};
    s3r_mask_counts counts;
    s3r_mask_combine_options options;
    if (!run->out)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "%s: expected -o FILE",
                            command->verb->name);
    s3r_mask_combine_options_init(&options);
    options.operation = operation;
    options.at_least = run->at_least;
    options.head = run->head;
    s3r_status status =
        s3r_mask_session_open(&session, command, run->model, command->positionals,
                              command->positional_count, err);
    if (status == S3R_OK)
        status =
            s3r_mask_combine(session.context, session.model, command->positionals,
                             command->positional_count, &options, run->out, &counts, err);
    s3r_session_close(&session);
    if (status == S3R_OK)
        s3r_combine_print(run->out, &counts);
    return status;
}
