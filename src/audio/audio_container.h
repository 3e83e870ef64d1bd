/*
 * Finding out that a file was cut off.
 *
 * libsndfile silently shortens a RIFF, AIFF, W64, AU or Ogg file to what is there, so a
 * broken download would look like a short recording.
 */
#ifndef S3R_AUDIO_AUDIO_CONTAINER_H
#define S3R_AUDIO_AUDIO_CONTAINER_H

#include "audio/audio_source.h"
#include "base/error.h"

typedef struct s3r_audio_cut {
    uint64_t promised_bytes; /* of the sound chunk; of the last page for Ogg */
    uint64_t found_bytes;
    bool is_page;
} s3r_audio_cut;

/*
 * *is_cut tells whether source has fewer bytes than its container promises.  Sizes that
 * stand for "unknown" (written to a pipe) and a lack of less than 64 bytes (writers that
 * count their own header) do not matter.  *cut is filled when *is_cut.  S3R_ERR_RESOURCE
 * without memory.
 */
s3r_status s3r_audio_container_check(s3r_audio_source *source, s3r_audio_cut *cut,
                                     bool *is_cut, s3r_error *err);

#endif
