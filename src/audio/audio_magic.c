/*
 * Magic numbers of audio files, and the length of an MPEG layer II or III frame.
 */
#include "audio/audio_magic.h"

#include <string.h>

static const struct {
    size_t offset, length;
    const char *text;
} magics[] = {
    {0, 4, "RIFF"}, {0, 4, "RIFX"},    {0, 4, "RF64"}, {0, 4, "fLaC"},
    {0, 4, "OggS"}, {0, 3, "ID3"},     {0, 4, "FORM"}, {0, 4, ".snd"},
    {0, 4, "caff"}, {0, 4, "wvpk"},    {4, 4, "ftyp"}, {0, 4, "\x1a\x45\xdf\xa3"},
    {0, 4, "riff"}, {0, 6, "#!AMR\n"},
};

/* Bytes of the MPEG frame that starts here; 0 when none does. */
static size_t mpeg_frame_bytes(const unsigned char *head)
{
    static const unsigned rates_hz[3] = {44100, 48000, 32000};
    static const unsigned kbits[3][15] = {
        /* MPEG-1 layer III, MPEG-1 layer II, MPEG-2 and 2.5 both */
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
        {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}};
    unsigned version = head[1] >> 3 & 3u; /* 3 = MPEG-1, 2 = MPEG-2, 0 = MPEG-2.5 */
    unsigned layer = head[1] >> 1 & 3u;   /* 1 = III, 2 = II */
    unsigned bitrate = head[2] >> 4, rate = head[2] >> 2 & 3u,
             padding = head[2] >> 1 & 1u;
    if (head[0] != 0xff || head[1] < 0xe0 || version == 1 || layer < 1 || layer > 2 ||
        bitrate < 1 || bitrate > 14 || rate == 3)
        return 0;
    unsigned row = version != 3 ? 2 : layer == 1 ? 0 : 1;
    unsigned rate_hz = rates_hz[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    unsigned slots = version != 3 && layer == 1 ? 72 : 144;
    return slots * kbits[row][bitrate] * 1000 / rate_hz + padding;
}

bool s3r_audio_has_magic(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < S3R_ARRAY_LEN(magics); i++) {
        if (size >= magics[i].offset + magics[i].length &&
            memcmp(bytes + magics[i].offset, magics[i].text, magics[i].length) == 0)
            return true;
    }
    if (size < 4)
        return false;
    size_t frame = mpeg_frame_bytes(bytes);
    return frame > 0 && size >= frame + 4 && mpeg_frame_bytes(bytes + frame) > 0;
}
