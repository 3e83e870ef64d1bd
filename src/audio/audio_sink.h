/*
 * Where every decoder puts its frames: checks them, averages the channels, resamples and
 * spools, block by block, so that neither the source nor the result is ever whole in
 * memory while a long file is decoded.
 *
 *   sink_init -> (decoder:) sink_open, then fill sink.block and sink_write, repeatedly
 *   -> sink_finish; sink_release in every case.
 */
#ifndef S3R_AUDIO_AUDIO_SINK_H
#define S3R_AUDIO_AUDIO_SINK_H

#include "audio/audio_load.h"
#include "audio/audio_resample.h"
#include "audio/audio_spool.h"

#define S3R_AUDIO_MAX_CHANNELS  1024u
#define S3R_AUDIO_BLOCK_SAMPLES 16384u

typedef struct s3r_audio_sink {
    const char *label; /* names the input in messages */
    const s3r_audio_options *options;
    uint32_t source_rate_hz; /* 0 before open */
    uint32_t channels;
    uint64_t frame_count; /* frames written so far */
    float *block;         /* [block_frames, channels] for the decoder to fill */
    size_t block_frames;
    float *mono;              /* [S3R_AUDIO_BLOCK_SAMPLES] */
    float *resampled;         /* [S3R_AUDIO_BLOCK_SAMPLES] */
    s3r_resampler *resampler; /* NULL when the rates are equal */
    s3r_audio_spool spool;
} s3r_audio_sink;

/* label and options must outlive the sink. */
void s3r_audio_sink_init(s3r_audio_sink *sink, const char *label,
                         const s3r_audio_options *options);
void s3r_audio_sink_release(s3r_audio_sink *sink);
/* S3R_ERR_DATA when the rate or the channel count is out of range. */
s3r_status s3r_audio_sink_open(s3r_audio_sink *sink, uint32_t source_rate_hz,
                               uint32_t channels, s3r_error *err);
/* Takes the first frames of sink->block. */
s3r_status s3r_audio_sink_write(s3r_audio_sink *sink, size_t frames, s3r_error *err);
/* S3R_ERR_DATA when nothing was written. */
s3r_status s3r_audio_sink_finish(s3r_audio_sink *sink, s3r_audio *out, s3r_error *err);

#endif
