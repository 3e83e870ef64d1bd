/*
 * Mask files of strangers: whatever the bytes, opening gives a file whose parts are as
 * its facts say, or an error.  The seal stops nearly every mutation, so the same bytes
 * are also looked at as if it were right.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "route/mask.h"
#include "route/mask_file_check.h"

#define MAX_WORDS ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads what a user of the file reads. */
static void use(const s3r_mask_file *file)
{
    const char *name;
    size_t rows, cols;
    for (size_t i = 0; s3r_mask_file_matrix(file, i, &name, &rows, &cols); i++) {
        const s3r_tensor *bits = s3r_mask_file_find_part(file, S3R_MASK_PREFIX, name, "");
        s3r_mask mask = {rows, cols, s3r_mask_stride(cols), NULL};
        if (file->is_compact) /* fuzz_mask_compact.c */
            break;
        if (!bits || bits->size_bytes != s3r_mask_packed_bytes(rows, cols))
            abort();
        if (s3r_mask_words(rows, cols) > MAX_WORDS)
            continue;
        mask.bits = s3r_alloc_raw(s3r_mask_words(rows, cols), sizeof *mask.bits);
        if (!mask.bits)
            abort();
        s3r_mask_from_packed(&mask, bits->data);
        if (s3r_mask_kept_count(&mask) !=
            s3r_packed_kept_count(bits->data, bits->size_bytes))
            abort();
        s3r_free(mask.bits);
    }
    if (!file->backbone_hash || !file->family || !file->task || !file->method)
        abort();
}

static void check_unsealed(const uint8_t *data, size_t size)
{
    s3r_error err;
    s3r_mask_file file = {.path = s3r_strdup("input")};
    s3r_safetensors *container = &file.sealed.container;
    if (file.path &&
        s3r_safetensors_parse(container, data, size, "input", &err) == S3R_OK) {
        const json_t *text = json_object_get(container->metadata, "s3r.facts");
        file.sealed.facts =
            text ? json_loadb(json_string_value(text), json_string_length(text), 0, NULL)
                 : NULL;
        file.facts = file.sealed.facts;
        if (file.facts && s3r_mask_file_check(&file, &err) == S3R_OK)
            use(&file);
    }
    s3r_mask_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_mask_file file;
    s3r_error err;
    if (s3r_mask_file_parse(&file, data, size, "input", &err) == S3R_OK) {
        use(&file);
        s3r_mask_file_close(&file);
    }
    check_unsealed(data, size);
    return 0;
}
