/*
 * Label and centroid files of strangers: whatever the bytes, opening gives labels that
 * can be looked up and are below the number of clusters, or an error.  The seal stops
 * nearly every mutation, so the same bytes are also looked at as if it were right.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tasks/frame_labels.h"

/* Centroids are packed, which takes time. */
#define MAX_SIZE ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_labels(const s3r_frame_labels *file)
{
    size_t frames = 0;
    json_t *ids = json_object_get(file->sealed.facts, "utterances");
    for (size_t u = 0; u < file->utterance_count; u++) {
        size_t count = s3r_frame_labels_frames(file, u), found = 0;
        uint32_t label;
        if (!s3r_frame_labels_find(file, json_string_value(json_array_get(ids, u)),
                                   &found) ||
            found != u)
            abort();
        for (size_t i = 0; i < count; i++) {
            s3r_frame_labels_get(file, u, i, 1, &label);
            if (label >= file->clusters)
                abort();
        }
        frames += count;
    }
    if (frames != file->frame_count || !s3r_is_sha256(file->manifest_hash))
        abort();
}

static void use_centroids(const s3r_kmeans_file *file)
{
    const s3r_kmeans *kmeans = &file->kmeans;
    for (size_t i = 0; i < kmeans->clusters * kmeans->dim; i++)
        if (!(kmeans->centroids[i] == kmeans->centroids[i]))
            abort();
}

/* The parts behind the seal, for bytes that are a safetensors file with facts. */
static void check_unsealed(const uint8_t *data, size_t size)
{
    s3r_error err;
    s3r_frame_labels labels = {0};
    s3r_kmeans_file centroids;
    s3r_safetensors *container = &labels.sealed.container;
    if (s3r_safetensors_parse(container, data, size, "input", &err) == S3R_OK) {
        const json_t *text = json_object_get(container->metadata, "s3r.facts");
        labels.sealed.facts =
            text ? json_loadb(json_string_value(text), json_string_length(text), 0, NULL)
                 : NULL;
        if (labels.sealed.facts &&
            s3r_kmeans_file_take(&centroids, &labels.sealed, "input",
                                 s3r_kernels_get(S3R_CPU_PORTABLE), &err) == S3R_OK) {
            use_centroids(&centroids);
            s3r_kmeans_file_close(&centroids);
        }
        if (labels.sealed.facts &&
            s3r_frame_labels_check(&labels, "input", &err) == S3R_OK)
            use_labels(&labels);
    }
    s3r_frame_labels_close(&labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_frame_labels labels;
    s3r_kmeans_file centroids;
    s3r_error err;
    if (size > MAX_SIZE)
        return 0;
    if (s3r_frame_labels_parse(&labels, data, size, "input", &err) == S3R_OK) {
        use_labels(&labels);
        s3r_frame_labels_close(&labels);
    }
    if (s3r_kmeans_file_parse(&centroids, data, size, "input",
                              s3r_kernels_get(S3R_CPU_PORTABLE), &err) == S3R_OK) {
        use_centroids(&centroids);
        s3r_kmeans_file_close(&centroids);
    }
    check_unsealed(data, size);
    return 0;
}
