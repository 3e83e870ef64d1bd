/*
 * Frames outside of what sounds like speech count as blanks.
 */
#ifndef S3R_API_VOICE_GATE_H
#define S3R_API_VOICE_GATE_H

#include "api/handles.h"
#include "audio/audio_load.h"
#include "s3r/transcribe.h"

/* Zeroed before use; a zeroed one lets everything through. */
typedef struct s3r_voice_gate {
    bool *is_voice; /* [frames]; NULL: all are */
    uint32_t blank_id;
    float *blank;          /* [labels] log-probabilities of a frame that is a blank */
    s3r_segment *segments; /* in order, apart */
    size_t count;
} s3r_voice_gate;

/*
 * Finds the segments of the audio and the frames that begin within them.
 *
 *   frames  that the model makes of the audio
 *
 * Release *out in any case.  S3R_ERR_RESOURCE.
 */
s3r_status s3r_voice_gate_find(s3r_voice_gate *out, const s3r_model *model,
                               const s3r_audio *audio, size_t frames, s3r_error *err);
void s3r_voice_gate_release(s3r_voice_gate *gate);

static inline bool s3r_voice_gate_is_open(const s3r_voice_gate *gate, size_t frame)
{
    return !gate->is_voice || gate->is_voice[frame];
}

/* Leaves the segments that have one of the labels [count], in order, other than blanks
 * and delimiters. */
void s3r_voice_gate_keep_labelled(s3r_voice_gate *gate, const s3r_model *model,
                                  const s3r_label *labels, size_t count);

#endif
