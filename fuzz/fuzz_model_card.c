/*
 * The head of a model card: whatever it is, the licence is a string of UTF-8 that fits.
 */
#include <stdlib.h>
#include <string.h>

#include "model/model_card_read.h"
#include "text/unicode_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char small[12], large[512];
    s3r_model_card_parse((const char *)data, size, small, sizeof small);
    s3r_model_card_parse((const char *)data, size, large, sizeof large);
    CHECK(memchr(small, '\0', sizeof small) && memchr(large, '\0', sizeof large));
    CHECK(s3r_text_find_wrong_byte(large) == SIZE_MAX);
    CHECK(s3r_text_find_wrong_byte(small) == SIZE_MAX);
    return 0;
}
