/*
 * Where somebody may be speaking, from the sound alone.
 *
 * Speech is louder than what is always there, has a voice (a period between 60 and 400
 * Hz) in part of it, and its pitch glides.  Silence and steady noise are never louder
 * than themselves, noise that swells has no voice, and tones and synthetic music keep
 * their pitch.  Numbers below were chosen on recordings of words and on the noises of
 * tests/test_voice_activity.c; whispering, and singing, are not speech to them.
 */
#ifndef S3R_AUDIO_VOICE_ACTIVITY_H
#define S3R_AUDIO_VOICE_ACTIVITY_H

#include <stdint.h>

#include "base/error.h"

/* Samples [start, end). */
typedef struct s3r_voice_segment {
    size_t start, end;
} s3r_voice_segment;

typedef struct s3r_voice_activity {
    s3r_voice_segment *items; /* in order, apart */
    size_t count;
} s3r_voice_activity;

/*
 * Finds the segments.
 *
 *   samples  [count] mono, full scale 1
 *   rate_hz  of them, at least 8000
 *
 * Louder: 9 dB above the level that a tenth of the steps of 20 ms stays below, and above
 * -60 dB.  Gaps of less than 0.3 s are closed, what is shorter than 0.06 s is left out;
 * then 0.2 s are added at both ends.  Release *out in any case.  S3R_ERR_RESOURCE.
 * Thread-safe.
 */
s3r_status s3r_voice_activity_find(s3r_voice_activity *out, const float *samples,
                                   size_t count, uint32_t rate_hz, s3r_error *err);
void s3r_voice_activity_release(s3r_voice_activity *activity); /* zeroed is allowed */

#endif
