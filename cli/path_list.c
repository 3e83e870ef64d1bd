/*
 * Collecting input paths.
 */
#include "path_list.h"

#include <stdlib.h>
#include <string.h>

#include "text_file.h"

static s3r_status read_list(s3r_path_list *list, const char *path, s3r_error *err)
{
    if (strcmp(path, "-") == 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--files-from: expected a file, found \"-\"");
    return s3r_text_file_read(&list->text, path, "the list", err);
}

/* The next line, its end replaced by a NUL; NULL at the end. */
static char *next_line(char **rest)
{
    char *line = *rest;
    size_t length = strcspn(line, "\n");
    if (*line == '\0')
        return NULL;
    *rest = line + length + (line[length] == '\n');
    line[length] = '\0';
    if (length > 0 && line[length - 1] == '\r')
        line[length - 1] = '\0';
    return line;
}

static s3r_status check(const s3r_path_list *list, const s3r_command *command,
                        s3r_error *err)
{
    const char *verb = command->verb->name;
    size_t streams = 0;
    for (size_t i = 0; i < list->count; i++) {
        bool is_stream = strcmp(list->items[i], "-") == 0;
        if (is_stream && i >= command->positional_count)
            return s3r_cli_fail(err, S3R_ERR_USAGE,
                                "%s: --files-from: standard input (-) cannot be listed",
                                verb);
        streams += is_stream;
        size_t length = strlen(list->items[i]);
        if (length > 4 && strcmp(list->items[i] + length - 4, ".s3m") == 0)
            return s3r_cli_fail(
                err, S3R_ERR_USAGE,
                "%s: expected audio, found the name of a mask file: --mask "
                "%s",
                list->items[i], list->items[i]);
    }
    if (streams > 1)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "%s: standard input (-) is given twice",
                            verb);
    if (list->count == 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "%s: expected %s (see s3r help %s)", verb,
                            command->verb->usage, verb);
    return S3R_OK;
}

s3r_status s3r_path_list_make(s3r_path_list *list, const s3r_command *command,
                              const char *files_from, s3r_error *err)
{
    size_t capacity = command->positional_count + 1;
    char *line = NULL;
    *list = (s3r_path_list){0};
    if (files_from) {
        s3r_status status = read_list(list, files_from, err);
        if (status != S3R_OK)
            return status;
    }
    for (const char *at = list->text; at && *at; at++)
        capacity += *at == '\n';
    list->items = calloc(capacity + 1, sizeof *list->items);
    if (!list->items)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "%s: no memory", command->verb->name);
    for (size_t i = 0; i < command->positional_count; i++)
        list->items[list->count++] = command->positionals[i];
    for (char *rest = list->text; rest && (line = next_line(&rest));)
        if (*line != '\0')
            list->items[list->count++] = line;
    return check(list, command, err);
}

s3r_status s3r_path_list_part_masks(s3r_path_list *list, const s3r_command *command,
                                    s3r_error *err)
{
    for (size_t i = command->positional_count; i < list->count; i++) {
        /* Lines of the list are in its text, which can be changed. */
        char *line = list->text + (list->items[i] - list->text),
             *tab = strrchr(line, '\t');
        if (!tab)
            continue;
        if (tab == line || tab[1] == '\0')
            return s3r_cli_fail(err, S3R_ERR_USAGE,
                                "--files-from: expected a path, a tab and masks, found "
                                "\"%s\"",
                                line);
        if (!list->masks)
            list->masks = calloc(list->count, sizeof *list->masks);
        if (!list->masks)
            return s3r_cli_fail(err, S3R_ERR_RESOURCE, "%s: no memory",
                                command->verb->name);
        *tab = '\0';
        list->masks[i] = tab + 1;
    }
    return check(list, command, err); /* now that paths are paths */
}

void s3r_path_list_release(s3r_path_list *list)
{
    free(list->masks);
    free(list->items);
    free(list->text);
    *list = (s3r_path_list){0};
}
