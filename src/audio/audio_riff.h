/*
 * How much sound a RIFF, RF64 or AIFF header promises.
 *
 * libsndfile silently shortens such a file to what is there, so a cut-off download would
 * look like a short recording.
 */
#ifndef S3R_AUDIO_AUDIO_RIFF_H
#define S3R_AUDIO_AUDIO_RIFF_H

#include "audio/audio_source.h"

/*
 * False when source is of another container, or its sizes are the placeholders of a
 * program that wrote to a pipe.  Otherwise the bytes of the sound chunk according to its
 * header, and those that are in the file (not more than promised).
 */
bool s3r_audio_riff_payload(s3r_audio_source *source, uint64_t *promised_bytes,
                            uint64_t *found_bytes);

#endif
