/*
 * Comparing mask files and walking through what was found.
 */
#include "mask_compare_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line_text.h"

s3r_status s3r_compare_run(json_t **out, const s3r_command *command, const char *model,
                           s3r_error *err)
{
    s3r_session session = {0};
    char *text = NULL;
    s3r_status status = s3r_mask_session_open(
        &session, command, model, command->positionals, command->positional_count, err);
    if (status == S3R_OK)
        status = s3r_mask_compare(session.context, session.model, command->positionals,
                                  command->positional_count, &text, err);
    s3r_session_close(&session);
    if (status != S3R_OK)
        return status;
    *out = json_loads(text, 0, NULL);
    s3r_mask_compare_free(text);
    return *out ? S3R_OK : s3r_cli_fail(err, S3R_ERR_RESOURCE, "masks: no memory");
}

s3r_status s3r_compare_print_json(const json_t *object, s3r_error *err)
{
    char *text = json_dumps(object, JSON_INDENT(2));
    if (!text)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "masks: no memory");
    puts(text);
    free(text);
    return S3R_OK;
}

const char *s3r_compare_number(char text[16], const json_t *overlap, const char *key)
{
    const json_t *value = json_object_get(overlap, key);
    if (!json_is_number(value))
        return "-";
    snprintf(text, 16, "%.4f", json_number_value(value));
    return text;
}

/* Names are the backbone's, but a file of a stranger may say anything. */
static void print_matrix(const json_t *matrix, s3r_compare_print_fn print)
{
    const char *name = json_string_value(json_object_get(matrix, "name"));
    const char *short_name = strncmp(name, "encoder.", 8) == 0 ? name + 8 : name;
    char *line = s3r_line_from_text(short_name);
    print(line ? line : "", matrix);
    free(line);
}

void s3r_compare_each(const json_t *pair, bool has_matrices, s3r_compare_print_fn print)
{
    char name[32];
    size_t index;
    json_t *one;
    print("all", json_object_get(pair, "all"));
    json_array_foreach(json_object_get(pair, "blocks"), index, one)
    {
        snprintf(name, sizeof name, "block %lld",
                 (long long)json_integer_value(json_object_get(one, "block")));
        print(name, one);
    }
    if (!has_matrices)
        return;
    json_array_foreach(json_object_get(pair, "matrices"), index, one)
        print_matrix(one, print);
}
