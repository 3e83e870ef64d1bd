/*
 * Opening a context and a model as the command line says.
 */
#include "session.h"

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
    return strchr(names, ',') || strcmp(names, S3R_MASKS_ALL) == 0 ||
           strcmp(names, S3R_MASKS_AUTO) == 0 ||
           strncmp(names, S3R_MASKS_AUTO_OF, strlen(S3R_MASKS_AUTO_OF)) == 0;
}

static s3r_status open_masks(s3r_session *session, const s3r_command *command,
                             const s3r_session_options *options, s3r_error *err)
{
    const char *names = options->language ? options->language : S3R_MASKS_AUTO;
    bool wants_several =
        options->is_by_file || options->is_by_segment || is_several(names);
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
    if (!wants_several)
        return s3r_router_get_model(session->router, session->context, names,
                                    &session->model, err);
    session->several = names;
    return s3r_mask_choices_init(&session->choices, session->router, session->context,
                                 command->terminal, err);
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
    model_options.weights = (s3r_weights_memory)command->global.weights;
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
    s3r_mask_choices_release(&session->choices);
    s3r_router_close(session->router);
    s3r_model_close(session->opened);
    s3r_context_destroy(session->context);
    *session = (s3r_session){0};
}
