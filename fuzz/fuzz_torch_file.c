/*
 * Fuzz target: PyTorch files, that is zip, pickle and the legacy container.  Every byte
 * of every tensor is read.  The input is also tried as a bare pickle, which reaches the
 * interpreter without a sound container around it.
 */
#include "checkpoint/pickle_json.h"
#include "checkpoint/pickle_read.h"
#include "checkpoint/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const s3r_torch_file *file)
{
    volatile uint8_t sink = 0;
    size_t budget = (size_t)1 << 20; /* an input may share one storage many times */
    for (size_t i = 0; i < file->tensor_count; i++) {
        const s3r_tensor *tensor = &file->tensors[i];
        const uint8_t *bytes = tensor->data;
        for (size_t k = 0; k < tensor->size_bytes && budget > 0; k++, budget--)
            sink ^= bytes[k];
    }
    (void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_error err;
    s3r_torch_file file;
    s3r_pickle_tree tree;
    json_t *json;
    if (s3r_torch_file_parse(&file, data, size, "fuzz", &err) == S3R_OK) {
        read_all(&file);
        s3r_torch_file_release(&file);
    }
    if (s3r_pickle_read(&tree, NULL, data, size, "fuzz", &err) == S3R_OK) {
        if (s3r_pickle_to_json(&json, tree.root, "fuzz", &err) == S3R_OK)
            json_decref(json);
        s3r_pickle_tree_release(&tree);
    }
    return 0;
}
