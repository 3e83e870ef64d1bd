/*
 * The safetensors container: validated reading in place and atomic writing. (spec 3.1)
 */
#ifndef S3R_CHECKPOINT_SAFETENSORS_H
#define S3R_CHECKPOINT_SAFETENSORS_H

#include <jansson.h>

#include "base/dtype.h"
#include "base/error.h"

typedef struct s3r_safetensors {
    s3r_tensor *tensors; /* names owned here; data points into the caller's bytes */
    size_t tensor_count;
    json_t *metadata; /* object string -> string; NULL when absent */
} s3r_safetensors;

/*
 * Parses the bytes of a whole file; they must outlive the result.  Every rule of spec 3.1
 * is enforced: header size, JSON, duplicate keys, dtype, shape product, offsets
 * contiguous from 0 to the end without hole or overlap.  `label` names the file in
 * messages. S3R_ERR_MODEL, S3R_ERR_RESOURCE.
 */
s3r_status s3r_safetensors_parse(s3r_safetensors *out, const void *bytes, size_t size,
                                 const char *label, s3r_error *err);
void s3r_safetensors_release(s3r_safetensors *file);

/*
 * Supplies the data of tensor `index` in pieces, in order, through `write`; total must be
 * tensors[index].size_bytes.  Lets a writer convert types without holding the model.
 */
typedef s3r_status (*s3r_tensor_write_fn)(void *write_context, const void *bytes,
                                          size_t size, s3r_error *err);
typedef s3r_status (*s3r_tensor_source_fn)(void *source_context, size_t index,
                                           s3r_tensor_write_fn write, void *write_context,
                                           s3r_error *err);

/*
 * Writes a file atomically.  tensors[i].data is used when source is NULL.  Tensors are
 * stored in the given order; the header is padded to 8 bytes.  metadata may be NULL.
 */
s3r_status s3r_safetensors_save(const char *path, const s3r_tensor *tensors,
                                size_t tensor_count, json_t *metadata,
                                s3r_tensor_source_fn source, void *source_context,
                                s3r_error *err);

#endif
