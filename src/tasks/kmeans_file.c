/*
 * Centroids: writing, reading, checking.
 */
#include "tasks/kmeans_file.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

#define MAX_LAYER 1000u

/* ---- facts ---- */

bool s3r_is_sha256(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

s3r_status s3r_fact_number(size_t *out, const json_t *facts, const char *key,
                           size_t least, size_t most, const char *label, s3r_error *err)
{
    const json_t *value = json_object_get(facts, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < least ||
        (uint64_t)number > most)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: fact \"%s\": expected a whole number from %zu to %zu, found "
                        "%s",
                        label, key, least, most,
                        json_is_integer(value) ? "another one"
                        : value                ? "something else"
                                               : "none");
    *out = (size_t)number;
    return S3R_OK;
}

s3r_status s3r_kmeans_source_read(s3r_kmeans_source *out, const json_t *facts,
                                  const char *label, s3r_error *err)
{
    const char *source = json_string_value(json_object_get(facts, "source"));
    const char *backbone = json_string_value(json_object_get(facts, "backbone"));
    const json_t *normalized = json_object_get(facts, "normalized");
    const char *within = json_string_value(normalized);
    *out = (s3r_kmeans_source){.is_mfcc = source && strcmp(source, "mfcc") == 0,
                               .is_normalized = normalized};
    if (normalized && (!within || strcmp(within, "utterance") != 0))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: fact \"normalized\": expected \"utterance\", found "
                        "\"%.40s\"",
                        label, within ? within : "");
    if (out->is_mfcc)
        return S3R_OK;
    if (!source || strcmp(source, "layer") != 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: fact \"source\": expected \"mfcc\" or \"layer\", found "
                        "\"%.40s\"",
                        label, source ? source : "");
    if (!s3r_is_sha256(backbone))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: fact \"backbone\": expected 64 hexadecimal digits, found "
                        "\"%.80s\"",
                        label, backbone ? backbone : "");
    memcpy(out->backbone, backbone, sizeof out->backbone);
    return s3r_fact_number(&out->layer, facts, "layer", 0, MAX_LAYER, label, err);
}

bool s3r_kmeans_source_add(const s3r_kmeans_source *source, json_t *facts)
{
    if (source->is_normalized &&
        json_object_set_new(facts, "normalized", json_string("utterance")) != 0)
        return false;
    if (source->is_mfcc)
        return json_object_set_new(facts, "source", json_string("mfcc")) == 0;
    return json_object_set_new(facts, "source", json_string("layer")) == 0 &&
           json_object_set_new(facts, "backbone", json_string(source->backbone)) == 0 &&
           json_object_set_new(facts, "layer", json_integer((json_int_t)source->layer)) ==
               0;
}

/* ---- reading ---- */

static s3r_status take_tensor(float *out, const s3r_sealed_file *sealed, const char *name,
                              unsigned rank, size_t rows, size_t cols, const char *label,
                              s3r_error *err)
{
    char shape[64] = "none";
    const s3r_tensor *tensor = s3r_sealed_file_find(sealed, name);
    if (tensor)
        s3r_tensor_shape_text(tensor, shape, sizeof shape);
    if (!tensor || tensor->dtype != S3R_DTYPE_F32 || tensor->rank != rank ||
        tensor->shape[0] != rows || (rank > 1 && tensor->shape[1] != cols))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: tensor \"%s\": expected F32 of %zu x %zu, found %s %s",
                        label, name, rows, cols,
                        tensor ? s3r_dtype_name(tensor->dtype) : "", shape);
    memcpy(out, tensor->data, tensor->size_bytes);
    for (size_t i = 0; i < rows * cols; i++)
        if (!isfinite(out[i]))
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: tensor \"%s\": expected finite numbers, found others",
                            label, name);
    return S3R_OK;
}

static s3r_status take_record(s3r_kmeans_file *out, const json_t *facts,
                              const char *label, s3r_error *err)
{
    size_t seed = 0;
    out->record.inertia = json_number_value(json_object_get(facts, "inertia"));
    S3R_TRY(s3r_fact_number(&seed, facts, "seed", 0, SIZE_MAX, label, err));
    S3R_TRY(s3r_fact_number(&out->record.rows, facts, "rows", 1, SIZE_MAX, label, err));
    out->record.seed = seed;
    return s3r_fact_number(&out->record.iterations, facts, "iterations", 0, SIZE_MAX,
                           label, err);
}

static s3r_status take_parts(s3r_kmeans_file *out, const s3r_sealed_file *sealed,
                             const char *label, const s3r_kernels *kernels,
                             s3r_error *err)
{
    size_t clusters = 0, dim = 0;
    S3R_TRY(s3r_kmeans_source_read(&out->source, sealed->facts, label, err));
    S3R_TRY(take_record(out, sealed->facts, label, err));
    S3R_TRY(s3r_fact_number(&clusters, sealed->facts, "clusters", 1,
                            S3R_KMEANS_MAX_CLUSTERS, label, err));
    S3R_TRY(
        s3r_fact_number(&dim, sealed->facts, "dim", 1, S3R_KMEANS_MAX_DIM, label, err));
    /* The facts of strangers must not choose how much memory is taken. */
    const s3r_tensor *stored = s3r_sealed_file_find(sealed, "centroids");
    if (!stored || stored->size_bytes / sizeof(float) / dim != clusters)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: tensor \"centroids\": expected F32 of %zu x %zu, found %s",
                        label, clusters, dim, stored ? "another size" : "none");
    S3R_TRY(s3r_kmeans_create(&out->kmeans, clusters, dim, err));
    s3r_kmeans *kmeans = &out->kmeans;
    S3R_TRY(take_tensor(kmeans->centroids, sealed, "centroids", 2, clusters, dim, label,
                        err));
    S3R_TRY(take_tensor(kmeans->mean, sealed, "mean", 1, dim, 1, label, err));
    S3R_TRY(take_tensor(kmeans->scale, sealed, "scale", 1, dim, 1, label, err));
    return s3r_kmeans_prepare(kmeans, kernels, err);
}

s3r_status s3r_kmeans_file_take(s3r_kmeans_file *out, const s3r_sealed_file *sealed,
                                const char *label, const s3r_kernels *kernels,
                                s3r_error *err)
{
    *out = (s3r_kmeans_file){0};
    s3r_status status = take_parts(out, sealed, label, kernels, err);
    if (status != S3R_OK)
        s3r_kmeans_file_close(out);
    return status;
}

s3r_status s3r_kmeans_file_open(s3r_kmeans_file *out, const char *path,
                                const s3r_kernels *kernels, s3r_error *err)
{
    s3r_sealed_file sealed;
    *out = (s3r_kmeans_file){0};
    S3R_TRY(s3r_sealed_file_open(&sealed, path, S3R_KMEANS_KIND, S3R_KMEANS_FORMAT, err));
    s3r_status status = s3r_kmeans_file_take(out, &sealed, path, kernels, err);
    s3r_sealed_file_close(&sealed);
    return status;
}

s3r_status s3r_kmeans_file_parse(s3r_kmeans_file *out, const void *bytes, size_t size,
                                 const char *label, const s3r_kernels *kernels,
                                 s3r_error *err)
{
    s3r_sealed_file sealed;
    *out = (s3r_kmeans_file){0};
    S3R_TRY(s3r_sealed_file_parse(&sealed, bytes, size, label, S3R_KMEANS_KIND,
                                  S3R_KMEANS_FORMAT, err));
    s3r_status status = s3r_kmeans_file_take(out, &sealed, label, kernels, err);
    s3r_sealed_file_close(&sealed);
    return status;
}

void s3r_kmeans_file_close(s3r_kmeans_file *file)
{
    s3r_kmeans_release(&file->kmeans);
    *file = (s3r_kmeans_file){0};
}

/* ---- writing ---- */

s3r_status s3r_kmeans_file_save(const char *path, const s3r_kmeans_file *file,
                                s3r_error *err)
{
    const s3r_kmeans *kmeans = &file->kmeans;
    const s3r_kmeans_record *record = &file->record;
    size_t clusters = kmeans->clusters, dim = kmeans->dim;
    size_t row_bytes = dim * sizeof(float);
    const s3r_tensor tensors[] = {{.name = "centroids",
                                   .dtype = S3R_DTYPE_F32,
                                   .rank = 2,
                                   .shape = {clusters, dim},
                                   .data = kmeans->centroids,
                                   .size_bytes = clusters * row_bytes},
                                  {.name = "mean",
                                   .dtype = S3R_DTYPE_F32,
                                   .rank = 1,
                                   .shape = {dim},
                                   .data = kmeans->mean,
                                   .size_bytes = row_bytes},
                                  {.name = "scale",
                                   .dtype = S3R_DTYPE_F32,
                                   .rank = 1,
                                   .shape = {dim},
                                   .data = kmeans->scale,
                                   .size_bytes = row_bytes}};
    json_t *facts =
        json_pack("{sI, sI, sI, sI, sI, sf}", "clusters", (json_int_t)clusters, "dim",
                  (json_int_t)dim, "seed", (json_int_t)record->seed, "rows",
                  (json_int_t)record->rows, "iterations", (json_int_t)record->iterations,
                  "inertia", record->inertia);
    if (!facts || !s3r_kmeans_source_add(&file->source, facts)) {
        json_decref(facts);
        return s3r_fail_memory(err, path, 0);
    }
    s3r_status status = s3r_sealed_file_save(path, S3R_KMEANS_KIND, S3R_KMEANS_FORMAT,
                                             tensors, S3R_ARRAY_LEN(tensors), facts, err);
    json_decref(facts);
    return status;
}
