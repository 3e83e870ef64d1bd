/*
 * s3r mask sim: how alike masks are.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line_text.h"
#include "mask_compare_run.h"

typedef struct sim_options {
    const char *model;
    int measure; /* index into measures */
    bool has_matrices;
} sim_options;

static const struct {
    const char *key, *expected;
} measures[] = {{"phi", "phi_expected"},
                {"jaccard", "jaccard_expected"},
                {"cosine", "cosine_expected"}};

/* ---- two masks ---- */

static double removed_part(const json_t *overlap, const char *key)
{
    return 100 * json_number_value(json_object_get(overlap, key)) /
           json_number_value(json_object_get(overlap, "elements"));
}

static void print_part(const char *part, const json_t *overlap)
{
    char numbers[5][16];
    printf("%-*s %6.2f %6.2f  %8s %8s  %8s %8s  %8s\n", S3R_COMPARE_PART_WIDTH, part,
           removed_part(overlap, "removed_a"), removed_part(overlap, "removed_b"),
           s3r_compare_number(numbers[0], overlap, "cosine"),
           s3r_compare_number(numbers[1], overlap, "cosine_expected"),
           s3r_compare_number(numbers[2], overlap, "jaccard"),
           s3r_compare_number(numbers[3], overlap, "jaccard_expected"),
           s3r_compare_number(numbers[4], overlap, "phi"));
}

static void print_pair(const json_t *object, bool has_matrices)
{
    printf("%-*s %13s  %17s  %17s  %8s\n", S3R_COMPARE_PART_WIDTH, "", "removed, %",
           "cosine (of kept)", "Jaccard (removed)", "phi");
    printf("%-*s %6s %6s  %8s %8s  %8s %8s  %8s\n", S3R_COMPARE_PART_WIDTH, "part",
           "first", "second", "found", "expected", "found", "expected", "found");
    s3r_compare_each(json_array_get(json_object_get(object, "pairs"), 0), has_matrices,
                     print_part);
    puts("\nexpected: of independent masks of the same sparsities (phi: 0)");
}

/* ---- many masks ---- */

static const json_t *find_pair(const json_t *object, size_t a, size_t b)
{
    size_t index;
    json_t *pair;
    json_array_foreach(json_object_get(object, "pairs"), index, pair)
    {
        size_t first = (size_t)json_integer_value(json_object_get(pair, "a"));
        size_t second = (size_t)json_integer_value(json_object_get(pair, "b"));
        if ((first == a && second == b) || (first == b && second == a))
            return json_object_get(pair, "all");
    }
    return NULL;
}

static void print_names(const json_t *masks)
{
    size_t index;
    json_t *mask;
    json_array_foreach(masks, index, mask)
    {
        const char *language = json_string_value(json_object_get(mask, "language"));
        char *path = s3r_line_from_path(json_string_value(json_object_get(mask, "path")));
        char *line = s3r_line_from_text(language ? language : "");
        printf("%3zu  %s%s%s\n", index + 1, path ? path : "", line && *line ? ", " : "",
               line ? line : "");
        free(path);
        free(line);
    }
}

static void print_expected(const json_t *object, int measure)
{
    double least = INFINITY, most = -INFINITY;
    size_t index;
    json_t *pair;
    json_array_foreach(json_object_get(object, "pairs"), index, pair)
    {
        const json_t *value =
            json_object_get(json_object_get(pair, "all"), measures[measure].expected);
        if (!json_is_number(value))
            continue;
        least = fmin(least, json_number_value(value));
        most = fmax(most, json_number_value(value));
    }
    if (least > most)
        printf("\nindependent masks of these sparsities: -\n");
    else if (most - least < 5e-5)
        printf("\nindependent masks of these sparsities: %.4f\n", most);
    else
        printf("\nindependent masks of these sparsities: %.4f to %.4f\n", least, most);
}

static void print_table(const json_t *object, int measure)
{
    const json_t *masks = json_object_get(object, "masks");
    size_t count = json_array_size(masks);
    print_names(masks);
    printf("\n%-8s", measures[measure].key);
    for (size_t b = 0; b < count; b++)
        printf(" %7zu", b + 1);
    putchar('\n');
    for (size_t a = 0; a < count; a++) {
        printf("%-8zu", a + 1);
        for (size_t b = 0; b < count; b++) {
            char number[16];
            const json_t *overlap = find_pair(object, a, b);
            printf(" %7s",
                   overlap ? s3r_compare_number(number, overlap, measures[measure].key)
                           : ".");
        }
        putchar('\n');
    }
    print_expected(object, measure);
}

static s3r_status run_mask_sim(const s3r_command *command, s3r_error *err)
{
    const sim_options *options = command->options;
    json_t *object = NULL;
    s3r_status status = s3r_compare_run(&object, command, options->model, err);
    if (status != S3R_OK)
        return status;
    if (command->global.is_json)
        status = s3r_compare_print_json(object, err);
    else if (command->positional_count == 2)
        print_pair(object, options->has_matrices);
    else
        print_table(object, options->measure);
    json_decref(object);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(sim_options, model),
     .argument = "MODEL",
     .help = S3R_MASK_MODEL_HELP},
    {.name = "measure",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(sim_options, measure),
     .values = "phi|jaccard|cosine",
     .fallback = "phi",
     .help = "What the table of more than two files shows."},
    {.name = "matrices",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(sim_options, has_matrices),
     .help = "Of two files: each matrix too, not only each block."},
};

static const char *const example[] = {
    "s3r mask sim nl.s3m de.s3m", "s3r mask sim --measure jaccard nl.s3m de.s3m cs.s3m",
    NULL};

const s3r_verb s3r_verb_mask_sim = {
    .name = "mask sim",
    .summary = "Measure how alike masks are",
    .description =
        "Prints the cosine of the kept connections (the paper's measure), the Jaccard "
        "index of the removed ones and phi, the correlation of the bits, beside what "
        "independent masks of the same sparsities have: of two files in all and for each "
        "block, of more as a table of each with each. Only matrices that both files mask "
        "count. With --json everything for every pair, block and matrix.",
    .usage = "FILE FILE...",
    .positionals = {{"FILE", NULL, "Mask files (.s3m) of one backbone."}},
    .min_positionals = 2,
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(sim_options),
    .has_json = true,
    .example = example,
    .run = run_mask_sim,
};
