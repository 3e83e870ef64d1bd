/*
 * libsndfile as a decoder: WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, CAF, AU and more.
 */
#ifndef S3R_AUDIO_AUDIO_DECODE_H
#define S3R_AUDIO_AUDIO_DECODE_H

#include "audio/audio_sink.h"
#include "audio/audio_source.h"

/*
 * Opens sink and writes all frames of source into it.  *is_unknown tells, on failure,
 * that libsndfile does not open this input at all, so that something else may be tried.
 */
s3r_status s3r_audio_decode(s3r_audio_sink *sink, s3r_audio_source *source,
                            bool *is_unknown, s3r_error *err);

/* Seconds from the header; negative when it does not tell.  label gives the extension. */
double s3r_audio_decode_seconds(s3r_audio_source *source, const char *label);

/* Whether path ends in extension (".g722"), in any letter case. */
bool s3r_audio_has_extension(const char *path, const char *extension);

#endif
