/*
 * Targets for pretraining: frames of unlabelled speech, clustered by k-means.
 * (docs/pretraining.md)
 */
#ifndef S3R_KMEANS_H
#define S3R_KMEANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3r/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum s3r_kmeans_event_kind {
    S3R_KMEANS_READING,   /* the sample: frames done of total */
    S3R_KMEANS_LEARNING,  /* a pass over the sample: start, iteration, inertia */
    S3R_KMEANS_LEARNED,   /* centroids are written: path, start, iteration, inertia;
                             total frames */
    S3R_KMEANS_LABELLING, /* utterances done of total, over all manifests */
    S3R_KMEANS_LABELLED,  /* a manifest's labels are written: path; total frames, usage */
    S3R_KMEANS_WARNING    /* text */
} s3r_kmeans_event_kind;

/* Strings are valid during the call. */
typedef struct s3r_kmeans_event {
    s3r_kmeans_event_kind kind;
    size_t done, total;
    size_t start, iteration; /* from 0 */
    size_t clusters;
    double inertia; /* mean squared distance of a frame to its centroid */
    double usage;   /* perplexity of the labels: as many clusters if all were equal */
    const char *path, *text;
} s3r_kmeans_event;

/* False interrupts: S3R_ERR_INTERRUPTED. */
typedef bool (*s3r_kmeans_watch_fn)(void *context, const s3r_kmeans_event *event);

typedef struct s3r_kmeans_options {
    size_t struct_size;      /* set by _init */
    const char *const *data; /* [data_count] manifests; texts are not needed */
    size_t data_count;
    const s3r_model *model; /* whose hidden state is clustered; NULL: MFCC */
    int layer;              /* of the model, from 0 (before the first block); default -1:
                               as the centroids say */
    const char *centroids;  /* a file: label only; NULL: learn */
    const char *folder;     /* gets centroids.s3k and NAME.labels for NAME.jsonl */
    size_t clusters;        /* default 100; at most 65536 */
    uint64_t seed;          /* default 1; at most 2^63 - 1 */
    double sample_minutes;  /* audio to learn from; default 60; 0 = all */
    size_t iterations;      /* default 100 */
    size_t restarts;        /* starts to choose the best of; default 1 */
    bool standardizes;      /* each dimension to variance 1; default false */
    bool normalizes;     /* the same before, within each utterance: less of the voice and
                            the microphone; with centroids as they say; default false */
    size_t memory_bytes; /* for the sample, the rest lies in a temporary file in
                            folder; default 1 GiB */
    double batch_s;      /* audio that runs together; default 40 */
    bool allow_ffmpeg;   /* default true */
    s3r_kmeans_watch_fn watch; /* NULL = nobody */
    void *watch_context;
} s3r_kmeans_options;

S3R_API void s3r_kmeans_options_init(s3r_kmeans_options *options);

/*
 * Learns centroids from a sample of the data, drawn by seed, and labels every frame of
 * all manifests with them.  The files depend on data, model and options alone, not on
 * threads or the order of the manifests.
 *
 * S3R_ERR_USAGE: options; two manifests of one name; S3R_ERR_MODEL: centroids that are
 * damaged or of another model or layer; S3R_ERR_DATA: a manifest; fewer frames than
 * clusters; S3R_ERR_PARTIAL: some audio cannot be read, each told as a warning; its
 * utterances have no labels; S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_kmeans_run(s3r_context *context, const s3r_kmeans_options *options,
                                  s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
