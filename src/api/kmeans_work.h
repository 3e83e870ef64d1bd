/*
 * What the steps of s3r_kmeans_run share: a sample, centroids learned from it, labels.
 */
#ifndef S3R_API_KMEANS_WORK_H
#define S3R_API_KMEANS_WORK_H

#include "api/handles.h"
#include "s3r/kmeans.h"
#include "tasks/frame_features.h"
#include "tasks/frame_labels.h"
#include "tasks/kmeans_file.h"
#include "train/feature_cache.h"

typedef struct s3r_kmeans_work {
    s3r_context *context;
    const s3r_kmeans_options *options;
    s3r_manifest *manifests; /* [manifest_count] */
    size_t manifest_count;
    size_t utterance_count;      /* of all manifests */
    const s3r_utterance **items; /* [utterance_count] what is being read */
    s3r_frame_features features;
    s3r_kmeans_file file;
    /* The sample. */
    s3r_feature_cache *cache; /* blocks of BLOCK_ROWS rows */
    float *block;             /* [BLOCK_ROWS, dim], the last one as far as it is full */
    size_t chosen;            /* utterances: the first of items */
    size_t expected;          /* rows, as far as headers tell */
    size_t most;              /* rows that there is room for */
    size_t stored;            /* rows */
    /* Labels of a manifest. */
    uint16_t *labels; /* [capacity] */
    size_t count, capacity;
    uint64_t *offset;   /* [utterances + 1] */
    uint32_t *assigned; /* [BLOCK_ROWS] */
    size_t first_item;  /* of the batch, in the manifest */
    size_t done, failed;
    s3r_status first_failure;
} s3r_kmeans_work;

/* False when the watcher interrupts; the other gives the error of that. */
bool s3r_kmeans_tell(const s3r_kmeans_work *run, const s3r_kmeans_event *event);
s3r_status s3r_kmeans_tell_or_fail(const s3r_kmeans_work *run,
                                   const s3r_kmeans_event *event, s3r_error *err);

/* Fills the sample, learns centroids from it, writes them. */
s3r_status s3r_kmeans_learn_sample(s3r_kmeans_work *run, s3r_error *err);

#endif
