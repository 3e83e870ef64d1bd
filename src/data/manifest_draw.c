/*
 * Drawing by rank.  Sums are taken in rank order, so that they do not depend on the order
 * of the file either.
 */
#include "data/manifest_draw.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

typedef struct ranked {
    uint64_t rank;
    const char *id;
    size_t index;
} ranked;

static int compare(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return strcmp(x->id, y->id);
}

s3r_status s3r_manifest_draw(const s3r_manifest *manifest, const double *durations,
                             double seconds, uint64_t seed, bool *is_chosen,
                             double *drawn_s, s3r_error *err)
{
    double sum = 0;
    ranked *order = s3r_alloc(manifest->count, sizeof *order);
    if (!order)
        return s3r_fail_memory(err, "a draw", manifest->count * sizeof *order);
    for (size_t i = 0; i < manifest->count; i++) {
        const s3r_utterance *item = &manifest->items[i];
        order[i] = (ranked){s3r_random_at(seed, item->key, 0), item->id, i};
        is_chosen[i] = false;
    }
    qsort(order, manifest->count, sizeof *order, compare);
    for (size_t i = 0; i < manifest->count && sum < seconds; i++) {
        is_chosen[order[i].index] = true;
        sum += durations[order[i].index];
    }
    s3r_free(order);
    if (sum < seconds)
        return s3r_fail(err, S3R_ERR_DATA, "%s: expected %.2f minutes, found %.2f",
                        manifest->path, seconds / 60, sum / 60);
    *drawn_s = sum;
    return S3R_OK;
}
