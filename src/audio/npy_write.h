/*
 * NumPy's .npy format, version 1.0: float32 arrays in C order.
 */
#ifndef S3R_AUDIO_NPY_WRITE_H
#define S3R_AUDIO_NPY_WRITE_H

#include "base/error.h"

#define S3R_NPY_MAX_RANK 3u

/*
 * Writes data [shape[0], .., shape[rank-1]] to path atomically; rank 1 to 3, extents of 0
 * are fine.  S3R_ERR_USAGE for another rank or a shape too large, S3R_ERR_RUNTIME when
 * path cannot be written.
 */
s3r_status s3r_npy_save(const char *path, const float *data, unsigned rank,
                        const size_t *shape, s3r_error *err);

#endif
