/*
 * s3r mask list: the masks of a folder and whether each can be used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <s3r/mask_info.h>
#include <s3r/router.h>

#include "line_text.h"
#include "session.h"

typedef struct list_options {
    const char *model;
} list_options;

/* Why a mask cannot be used; the message is empty when it can. */
static s3r_error check_mask(const s3r_router_mask *mask, const s3r_model *model)
{
    s3r_error reason = {mask->status, ""};
    snprintf(reason.message, sizeof reason.message, "%s", mask->message);
    if (mask->status == S3R_OK && s3r_mask_verify(mask->path, model, &reason) == S3R_OK)
        reason = (s3r_error){S3R_OK, ""};
    return reason;
}

static s3r_status print_line(const s3r_router_mask *mask, const s3r_error *reason,
                             s3r_error *err)
{
    char *name = s3r_line_from_path(mask->name);
    char *language = s3r_line_from_text(mask->language ? mask->language : "-");
    char *method = s3r_line_from_text(mask->method ? mask->method : "-");
    char *task = s3r_line_from_text(mask->task ? mask->task : "-");
    bool has_all = name && language && method && task;
    if (has_all)
        printf("%-20s  %-8s  %-5s  %-12s  %s\n", name, language, task, method,
               reason->code == S3R_OK ? "ok" : "cannot be used");
    free(name);
    free(language);
    free(method);
    free(task);
    return has_all ? S3R_OK : s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
}

static s3r_status print_json(const s3r_router_mask *mask, const s3r_error *reason,
                             s3r_error *err)
{
    json_t *error =
        reason->code == S3R_OK ? json_null() : s3r_json_from_bytes(reason->message);
    char *line = s3r_json_line(json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o}", "name", s3r_json_from_bytes(mask->name), "path",
        s3r_json_from_bytes(mask->path), "language", s3r_json_from_bytes(mask->language),
        "task", s3r_json_from_bytes(mask->task), "method",
        s3r_json_from_bytes(mask->method), "error", error));
    if (!line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

static s3r_status list_masks(const s3r_command *command, const s3r_router *router,
                             const s3r_model *model, s3r_error *err)
{
    s3r_router_mask mask;
    size_t bad = 0, count = 0;
    for (; s3r_router_get_mask(router, count, &mask); count++) {
        const s3r_error reason = check_mask(&mask, model);
        s3r_status status = command->global.is_json ? print_json(&mask, &reason, err)
                                                    : print_line(&mask, &reason, err);
        if (status != S3R_OK)
            return status;
        if (reason.code == S3R_OK)
            continue;
        s3r_print_error(command->terminal, "%s", reason.message);
        bad++;
    }
    if (bad > 0)
        return s3r_cli_fail(err, S3R_ERR_PARTIAL, "%zu of %zu masks cannot be used", bad,
                            count);
    return S3R_OK;
}

static s3r_status run_mask_list(const s3r_command *command, s3r_error *err)
{
    const list_options *options = command->options;
    s3r_session session = {0};
    s3r_router *router = NULL;
    s3r_status status = S3R_OK;
    if (options->model)
        status = s3r_session_open(&session, command,
                                  &(s3r_session_options){.model = options->model}, err);
    if (status == S3R_OK)
        status = s3r_router_open(&router, session.model, command->positionals[0], err);
    if (status == S3R_OK)
        status = list_masks(command, router, session.model, err);
    s3r_router_close(router);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(list_options, model),
     .argument = "MODEL",
     .help = "Also check that each was made for this model; reads all of it."},
};

static const char *const example[] = {"s3r mask list masks",
                                      "s3r mask list -m default masks --json", NULL};

const s3r_verb s3r_verb_mask_list = {
    .name = "mask list",
    .summary = "List the masks of a folder",
    .description =
        "Prints a line for each mask file of a folder: the name that --language takes, "
        "language, task, method, and whether it can be used, as s3r mask verify finds. "
        "Those that cannot are named with the reason on standard error, and the exit "
        "code is 6.",
    .usage = "DIR",
    .positionals = {{"DIR", NULL, "A folder with mask files (*.s3m)."}},
    .min_positionals = 1,
    .max_positionals = 1,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(list_options),
    .has_json = true,
    .example = example,
    .run = run_mask_list,
};
