/*
 * Streaming sample rate conversion of one channel: soxr at its HQ setting (20 bits), the
 * filter's delay removed, so that sample i of the output is at time i / rate.
 */
#ifndef S3R_AUDIO_AUDIO_RESAMPLE_H
#define S3R_AUDIO_AUDIO_RESAMPLE_H

#include "base/error.h"

#define S3R_AUDIO_MIN_RATE_HZ 1000u
#define S3R_AUDIO_MAX_RATE_HZ 768000u
/* Larger values are damage, and could overflow in the filter. */
#define S3R_AUDIO_LARGEST_SAMPLE 1e30f

typedef struct s3r_resampler s3r_resampler;

s3r_status s3r_resampler_create(s3r_resampler **out, uint32_t input_rate_hz,
                                uint32_t output_rate_hz, s3r_error *err);
void s3r_resampler_destroy(s3r_resampler *resampler);

/*
 * Takes up to *input_count samples and writes up to output_capacity; on return
 * *input_count is what was taken and *output_count what was written.  input NULL: no more
 * input will come, call until *output_count is 0.  Over a whole signal of n samples the
 * output has round(n * output_rate / input_rate) samples.
 */
s3r_status s3r_resampler_process(s3r_resampler *resampler, const float *input,
                                 size_t *input_count, float *output,
                                 size_t output_capacity, size_t *output_count,
                                 s3r_error *err);

#endif
