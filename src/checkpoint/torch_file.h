/*
 * PyTorch checkpoint files (.pt, .bin): the zip container and the legacy one of before
 * PyTorch 1.6.  (spec 3.2)
 */
#ifndef S3R_CHECKPOINT_TORCH_FILE_H
#define S3R_CHECKPOINT_TORCH_FILE_H

#include <jansson.h>

#include "base/dtype.h"
#include "base/error.h"
#include "checkpoint/zip_read.h"

typedef struct s3r_torch_file {
    s3r_tensor *tensors; /* names owned here; data in the caller's bytes or in copies */
    size_t tensor_count;
    json_t *config;  /* fairseq's "cfg" or else "args"; NULL when absent */
    bool is_fairseq; /* the tensors were under "model" */
    bool is_legacy;  /* not a zip */
    s3r_zip zip;     /* keeps inflated entries alive */
    void **copies;   /* tensors that are not contiguous in their storage */
    size_t copy_count;
} s3r_torch_file;

/* True when the bytes begin like a zip or a pickle. */
bool s3r_torch_file_is_likely(const void *bytes, size_t size);

/*
 * Reads the tensors of the state dict: the top level, or what lies under "model",
 * "model_weight" or "state_dict".  Entries that are no tensors are skipped.  A tensor
 * that is contiguous in its storage is a view into bytes, which must outlive the result;
 * others are copied.  `label` names the file and must outlive the result too.
 * S3R_ERR_MODEL, S3R_ERR_RESOURCE.
 */
s3r_status s3r_torch_file_parse(s3r_torch_file *out, const void *bytes, size_t size,
                                const char *label, s3r_error *err);
void s3r_torch_file_release(s3r_torch_file *file);

#endif
