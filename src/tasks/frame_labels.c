/*
 * Frame labels: writing, checking, looking up.
 *
 * The tensors stay in the file's map, where they need not be aligned.
 */
#include "tasks/frame_labels.h"

#include <assert.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "base/hash_text.h"

#define MAX_STRIDE  ((size_t)1 << 20)
#define MAX_RATE_HZ ((size_t)1 << 20)

static uint64_t offset_at(const s3r_frame_labels *file, size_t utterance)
{
    uint64_t value;
    memcpy(&value, file->offset + utterance * sizeof value, sizeof value);
    return value;
}

static uint16_t label_at(const s3r_frame_labels *file, size_t frame)
{
    uint16_t value;
    memcpy(&value, file->labels + frame * sizeof value, sizeof value);
    return value;
}

/* ---- checking ---- */

static s3r_status find_tensor(const s3r_sealed_file *sealed, const char *name,
                              s3r_dtype dtype, const s3r_tensor **out, const char *label,
                              s3r_error *err)
{
    const s3r_tensor *tensor = s3r_sealed_file_find(sealed, name);
    if (!tensor || tensor->dtype != dtype || tensor->rank != 1)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: tensor \"%s\": expected %s of one dimension, found %s",
                        label, name, s3r_dtype_name(dtype),
                        tensor ? s3r_dtype_name(tensor->dtype) : "none");
    *out = tensor;
    return S3R_OK;
}

static s3r_status take_tensors(s3r_frame_labels *file, const char *label, s3r_error *err)
{
    const s3r_tensor *labels = NULL, *offset = NULL;
    S3R_TRY(find_tensor(&file->sealed, "labels", S3R_DTYPE_U16, &labels, label, err));
    S3R_TRY(find_tensor(&file->sealed, "offset", S3R_DTYPE_U64, &offset, label, err));
    if (file->sealed.container.tensor_count != 2)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: expected 2 tensors, found %zu", label,
                        file->sealed.container.tensor_count);
    if (offset->shape[0] != file->utterance_count + 1)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: tensor \"offset\": expected %zu numbers, found %zu", label,
                        file->utterance_count + 1, offset->shape[0]);
    file->frame_count = labels->shape[0];
    file->labels = labels->data;
    file->offset = offset->data;
    return S3R_OK;
}

static s3r_status check_numbers(const s3r_frame_labels *file, const char *label,
                                s3r_error *err)
{
    uint64_t before = 0;
    for (size_t u = 0; u <= file->utterance_count; u++) {
        uint64_t offset = offset_at(file, u);
        bool is_right = offset >= before && (u > 0 || offset == 0) &&
                        (u < file->utterance_count || offset == file->frame_count);
        if (!is_right)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: tensor \"offset\": expected numbers that rise from 0 to "
                            "%zu, found others",
                            label, file->frame_count);
        before = offset;
    }
    for (size_t i = 0; i < file->frame_count; i++)
        if (label_at(file, i) >= file->clusters)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: frame %zu: expected a label below %zu, found %u", label,
                            i, file->clusters, (unsigned)label_at(file, i));
    return S3R_OK;
}

static s3r_status take_ids(s3r_frame_labels *file, const char *label, s3r_error *err)
{
    const json_t *ids = json_object_get(file->sealed.facts, "utterances");
    if (!json_is_array(ids) || json_array_size(ids) == 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: fact \"utterances\": expected an array of ids, found %s",
                        label, json_is_array(ids) ? "an empty one" : "none");
    file->utterance_count = json_array_size(ids);
    for (size_t u = 0; u < file->utterance_count; u++) {
        const char *id = json_string_value(json_array_get(ids, u));
        bool is_new = false;
        size_t *stored;
        if (!id || *id == '\0')
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: fact \"utterances\": item %zu: expected an id, found "
                            "none",
                            label, u);
        S3R_TRY(s3r_string_map_add(&file->by_id, id, u, &stored, &is_new, err));
        if (!is_new)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: utterance \"%.200s\": expected once, found twice", label,
                            id);
    }
    return S3R_OK;
}

s3r_status s3r_frame_labels_check(s3r_frame_labels *file, const char *label,
                                  s3r_error *err)
{
    const json_t *facts = file->sealed.facts;
    size_t rate = 0;
    S3R_TRY(s3r_fact_number(&file->clusters, facts, "clusters", 1,
                            S3R_KMEANS_MAX_CLUSTERS, label, err));
    S3R_TRY(s3r_fact_number(&file->frame_stride, facts, "frame_stride", 1, MAX_STRIDE,
                            label, err));
    S3R_TRY(s3r_fact_number(&rate, facts, "sample_rate", 1, MAX_RATE_HZ, label, err));
    file->sample_rate_hz = (uint32_t)rate;
    S3R_TRY(s3r_kmeans_source_read(&file->source, facts, label, err));
    file->manifest_hash = json_string_value(json_object_get(facts, "manifest"));
    if (!s3r_is_sha256(file->manifest_hash))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: fact \"manifest\": expected 64 hexadecimal digits, found "
                        "\"%.80s\"",
                        label, file->manifest_hash ? file->manifest_hash : "");
    const json_t *centroids = json_object_get(facts, "centroids");
    file->centroids_hash = json_string_value(centroids);
    if (centroids && !s3r_is_sha256(file->centroids_hash))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: fact \"centroids\": expected 64 hexadecimal digits, found "
                        "\"%.80s\"",
                        label, file->centroids_hash ? file->centroids_hash : "");
    S3R_TRY(take_ids(file, label, err));
    S3R_TRY(take_tensors(file, label, err));
    return check_numbers(file, label, err);
}

static s3r_status finish(s3r_frame_labels *out, s3r_status status, const char *label,
                         s3r_error *err)
{
    if (status == S3R_OK)
        status = s3r_frame_labels_check(out, label, err);
    if (status != S3R_OK)
        s3r_frame_labels_close(out);
    return status;
}

s3r_status s3r_frame_labels_open(s3r_frame_labels *out, const char *path, s3r_error *err)
{
    *out = (s3r_frame_labels){0};
    return finish(out,
                  s3r_sealed_file_open(&out->sealed, path, S3R_FRAME_LABELS_KIND,
                                       S3R_FRAME_LABELS_FORMAT, err),
                  path, err);
}

s3r_status s3r_frame_labels_parse(s3r_frame_labels *out, const void *bytes, size_t size,
                                  const char *label, s3r_error *err)
{
    *out = (s3r_frame_labels){0};
    return finish(out,
                  s3r_sealed_file_parse(&out->sealed, bytes, size, label,
                                        S3R_FRAME_LABELS_KIND, S3R_FRAME_LABELS_FORMAT,
                                        err),
                  label, err);
}

void s3r_frame_labels_close(s3r_frame_labels *file)
{
    s3r_string_map_release(&file->by_id);
    s3r_sealed_file_close(&file->sealed);
    *file = (s3r_frame_labels){0};
}

/* ---- looking up ---- */

bool s3r_frame_labels_find(const s3r_frame_labels *file, const char *id,
                           size_t *utterance)
{
    const size_t *found = s3r_string_map_find(&file->by_id, id);
    if (found)
        *utterance = *found;
    return found != NULL;
}

size_t s3r_frame_labels_frames(const s3r_frame_labels *file, size_t utterance)
{
    assert(utterance < file->utterance_count);
    return (size_t)(offset_at(file, utterance + 1) - offset_at(file, utterance));
}

void s3r_frame_labels_get(const s3r_frame_labels *file, size_t utterance, size_t first,
                          size_t count, uint32_t *out)
{
    assert(first <= s3r_frame_labels_frames(file, utterance) &&
           count <= s3r_frame_labels_frames(file, utterance) - first);
    size_t from = (size_t)offset_at(file, utterance) + first;
    for (size_t i = 0; i < count; i++)
        out[i] = label_at(file, from + i);
}

/* ---- writing ---- */

static json_t *make_facts(const s3r_frame_labels_content *content)
{
    json_t *ids = json_array();
    json_t *facts =
        json_pack("{sI, sI, sI, ss, ss*}", "clusters", (json_int_t)content->clusters,
                  "frame_stride", (json_int_t)content->frame_stride, "sample_rate",
                  (json_int_t)content->sample_rate_hz, "manifest", content->manifest_hash,
                  "centroids", content->centroids_hash);
    bool is_whole = facts && s3r_kmeans_source_add(content->source, facts);
    for (size_t u = 0; is_whole && u < content->manifest->count; u++)
        is_whole =
            json_array_append_new(ids, json_string(content->manifest->items[u].id)) == 0;
    if (is_whole && json_object_set(facts, "utterances", ids) == 0) {
        json_decref(ids);
        return facts;
    }
    json_decref(ids);
    json_decref(facts);
    return NULL;
}

s3r_status s3r_frame_labels_save(const char *path,
                                 const s3r_frame_labels_content *content, s3r_error *err)
{
    size_t count = content->manifest->count, frames = (size_t)content->offset[count];
    const s3r_tensor tensors[] = {{.name = "offset",
                                   .dtype = S3R_DTYPE_U64,
                                   .rank = 1,
                                   .shape = {count + 1},
                                   .data = content->offset,
                                   .size_bytes = (count + 1) * sizeof(uint64_t)},
                                  {.name = "labels",
                                   .dtype = S3R_DTYPE_U16,
                                   .rank = 1,
                                   .shape = {frames},
                                   .data = content->labels,
                                   .size_bytes = frames * sizeof(uint16_t)}};
    json_t *facts = make_facts(content);
    if (!facts)
        return s3r_fail_memory(err, path, 0);
    s3r_status status =
        s3r_sealed_file_save(path, S3R_FRAME_LABELS_KIND, S3R_FRAME_LABELS_FORMAT,
                             tensors, S3R_ARRAY_LEN(tensors), facts, err);
    json_decref(facts);
    return status;
}

void s3r_centroids_hash(char hex[S3R_LABELS_HASH_BYTES], const s3r_kmeans *kmeans)
{
    struct sha256_ctx hash;
    uint8_t digest[SHA256_DIGEST_SIZE];
    size_t row = kmeans->dim * sizeof *kmeans->centroids;
    sha256_init(&hash);
    sha256_update(&hash, kmeans->clusters * row, (const uint8_t *)kmeans->centroids);
    sha256_update(&hash, row, (const uint8_t *)kmeans->mean);
    sha256_update(&hash, row, (const uint8_t *)kmeans->scale);
    sha256_digest(&hash, sizeof digest, digest);
    s3r_bytes_to_hex(hex, digest, sizeof digest);
}

s3r_status s3r_manifest_hash(char hex[S3R_LABELS_HASH_BYTES], const char *path,
                             s3r_error *err)
{
    struct sha256_ctx hash;
    uint8_t digest[SHA256_DIGEST_SIZE];
    s3r_file_map map;
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_DATA, err));
    sha256_init(&hash);
    if (map.size > 0)
        sha256_update(&hash, map.size, map.data);
    sha256_digest(&hash, sizeof digest, digest);
    s3r_bytes_to_hex(hex, digest, sizeof digest);
    s3r_file_map_close(&map);
    return S3R_OK;
}
