/*
 * One backbone, many languages, a thread a request: route_threads BACKBONE MASKS
 * MASK=FILE... MASKS is a folder of mask files; MASK a name in it, names with commas, all
 * or auto. Build: cc route_threads.c -o route_threads $(pkg-config --cflags --libs s3r)
 * -lpthread
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <s3r/router.h>

#define MAX_REQUESTS 64

typedef struct request {
    s3r_router *router;
    s3r_router_request what;
    char lines[65536]; /* its results */
} request;

static s3r_status add_result(void *context, const s3r_result *result)
{
    request *r = context;
    size_t used = strlen(r->lines);
    snprintf(r->lines + used, sizeof r->lines - used, "%s\t%s\t%s\n",
             result->mask ? result->mask : r->what.masks, result->path,
             result->status == S3R_OK ? result->text : result->message);
    return S3R_OK;
}

/* A thread has a context of its own; backbone and masks are everybody's. */
static void *serve(void *argument)
{
    request *r = argument;
    s3r_error err = {S3R_OK, ""};
    s3r_context *context = NULL;
    s3r_context_options options;
    s3r_context_options_init(&options);
    options.thread_count = 1;
    if (s3r_context_create(&context, &options, &err) == S3R_OK)
        s3r_router_transcribe(r->router, context, &r->what, 1, NULL, add_result, r, &err);
    if (r->lines[0] == '\0') /* it did not come to a result */
        snprintf(r->lines, sizeof r->lines, "%s\t%s\t%s\n", r->what.masks, r->what.path,
                 err.message);
    s3r_context_destroy(context);
    return NULL;
}

int main(int argc, char **argv)
{
    static request requests[MAX_REQUESTS];
    pthread_t threads[MAX_REQUESTS];
    s3r_error err = {S3R_ERR_USAGE,
                     "usage: route_threads BACKBONE MASKS MASK=FILE... (64)"};
    s3r_context *context = NULL;
    s3r_model *backbone = NULL;
    s3r_router *router = NULL;
    int count = 0;
    if (argc < 4 || argc > 3 + MAX_REQUESTS ||
        s3r_context_create(&context, NULL, &err) != S3R_OK ||
        s3r_model_open(&backbone, context, argv[1], NULL, &err) != S3R_OK ||
        s3r_router_open(&router, backbone, argv[2], &err) != S3R_OK)
        fprintf(stderr, "route_threads: %s\n", err.message);
    for (int i = 3; router && i < argc; i++) {
        char *file = strchr(argv[i], '=');
        requests[count].router = router;
        requests[count].what.path = file ? file + 1 : "";
        requests[count].what.masks = argv[i];
        if (file)
            *file = '\0';
        count += pthread_create(&threads[count], NULL, serve, &requests[count]) == 0;
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        fputs(requests[i].lines, stdout);
    }
    s3r_router_close(router);
    s3r_model_close(backbone);
    s3r_context_destroy(context);
    return router ? 0 : (int)err.code;
}
