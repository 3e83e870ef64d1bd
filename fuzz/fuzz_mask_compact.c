/*
 * Coded masks of strangers: whatever the bytes, checking and decoding end, within the
 * bytes, and every CPU level finds the same.  The first bytes choose shapes and the type
 * of the weights:
 *
 *   matrices - 1 (2 bits), type (2 bits)   then of each matrix: rows, cols
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "route/mask_compact.h"

#define MAX_MATRICES 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const s3r_dtype types[] = {S3R_DTYPE_BF16, S3R_DTYPE_F32, S3R_DTYPE_F16,
                                  S3R_DTYPE_F64};

static void *must(void *block)
{
    if (!block)
        abort();
    return block;
}

static s3r_status decode(s3r_weighed_mask *masks, size_t count, const uint8_t *bytes,
                         size_t size, s3r_cpu_level level)
{
    s3r_error err;
    for (size_t i = 0; i < count; i++) {
        s3r_mask *mask = &masks[i].mask;
        size_t words = s3r_mask_words(mask->rows, mask->cols);
        mask->bits = must(s3r_alloc_raw(words, sizeof *mask->bits));
    }
    return s3r_masks_decode(masks, count, bytes, size, level, NULL, "input", &err);
}

/* Levels must agree, and the mask must be what s3r_mask says that one is. */
static void compare(const s3r_weighed_mask *a, const s3r_weighed_mask *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const s3r_mask *mask = &a[i].mask;
        size_t words = s3r_mask_words(mask->rows, mask->cols);
        if (memcmp(mask->bits, b[i].mask.bits, words * sizeof *mask->bits) != 0 ||
            s3r_mask_kept_count(mask) > mask->rows * mask->cols)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_weighed_mask masks[MAX_MATRICES] = {0}, plain[MAX_MATRICES] = {0};
    if (size < 1)
        return 0;
    size_t count = 1 + (data[0] & 3), skipped = 1 + 2 * count;
    s3r_dtype type = types[data[0] >> 2 & 3];
    if (size < skipped)
        return 0;
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        s3r_mask mask = {1u + data[1 + 2 * i], 1u + data[2 + 2 * i], 0, NULL};
        mask.stride = s3r_mask_stride(mask.cols);
        masks[i].mask = plain[i].mask = mask;
        most = S3R_MAX(most, mask.rows * mask.cols);
    }
    uint8_t *weights = must(s3r_alloc_raw(most, s3r_dtype_size(type)));
    for (size_t i = 0; i < most * s3r_dtype_size(type); i++)
        weights[i] = (uint8_t)(i * 29u); /* as when the seeds were made */
    for (size_t i = 0; i < count; i++)
        masks[i].weights = plain[i].weights = (s3r_mask_weights){weights, type};
    s3r_status status =
        decode(masks, count, data + skipped, size - skipped, s3r_cpu_detect());
    if (decode(plain, count, data + skipped, size - skipped, S3R_CPU_PORTABLE) != status)
        abort();
    if (status == S3R_OK)
        compare(masks, plain, count);
    for (size_t i = 0; i < count; i++) {
        s3r_free(masks[i].mask.bits);
        s3r_free(plain[i].mask.bits);
    }
    s3r_free(weights);
    return 0;
}
