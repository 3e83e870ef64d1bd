/*
 * Labels outside of what sounds like speech become blanks.
 */
#ifndef S3R_API_VOICE_GATE_H
#define S3R_API_VOICE_GATE_H

#include "api/handles.h"
#include "audio/audio_load.h"
#include "s3r/transcribe.h"

typedef struct s3r_voice_gate {
    s3r_segment *segments; /* those that have labels */
    size_t count;
} s3r_voice_gate;

/*
 * Finds the voice activity of the audio and makes each of best_ids [frames] whose frame
 * begins outside of it the blank.  Release *out in any case.  S3R_ERR_RESOURCE.
 */
s3r_status s3r_voice_gate_apply(s3r_voice_gate *out, const s3r_model *model,
                                const s3r_audio *audio, uint32_t *best_ids, size_t frames,
                                s3r_error *err);
void s3r_voice_gate_release(s3r_voice_gate *gate); /* a zeroed one is allowed */

#endif
