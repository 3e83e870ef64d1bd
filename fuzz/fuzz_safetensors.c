/*
 * Fuzz target: the safetensors parser.  All data that a parsed file offers must be there.
 */
#include <stdlib.h>

#include "checkpoint/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_error err;
    s3r_safetensors file;
    if (s3r_safetensors_parse(&file, data, size, "fuzz", &err) != S3R_OK)
        return 0;
    for (size_t i = 0; i < file.tensor_count; i++) {
        const s3r_tensor *tensor = &file.tensors[i];
        size_t offset = (size_t)((const uint8_t *)tensor->data - data);
        if (offset > size || tensor->size_bytes > size - offset)
            abort();
    }
    s3r_safetensors_release(&file);
    return 0;
}
