/*
 * s3r mask random: a mask that nobody learned, to compare learned ones with.
 */
#include <stdint.h>

#include "mask_combine_run.h"

typedef struct random_options {
    const char *model, *out, *head, *like;
    double sparsity;
    int modules; /* enum of the option's values */
    size_t seed;
} random_options;

static s3r_status run_mask_random(const s3r_command *command, s3r_error *err)
{
    static const char *const modules[] = {"ffn", "attention", "both"};
    const random_options *options = command->options;
    s3r_session session = {0};
    s3r_mask_counts counts;
    s3r_mask_random_options how;
    if (!options->out)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "mask random: expected -o FILE");
    s3r_mask_random_options_init(&how);
    how.like = options->like;
    how.sparsity = options->sparsity;
    how.modules = modules[options->modules];
    how.seed = options->seed;
    how.head = options->head;
    s3r_status status =
        options->like
            ? s3r_mask_session_open(&session, command, options->model, &options->like, 1,
                                    err)
            : s3r_session_open(&session, command,
                               &(s3r_session_options){.model = options->model}, err);
    if (status == S3R_OK)
        status = s3r_mask_draw_random(session.context, session.model, &how, options->out,
                                      &counts, err);
    s3r_session_close(&session);
    if (status == S3R_OK)
        s3r_combine_print(options->out, &counts);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(random_options, model),
     .argument = "MODEL",
     .help = "The backbone: a folder, a file or the name of a shipped model. Without it "
             "the shipped one; with --like only compact files need it."},
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(random_options, out),
     .argument = "FILE",
     .help = "The mask file to write."},
    {.name = "like",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(random_options, like),
     .argument = "FILE",
     .help = "Remove as much of each matrix as this mask file does, and take its head."},
    {.name = "sparsity",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(random_options, sparsity),
     .argument = "PART",
     .fallback = "0.1",
     .help = "Part of each matrix that is removed, without --like."},
    {.name = "modules",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(random_options, modules),
     .values = "ffn|attention|both",
     .fallback = "ffn",
     .help = "What is masked, without --like."},
    {.name = "seed",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(random_options, seed),
     .argument = "N",
     .fallback = "1",
     .help = "Of the draw."},
    {.name = "head",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(random_options, head),
     .argument = "FILE",
     .help = "The mask file that gives head, vocabulary and all else that is no mask; "
             "none: the result has no head. Without it the file of --like, or none."},
};

static const char *const example[] = {"s3r mask random --like nl.s3m -o random.s3m",
                                      "s3r mask random --sparsity 0.2 --seed 7 -o r.s3m",
                                      NULL};

const s3r_verb s3r_verb_mask_random = {
    .name = "mask random",
    .summary = "Draw a random mask",
    .description = "Writes a mask that removes connections at random, exactly as many of "
                   "each matrix as another file or as --sparsity says: the control of "
                   "experiments with learned masks. A mask without head is for features "
                   "and for other mask verbs; text needs a head.",
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(random_options),
    .example = example,
    .run = run_mask_random,
};
