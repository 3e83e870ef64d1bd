/*
 * Runs of stored tensor elements to and from fp32.
 */
#ifndef S3R_MODEL_STORED_VALUES_H
#define S3R_MODEL_STORED_VALUES_H

#include "base/dtype.h"

/* out[i] = element first + i of data, which is F32, F16, BF16 or F64 in any alignment. */
void s3r_stored_to_f32(float *out, const void *data, s3r_dtype dtype, size_t first,
                       size_t count);

/* False when one of count F64 values is finite and becomes infinite as float; *bad is
 * then its index from `first` on.  Other types fit. */
bool s3r_stored_fits_f32(const void *stored, s3r_dtype dtype, size_t first, size_t count,
                         size_t *bad);

/*
 * Writes count values as F32, F16 or BF16 (round to nearest even) to out.  False when a
 * value does not fit: |x| > 65504 in F16, a finite value that becomes infinite in BF16;
 * *bad is then its index.
 */
bool s3r_stored_from_f32(void *out, s3r_dtype dtype, const float *values, size_t count,
                         size_t *bad);

#endif
