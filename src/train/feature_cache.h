/*
 * The frozen extractor's output, computed once an utterance. (design.md: the frozen part
 * is computed once)
 *
 * Rows lie in memory up to a bound and then in an unlinked file that is mapped, so that
 * the cache never needs more memory than it was given.
 */
#ifndef S3R_TRAIN_FEATURE_CACHE_H
#define S3R_TRAIN_FEATURE_CACHE_H

#include "base/dtype.h"
#include "base/error.h"
#include "base/thread_pool.h"

typedef struct s3r_feature_cache s3r_feature_cache;

/* For `count` utterances of rows with `cols` values.  dtype F32, BF16, or I16 for
 * 16-bit audio (values in [-1, 1), rows of so many samples as suits); folder is where
 * the file goes when memory_bytes is used up.  S3R_ERR_RESOURCE, S3R_ERR_RUNTIME. */
s3r_status s3r_feature_cache_create(s3r_feature_cache **out, size_t count, size_t cols,
                                    s3r_dtype dtype, size_t memory_bytes,
                                    const char *folder, s3r_error *err);
void s3r_feature_cache_destroy(s3r_feature_cache *cache); /* NULL is allowed */

bool s3r_feature_cache_has(const s3r_feature_cache *cache, size_t utterance);
/* Rows of an utterance that is there. */
size_t s3r_feature_cache_rows(const s3r_feature_cache *cache, size_t utterance);
/* Stores rows [rows, cols] with a stride; once an utterance. */
s3r_status s3r_feature_cache_put(s3r_feature_cache *cache, size_t utterance,
                                 const float *rows, size_t row_count, size_t stride,
                                 s3r_error *err);
/* Writes its rows as fp32. What comes out of an fp32 cache is what went in. */
void s3r_feature_cache_get(const s3r_feature_cache *cache, s3r_pool *pool,
                           size_t utterance, float *rows, size_t stride);
/* Rows [first, first + count) of it. */
void s3r_feature_cache_get_some(const s3r_feature_cache *cache, s3r_pool *pool,
                                size_t utterance, size_t first, size_t count, float *rows,
                                size_t stride);
/* Bytes in memory and in the file. */
size_t s3r_feature_cache_memory_bytes(const s3r_feature_cache *cache);
size_t s3r_feature_cache_file_bytes(const s3r_feature_cache *cache);

#endif
