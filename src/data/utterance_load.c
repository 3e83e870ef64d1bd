/*
 * The samples of one utterance: the file is decoded as a whole, its part is kept.
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

/* Puts the part into a block of its own, so that it begins aligned. */
static s3r_status keep_part(s3r_audio *audio, size_t first, size_t count, s3r_error *err)
{
    if (first == 0) {
        audio->sample_count = count;
        return S3R_OK;
    }
    float *samples = s3r_alloc_raw(count, sizeof *samples);
    if (!samples)
        return s3r_fail_memory(err, "the samples", count * sizeof *samples);
    memcpy(samples, audio->samples + first, count * sizeof *samples);
    s3r_audio part = *audio;
    part.samples = part.storage = samples;
    part.sample_count = count;
    part.storage_bytes = count * sizeof *samples;
    part.is_mapped = false;
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
