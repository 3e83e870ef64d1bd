/*
 * Transcribes audio files through the public interface: transcribe MODEL FILE...
 *
 * Build: cc transcribe.c -o transcribe $(pkg-config --cflags --libs s3r)
 */
#include <stdio.h>

#include <s3r/transcribe.h>

static s3r_status print_result(void *context, const s3r_result *result)
{
    (void)context;
    if (result->status == S3R_OK)
        printf("%s\t%s\n", result->path, result->text);
    else
        fprintf(stderr, "%s: %s\n", result->path, result->message);
    return S3R_OK;
}

int main(int argc, char **argv)
{
    s3r_context *context = NULL;
    s3r_model *model = NULL;
    s3r_transcribe_options options;
    s3r_error err = {S3R_OK, ""};
    if (argc < 3) {
        fprintf(stderr, "usage: transcribe MODEL FILE...\n");
        return S3R_ERR_USAGE;
    }
    s3r_transcribe_options_init(&options);
    s3r_status status = s3r_context_create(&context, NULL, &err);
    if (status == S3R_OK)
        status = s3r_model_open(&model, context, argv[1], NULL, &err);
    if (status == S3R_OK)
        status = s3r_transcribe(context, model, (const char *const *)argv + 2,
                                (size_t)argc - 2, &options, print_result, NULL, &err);
    if (status != S3R_OK)
        fprintf(stderr, "transcribe: %s\n", err.message);
    s3r_model_close(model);
    s3r_context_destroy(context);
    return (int)status;
}
