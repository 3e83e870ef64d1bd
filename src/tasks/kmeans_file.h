/*
 * Centroids in a sealed file: what turns other audio into the same labels.
 * (docs/formats.md)
 */
#ifndef S3R_TASKS_KMEANS_FILE_H
#define S3R_TASKS_KMEANS_FILE_H

#include <jansson.h>

#include "checkpoint/sealed_file.h"
#include "model/model_hash.h"
#include "tasks/kmeans_clusters.h"

#define S3R_KMEANS_KIND   "s3r.kmeans"
#define S3R_KMEANS_FORMAT 1u

/* What was clustered. */
typedef struct s3r_kmeans_source {
    bool is_mfcc;                        /* else a hidden state: */
    char backbone[S3R_MODEL_HASH_BYTES]; /* "" with MFCC */
    size_t layer;                        /* as Hugging Face numbers hidden states */
    bool is_normalized;                  /* within each utterance */
} s3r_kmeans_source;

/* How the centroids came about, for people. */
typedef struct s3r_kmeans_record {
    uint64_t seed;
    size_t rows;       /* learned from */
    size_t iterations; /* of the start that was taken */
    double inertia;    /* mean squared distance */
} s3r_kmeans_record;

typedef struct s3r_kmeans_file {
    s3r_kmeans kmeans; /* prepared */
    s3r_kmeans_source source;
    s3r_kmeans_record record;
} s3r_kmeans_file;

/*
 * Opens and checks.  S3R_ERR_MODEL names file, thing, expected and found: what
 * s3r_sealed_file_open finds, missing facts, tensors of other shapes, numbers that are
 * not finite; S3R_ERR_RESOURCE.  *out is empty after a failure.
 */
s3r_status s3r_kmeans_file_open(s3r_kmeans_file *out, const char *path,
                                const s3r_kernels *kernels, s3r_error *err);
/* The same for bytes in memory. */
s3r_status s3r_kmeans_file_parse(s3r_kmeans_file *out, const void *bytes, size_t size,
                                 const char *label, const s3r_kernels *kernels,
                                 s3r_error *err);
/* The part behind the seal. */
s3r_status s3r_kmeans_file_take(s3r_kmeans_file *out, const s3r_sealed_file *sealed,
                                const char *label, const s3r_kernels *kernels,
                                s3r_error *err);
void s3r_kmeans_file_close(s3r_kmeans_file *file); /* a zeroed one is allowed */

/* Writes atomically.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_kmeans_file_save(const char *path, const s3r_kmeans_file *file,
                                s3r_error *err);

/* Facts of a source: read from, or added to, an object.  The latter is false without
 * memory. */
s3r_status s3r_kmeans_source_read(s3r_kmeans_source *out, const json_t *facts,
                                  const char *label, s3r_error *err);
bool s3r_kmeans_source_add(const s3r_kmeans_source *source, json_t *facts);
/* A whole number within [least, most] among the facts. */
s3r_status s3r_fact_number(size_t *out, const json_t *facts, const char *key,
                           size_t least, size_t most, const char *label, s3r_error *err);
/* True for 64 lower-case hexadecimal digits; text may be NULL. */
bool s3r_is_sha256(const char *text);

#endif
