/*
 * Any bytes as a KenLM binary: an error, or a model that answers and that can be turned
 * into our own layout, or not, without harm.
 */
#include <stdint.h>

#include "lm_queries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_lm lm;
    unsigned char *image = NULL;
    size_t image_bytes = 0;
    if (!s3r_lm_is_kenlm(data, size) ||
        s3r_lm_from_bytes(&lm, data, size, "fuzz", NULL) != S3R_OK)
        return 0;
    s3r_fuzz_ask(&lm);
    if (s3r_lm_image_from_kenlm(&image, &image_bytes, &lm, NULL) == S3R_OK) {
        s3r_lm own;
        if (s3r_lm_from_bytes(&own, image, image_bytes, "fuzz", NULL) == S3R_OK) {
            s3r_fuzz_ask(&own);
            s3r_lm_close(&own);
        }
    }
    s3r_free(image);
    s3r_lm_close(&lm);
    return 0;
}
