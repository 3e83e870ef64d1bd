/*
 * Targets of pretraining: centroids, then the label of every frame.
 */
#include "s3r/kmeans.h"

#include <math.h>
#include <string.h>

#include "api/kmeans_work.h"
#include "api/options_check.h"

#define BLOCK_ROWS ((size_t)S3R_KMEANS_BLOCK_ROWS)

void s3r_kmeans_options_init(s3r_kmeans_options *options)
{
    *options = (s3r_kmeans_options){.struct_size = sizeof *options,
                                    .layer = -1,
                                    .clusters = 100,
                                    .seed = 1,
                                    .sample_minutes = 60,
                                    .iterations = 100,
                                    .restarts = 1,
                                    .memory_bytes = (size_t)1 << 30,
                                    .batch_s = 40,
                                    .allow_ffmpeg = true};
}

bool s3r_kmeans_tell(const s3r_kmeans_work *run, const s3r_kmeans_event *event)
{
    return !run->options->watch ||
           run->options->watch(run->options->watch_context, event);
}

s3r_status s3r_kmeans_tell_or_fail(const s3r_kmeans_work *run,
                                   const s3r_kmeans_event *event, s3r_error *err)
{
    return s3r_kmeans_tell(run, event)
               ? S3R_OK
               : s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
}

/* ---- labels ---- */

static s3r_status reserve_labels(s3r_kmeans_work *run, size_t more, s3r_error *err)
{
    if (more <= run->capacity - run->count)
        return S3R_OK;
    size_t larger = S3R_MAX(2 * run->capacity, run->count + more);
    uint16_t *grown = s3r_realloc(run->labels, run->capacity, larger, sizeof *grown);
    if (!grown)
        return s3r_fail_memory(err, "labels", larger * sizeof *grown);
    run->labels = grown;
    run->capacity = larger;
    return S3R_OK;
}

static s3r_status label_rows(void *context, size_t item, const float *rows, size_t stride,
                             size_t count, s3r_error *err)
{
    s3r_kmeans_work *run = context;
    S3R_TRY(reserve_labels(run, count, err));
    run->offset[run->first_item + item + 1] += count; /* counts until all are known */
    for (size_t i = 0; i < count; i += BLOCK_ROWS) {
        size_t some = S3R_MIN(BLOCK_ROWS, count - i);
        s3r_kmeans_assign(&run->file.kmeans, run->context->pool, rows + i * stride,
                          stride, some, run->assigned, NULL);
        for (size_t k = 0; k < some; k++)
            run->labels[run->count++] = (uint16_t)run->assigned[k];
    }
    return S3R_OK;
}

static void warn_failure(void *context, size_t item, s3r_status status,
                         const char *message)
{
    s3r_kmeans_work *run = context;
    (void)item;
    if (run->failed++ == 0)
        run->first_failure = status;
    /* An answer of false comes again at the next utterance. */
    (void)s3r_kmeans_tell(
        run, &(s3r_kmeans_event){.kind = S3R_KMEANS_WARNING, .text = message});
}

static bool tell_labelling(void *context)
{
    const s3r_kmeans_work *run = context;
    return s3r_kmeans_tell(run, &(s3r_kmeans_event){.kind = S3R_KMEANS_LABELLING,
                                                    .done = run->done,
                                                    .total = run->utterance_count});
}

/* exp of the entropy of the labels; 0 without any. */
static s3r_status measure_usage(const s3r_kmeans_work *run, double *usage, s3r_error *err)
{
    size_t clusters = run->file.kmeans.clusters;
    double entropy = 0, total = (double)run->count;
    size_t *counts = s3r_alloc(clusters, sizeof *counts);
    if (!counts)
        return s3r_fail_memory(err, "labels", clusters * sizeof *counts);
    for (size_t i = 0; i < run->count; i++)
        counts[run->labels[i]]++;
    for (size_t c = 0; c < clusters; c++)
        if (counts[c] > 0)
            entropy -= (double)counts[c] / total * log((double)counts[c] / total);
    s3r_free(counts);
    *usage = run->count > 0 ? exp(entropy) : 0;
    return S3R_OK;
}

static s3r_status save_labels(const s3r_kmeans_work *run, const s3r_manifest *manifest,
                              const char *path, s3r_error *err)
{
    char hash[S3R_LABELS_HASH_BYTES], centroids[S3R_LABELS_HASH_BYTES];
    double usage = 0;
    S3R_TRY(s3r_manifest_hash(hash, manifest->path, err));
    s3r_centroids_hash(centroids, &run->file.kmeans);
    const s3r_frame_labels_content content = {.manifest = manifest,
                                              .offset = run->offset,
                                              .labels = run->labels,
                                              .clusters = run->file.kmeans.clusters,
                                              .frame_stride = run->features.frame_stride,
                                              .sample_rate_hz =
                                                  run->features.sample_rate_hz,
                                              .manifest_hash = hash,
                                              .centroids_hash = centroids,
                                              .source = &run->file.source};
    S3R_TRY(s3r_frame_labels_save(path, &content, err));
    S3R_TRY(measure_usage(run, &usage, err));
    return s3r_kmeans_tell_or_fail(run,
                                   &(s3r_kmeans_event){.kind = S3R_KMEANS_LABELLED,
                                                       .path = path,
                                                       .total = run->count,
                                                       .clusters = content.clusters,
                                                       .usage = usage},
                                   err);
}

static s3r_status label_items(s3r_kmeans_work *run, const s3r_manifest *manifest,
                              s3r_error *err)
{
    const s3r_frame_sink sink = {.rows = label_rows,
                                 .failed = warn_failure,
                                 .goes_on = tell_labelling,
                                 .context = run};
    size_t taken = 0;
    run->count = 0;
    for (size_t i = 0; i < manifest->count; i++)
        run->items[i] = &manifest->items[i];
    memset(run->offset, 0, (manifest->count + 1) * sizeof *run->offset);
    for (size_t i = 0; i < manifest->count; i += taken) {
        if (!tell_labelling(run))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        run->first_item = i;
        S3R_TRY(s3r_frame_features_run(&run->features, run->items + i,
                                       manifest->count - i, &sink, &taken, err));
        run->done += taken;
    }
    for (size_t i = 0; i < manifest->count; i++)
        run->offset[i + 1] += run->offset[i];
    return S3R_OK;
}

/* "folder/NAME.labels" for "elsewhere/NAME.jsonl", to be freed; NULL without memory. */
static char *labels_path(const char *folder, const char *manifest)
{
    const char *slash = strrchr(manifest, '/');
    const char *base = slash ? slash + 1 : manifest;
    const char *dot = strrchr(base, '.');
    size_t length = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    char *name = s3r_alloc(length + sizeof ".labels", 1);
    if (!name)
        return NULL;
    memcpy(name, base, length);
    memcpy(name + length, ".labels", sizeof ".labels");
    char *path = s3r_path_join(folder, name);
    s3r_free(name);
    return path;
}

static s3r_status label_manifest(s3r_kmeans_work *run, const s3r_manifest *manifest,
                                 s3r_error *err)
{
    char *path = labels_path(run->options->folder, manifest->path);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(manifest->path));
    s3r_status status = label_items(run, manifest, err);
    if (status == S3R_OK)
        status = save_labels(run, manifest, path, err);
    s3r_free(path);
    return status;
}

static s3r_status label_all(s3r_kmeans_work *run, s3r_error *err)
{
    size_t most = 0;
    for (size_t m = 0; m < run->manifest_count; m++)
        most = S3R_MAX(most, run->manifests[m].count);
    run->offset = s3r_alloc(most + 1, sizeof *run->offset);
    run->assigned = s3r_alloc(BLOCK_ROWS, sizeof *run->assigned);
    if (!run->offset || !run->assigned)
        return s3r_fail_memory(err, "labels", most * sizeof *run->offset);
    for (size_t m = 0; m < run->manifest_count; m++)
        S3R_TRY(label_manifest(run, &run->manifests[m], err));
    if (run->failed == 0)
        return S3R_OK;
    return s3r_fail(
        err, run->failed < run->utterance_count ? S3R_ERR_PARTIAL : run->first_failure,
        "%zu of %zu utterances have no labels", run->failed, run->utterance_count);
}

/* ---- the call ---- */

static s3r_status check_options(const s3r_kmeans_options *options, s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("k-means options", sizeof *options,
                                   options ? options->struct_size : 0, err));
    if (!options->data || options->data_count == 0 || !options->folder)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected manifests and a folder, found none");
    if (options->clusters < 1 || options->clusters > S3R_KMEANS_MAX_CLUSTERS)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected 1 to %u clusters, found %zu",
                        S3R_KMEANS_MAX_CLUSTERS, options->clusters);
    if (!(options->sample_minutes >= 0))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected minutes from 0 on, found %g",
                        options->sample_minutes);
    if (!(options->batch_s > 0))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected batches of more than 0 seconds, found %g",
                        options->batch_s);
    if (options->restarts < 1)
        return s3r_fail(err, S3R_ERR_USAGE, "k-means: expected at least one start");
    if (options->seed > INT64_MAX)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected a seed below 2^63, found %llu",
                        (unsigned long long)options->seed);
    if (options->model && options->model->has_route)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected a model without a mask file, found %s",
                        options->model->route.file.path);
    if (options->model && options->layer < 0 && !options->centroids)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "k-means: expected a layer of the model (0 to %zu), found none",
                        options->model->config.block_count);
    return S3R_OK;
}

static s3r_status check_names(const s3r_kmeans_options *options, s3r_error *err)
{
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < options->data_count && status == S3R_OK; i++) {
        char *one = labels_path(options->folder, options->data[i]);
        for (size_t k = 0; one && k < i && status == S3R_OK; k++) {
            char *other = labels_path(options->folder, options->data[k]);
            if (!other)
                status = s3r_fail_memory(err, "a path", 0);
            else if (strcmp(one, other) == 0)
                status = s3r_fail(err, S3R_ERR_USAGE,
                                  "%s and %s: expected manifests of different names, "
                                  "since both would give %s",
                                  options->data[k], options->data[i], one);
            s3r_free(other);
        }
        if (!one)
            status = s3r_fail_memory(err, "a path", 0);
        s3r_free(one);
    }
    return status;
}

static s3r_status open_manifests(s3r_kmeans_work *run, s3r_error *err)
{
    size_t count = run->options->data_count;
    run->manifests = s3r_alloc(count, sizeof *run->manifests);
    if (!run->manifests)
        return s3r_fail_memory(err, "manifests", count * sizeof *run->manifests);
    for (; run->manifest_count < count; run->manifest_count++) {
        s3r_manifest *manifest = &run->manifests[run->manifest_count];
        S3R_TRY(
            s3r_manifest_open(manifest, run->options->data[run->manifest_count], err));
        run->utterance_count += manifest->count;
    }
    run->items = s3r_alloc(run->utterance_count, sizeof *run->items);
    if (!run->items)
        return s3r_fail_memory(err, "manifests",
                               run->utterance_count * sizeof *run->items);
    return S3R_OK;
}

static s3r_status check_source(const s3r_kmeans_file *file, const s3r_kmeans_source *mine,
                               const s3r_kmeans_options *options, s3r_error *err)
{
    const char *path = options->centroids;
    if (file->source.is_mfcc != mine->is_mfcc)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: made from %s", path,
                        mine->is_mfcc ? "a layer of a model, expected that model (-m)"
                                      : "MFCC, expected no model");
    if (strcmp(file->source.backbone, mine->backbone) != 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: expected the backbone %s, found the model with %s", path,
                        file->source.backbone, mine->backbone);
    if (options->normalizes && !file->source.is_normalized)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "%s: made from features that are not normalized within utterances", path);
    if (options->layer >= 0 && file->source.layer != (size_t)options->layer)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: expected layer %zu, found %d", path,
                        file->source.layer, options->layer);
    return S3R_OK;
}

/* What is clustered; centroids that are given must have been made from the same. */
static s3r_status open_source(s3r_kmeans_work *run, s3r_error *err)
{
    const s3r_kmeans_options *options = run->options;
    s3r_kmeans_source mine = {.is_mfcc = options->model == NULL,
                              .is_normalized = options->normalizes};
    if (options->model) {
        _Static_assert(sizeof mine.backbone >= S3R_HASH_HEX_BYTES, "room for the hash");
        S3R_TRY(s3r_model_get_hash(options->model, mine.backbone, err));
        mine.layer = (size_t)S3R_MAX(options->layer, 0);
    }
    if (options->centroids) {
        S3R_TRY(s3r_kmeans_file_open(&run->file, options->centroids,
                                     run->context->kernels, err));
        return check_source(&run->file, &mine, options, err);
    }
    run->file.source = mine;
    return S3R_OK;
}

static s3r_status open_features(s3r_kmeans_work *run, s3r_error *err)
{
    const s3r_model *model = run->options->model;
    s3r_tape *tape = &run->context->tape;
    tape->is_bf16 = model && model->is_bf16;
    tape->is_recording = tape->is_training = false;
    const s3r_frame_features_options options = {
        .tape = tape,
        .config = model ? &model->config : NULL,
        .weights = model ? &model->weights : NULL,
        .layer = run->file.source.layer,
        .batch_s = run->options->batch_s,
        .normalizes = run->file.source.is_normalized,
        .allow_ffmpeg = run->options->allow_ffmpeg};
    S3R_TRY(s3r_frame_features_open(&run->features, &options, err));
    if (run->options->centroids && run->file.kmeans.dim != run->features.dim)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: expected centroids of %zu dimensions, found %zu",
                        run->options->centroids, run->features.dim, run->file.kmeans.dim);
    return S3R_OK;
}

static s3r_status run_all(s3r_kmeans_work *run, s3r_error *err)
{
    S3R_TRY(check_names(run->options, err));
    S3R_TRY(open_manifests(run, err));
    S3R_TRY(open_source(run, err));
    S3R_TRY(open_features(run, err));
    S3R_TRY(s3r_folder_create(run->options->folder, err));
    if (!run->options->centroids)
        S3R_TRY(s3r_kmeans_learn_sample(run, err));
    return label_all(run, err);
}

static void release(s3r_kmeans_work *run)
{
    for (size_t m = 0; m < run->manifest_count; m++)
        s3r_manifest_close(&run->manifests[m]);
    s3r_free(run->manifests);
    s3r_free(run->items);
    s3r_frame_features_close(&run->features);
    s3r_kmeans_file_close(&run->file);
    s3r_feature_cache_destroy(run->cache);
    s3r_free(run->block);
    s3r_free(run->labels);
    s3r_free(run->offset);
    s3r_free(run->assigned);
}

s3r_status s3r_kmeans_run(s3r_context *context, const s3r_kmeans_options *options,
                          s3r_error *err)
{
    s3r_kmeans_work run = {.context = context, .options = options};
    S3R_TRY(check_options(options, err));
    s3r_status status = run_all(&run, err);
    release(&run);
    return status;
}
