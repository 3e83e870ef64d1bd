/*
 * s3r mask diff: what two masks remove together and alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line_text.h"
#include "mask_compare_run.h"

typedef struct diff_options {
    const char *model;
} diff_options;

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_part(const char *part, const json_t *overlap)
{
    json_int_t both = number_of(overlap, "removed_both");
    json_int_t a = number_of(overlap, "removed_a") - both;
    json_int_t b = number_of(overlap, "removed_b") - both;
    json_int_t elements = number_of(overlap, "elements");
    printf("%-*s %12lld %12lld %12lld %8.3f %%\n", S3R_COMPARE_PART_WIDTH, part,
           (long long)both, (long long)a, (long long)b,
           100 * (double)(a + b) / (double)elements);
}

static void print_text(const json_t *object)
{
    static const char *const names[] = {"first", "second"};
    const json_t *masks = json_object_get(object, "masks");
    for (size_t i = 0; i < 2; i++) {
        const json_t *mask = json_array_get(masks, i);
        char *path = s3r_line_from_path(json_string_value(json_object_get(mask, "path")));
        printf("%-8s %s, content %.16s...\n", names[i], path ? path : "",
               json_string_value(json_object_get(mask, "content_hash")));
        free(path);
    }
    printf("\n%-*s %12s %12s %12s %10s\n", S3R_COMPARE_PART_WIDTH, "removed by", "both",
           "first alone", "second alone", "differ");
    s3r_compare_each(json_array_get(json_object_get(object, "pairs"), 0), true,
                     print_part);
}

static s3r_status run_mask_diff(const s3r_command *command, s3r_error *err)
{
    const diff_options *options = command->options;
    json_t *object = NULL;
    s3r_status status = s3r_compare_run(&object, command, options->model, err);
    if (status != S3R_OK)
        return status;
    if (command->global.is_json)
        status = s3r_compare_print_json(object, err);
    else
        print_text(object);
    json_decref(object);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(diff_options, model),
     .argument = "MODEL",
     .help = S3R_MASK_MODEL_HELP},
};

static const char *const example[] = {"s3r mask diff nl.s3m de.s3m", NULL};

const s3r_verb s3r_verb_mask_diff = {
    .name = "mask diff",
    .summary = "Show how two masks differ",
    .description =
        "Prints how many connections both masks remove and each removes alone: of all "
        "matrices that both mask, of each block and each matrix. With --json what s3r "
        "mask sim prints.",
    .usage = "FILE FILE",
    .positionals = {{"FILE", NULL, "Two mask files (.s3m) of one backbone."}},
    .min_positionals = 2,
    .max_positionals = 2,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(diff_options),
    .has_json = true,
    .example = example,
    .run = run_mask_diff,
};
