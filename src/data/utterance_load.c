/*
 * The samples of one utterance: the file is decoded as a whole, its part is kept.
 *
 * Seeking would give other bits where a resampler or a lossy decoder remembers what came
 * before, and would not notice a damaged file; so who reads part after part keeps the
 * whole.
 */
#include <math.h>
#include <string.h>

#include "data/manifest.h"

#define TOLERATED_LACK_S 0.05

/* The part [first, end) of total samples. */
static s3r_status find_part(const s3r_utterance *utterance, const s3r_audio *audio,
                            size_t *first, size_t *end, s3r_error *err)
{
    double rate = audio->sample_rate_hz, total = (double)audio->sample_count;
    double from = nearbyint(utterance->offset_s * rate), to = total;
    if (utterance->duration_s >= 0)
        to = nearbyint((utterance->offset_s + utterance->duration_s) * rate);
    if (from >= total || to > total + TOLERATED_LACK_S * rate)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: utterance \"%.200s\": expected %.3f to %.3f s of the file, "
                        "found %.3f s in it",
                        utterance->audio_path, utterance->id, utterance->offset_s,
                        S3R_MAX(to, from) / rate, total / rate);
    *first = (size_t)from;
    *end = (size_t)S3R_MIN(to, total);
    if (*end <= *first)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: utterance \"%.200s\": expected samples, found none",
                        utterance->audio_path, utterance->id);
    return S3R_OK;
}

/* A copy of a part, in a block of its own, so that it begins aligned. */
static s3r_status copy_part(s3r_audio *out, const s3r_audio *audio, size_t first,
                            size_t count, s3r_error *err)
{
    float *samples = s3r_alloc_raw(count, sizeof *samples);
    if (!samples)
        return s3r_fail_memory(err, "the samples", count * sizeof *samples);
    memcpy(samples, audio->samples + first, count * sizeof *samples);
    *out = *audio;
    out->samples = out->storage = samples;
    out->sample_count = count;
    out->storage_bytes = count * sizeof *samples;
    out->is_mapped = false;
    return S3R_OK;
}

/* Turns the whole into its part; a part at the beginning stays where it is. */
static s3r_status keep_part(s3r_audio *audio, size_t first, size_t count, s3r_error *err)
{
    s3r_audio part;
    if (first == 0) {
        audio->sample_count = count;
        return S3R_OK;
    }
    S3R_TRY(copy_part(&part, audio, first, count, err));
    s3r_audio_release(audio);
    *audio = part;
    return S3R_OK;
}

s3r_status s3r_utterance_load(s3r_audio *out, const s3r_utterance *utterance,
                              const s3r_audio_options *options, s3r_error *err)
{
    s3r_audio audio;
    size_t first = 0, end = 0;
    S3R_TRY(s3r_audio_load(&audio, utterance->audio_path, options, err));
    s3r_status status = find_part(utterance, &audio, &first, &end, err);
    if (status == S3R_OK)
        status = keep_part(&audio, first, end - first, err);
    if (status == S3R_OK)
        *out = audio;
    else
        s3r_audio_release(&audio);
    return status;
}

/* ---- several utterances of one file ---- */

static bool holds(const s3r_audio_cache *cache, const char *path)
{
    return cache->path && strcmp(cache->path, path) == 0;
}

static s3r_status fill(s3r_audio_cache *cache, const char *path,
                       const s3r_audio_options *options, s3r_error *err)
{
    size_t bytes = strlen(path) + 1;
    s3r_audio_cache_release(cache);
    char *copy = s3r_alloc_raw(bytes, 1);
    if (!copy)
        return s3r_fail_memory(err, "a path", bytes);
    memcpy(copy, path, bytes);
    s3r_status status = s3r_audio_load(&cache->audio, path, options, err);
    if (status == S3R_OK)
        cache->path = copy;
    else
        s3r_free(copy);
    return status;
}

s3r_status s3r_utterance_load_cached(s3r_audio *out, s3r_audio_cache *cache,
                                     const s3r_utterance *utterance,
                                     const s3r_audio_options *options, s3r_error *err)
{
    size_t first = 0, end = 0;
    const char *path = utterance->audio_path;
    if (!holds(cache, path)) {
        if (utterance->offset_s <= 0)
            return s3r_utterance_load(out, utterance, options, err);
        S3R_TRY(fill(cache, path, options, err));
    }
    S3R_TRY(find_part(utterance, &cache->audio, &first, &end, err));
    return copy_part(out, &cache->audio, first, end - first, err);
}

void s3r_audio_cache_release(s3r_audio_cache *cache)
{
    if (cache->path)
        s3r_audio_release(&cache->audio);
    s3r_free(cache->path);
    *cache = (s3r_audio_cache){0};
}
