/*
 * The sample that centroids are learned from.
 *
 * Utterances of all manifests are ranked by seed and key, and the first in rank are taken
 * until they are long enough; so the sample does not depend on the order of the
 * manifests. They are read in the order of their ids, which keeps parts of one recording
 * together.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/kmeans_work.h"
#include "base/random.h"

#define BLOCK_ROWS ((size_t)S3R_KMEANS_BLOCK_ROWS)
/* Of audio whose header does not tell: what it counts for, and a bound. */
#define USUAL_SECONDS   5.0
#define LONGEST_SECONDS (24.0 * 3600)

/* ---- the sample ---- */

typedef struct ranked_item {
    uint64_t rank;
    const s3r_utterance *utterance;
} ranked_item;

static int compare_ids(const s3r_utterance *x, const s3r_utterance *y)
{
    int order = strcmp(x->id, y->id);
    return order ? order : strcmp(x->audio_path, y->audio_path);
}

static int compare_ranks(const void *a, const void *b)
{
    const ranked_item *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return compare_ids(x->utterance, y->utterance);
}

static int compare_items(const void *a, const void *b)
{
    const s3r_utterance *const *x = a, *const *y = b;
    return compare_ids(*x, *y);
}

/* The first in rank whose audio lasts as long as is wanted, or all: run->items and
 * run->chosen.  `expected` receives their rows as far as is known, `most` a bound. */
static void choose(s3r_kmeans_work *run, const ranked_item *ranked, double *expected,
                   double *most)
{
    const s3r_frame_features *features = &run->features;
    double rate = (double)features->sample_rate_hz / (double)features->frame_stride;
    double minutes = run->options->sample_minutes, sum = 0, bound = 0;
    for (size_t i = 0; i < run->utterance_count; i++) {
        const s3r_utterance *item = ranked[i].utterance;
        double seconds = item->duration_s;
        if (minutes > 0 && sum >= 60 * minutes)
            break;
        if (seconds < 0)
            seconds = s3r_audio_probe_seconds(item->audio_path) - item->offset_s;
        bool is_known = seconds > 0;
        sum += is_known ? seconds : USUAL_SECONDS;
        bound += is_known ? seconds + 1 : LONGEST_SECONDS;
        run->items[run->chosen++] = item;
    }
    *expected = ceil(sum * rate);
    *most = ceil(bound * rate);
}

static s3r_status choose_items(s3r_kmeans_work *run, s3r_error *err)
{
    size_t count = 0;
    double expected, most;
    ranked_item *ranked = s3r_alloc(run->utterance_count, sizeof *ranked);
    if (!ranked)
        return s3r_fail_memory(err, "a sample", run->utterance_count * sizeof *ranked);
    for (size_t m = 0; m < run->manifest_count; m++)
        for (size_t i = 0; i < run->manifests[m].count; i++) {
            const s3r_utterance *item = &run->manifests[m].items[i];
            ranked[count++] =
                (ranked_item){s3r_random_at(run->options->seed, item->key, 0), item};
        }
    qsort(ranked, count, sizeof *ranked, compare_ranks);
    choose(run, ranked, &expected, &most);
    s3r_free(ranked);
    qsort(run->items, run->chosen, sizeof *run->items, compare_items);
    run->expected = (size_t)expected;
    run->most = (size_t)most;
    return s3r_feature_cache_create(
        &run->cache, S3R_CEIL_DIV(run->most, BLOCK_ROWS), run->features.dim,
        S3R_DTYPE_F32, run->options->memory_bytes, run->options->folder, err);
}

static s3r_status store_block(s3r_kmeans_work *run, size_t rows, s3r_error *err)
{
    size_t index = (run->stored - 1) / BLOCK_ROWS;
    return s3r_feature_cache_put(run->cache, index, run->block, rows, run->features.dim,
                                 err);
}

static s3r_status sample_rows(void *context, size_t item, const float *rows,
                              size_t stride, size_t count, s3r_error *err)
{
    s3r_kmeans_work *run = context;
    size_t dim = run->features.dim;
    (void)item;
    for (size_t i = 0; i < count && run->stored < run->most; i++) {
        memcpy(run->block + run->stored % BLOCK_ROWS * dim, rows + i * stride,
               dim * sizeof *rows);
        run->stored++;
        if (run->stored % BLOCK_ROWS == 0)
            S3R_TRY(store_block(run, BLOCK_ROWS, err));
    }
    return S3R_OK;
}

/* It will be named when it is labelled. */
static void skip_failure(void *context, size_t item, s3r_status status,
                         const char *message)
{
    (void)context;
    (void)item;
    (void)status;
    (void)message;
}

static bool tell_reading(void *context)
{
    const s3r_kmeans_work *run = context;
    return s3r_kmeans_tell(run, &(s3r_kmeans_event){.kind = S3R_KMEANS_READING,
                                                    .done = run->stored,
                                                    .total = run->expected});
}

static s3r_status read_sample(s3r_kmeans_work *run, s3r_error *err)
{
    const s3r_frame_sink sink = {.rows = sample_rows,
                                 .failed = skip_failure,
                                 .goes_on = tell_reading,
                                 .context = run};
    S3R_TRY(choose_items(run, err));
    size_t dim = run->features.dim, taken = 0;
    run->block = s3r_alloc_raw(BLOCK_ROWS * dim, sizeof *run->block);
    if (!run->block)
        return s3r_fail_memory(err, "a sample", BLOCK_ROWS * dim * sizeof *run->block);
    for (size_t i = 0; i < run->chosen; i += taken) {
        if (!tell_reading(run))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        S3R_TRY(s3r_frame_features_run(&run->features, run->items + i, run->chosen - i,
                                       &sink, &taken, err));
    }
    size_t rest = run->stored % BLOCK_ROWS;
    return rest > 0 ? store_block(run, rest, err) : S3R_OK;
}

/* ---- centroids ---- */

static s3r_status read_block(void *context, size_t block, float *out, s3r_error *err)
{
    s3r_kmeans_work *run = context;
    (void)err;
    s3r_feature_cache_get(run->cache, run->context->pool, block, out, run->features.dim);
    return S3R_OK;
}

static bool tell_learning(void *context, size_t start, size_t iteration, double inertia)
{
    const s3r_kmeans_work *run = context;
    return s3r_kmeans_tell(run, &(s3r_kmeans_event){.kind = S3R_KMEANS_LEARNING,
                                                    .start = start,
                                                    .iteration = iteration,
                                                    .inertia = inertia,
                                                    .clusters = run->options->clusters,
                                                    .done = iteration,
                                                    .total = run->options->iterations});
}

static s3r_status tell_learned(const s3r_kmeans_work *run,
                               const s3r_kmeans_result *result, const char *path,
                               s3r_error *err)
{
    char text[160];
    if (result->empty > 0) {
        snprintf(text, sizeof text,
                 "%zu of %zu clusters are empty: the sample has fewer distinct frames",
                 result->empty, run->options->clusters);
        S3R_TRY(s3r_kmeans_tell_or_fail(
            run, &(s3r_kmeans_event){.kind = S3R_KMEANS_WARNING, .text = text}, err));
    }
    return s3r_kmeans_tell_or_fail(run,
                                   &(s3r_kmeans_event){.kind = S3R_KMEANS_LEARNED,
                                                       .path = path,
                                                       .start = result->start,
                                                       .iteration = result->iterations,
                                                       .inertia = result->inertia,
                                                       .clusters = run->options->clusters,
                                                       .total = run->stored},
                                   err);
}

static s3r_status save_centroids(const s3r_kmeans_work *run,
                                 const s3r_kmeans_result *result, s3r_error *err)
{
    char *path = s3r_path_join(run->options->folder, "centroids.s3k");
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(run->options->folder));
    s3r_status status = s3r_kmeans_file_save(path, &run->file, err);
    if (status == S3R_OK)
        status = tell_learned(run, result, path, err);
    s3r_free(path);
    return status;
}

s3r_status s3r_kmeans_learn_sample(s3r_kmeans_work *run, s3r_error *err)
{
    const s3r_kmeans_options *options = run->options;
    s3r_kmeans_settings settings;
    s3r_kmeans_result result = {0};
    S3R_TRY(read_sample(run, err));
    s3r_kmeans_settings_init(&settings, options->clusters);
    settings.seed = options->seed;
    settings.iterations = options->iterations;
    settings.restarts = options->restarts;
    settings.standardizes = options->standardizes;
    settings.goes_on = tell_learning;
    settings.goes_on_context = run;
    const s3r_kmeans_rows rows = {.count = run->stored,
                                  .dim = run->features.dim,
                                  .read = read_block,
                                  .read_context = run};
    S3R_TRY(s3r_kmeans_learn(&run->file.kmeans, &result, &rows, &settings,
                             run->context->pool, run->context->kernels, err));
    run->file.record = (s3r_kmeans_record){options->seed, run->stored, result.iterations,
                                           result.inertia};
    s3r_feature_cache_destroy(run->cache); /* it may be large */
    run->cache = NULL;
    return save_centroids(run, &result, err);
}
