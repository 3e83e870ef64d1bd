/*
 * s3r kmeans: targets for pretraining.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <s3r/kmeans.h>

#include "interrupt.h"
#include "session.h"

typedef struct kmeans_options {
    s3r_string_list data;
    const char *model, *layer, *centroids, *out;
    bool is_mfcc, standardizes, normalizes;
    int dtype; /* index into "f32|bf16" */
    size_t clusters, seed, iterations, restarts, memory;
    double minutes, batch_s;
} kmeans_options;

/* What the watcher draws and collects. */
typedef struct kmeans_watcher {
    s3r_terminal *terminal;
    s3r_progress progress;
    s3r_kmeans_event_kind bar; /* what the bar that stands shows */
    bool has_bar;
    char label[96];
    json_t *files; /* with --json: what was written */
    bool is_json, lacks_memory;
} kmeans_watcher;

static void end_bar(kmeans_watcher *w)
{
    if (w->has_bar)
        s3r_progress_end(&w->progress);
    w->has_bar = false;
}

static void draw(kmeans_watcher *w, const s3r_kmeans_event *event, const char *label)
{
    if (event->total == 0)
        return;
    if (!w->has_bar || w->bar != event->kind) {
        end_bar(w);
        s3r_progress_start(&w->progress, w->terminal, label, (double)event->total);
        w->bar = event->kind;
        w->has_bar = true;
    }
    s3r_progress_update(&w->progress, (double)event->done);
}

/* A path on standard output, or an item of the JSON object. */
static void report(kmeans_watcher *w, const s3r_kmeans_event *event, json_t *item)
{
    end_bar(w);
    if (!w->is_json) {
        json_decref(item);
        puts(event->path);
        fflush(stdout);
        return;
    }
    /* Bytes that are not UTF-8 have no place in JSON: null. */
    json_t *path = json_string(event->path);
    bool is_whole =
        item && json_object_set_new(item, "path", path ? path : json_null()) == 0;
    if (!is_whole || json_array_append(w->files, item) != 0)
        w->lacks_memory = true;
    json_decref(item);
}

static void show_learned(kmeans_watcher *w, const s3r_kmeans_event *event)
{
    report(w, event,
           json_pack("{ss, sI, sI, sI, sf}", "kind", "centroids", "clusters",
                     (json_int_t)event->clusters, "frames", (json_int_t)event->total,
                     "iterations", (json_int_t)event->iteration, "inertia",
                     event->inertia));
    s3r_print_note(w->terminal,
                   "%zu clusters of %zu frames: mean squared distance %.6g after %zu "
                   "iterations",
                   event->clusters, event->total, event->inertia, event->iteration);
}

static void show_labelled(kmeans_watcher *w, const s3r_kmeans_event *event)
{
    report(w, event,
           json_pack("{ss, sI, sI, sf}", "kind", "labels", "clusters",
                     (json_int_t)event->clusters, "frames", (json_int_t)event->total,
                     "usage", event->usage));
    s3r_print_note(w->terminal, "%zu frames labelled, %.1f of %zu clusters in use",
                   event->total, event->usage, event->clusters);
}

static bool watch(void *context, const s3r_kmeans_event *event)
{
    kmeans_watcher *w = context;
    switch (event->kind) {
    case S3R_KMEANS_READING:
        draw(w, event, "reading a sample");
        break;
    case S3R_KMEANS_LEARNING:
        snprintf(w->label, sizeof w->label, "clustering, start %zu, distance %.5g",
                 event->start + 1, event->inertia);
        draw(w, event, w->label);
        break;
    case S3R_KMEANS_LABELLING:
        draw(w, event, "labelling");
        break;
    case S3R_KMEANS_LEARNED:
        show_learned(w, event);
        break;
    case S3R_KMEANS_LABELLED:
        show_labelled(w, event);
        break;
    case S3R_KMEANS_WARNING:
        s3r_print_warning(w->terminal, "%s", event->text);
        break;
    }
    return !s3r_interrupted();
}

static s3r_status read_layer(int *layer, const char *text, s3r_error *err)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0 || value > 1000000)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--layer: expected a number from 0 on, found \"%s\"", text);
    *layer = (int)value;
    return S3R_OK;
}

static s3r_status check(const kmeans_options *options, s3r_error *err)
{
    if (options->data.count == 0 || !options->out)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "kmeans: expected %s (see s3r help kmeans)",
                            options->out ? "--data MANIFEST" : "-o DIR");
    bool has_layer = options->layer || options->centroids;
    if (options->is_mfcc ? options->model != NULL : !options->model && !has_layer)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "kmeans: expected --mfcc or -m MODEL --layer N, found %s",
                            options->is_mfcc ? "both" : "neither");
    if (options->is_mfcc && options->layer)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "kmeans: --layer belongs to a model, not to --mfcc");
    if (!options->is_mfcc && !has_layer)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "kmeans: expected --layer N beside -m MODEL");
    return S3R_OK;
}

static s3r_status fill(s3r_kmeans_options *library, const kmeans_options *options,
                       s3r_error *err)
{
    s3r_kmeans_options_init(library);
    library->data = options->data.items;
    library->data_count = options->data.count;
    library->centroids = options->centroids;
    library->folder = options->out;
    library->clusters = options->clusters;
    library->seed = options->seed;
    library->sample_minutes = options->minutes;
    library->iterations = options->iterations;
    library->restarts = options->restarts;
    library->standardizes = options->standardizes;
    library->normalizes = options->normalizes;
    library->memory_bytes = options->memory;
    library->batch_s = options->batch_s;
    return options->layer ? read_layer(&library->layer, options->layer, err) : S3R_OK;
}

static s3r_status print_json(const kmeans_watcher *w, s3r_error *err)
{
    char *text = w->lacks_memory ? NULL : json_dumps(w->files, JSON_INDENT(2));
    if (!text)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory");
    puts(text);
    free(text);
    return S3R_OK;
}

static s3r_status run_with(const s3r_command *command, s3r_session *session,
                           s3r_kmeans_options *library, s3r_error *err)
{
    kmeans_watcher w = {.terminal = command->terminal,
                        .is_json = command->global.is_json,
                        .files = json_array()};
    library->model = session->model;
    library->watch = watch;
    library->watch_context = &w;
    s3r_interrupt_defer();
    s3r_status status = s3r_kmeans_run(session->context, library, err);
    end_bar(&w);
    if (w.is_json && (status == S3R_OK || status == S3R_ERR_PARTIAL)) {
        s3r_status printed = print_json(&w, err);
        status = status == S3R_OK ? printed : status;
    }
    json_decref(w.files);
    return status;
}

static s3r_status run_kmeans(const s3r_command *command, s3r_error *err)
{
    const kmeans_options *options = command->options;
    const s3r_session_options session_options = {.model = options->model,
                                                 .is_bf16 = options->dtype == 1};
    s3r_session session = {0};
    s3r_kmeans_options library;
    s3r_status status = check(options, err);
    if (status == S3R_OK)
        status = fill(&library, options, err);
    if (status == S3R_OK)
        status = options->is_mfcc
                     ? s3r_session_open_context(&session, command, err)
                     : s3r_session_open(&session, command, &session_options, err);
    if (status == S3R_OK)
        status = run_with(command, &session, &library, err);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "data",
     .type = S3R_OPTION_LIST,
     .offset = offsetof(kmeans_options, data),
     .argument = "MANIFEST",
     .help = "JSON lines, with or without texts."},
    {.name = "mfcc",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(kmeans_options, is_mfcc),
     .help = "Cluster cepstra: the targets of a first pretraining."},
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(kmeans_options, model),
     .argument = "MODEL",
     .help = "Cluster a hidden state of this model (the shipped one when not given): the "
             "targets of a next one."},
    {.name = "layer",
     .letter = 'l',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(kmeans_options, layer),
     .argument = "N",
     .help = "Which hidden state, as s3r features numbers them."},
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(kmeans_options, out),
     .argument = "DIR",
     .help = "Gets centroids.s3k and NAME.labels; made when it is not there."},
    {.name = "clusters",
     .letter = 'k',
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(kmeans_options, clusters),
     .argument = "K",
     .fallback = "100",
     .help = "How many; at most 65536."},
    {.name = "centroids",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(kmeans_options, centroids),
     .argument = "FILE.s3k",
     .help = "Learn nothing: label with these centroids."},
    {.name = "sample-minutes",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(kmeans_options, minutes),
     .argument = "M",
     .fallback = "60",
     .help = "Audio to learn from; 0 is all. When there is less, all is taken."},
    {.name = "seed",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(kmeans_options, seed),
     .argument = "N",
     .fallback = "1",
     .help = "Draws the sample and where clusters start."},
    {.name = "iterations",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(kmeans_options, iterations),
     .argument = "N",
     .fallback = "100",
     .help = "At most so many; it ends earlier when nothing moves."},
    {.name = "restarts",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(kmeans_options, restarts),
     .argument = "N",
     .fallback = "1",
     .help = "Starts, of which the best is taken."},
    {.name = "standardize",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(kmeans_options, standardizes),
     .help = "Each dimension to mean 0 and variance 1 first."},
    {.name = "normalize",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(kmeans_options, normalizes),
     .help = "The same within each utterance, before: clusters say less of voices and "
             "microphones."},
    {.name = "sample-memory",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(kmeans_options, memory),
     .argument = "BYTES",
     .fallback = "1G",
     .help = "Of the sample; the rest lies in a temporary file in DIR."},
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(kmeans_options, dtype),
     .values = "f32|bf16",
     .fallback = "f32",
     .help = "Numbers to multiply in the model; sums are always f32."},
    {.name = "batch",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(kmeans_options, batch_s),
     .argument = "SECONDS",
     .fallback = "40",
     .help = "Audio that runs together. More needs more memory; results are the same."},
};

static const char *const example[] = {
    "s3r kmeans --data train.jsonl --data dev.jsonl --mfcc --clusters 100 -o targets",
    "s3r kmeans --data train.jsonl -m RUN/model --layer 6 --clusters 500 -o targets2",
    "s3r kmeans --data more.jsonl --mfcc --centroids targets/centroids.s3k -o targets",
    NULL};

const s3r_verb s3r_verb_kmeans = {
    .name = "kmeans",
    .summary = "Cluster the frames of speech: targets for pretraining",
    .description =
        "Learns clusters from a sample of the data, DIR/centroids.s3k, and writes the "
        "cluster of every 20 ms frame of NAME.jsonl to DIR/NAME.labels. The same data, "
        "options and seed give the same files with any number of threads."
        "\n\n"
        "Prints the files that it wrote, one a line. Utterances that cannot be read are "
        "named on standard error and have no labels; the exit code is then 6.",
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(kmeans_options),
    .example = example,
    .has_json = true,
    .run = run_kmeans,
};
