/*
 * Opening a context and a model as the command line says.
 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

s3r_status s3r_session_find_model(const s3r_command *command, const char *name,
                                  char path[S3R_MODEL_PATH_BYTES], s3r_error *err)
{
    s3r_status status = s3r_model_find(name, path, err);
    if (status == S3R_OK && (!name || strcmp(name, path) != 0))
        s3r_print_note(command->terminal, "model %s", path);
    return status;
}

/* ---- masks of a folder ---- */

static bool is_several(const char *names)
{
    return strchr(names, ',') || strcmp(names, "all") == 0 ||
           strcmp(names, "auto") == 0 || strncmp(names, "auto:", 5) == 0;
}

/* Adds a name to a list with commas; false without memory. */
static bool add_name(char **list, const char *name)
{
    size_t used = strlen(*list);
    char *longer = realloc(*list, used + strlen(name) + 2);
    if (!longer)
        return false;
    *list = longer;
    if (used > 0 && longer[used - 1] != ':')
        longer[used++] = ',';
    strcpy(longer + used, name);
    return true;
}

static char *copy_text(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

/* The masks with a vocabulary that can be opened, as a list behind `prefix`; what cannot
 * be opened is named once, here, and not for every file. */
static s3r_status list_masks(s3r_session *session, const s3r_command *command,
                             const char *folder, const char *prefix, s3r_error *err)
{
    s3r_router_mask mask;
    s3r_error reason;
    const s3r_model *model;
    size_t good = 0;
    bool has_memory = (session->several = copy_text(prefix)) != NULL;
    for (size_t i = 0; has_memory && s3r_router_get_mask(session->router, i, &mask);
         i++) {
        if (mask.task && strcmp(mask.task, "ctc") != 0)
            continue;
        if (s3r_router_get_model(session->router, session->context, mask.name, &model,
                                 &reason) == S3R_OK) {
            has_memory = add_name(&session->several, mask.name);
            good++;
            continue;
        }
        s3r_print_error(command->terminal, "%s", reason.message);
        session->bad_masks++;
    }
    if (!has_memory)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for a list of masks");
    if (good == 0)
        return s3r_cli_fail(err, S3R_ERR_MODEL,
                            "%s: expected masks with a vocabulary, found none", folder);
    return S3R_OK;
}

static s3r_status open_masks(s3r_session *session, const s3r_command *command,
                             const s3r_session_options *options, s3r_error *err)
{
    const char *names = options->language ? options->language : "auto";
    bool wants_several = options->is_by_file || is_several(names);
    if (wants_several && !options->allows_several)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--masks: expected --language with the name of one mask, "
                            "found %s%s%s",
                            options->language ? "\"" : "",
                            options->language ? names : "none",
                            options->language ? "\"" : "");
    s3r_status status =
        s3r_router_open(&session->router, session->opened, options->masks, err);
    if (status != S3R_OK)
        return status;
    if (strcmp(names, "all") == 0)
        return list_masks(session, command, options->masks, "", err);
    if (strcmp(names, "auto") == 0)
        return list_masks(session, command, options->masks, "auto:", err);
    if (!wants_several)
        return s3r_router_get_model(session->router, session->context, names,
                                    &session->model, err);
    session->several = copy_text(names);
    return session->several ? S3R_OK
                            : s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for a name");
}

s3r_status s3r_session_open(s3r_session *session, const s3r_command *command,
                            const s3r_session_options *options, s3r_error *err)
{
    s3r_context_options context_options;
    s3r_model_options model_options;
    char path[S3R_MODEL_PATH_BYTES];
    *session = (s3r_session){0};
    if (options->masks && options->mask)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--masks %s: expected no --mask, found %s", options->masks,
                            options->mask);
    s3r_context_options_init(&context_options);
    context_options.thread_count =
        options->threads ? options->threads : command->global.threads;
    context_options.cpu_level = s3r_cpu_choice_names[command->global.cpu];
    s3r_status status = s3r_context_create(&session->context, &context_options, err);
    if (status != S3R_OK)
        return status;

    s3r_model_options_init(&model_options);
    model_options.is_bf16 = options->is_bf16;
    model_options.language = options->masks ? NULL : options->language;
    model_options.mask_path = options->mask;
    status = s3r_session_find_model(command, options->model, path, err);
    if (status == S3R_OK)
        status =
            s3r_model_open(&session->opened, session->context, path, &model_options, err);
    session->model = session->opened;
    if (status == S3R_OK && options->masks)
        status = open_masks(session, command, options, err);
    if (status != S3R_OK)
        s3r_session_close(session);
    return status;
}

s3r_status s3r_session_open_context(s3r_session *session, const s3r_command *command,
                                    s3r_error *err)
{
    s3r_context_options options;
    *session = (s3r_session){0};
    s3r_context_options_init(&options);
    options.thread_count = command->global.threads;
    options.cpu_level = s3r_cpu_choice_names[command->global.cpu];
    return s3r_context_create(&session->context, &options, err);
}

void s3r_session_close(s3r_session *session)
{
    free(session->several);
    s3r_router_close(session->router);
    s3r_model_close(session->opened);
    s3r_context_destroy(session->context);
    *session = (s3r_session){0};
}
