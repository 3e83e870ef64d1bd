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

/*
 * output [count] from input [count], finite values; they may be the same buffer.  eps >
 * 0. A constant input gives exact zeros.  Thread-safe.
 */
void s3r_audio_normalize(float *output, const float *input, size_t count, double eps);

#endif
