/*
 * Sums of blocks of frames, laid out sample by sample, so that they are dot products.
 */
#include "ops/window_moments.h"

#include <string.h>

bool s3r_window_moments_init(s3r_window_moments *moments, s3r_tape *tape, size_t kernel,
                             size_t stride)
{
    double *sums = s3r_tape_alloc(tape, kernel, (kernel + 1) * sizeof *sums);
    float *columns = s3r_tape_alloc(tape, kernel, S3R_MOMENT_FRAMES * sizeof *columns);
    if (!sums || !columns)
        return false;
    memset(sums, 0, kernel * (kernel + 1) * sizeof *sums);
    *moments = (s3r_window_moments){.kernel = kernel,
                                    .stride = stride,
                                    .sums = sums,
                                    .products = sums + kernel,
                                    .columns = columns};
    return true;
}

static void add_block(s3r_window_moments *moments, const s3r_kernels *kernels,
                      const float *x, size_t frames)
{
    size_t kernel = moments->kernel;
    for (size_t k = 0; k < kernel; k++)
        for (size_t t = 0; t < frames; t++)
            moments->columns[k * S3R_MOMENT_FRAMES + t] = x[t * moments->stride + k];
    for (size_t k = 0; k < kernel; k++) {
        const float *column = moments->columns + k * S3R_MOMENT_FRAMES;
        moments->sums[k] += kernels->sum(frames, column);
        for (size_t l = k; l < kernel; l++)
            moments->products[k * kernel + l] +=
                kernels->dot(frames, column, moments->columns + l * S3R_MOMENT_FRAMES);
    }
    moments->frames += frames;
}

void s3r_window_moments_add(s3r_window_moments *moments, const s3r_kernels *kernels,
                            const float *x, size_t frames)
{
    for (size_t first = 0; first < frames; first += S3R_MOMENT_FRAMES)
        add_block(moments, kernels, x + first * moments->stride,
                  S3R_MIN(frames - first, (size_t)S3R_MOMENT_FRAMES));
}

void s3r_window_moments_finish(s3r_window_moments *moments)
{
    size_t kernel = moments->kernel;
    double count = (double)moments->frames;
    for (size_t k = 0; k < kernel; k++)
        moments->sums[k] /= count;
    for (size_t k = 0; k < kernel; k++)
        for (size_t l = k; l < kernel; l++) {
            double *product = &moments->products[k * kernel + l];
            *product = *product / count - moments->sums[k] * moments->sums[l];
        }
}

double s3r_window_moments_mean(const s3r_window_moments *moments, const float *w,
                               size_t step)
{
    double mean = 0;
    for (size_t k = 0; k < moments->kernel; k++)
        mean += (double)w[k * step] * moments->sums[k];
    return mean;
}

double s3r_window_moments_variance(const s3r_window_moments *moments, const float *w,
                                   size_t step)
{
    size_t kernel = moments->kernel;
    double variance = 0;
    for (size_t k = 0; k < kernel; k++) {
        const double *covariance = moments->products + k * kernel;
        double w_k = (double)w[k * step], half = 0.5 * w_k * covariance[k];
        for (size_t l = k + 1; l < kernel; l++)
            half += (double)w[l * step] * covariance[l];
        variance += 2.0 * w_k * half;
    }
    return S3R_MAX(variance, 0.0);
}
