/*
 * Sealed files (training checkpoints): whatever the bytes, parsing gives a whole file or
 * an error.
 */
#include <stdlib.h>

#include "checkpoint/sealed_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_sealed_file file;
    s3r_error err;
    unsigned sum = 0;
    if (s3r_sealed_file_parse(&file, data, size, "input", "s3r.checkpoint", 1, &err) !=
        S3R_OK)
        return file.facts ? (abort(), 0) : 0;
    if (!json_is_object(file.facts))
        abort();
    for (size_t i = 0; i < file.container.tensor_count; i++) {
        const s3r_tensor *tensor = &file.container.tensors[i];
        const unsigned char *bytes = tensor->data;
        for (size_t k = 0; k < tensor->size_bytes; k++)
            sum += bytes[k];
        if (!s3r_sealed_file_find(&file, tensor->name))
            abort();
    }
    s3r_sealed_file_close(&file);
    return sum == 0x7fffffff; /* so that the bytes are read */
}
