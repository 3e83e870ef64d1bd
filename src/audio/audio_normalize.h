/*
 * Zero mean and unit variance over a whole waveform. (spec 2.1)
 *
 *   y = (x - mean) / sqrt(variance + eps)      variance biased (divided by n)
 */
#ifndef S3R_AUDIO_AUDIO_NORMALIZE_H
#define S3R_AUDIO_AUDIO_NORMALIZE_H

#include "base/compiler.h"

#define S3R_NORMALIZE_EPS_HF      1e-7 /* Hugging Face feature extractor */
#define S3R_NORMALIZE_EPS_FAIRSEQ 1e-5 /* layer norm over the waveform */

/* y = (x - mean) * scale; {0, 1} leaves a waveform as it is. */
typedef struct s3r_audio_scaling {
    double mean, scale;
} s3r_audio_scaling;

/* The scaling of input [count], finite values; eps > 0. Thread-safe. */
s3r_audio_scaling s3r_audio_measure(const float *input, size_t count, double eps);

/* output [count] = scaled input; they may be the same buffer.  Thread-safe. */
void s3r_audio_scale(float *output, const float *input, size_t count,
                     s3r_audio_scaling scaling);

/* The two steps above.  A constant input gives exact zeros. */
void s3r_audio_normalize(float *output, const float *input, size_t count, double eps);

#endif
