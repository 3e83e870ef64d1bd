/*
 * Means and products of the samples that a convolution sees at once: with them the mean
 * and the variance over time of each of its output channels follow from the channel's
 * weights, and the convolution need not run. For one input channel.
 *
 * With m_k the mean over frames t of x[t * stride + k] and C_kl the covariance of
 * samples k and l, a channel y = sum w_k x_k has mean w m and variance w C w.
 */
#ifndef S3R_OPS_WINDOW_MOMENTS_H
#define S3R_OPS_WINDOW_MOMENTS_H

#include "ops/tape.h"

/* Frames that are summed as one; calls of s3r_window_moments_add cut at multiples of it
 * give the bits of one call. */
#define S3R_MOMENT_FRAMES 512u

typedef struct s3r_window_moments {
    size_t kernel, stride, frames;
    double *sums;     /* [kernel] */
    double *products; /* [kernel, kernel], l >= k */
    float *columns;   /* [kernel, S3R_MOMENT_FRAMES] scratch */
} s3r_window_moments;

/* No frames yet; in the tape's arena.  False without memory. */
bool s3r_window_moments_init(s3r_window_moments *moments, s3r_tape *tape, size_t kernel,
                             size_t stride);
/* Adds `frames` frames, the first of which begins at x, in the order of time. */
void s3r_window_moments_add(s3r_window_moments *moments, const s3r_kernels *kernels,
                            const float *x, size_t frames);
/* From sums to means and covariances, once; at least one frame was added. */
void s3r_window_moments_finish(s3r_window_moments *moments);
/* Mean and (biased) variance of the channel whose weights are w[k * step]. */
double s3r_window_moments_mean(const s3r_window_moments *moments, const float *w,
                               size_t step);
double s3r_window_moments_variance(const s3r_window_moments *moments, const float *w,
                                   size_t step);

#endif
