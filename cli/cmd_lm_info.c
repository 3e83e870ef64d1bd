/*
 * s3r lm info: what a language model is, and whether it is sound.
 */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <s3r/lm.h>

#include "line_text.h"
#include "verb.h"

static void print_info(const char *path, const s3r_lm_info *info)
{
    char *name = s3r_line_from_path(path);
    printf("model        %s\n", name ? name : "");
    free(name);
    printf("format       %s\n", info->format);
    printf("of           %s%s\n",
           info->unit == S3R_LM_CHARACTERS ? "characters" : "words",
           info->has_words ? "" : ", which the file does not name");
    for (size_t i = 0; i < info->order; i++)
        printf("%zu-grams      %zu\n", i + 1, info->ngrams[i]);
}

static s3r_status print_json(const char *path, const s3r_lm_info *info, s3r_error *err)
{
    json_t *counts = json_array();
    for (size_t i = 0; i < info->order; i++)
        json_array_append_new(counts, json_integer((json_int_t)info->ngrams[i]));
    char *line = s3r_json_line(
        json_pack("{s:o, s:s, s:I, s:s, s:b, s:o}", "path", s3r_json_from_bytes(path),
                  "format", info->format, "order", (json_int_t)info->order, "units",
                  info->unit == S3R_LM_CHARACTERS ? "char" : "word", "has_words",
                  (int)info->has_words, "ngrams", counts));
    if (!line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the result");
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

static s3r_status run_lm_info(const s3r_command *command, s3r_error *err)
{
    s3r_lm_info info;
    const char *path = command->positionals[0];
    s3r_status status = s3r_lm_inspect(path, &info, err);
    if (status != S3R_OK)
        return status;
    if (command->global.is_json)
        return print_json(path, &info, err);
    print_info(path, &info);
    return S3R_OK;
}

static const char *const example[] = {"s3r lm info 4-gram.s3l", NULL};

const s3r_verb s3r_verb_lm_info = {
    .name = "lm info",
    .summary = "Describe and check a language model",
    .description = "Reads all of a model, compares its checksums (NAME.s3l) and prints "
                   "what it is. A damaged file is exit code 4.",
    .usage = "FILE",
    .positionals = {{"FILE", NULL, "NAME.s3l, ARPA, or a KenLM probing binary."}},
    .min_positionals = 1,
    .max_positionals = 1,
    .has_json = true,
    .example = example,
    .run = run_lm_info,
};
