/*
 * Mel-frequency cepstra, the features whose clusters are the targets of HuBERT's first
 * iteration. (Hsu et al. 2021; spec 2.10)
 *
 * The numbers are Kaldi's: windows of 25 ms every 10 ms that lie within the waveform, the
 * mean removed, pre-emphasis 0.97, povey window, 512 points, 23 mel bins from 20 to 8000
 * Hz, logarithm, 13 cepstra with lifter 22, no energy, no dither; then first and second
 * differences over 5 frames.  All up to the spectrum is linear and is one matrix product
 * with overlapping rows of the waveform.
 */
#ifndef S3R_TASKS_MFCC_H
#define S3R_TASKS_MFCC_H

#include "base/thread_pool.h"
#include "ops/kernels.h"

#define S3R_MFCC_RATE_HZ 16000u
#define S3R_MFCC_WINDOW  400u /* samples */
#define S3R_MFCC_HOP     160u
#define S3R_MFCC_CEPSTRA 13u
#define S3R_MFCC_DIM     39u /* cepstra, their differences, the differences of those */

typedef struct s3r_mfcc s3r_mfcc; /* tables; shared read-only by any threads */

s3r_status s3r_mfcc_create(s3r_mfcc **out, const s3r_kernels *kernels, s3r_error *err);
void s3r_mfcc_destroy(s3r_mfcc *mfcc); /* NULL is allowed */

/* Frames of 10 ms that so many samples have. */
size_t s3r_mfcc_frames(size_t sample_count);

/* rows [s3r_mfcc_frames(count), S3R_MFCC_DIM] of samples (between -1 and 1, 16 kHz). */
void s3r_mfcc_run(const s3r_mfcc *mfcc, s3r_pool *pool, const float *samples,
                  size_t count, float *rows);

/* Keeps every second of rows [frames, S3R_MFCC_DIM], the first one too, in place, as an
 * encoder of 20 ms frames has them; at most `wanted`.  Returns how many are left. */
size_t s3r_mfcc_halve(float *rows, size_t frames, size_t wanted);

#endif
