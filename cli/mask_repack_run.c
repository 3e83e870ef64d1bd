/*
 * One mask file to another form.
 */
#include "mask_repack_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "line_text.h"

const s3r_option s3r_repack_option_table[S3R_REPACK_OPTION_COUNT] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(s3r_repack_options, model),
     .argument = "MODEL",
     .help = "The backbone that the mask was made for: a folder, a file or the name of a "
             "shipped model. Without it the shipped one."},
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(s3r_repack_options, out),
     .argument = "FILE",
     .help = "The mask file to write; the input itself is allowed."},
};

static long long bytes_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (long long)info.st_size : 0;
}

s3r_status s3r_repack_run(const s3r_command *command, s3r_repack_fn repack,
                          s3r_error *err)
{
    const s3r_repack_options *options = command->options;
    const char *path = command->positionals[0];
    s3r_session session = {0};
    if (!options->out)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "%s: expected -o FILE",
                            command->verb->name);
    long long before = bytes_of(path);
    s3r_status status = s3r_session_open(
        &session, command, &(s3r_session_options){.model = options->model}, err);
    if (status == S3R_OK)
        status = repack(session.context, session.model, path, options->out, err);
    s3r_session_close(&session);
    if (status != S3R_OK)
        return status;
    char *line = s3r_line_from_path(options->out);
    printf("%s: %lld bytes of %lld\n", line ? line : "", bytes_of(options->out), before);
    free(line);
    return S3R_OK;
}
