/*
 * Telling an audio file from raw samples by its first bytes.
 */
#ifndef S3R_AUDIO_AUDIO_MAGIC_H
#define S3R_AUDIO_AUDIO_MAGIC_H

#include "base/compiler.h"

/*
 * True when the bytes begin like an audio file: a known magic, or two MPEG frame headers
 * at the right distance (one header alone is too likely in quiet raw samples).  Formats
 * that cannot be decoded from a stream (MP4, Matroska) count too: taken as raw they would
 * be noise.
 */
bool s3r_audio_has_magic(const unsigned char *bytes, size_t size);

#endif
