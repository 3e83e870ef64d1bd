/*
 * The sizes in the headers of RIFF (WAV), RIFX, RF64, FORM (AIFF), W64 and AU, found by a
 * walk over the chunks up to the sound, and in the last page of Ogg.
 */
#include "audio/audio_container.h"

#include <string.h>

#include "base/memory.h"

#define MAX_CHUNKS     4096u /* bounds the walk over a damaged file */
#define TOLERATED_LACK 64u
#define OGG_HEAD_BYTES 27u
#define OGG_PAGE_BYTES 65307u /* the largest page */

typedef struct chunk_format {
    const char *sound_id; /* 4 bytes */
    size_t head_bytes;    /* identifier and size */
    size_t size_offset, size_bytes;
    size_t alignment;
    size_t sound_offset; /* of the samples in the sound chunk */
    bool is_big_endian, size_includes_head;
    uint64_t first_offset;
} chunk_format;

static const chunk_format wave_chunks = {"data", 8, 4, 4, 2, 0, false, false, 12};
static const chunk_format rifx_chunks = {"data", 8, 4, 4, 2, 0, true, false, 12};
static const chunk_format aiff_chunks = {"SSND", 8, 4, 4, 2, 8, true, false, 12};
static const chunk_format w64_chunks = {"data", 24, 16, 8, 8, 0, false, true, 40};

static uint64_t read_uint(const unsigned char *bytes, size_t size, bool is_big_endian)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[is_big_endian ? i : size - 1 - i];
    return value;
}

static const chunk_format *find_format(const unsigned char head[12])
{
    bool is_wave = memcmp(head + 8, "WAVE", 4) == 0;
    if (is_wave && (memcmp(head, "RIFF", 4) == 0 || memcmp(head, "RF64", 4) == 0))
        return &wave_chunks;
    if (is_wave && memcmp(head, "RIFX", 4) == 0)
        return &rifx_chunks;
    if (memcmp(head, "FORM", 4) == 0 && memcmp(head + 8, "AIF", 3) == 0)
        return &aiff_chunks;
    if (memcmp(head, "riff\x2e\x91\xcf\x11", 8) == 0)
        return &w64_chunks;
    return NULL;
}

/* Writers to pipes cannot go back to fill in the size: 2^31 or 2^32 bytes, minus some. */
static bool is_placeholder(uint64_t size)
{
    return size == 0 || (size >= 0x7fff0000u && size <= 0x80000000u) ||
           (size >= 0xffff0000u && size <= 0xffffffffu);
}

/* Offset and size of the sound chunk's content; false when there is no such chunk. */
static bool find_sound(s3r_audio_source *source, const chunk_format *format,
                       uint64_t *start, uint64_t *size)
{
    unsigned char head[24];
    uint64_t offset = format->first_offset, long_size = 0;
    for (unsigned i = 0; i < MAX_CHUNKS; i++) {
        size_t got = s3r_audio_source_read(source, offset, head, sizeof head);
        if (got < format->head_bytes)
            return false;
        *size = read_uint(head + format->size_offset, format->size_bytes,
                          format->is_big_endian);
        /* RF64 keeps the sizes that do not fit in its first chunk. */
        if (memcmp(head, "ds64", 4) == 0 && got == sizeof head)
            long_size = read_uint(head + 16, 8, false);
        if (format->size_includes_head && *size < format->head_bytes)
            return false;
        if (format->size_includes_head)
            *size -= format->head_bytes;
        *start = offset + format->head_bytes;
        if (memcmp(head, format->sound_id, 4) == 0) {
            if (*size == 0xffffffffu && long_size > 0)
                *size = long_size;
            *start += format->sound_offset;
            *size -= S3R_MIN(*size, (uint64_t)format->sound_offset);
            return true;
        }
        if (*size > UINT64_MAX / 2)
            return false;
        offset = *start + *size;
        offset += (format->alignment - offset % format->alignment) % format->alignment;
    }
    return false;
}

static bool is_sound_cut(const s3r_audio_source *source, uint64_t start, uint64_t size,
                         s3r_audio_cut *cut)
{
    uint64_t found = start < source->size_bytes ? source->size_bytes - start : 0;
    *cut = (s3r_audio_cut){size, found, false};
    return !is_placeholder(size) && size > found && size - found >= TOLERATED_LACK;
}

/* Bytes of the page that starts here, or of its header alone when that is cut. */
static size_t ogg_page_bytes(const unsigned char *page, size_t size)
{
    if (size < OGG_HEAD_BYTES)
        return OGG_HEAD_BYTES;
    size_t head_bytes = OGG_HEAD_BYTES + page[OGG_HEAD_BYTES - 1];
    size_t bytes = head_bytes;
    for (size_t i = OGG_HEAD_BYTES; i < head_bytes && size >= head_bytes; i++)
        bytes += page[i];
    return bytes;
}

/* A cut hits a page somewhere in its middle.  Live recordings may lack the mark of the
 * last page, so that its absence means nothing. */
static s3r_status check_ogg(s3r_audio_source *source, s3r_audio_cut *cut, bool *is_cut,
                            s3r_error *err)
{
    size_t size = (size_t)S3R_MIN(source->size_bytes, (uint64_t)OGG_PAGE_BYTES);
    unsigned char *tail = s3r_alloc_raw(size, 1);
    if (!tail)
        return s3r_fail_memory(err, "an Ogg page", size);
    size = s3r_audio_source_read(source, source->size_bytes - size, tail, size);
    for (size_t at = size < 4 ? 0 : size - 3; at-- > 0;) {
        if (memcmp(tail + at, "OggS", 4) != 0)
            continue;
        size_t found = size - at;
        size_t promised = ogg_page_bytes(tail + at, found);
        *cut = (s3r_audio_cut){promised, found, true};
        *is_cut = found < promised;
        break;
    }
    s3r_free(tail);
    return S3R_OK;
}

s3r_status s3r_audio_container_check(s3r_audio_source *source, s3r_audio_cut *cut,
                                     bool *is_cut, s3r_error *err)
{
    unsigned char head[12];
    uint64_t start, size;
    *is_cut = false;
    if (s3r_audio_source_read(source, 0, head, sizeof head) != sizeof head)
        return S3R_OK;
    if (memcmp(head, "OggS", 4) == 0)
        return check_ogg(source, cut, is_cut, err);
    const chunk_format *format = find_format(head);
    if (memcmp(head, ".snd", 4) == 0)
        *is_cut = is_sound_cut(source, read_uint(head + 4, 4, true),
                               read_uint(head + 8, 4, true), cut);
    else if (format && find_sound(source, format, &start, &size))
        *is_cut = is_sound_cut(source, start, size, cut);
    return S3R_OK;
}
