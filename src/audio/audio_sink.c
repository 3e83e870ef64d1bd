/*
 * From decoded frames to spooled mono samples.
 */
#include "audio/audio_sink.h"

#include <math.h>

#include "base/memory.h"

void s3r_audio_sink_init(s3r_audio_sink *sink, const char *label,
                         const s3r_audio_options *options)
{
    *sink = (s3r_audio_sink){.label = label, .options = options};
    s3r_audio_spool_init(&sink->spool, options->memory_limit_bytes);
}

void s3r_audio_sink_release(s3r_audio_sink *sink)
{
    s3r_free(sink->block);
    s3r_free(sink->mono);
    s3r_free(sink->resampled);
    s3r_resampler_destroy(sink->resampler);
    s3r_audio_spool_release(&sink->spool);
    *sink = (s3r_audio_sink){.label = sink->label, .options = sink->options};
}

s3r_status s3r_audio_sink_open(s3r_audio_sink *sink, uint32_t source_rate_hz,
                               uint32_t channels, s3r_error *err)
{
    if (source_rate_hz < S3R_AUDIO_MIN_RATE_HZ || source_rate_hz > S3R_AUDIO_MAX_RATE_HZ)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: sample rate: expected %u to %u Hz, found %u", sink->label,
                        S3R_AUDIO_MIN_RATE_HZ, S3R_AUDIO_MAX_RATE_HZ,
                        (unsigned)source_rate_hz);
    if (channels < 1 || channels > S3R_AUDIO_MAX_CHANNELS)
        return s3r_fail(err, S3R_ERR_DATA, "%s: channels: expected 1 to %u, found %u",
                        sink->label, S3R_AUDIO_MAX_CHANNELS, (unsigned)channels);
    sink->source_rate_hz = source_rate_hz;
    sink->channels = channels;
    sink->block_frames = S3R_AUDIO_BLOCK_SAMPLES / channels;
    sink->block = s3r_alloc(S3R_AUDIO_BLOCK_SAMPLES, sizeof(float));
    sink->mono = s3r_alloc(S3R_AUDIO_BLOCK_SAMPLES, sizeof(float));
    sink->resampled = s3r_alloc(S3R_AUDIO_BLOCK_SAMPLES, sizeof(float));
    if (!sink->block || !sink->mono || !sink->resampled)
        return s3r_fail_memory(err, "audio blocks",
                               3 * S3R_AUDIO_BLOCK_SAMPLES * sizeof(float));
    if (source_rate_hz == sink->options->sample_rate_hz)
        return S3R_OK;
    return s3r_resampler_create(&sink->resampler, source_rate_hz,
                                sink->options->sample_rate_hz, err);
}

static s3r_status check_finite(const s3r_audio_sink *sink, size_t frames, s3r_error *err)
{
    size_t count = frames * sink->channels;
    for (size_t i = 0; i < count; i++) {
        if (fabsf(sink->block[i]) <= S3R_AUDIO_LARGEST_SAMPLE)
            continue;
        uint64_t frame = sink->frame_count + i / sink->channels;
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: sample %llu (%.4f s), channel %zu: expected a finite value, "
                        "found %g",
                        sink->label, (unsigned long long)frame,
                        (double)frame / sink->source_rate_hz, i % sink->channels + 1,
                        (double)sink->block[i]);
    }
    return S3R_OK;
}

static void average_channels(float *mono, const float *block, size_t frames,
                             size_t channels)
{
    for (size_t i = 0; i < frames; i++) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++)
            sum += (double)block[i * channels + c];
        mono[i] = (float)(sum / (double)channels);
    }
}

static s3r_status store(s3r_audio_sink *sink, const float *samples, size_t count,
                        s3r_error *err)
{
    size_t limit = sink->options->max_sample_count;
    if (limit > 0 && count > limit - sink->spool.size_bytes / sizeof(float))
        return s3r_fail(err, S3R_ERR_DATA, "%s: too long: expected at most %zu samples",
                        sink->label, limit);
    return s3r_audio_spool_append(&sink->spool, samples, count * sizeof(float), err);
}

s3r_status s3r_audio_sink_write(s3r_audio_sink *sink, size_t frames, s3r_error *err)
{
    S3R_TRY(check_finite(sink, frames, err));
    const float *mono = sink->block;
    if (sink->channels > 1) {
        average_channels(sink->mono, sink->block, frames, sink->channels);
        mono = sink->mono;
    }
    sink->frame_count += frames;
    if (!sink->resampler)
        return store(sink, mono, frames, err);
    while (frames > 0) {
        size_t taken = frames, written;
        S3R_TRY(s3r_resampler_process(sink->resampler, mono, &taken, sink->resampled,
                                      S3R_AUDIO_BLOCK_SAMPLES, &written, err));
        S3R_TRY(store(sink, sink->resampled, written, err));
        if (taken == 0 && written == 0)
            return s3r_fail(err, S3R_ERR_RUNTIME, "%s: the resampler makes no progress",
                            sink->label);
        mono += taken;
        frames -= taken;
    }
    return S3R_OK;
}

static s3r_status flush_resampler(s3r_audio_sink *sink, s3r_error *err)
{
    size_t written = 1;
    while (sink->resampler && written > 0) {
        size_t taken = 0;
        S3R_TRY(s3r_resampler_process(sink->resampler, NULL, &taken, sink->resampled,
                                      S3R_AUDIO_BLOCK_SAMPLES, &written, err));
        S3R_TRY(store(sink, sink->resampled, written, err));
    }
    return S3R_OK;
}

s3r_status s3r_audio_sink_finish(s3r_audio_sink *sink, s3r_audio *out, s3r_error *err)
{
    if (sink->frame_count > 0)
        S3R_TRY(flush_resampler(sink, err));
    if (sink->spool.size_bytes == 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: contains no samples", sink->label);
    s3r_audio_block block;
    S3R_TRY(s3r_audio_spool_finish(&sink->spool, &block, err));
    *out = (s3r_audio){
        .samples = block.storage,
        .sample_count = block.size_bytes / sizeof(float),
        .sample_rate_hz = sink->options->sample_rate_hz,
        .source_sample_rate_hz = sink->source_rate_hz,
        .source_channels = sink->channels,
        .storage = block.storage,
        .storage_bytes = block.size_bytes,
        .is_mapped = block.is_mapped,
    };
    return S3R_OK;
}
