/*
 * Rows of utterances, each in one piece: in memory while the bound allows, then in pieces
 * of a temporary file that hold several utterances each.
 *
 * bf16 is rounded by the scalar code, which is the same on every CPU level; it costs
 * nothing beside the extractor that made the rows.
 */
#include "train/feature_cache.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/spill_file.h"
#include "ops/half.h"

/* What the file grows by, at least. */
#define PIECE_BYTES ((size_t)32 << 20)
/* Rows a task of get: enough work to be worth waking a thread. */
#define TASK_ROWS 64u
/* 16-bit audio. */
#define SAMPLE_SCALE 32768.0

typedef struct cache_entry {
    void *data; /* [rows, cols] of dtype; NULL = not there */
    size_t rows;
    bool is_in_file;
} cache_entry;

struct s3r_feature_cache {
    size_t count, cols;
    s3r_dtype dtype;
    size_t memory_limit, memory_bytes;
    char *folder;
    s3r_spill_file *file; /* NULL until memory is used up */
    char *piece;          /* rest of the last piece of the file */
    size_t piece_bytes;
    cache_entry *entries;
};

s3r_status s3r_feature_cache_create(s3r_feature_cache **out, size_t count, size_t cols,
                                    s3r_dtype dtype, size_t memory_bytes,
                                    const char *folder, s3r_error *err)
{
    assert(dtype == S3R_DTYPE_F32 || dtype == S3R_DTYPE_BF16 || dtype == S3R_DTYPE_I16);
    s3r_feature_cache *cache = s3r_alloc(1, sizeof *cache);
    if (!cache)
        return s3r_fail_memory(err, "the feature cache", sizeof *cache);
    cache->count = count;
    cache->cols = cols;
    cache->dtype = dtype;
    cache->memory_limit = memory_bytes;
    cache->folder = s3r_strdup(folder);
    cache->entries = s3r_alloc(count, sizeof *cache->entries);
    if (!cache->folder || !cache->entries) {
        s3r_feature_cache_destroy(cache);
        return s3r_fail_memory(err, "the feature cache", count * sizeof(cache_entry));
    }
    *out = cache;
    return S3R_OK;
}

void s3r_feature_cache_destroy(s3r_feature_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; cache->entries && i < cache->count; i++) {
        if (!cache->entries[i].is_in_file)
            s3r_free(cache->entries[i].data);
    }
    s3r_spill_file_close(cache->file);
    s3r_free(cache->entries);
    s3r_free(cache->folder);
    s3r_free(cache);
}

bool s3r_feature_cache_has(const s3r_feature_cache *cache, size_t utterance)
{
    assert(utterance < cache->count);
    return cache->entries[utterance].data != NULL;
}

size_t s3r_feature_cache_rows(const s3r_feature_cache *cache, size_t utterance)
{
    assert(s3r_feature_cache_has(cache, utterance));
    return cache->entries[utterance].rows;
}

static s3r_status place_in_file(s3r_feature_cache *cache, size_t size, void **data,
                                s3r_error *err)
{
    size = S3R_CEIL_DIV(size, S3R_ALIGNMENT) * S3R_ALIGNMENT;
    if (!cache->file)
        S3R_TRY(s3r_spill_file_open(&cache->file, cache->folder, err));
    if (size > cache->piece_bytes) {
        void *piece;
        size_t piece_bytes = S3R_MAX(size, PIECE_BYTES);
        S3R_TRY(s3r_fail_prefix(
            err, s3r_spill_file_extend(cache->file, piece_bytes, &piece, err),
            "feature cache (cache.features: none does without it)"));
        cache->piece = piece;
        cache->piece_bytes = piece_bytes;
    }
    *data = cache->piece;
    cache->piece += size;
    cache->piece_bytes -= size;
    return S3R_OK;
}

/* A sample in [-1, 1) as 16-bit audio has it; what is beyond is cut. */
static int16_t to_sample(float x)
{
    double scaled = rint((double)x * SAMPLE_SCALE);
    if (!(scaled > -SAMPLE_SCALE))
        return INT16_MIN;
    return scaled < SAMPLE_SCALE - 1.0 ? (int16_t)scaled : INT16_MAX;
}

static void store_row(s3r_dtype dtype, void *data, size_t first, const float *from,
                      size_t cols)
{
    if (dtype == S3R_DTYPE_F32)
        memcpy((float *)data + first, from, cols * sizeof *from);
    else if (dtype == S3R_DTYPE_BF16)
        for (size_t j = 0; j < cols; j++)
            ((uint16_t *)data)[first + j] = s3r_f32_to_bf16(from[j]);
    else
        for (size_t j = 0; j < cols; j++)
            ((int16_t *)data)[first + j] = to_sample(from[j]);
}

static void store_rows(const s3r_feature_cache *cache, void *data, const float *rows,
                       size_t row_count, size_t stride)
{
    for (size_t i = 0; i < row_count; i++)
        store_row(cache->dtype, data, i * cache->cols, rows + i * stride, cache->cols);
}

s3r_status s3r_feature_cache_put(s3r_feature_cache *cache, size_t utterance,
                                 const float *rows, size_t row_count, size_t stride,
                                 s3r_error *err)
{
    assert(!s3r_feature_cache_has(cache, utterance));
    assert(stride >= cache->cols);
    cache_entry *entry = &cache->entries[utterance];
    size_t values, size;
    void *data;
    if (!s3r_size_mul(row_count, cache->cols, &values) ||
        !s3r_size_mul(values, s3r_dtype_size(cache->dtype), &size) ||
        size > SIZE_MAX - S3R_ALIGNMENT)
        return s3r_fail_memory(err, "the feature cache", SIZE_MAX);
    entry->is_in_file = size > cache->memory_limit - cache->memory_bytes;
    if (entry->is_in_file) {
        S3R_TRY(place_in_file(cache, size, &data, err));
    } else {
        data = s3r_alloc_raw(size, 1);
        if (!data)
            return s3r_fail_memory(err, "the feature cache", size);
        cache->memory_bytes += size;
    }
    store_rows(cache, data, rows, row_count, stride);
    entry->data = data;
    entry->rows = row_count;
    return S3R_OK;
}

typedef struct get_work {
    const s3r_feature_cache *cache;
    const void *data;
    size_t first, count; /* rows */
    float *rows;
    size_t stride;
} get_work;

static void load_row(s3r_dtype dtype, const void *data, size_t first, float *to,
                     size_t cols)
{
    if (dtype == S3R_DTYPE_F32)
        memcpy(to, (const float *)data + first, cols * sizeof *to);
    else if (dtype == S3R_DTYPE_BF16)
        for (size_t j = 0; j < cols; j++)
            to[j] = s3r_bf16_to_f32(((const uint16_t *)data)[first + j]);
    else
        for (size_t j = 0; j < cols; j++)
            to[j] = (float)((const int16_t *)data)[first + j] / (float)SAMPLE_SCALE;
}

static void get_task(void *context, size_t task, size_t worker)
{
    const get_work *work = context;
    size_t cols = work->cache->cols;
    size_t end = S3R_MIN((task + 1) * TASK_ROWS, work->count);
    (void)worker;
    for (size_t i = task * TASK_ROWS; i < end; i++)
        load_row(work->cache->dtype, work->data, (work->first + i) * cols,
                 work->rows + i * work->stride, cols);
}

void s3r_feature_cache_get_some(const s3r_feature_cache *cache, s3r_pool *pool,
                                size_t utterance, size_t first, size_t count, float *rows,
                                size_t stride)
{
    assert(s3r_feature_cache_has(cache, utterance));
    assert(first + count <= cache->entries[utterance].rows);
    get_work work = {cache, cache->entries[utterance].data, first, count, rows, stride};
    s3r_pool_run(pool, S3R_CEIL_DIV(count, TASK_ROWS), get_task, &work);
}

void s3r_feature_cache_get(const s3r_feature_cache *cache, s3r_pool *pool,
                           size_t utterance, float *rows, size_t stride)
{
    s3r_feature_cache_get_some(cache, pool, utterance, 0, cache->entries[utterance].rows,
                               rows, stride);
}

size_t s3r_feature_cache_memory_bytes(const s3r_feature_cache *cache)
{
    return cache->memory_bytes;
}

size_t s3r_feature_cache_file_bytes(const s3r_feature_cache *cache)
{
    return cache->file ? s3r_spill_file_bytes(cache->file) : 0;
}
