/*
 * A walk over the chunks of a RIFF (WAV), RIFX, RF64 or FORM (AIFF) file up to the sound.
 */
#include "audio/audio_riff.h"

#include <string.h>

#define MAX_CHUNKS 4096 /* bounds the walk over a damaged file */

static uint64_t read_uint(const unsigned char *bytes, size_t size, bool is_big_endian)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[is_big_endian ? i : size - 1 - i];
    return value;
}

/* Writers to pipes cannot go back to fill in the size: 2^31 or 2^32 bytes, minus some. */
static bool is_placeholder(uint64_t size)
{
    return (size >= 0x7fff0000u && size <= 0x80000000u) ||
           (size >= 0xffff0000u && size <= 0xffffffffu) || size == 0;
}

bool s3r_audio_riff_payload(s3r_audio_source *source, uint64_t *promised_bytes,
                            uint64_t *found_bytes)
{
    unsigned char head[24];
    if (s3r_audio_source_read(source, 0, head, 12) != 12)
        return false;
    bool is_aiff = memcmp(head, "FORM", 4) == 0 && memcmp(head + 8, "AIF", 3) == 0;
    bool is_big_endian = is_aiff || memcmp(head, "RIFX", 4) == 0;
    bool is_wave = (memcmp(head, "RIFF", 4) == 0 || memcmp(head, "RIFX", 4) == 0 ||
                    memcmp(head, "RF64", 4) == 0) &&
                   memcmp(head + 8, "WAVE", 4) == 0;
    if (!is_aiff && !is_wave)
        return false;
    uint64_t offset = 12, long_size = 0;
    for (unsigned i = 0; i < MAX_CHUNKS; i++) {
        size_t got = s3r_audio_source_read(source, offset, head, sizeof head);
        if (got < 8)
            return false;
        uint64_t size = read_uint(head + 4, 4, is_big_endian);
        if (memcmp(head, "ds64", 4) == 0 && got == sizeof head)
            long_size = read_uint(head + 16, 8, is_big_endian);
        if (memcmp(head, is_aiff ? "SSND" : "data", 4) == 0) {
            if (size == 0xffffffffu && long_size > 0)
                size = long_size;
            if (is_placeholder(size))
                return false;
            *promised_bytes = size;
            *found_bytes = S3R_MIN(size, source->size_bytes - (offset + 8));
            return true;
        }
        offset += 8 + size + (size & 1);
    }
    return false;
}
