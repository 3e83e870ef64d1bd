/*
 * Element types of stored tensors, and a read-only view of one stored tensor.
 */
#ifndef S3R_BASE_DTYPE_H
#define S3R_BASE_DTYPE_H

#include "base/compiler.h"

typedef enum s3r_dtype {
    S3R_DTYPE_F32,
    S3R_DTYPE_F16,
    S3R_DTYPE_BF16,
    S3R_DTYPE_F64,
    S3R_DTYPE_I64,
    S3R_DTYPE_I32,
    S3R_DTYPE_I16,
    S3R_DTYPE_I8,
    S3R_DTYPE_U8,
    S3R_DTYPE_U16,
    S3R_DTYPE_U32,
    S3R_DTYPE_U64,
    S3R_DTYPE_BOOL,
    S3R_DTYPE_F8_E4M3,
    S3R_DTYPE_F8_E5M2,
    S3R_DTYPE_COUNT
} s3r_dtype;

/* Bytes of one element. */
size_t s3r_dtype_size(s3r_dtype dtype);
/* The safetensors name: "F32", "BF16", ...  Never NULL. */
const char *s3r_dtype_name(s3r_dtype dtype);
/* False when name is not a safetensors dtype. */
bool s3r_dtype_from_name(const char *name, s3r_dtype *out);

#define S3R_MAX_RANK 8u

/* A contiguous, row-major, little-endian tensor that somebody else owns. */
typedef struct s3r_tensor {
    const char *name;
    s3r_dtype dtype;
    unsigned rank; /* 0 = scalar */
    size_t shape[S3R_MAX_RANK];
    const void *data; /* not necessarily aligned to the element size */
    size_t size_bytes;
} s3r_tensor;

/* Product of the shape; 1 for a scalar.  The readers have checked that it fits. */
size_t s3r_tensor_elements(const s3r_tensor *tensor);
/* "[3072,768]" into text; cut when it does not fit. */
void s3r_tensor_shape_text(const s3r_tensor *tensor, char *text, size_t text_bytes);

#endif
