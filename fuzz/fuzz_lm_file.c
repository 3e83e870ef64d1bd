/*
 * Any bytes as our own file of a language model: an error, or a model that answers.  The
 * header's checksum is made right, so that what lies behind it is tried too.
 */
#include <stdint.h>

#include "lm_queries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *copy = s3r_alloc_raw(size, 1);
    s3r_lm_header header;
    s3r_lm lm;
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    if (size >= sizeof header) {
        memcpy(&header, copy, sizeof header);
        header.file_bytes = size;
        header.crc = s3r_lm_crc(&header, offsetof(s3r_lm_header, crc));
        memcpy(copy, &header, sizeof header);
    }
    if (s3r_lm_from_bytes(&lm, copy, size, "fuzz", NULL) == S3R_OK) {
        s3r_fuzz_ask(&lm);
        s3r_lm_close(&lm);
    }
    s3r_free(copy);
    return 0;
}
