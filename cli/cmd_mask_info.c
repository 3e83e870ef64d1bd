/*
 * s3r mask info: what a mask file says of itself.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <s3r/mask_info.h>

#include "line_text.h"
#include "verb.h"

/* Text of strangers, made safe for a terminal. */
static void print_line(const char *title, const json_t *value)
{
    const char *text = json_string_value(value);
    char *line = s3r_line_from_text(text ? text : "");
    if (line && *line)
        printf("%-12s %s\n", title, line);
    free(line);
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "each" beside the sparsity of all: from the densest matrix to the sparsest. */
static void print_sparsity_range(const json_t *matrices)
{
    double least = 1, most = 0;
    size_t index;
    json_t *matrix;
    json_array_foreach(matrices, index, matrix)
    {
        double sparsity = json_number_value(json_object_get(matrix, "sparsity"));
        least = fmin(least, sparsity);
        most = fmax(most, sparsity);
    }
    printf("sparsity     %.2f to %.2f %% a matrix\n", 100 * least, 100 * most);
}

static void print_parts(const json_t *info)
{
    const json_t *facts = json_object_get(info, "facts");
    size_t matrices = json_array_size(json_object_get(facts, "matrices"));
    json_int_t masked = number_of(info, "masked_elements");
    json_int_t removed = masked - number_of(info, "kept_elements");
    size_t index = 0, values = 0;
    json_t *tensor = NULL;
    json_array_foreach(json_object_get(info, "tensors"), index, tensor)
    {
        const char *name = json_string_value(json_object_get(tensor, "name"));
        values += strncmp(name, "values/", 7) == 0;
    }
    if (matrices > 0)
        printf("masked       %zu matrices, %lld of %lld connections removed (%.1f %%)\n",
               matrices, (long long)removed, (long long)masked,
               100 * (double)removed / (double)masked);
    if (matrices > 0)
        print_sparsity_range(json_object_get(facts, "matrices"));
    if (values > 0)
        printf("replaced     %zu parameters\n", values);
    if (json_is_object(json_object_get(facts, "lora")))
        printf("updates      of rank %lld\n",
               (long long)number_of(json_object_get(facts, "lora"), "rank"));
    if (json_is_object(json_object_get(facts, "adapter")))
        printf("adapters     of width %lld\n",
               (long long)number_of(json_object_get(facts, "adapter"), "width"));
    if (json_is_array(json_object_get(facts, "languages")))
        printf("head         languages, %lld\n",
               (long long)number_of(info, "label_count"));
    else if (number_of(info, "label_count") > 0)
        printf("head         CTC, %lld labels\n",
               (long long)number_of(info, "label_count"));
    else
        printf("head         none\n");
}

static void print_vocabulary(const json_t *vocabulary)
{
    size_t labels = json_array_size(json_object_get(vocabulary, "labels"));
    bool are_phonemes = json_is_true(json_object_get(vocabulary, "phonemes"));
    if (labels > 0)
        printf("vocabulary   %zu labels, %s\n", labels,
               are_phonemes ? "phonemes" : "characters");
}

/* On one line, however many. */
static void print_languages(const json_t *languages)
{
    size_t index = 0;
    json_t *name = NULL;
    json_array_foreach(languages, index, name)
    {
        char *line = s3r_line_from_text(json_string_value(name));
        printf(index == 0 ? "languages    %s" : ", %s", line ? line : "");
        free(line);
    }
    if (index > 0)
        putchar('\n');
}

static void print_whole_number(const char *title, const json_t *number)
{
    if (json_is_integer(number))
        printf("%-12s %lld\n", title, (long long)json_integer_value(number));
}

static void print_numbers(const char *title, json_t *numbers)
{
    const char *name = NULL;
    json_t *value = NULL;
    bool is_first = true;
    json_object_foreach(numbers, name, value)
    {
        char *line = s3r_line_from_text(name);
        if (json_is_number(value) && line) {
            printf("%-12s %s %g\n", is_first ? title : "", line,
                   json_number_value(value));
            is_first = false;
        }
        free(line);
    }
}

/* Of a computed mask: the operation, and the files that went in. */
static void print_origin(const json_t *made_from)
{
    size_t index;
    json_t *file = NULL;
    print_line("made by", json_object_get(made_from, "operation"));
    json_array_foreach(json_object_get(made_from, "masks"), index, file)
        print_line(index == 0 ? "of" : "", json_object_get(file, "file"));
    print_line("head of", json_object_get(json_object_get(made_from, "head"), "file"));
}

static void print_text(const json_t *info)
{
    json_t *facts = json_object_get(info, "facts");
    const json_t *backbone = json_object_get(facts, "backbone");
    char *path = s3r_line_from_path(json_string_value(json_object_get(info, "path")));
    printf("mask file    %s\n", path ? path : "");
    free(path);
    printf("size         %lld bytes%s\n", (long long)number_of(info, "file_bytes"),
           json_is_true(json_object_get(info, "is_compact")) ? ", compact" : "");
    print_line("content", json_object_get(info, "content_hash"));
    print_line("method", json_object_get(facts, "method"));
    print_line("task", json_object_get(facts, "task"));
    print_line("language", json_object_get(facts, "language"));
    print_line("licence", json_object_get(facts, "license"));
    print_line("made with", json_object_get(facts, "created_by"));
    print_origin(json_object_get(facts, "made_from"));
    putchar('\n');
    print_line("backbone", json_object_get(backbone, "name"));
    print_line("family", json_object_get(backbone, "family"));
    print_line("hash", json_object_get(backbone, "hash"));
    printf("input        %lld Hz, %s\n", (long long)number_of(facts, "sample_rate"),
           json_is_true(json_object_get(facts, "normalize")) ? "normalised"
                                                             : "not normalised");
    putchar('\n');
    print_parts(info);
    print_vocabulary(json_object_get(facts, "vocabulary"));
    print_languages(json_object_get(facts, "languages"));
    print_whole_number("seed", json_object_get(facts, "seed"));
    print_whole_number("step", json_object_get(facts, "step"));
    print_numbers("data", json_object_get(facts, "data"));
    print_line("data hash", json_object_get(json_object_get(facts, "data"), "hash"));
    print_numbers("metrics", json_object_get(facts, "metrics"));
}

static s3r_status run_mask_info(const s3r_command *command, s3r_error *err)
{
    char *text = NULL;
    s3r_status status = s3r_mask_info(&text, command->positionals[0], err);
    if (status != S3R_OK)
        return status;
    json_t *info = json_loads(text, 0, NULL);
    if (!info)
        status = s3r_cli_fail(err, S3R_ERR_RESOURCE, "mask info: no memory");
    else if (command->global.is_json)
        printf("%s\n", text);
    else
        print_text(info);
    json_decref(info);
    s3r_mask_info_free(text);
    return status;
}

static const char *const example[] = {"s3r mask info nl.s3m",
                                      "s3r mask info --json nl.s3m", NULL};

const s3r_verb s3r_verb_mask_info = {
    .name = "mask info",
    .summary = "Describe a mask file",
    .description = "Checks a mask file and prints what it is: method, language, the "
                   "backbone that it belongs to, what it masks or replaces, its head, "
                   "data and metrics. With --json everything in it but the numbers of "
                   "the tensors.",
    .usage = "FILE",
    .positionals = {{"FILE", NULL, "A mask file (.s3m)."}},
    .min_positionals = 1,
    .max_positionals = 1,
    .has_json = true,
    .example = example,
    .run = run_mask_info,
};
