/*
 * s3r data split: so many minutes of a manifest, drawn by seed.
 */
#include <stdio.h>
#include <string.h>

#include <s3r/data.h>

#include "data_run.h"

typedef struct split_options {
    double minutes;
    int name;
    size_t seed;
    const char *out, *rest;
} split_options;

/* In the order of the values of --name. */
static const double named_minutes[] = {0, 10, 60, 600};

static s3r_status choose_minutes(const split_options *options, double *minutes,
                                 s3r_error *err)
{
    *minutes = options->name ? named_minutes[options->name] : options->minutes;
    if (options->name && options->minutes != 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "data split: expected --minutes or --name, found both");
    if (!(*minutes > 0))
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "data split: expected --minutes above 0 or --name, found %g",
                            *minutes);
    return S3R_OK;
}

static s3r_status run_split(const s3r_command *command, s3r_error *err)
{
    const split_options *options = command->options;
    s3r_session session = {0};
    s3r_split_data_options library;
    size_t clips = 0;
    double seconds = 0;
    s3r_split_data_options_init(&library);
    s3r_status status = choose_minutes(options, &library.minutes, err);
    if (status == S3R_OK && !options->out)
        status = s3r_cli_fail(err, S3R_ERR_USAGE,
                              "data split: expected -o FILE (see s3r help data split)");
    library.seed = options->seed;
    library.out = options->out;
    library.rest = options->rest;
    if (status == S3R_OK)
        status = s3r_session_open_context(&session, command, err);
    if (status == S3R_OK)
        status = s3r_data_split(session.context, command->positionals[0], &library,
                                &clips, &seconds, err);
    if (status == S3R_OK)
        s3r_print_note(command->terminal, "%zu clips, %.2f minutes in %s", clips,
                       seconds / 60, options->out);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "minutes",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(split_options, minutes),
     .argument = "N",
     .help = "How much to draw."},
    {.name = "name",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(split_options, name),
     .values = "none|10m|1h|10h",
     .fallback = "none",
     .help = "How much to draw, by the usual names."},
    {.name = "seed",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(split_options, seed),
     .argument = "N",
     .fallback = "1",
     .help = "Another seed draws others."},
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(split_options, out),
     .argument = "FILE",
     .help = "Gets what is drawn."},
    {.name = "rest",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(split_options, rest),
     .argument = "FILE",
     .help = "Gets the others."},
};

static const char *const example[] = {
    "s3r data split data/train.jsonl --name 10m --seed 1 -o data/train-10m.jsonl", NULL};

const s3r_verb s3r_verb_data_split = {
    .name = "data split",
    .summary = "Draw some minutes of a manifest",
    .description =
        "Draws utterances by seed until they last so many minutes, and writes them in "
        "the order of the manifest. What is drawn depends on the seed and on ids and "
        "texts, not on the order of the lines; of two draws with one seed the longer has "
        "all of the shorter. Nothing is printed on standard output.",
    .usage = "MANIFEST --minutes N -o FILE",
    .positionals = {{"MANIFEST", NULL, "JSON lines, see docs/data.md."}},
    .min_positionals = 1,
    .max_positionals = 1,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(split_options),
    .example = example,
    .run = run_split,
};
