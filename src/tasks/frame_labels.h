/*
 * Frame labels: the cluster of every frame of a manifest's utterances, in one sealed
 * file. (docs/formats.md)
 */
#ifndef S3R_TASKS_FRAME_LABELS_H
#define S3R_TASKS_FRAME_LABELS_H

#include "checkpoint/sealed_file.h"
#include "data/manifest.h"
#include "data/string_map.h"
#include "tasks/kmeans_file.h"

#define S3R_FRAME_LABELS_KIND   "s3r.labels"
#define S3R_FRAME_LABELS_FORMAT 1u
/* 64 hexadecimal digits and NUL */
#define S3R_LABELS_HASH_BYTES 65u

/* Read-only; may be used by any threads. */
typedef struct s3r_frame_labels {
    size_t utterance_count, frame_count;
    size_t clusters;           /* labels are below */
    size_t frame_stride;       /* samples from one frame to the next, */
    uint32_t sample_rate_hz;   /* at this rate */
    const char *manifest_hash; /* of the manifest that was labelled */
    const char
        *centroids_hash;      /* of what made the labels; NULL in a file that lacks it */
    s3r_kmeans_source source; /* what was clustered */
    /* private */
    s3r_sealed_file sealed;
    const unsigned char *labels, *offset;
    s3r_string_map by_id;
} s3r_frame_labels;

/*
 * Opens and checks the whole file.  S3R_ERR_MODEL names file, thing, expected and found:
 * what s3r_sealed_file_open finds, missing facts and tensors, offsets that do not fit,
 * labels that are not below the number of clusters, two utterances of one id;
 * S3R_ERR_RESOURCE.  *out is empty after a failure.
 */
s3r_status s3r_frame_labels_open(s3r_frame_labels *out, const char *path, s3r_error *err);
/* The same for bytes in memory, which must outlive the result. */
s3r_status s3r_frame_labels_parse(s3r_frame_labels *out, const void *bytes, size_t size,
                                  const char *label, s3r_error *err);
/* The checks behind the seal, for a file whose sealed part is there. */
s3r_status s3r_frame_labels_check(s3r_frame_labels *file, const char *label,
                                  s3r_error *err);
void s3r_frame_labels_close(s3r_frame_labels *file); /* a zeroed one is allowed */

/* False when there is no such utterance. */
bool s3r_frame_labels_find(const s3r_frame_labels *file, const char *id,
                           size_t *utterance);
/* Frames of an utterance; 0 when it could not be read or is too short. */
size_t s3r_frame_labels_frames(const s3r_frame_labels *file, size_t utterance);
/* Labels of frames [first, first + count) of an utterance, which has them. */
void s3r_frame_labels_get(const s3r_frame_labels *file, size_t utterance, size_t first,
                          size_t count, uint32_t *out);

/* What is to be written. */
typedef struct s3r_frame_labels_content {
    const s3r_manifest *manifest;
    const uint64_t *offset; /* [utterances + 1], of the manifest's, in its order */
    const uint16_t *labels; /* [offset[utterances]] */
    size_t clusters, frame_stride;
    uint32_t sample_rate_hz;
    const char *manifest_hash, *centroids_hash;
    const s3r_kmeans_source *source;
} s3r_frame_labels_content;

/* Writes atomically.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_frame_labels_save(const char *path,
                                 const s3r_frame_labels_content *content, s3r_error *err);

/* SHA-256 of what makes the labels, hexadecimal. */
void s3r_centroids_hash(char hex[S3R_LABELS_HASH_BYTES], const s3r_kmeans *kmeans);
/* SHA-256 of the manifest's file, hexadecimal.  S3R_ERR_DATA. */
s3r_status s3r_manifest_hash(char hex[S3R_LABELS_HASH_BYTES], const char *path,
                             s3r_error *err);

#endif
