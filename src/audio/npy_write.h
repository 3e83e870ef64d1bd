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

/*
 * The same for a [rows, cols] array that comes in order, a few rows at a time.  Nothing
 * is at path before commit.  commit and abort take ownership; abort allows NULL.
 */
typedef struct s3r_npy_writer s3r_npy_writer;
s3r_status s3r_npy_writer_open(s3r_npy_writer **out, const char *path, size_t rows,
                               size_t cols, s3r_error *err);
/* count rows of cols values; row i begins at data + i * stride. */
s3r_status s3r_npy_writer_add(s3r_npy_writer *writer, const float *data, size_t count,
                              size_t stride, s3r_error *err);
/* S3R_ERR_RUNTIME when not all rows came. */
s3r_status s3r_npy_writer_commit(s3r_npy_writer *writer, s3r_error *err);
void s3r_npy_writer_abort(s3r_npy_writer *writer);

#endif
