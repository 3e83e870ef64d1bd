/*
 * The split by text.
 */
#include "data/text_split.h"

#include <nettle/md5.h>
#include <string.h>

const char *s3r_text_split(const char *language, const char *text)
{
    struct md5_ctx md5;
    uint8_t digest[MD5_DIGEST_SIZE];
    unsigned rest = 0;
    md5_init(&md5);
    if (language)
        md5_update(&md5, strlen(language), (const uint8_t *)language);
    md5_update(&md5, 1, (const uint8_t *)"|");
    md5_update(&md5, strlen(text), (const uint8_t *)text);
    md5_digest(&md5, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        rest = (rest * 256 + digest[i]) % 10;
    return rest > 1 ? "train" : rest == 1 ? "dev" : "test";
}
