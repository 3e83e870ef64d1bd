/*
 * Any other format: an `ffmpeg` found in PATH decodes it into a pipe.
 */
#ifndef S3R_AUDIO_AUDIO_PIPE_H
#define S3R_AUDIO_AUDIO_PIPE_H

#include "audio/audio_sink.h"

/*
 * Opens sink and writes the first audio track of path into it.  S3R_ERR_DATA when ffmpeg
 * fails, with the first line that it said; *is_missing tells that there is no ffmpeg.
 * The path is always taken as a local file, never as an option or a network address.
 */
s3r_status s3r_audio_decode_pipe(s3r_audio_sink *sink, const char *path, bool *is_missing,
                                 s3r_error *err);

#endif
