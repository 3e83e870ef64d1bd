/*
 * One backbone, many languages: transcribes files with several mask files of one backbone
 * that is open once.
 *
 *   switch_masks BACKBONE MASK=FILE...
 *
 * Build: cc switch_masks.c -o switch_masks $(pkg-config --cflags --libs s3r)
 */
#include <stdio.h>
#include <string.h>

#include <s3r/transcribe.h>

#define MAX_MASKS 64

typedef struct opened_mask {
    const char *path;
    size_t path_length;
    s3r_model *model;
} opened_mask;

static s3r_status print_result(void *context, const s3r_result *result)
{
    (void)context;
    if (result->status == S3R_OK)
        printf("%s\n", result->text);
    else
        fprintf(stderr, "switch_masks: %s\n", result->message);
    return S3R_OK;
}

/* The model for a mask; opened when it is met first.  Later it is a look into a table. */
static s3r_status find_mask(opened_mask *masks, s3r_context *context,
                            const s3r_model *backbone, const char *path, size_t length,
                            const s3r_model **out, s3r_error *err)
{
    char name[4096];
    size_t i = 0;
    while (i < MAX_MASKS && masks[i].model &&
           (masks[i].path_length != length || memcmp(masks[i].path, path, length) != 0))
        i++;
    if (i == MAX_MASKS || length >= sizeof name) {
        snprintf(err->message, sizeof err->message, "too many masks, or too long a name");
        return S3R_ERR_USAGE;
    }
    if (!masks[i].model) {
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        s3r_status status =
            s3r_model_open_mask(&masks[i].model, context, backbone, name, err);
        if (status != S3R_OK)
            return status;
        masks[i].path = path;
        masks[i].path_length = length;
    }
    *out = masks[i].model;
    return S3R_OK;
}

int main(int argc, char **argv)
{
    static opened_mask masks[MAX_MASKS];
    s3r_context *context = NULL;
    s3r_model *backbone = NULL;
    s3r_transcribe_options options;
    s3r_error err = {S3R_OK, ""};
    s3r_transcribe_options_init(&options);
    if (argc < 3) {
        fprintf(stderr, "usage: switch_masks BACKBONE MASK=FILE...\n");
        return S3R_ERR_USAGE;
    }
    s3r_status status = s3r_context_create(&context, NULL, &err);
    if (status == S3R_OK)
        status = s3r_model_open(&backbone, context, argv[1], NULL, &err);
    for (int i = 2; i < argc && status == S3R_OK; i++) {
        const s3r_model *model = NULL;
        const char *file = strchr(argv[i], '=');
        if (!file) {
            snprintf(err.message, sizeof err.message, "%s: expected MASK=FILE", argv[i]);
            status = S3R_ERR_USAGE;
            break;
        }
        status = find_mask(masks, context, backbone, argv[i], (size_t)(file - argv[i]),
                           &model, &err);
        file++;
        if (status == S3R_OK)
            status = s3r_transcribe(context, model, &file, 1, &options, print_result,
                                    NULL, &err);
    }
    if (status != S3R_OK)
        fprintf(stderr, "switch_masks: %s\n", err.message);
    for (size_t i = 0; i < MAX_MASKS; i++)
        s3r_model_close(masks[i].model);
    s3r_model_close(backbone);
    s3r_context_destroy(context);
    return (int)status;
}
