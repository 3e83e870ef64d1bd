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

s3r_status s3r_session_open(s3r_session *session, const s3r_command *command,
                            const s3r_session_options *options, s3r_error *err)
{
    s3r_context_options context_options;
    s3r_model_options model_options;
    char path[S3R_MODEL_PATH_BYTES];
    *session = (s3r_session){0};
    s3r_context_options_init(&context_options);
    context_options.thread_count =
        options->threads ? options->threads : command->global.threads;
    context_options.cpu_level = s3r_cpu_choice_names[command->global.cpu];
    s3r_status status = s3r_context_create(&session->context, &context_options, err);
    if (status != S3R_OK)
        return status;

    s3r_model_options_init(&model_options);
    model_options.is_bf16 = options->is_bf16;
    model_options.language = options->language;
    model_options.mask_path = options->mask;
    status = s3r_session_find_model(command, options->model, path, err);
    if (status == S3R_OK)
        status =
            s3r_model_open(&session->model, session->context, path, &model_options, err);
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
    s3r_model_close(session->model);
    s3r_context_destroy(session->context);
    *session = (s3r_session){0};
}
