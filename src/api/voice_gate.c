/*
 * The gate: the sound says where speech may be, the labels where it is.
 */
#include "api/voice_gate.h"

#include "audio/voice_activity.h"

static bool is_printed(const s3r_vocabulary *vocabulary, uint32_t id)
{
    return id < vocabulary->count && vocabulary->printed[id] &&
           id != vocabulary->delimiter_id;
}

static void gate_frames(s3r_voice_gate *gate, const s3r_model *model,
                        const s3r_voice_activity *activity, uint32_t *best_ids,
                        size_t frames)
{
    size_t stride = s3r_config_stride(&model->config), at = 0;
    double rate = (double)model->config.sample_rate;
    for (size_t i = 0; i < activity->count; i++) {
        const s3r_voice_segment *voice = &activity->items[i];
        bool has_labels = false;
        for (; at < frames && at * stride < voice->start; at++)
            best_ids[at] = model->vocabulary.blank_id;
        for (; at < frames && at * stride < voice->end; at++)
            has_labels = has_labels || is_printed(&model->vocabulary, best_ids[at]);
        if (has_labels)
            gate->segments[gate->count++] =
                (s3r_segment){.start_s = (double)voice->start / rate,
                              .end_s = (double)voice->end / rate};
    }
    for (; at < frames; at++)
        best_ids[at] = model->vocabulary.blank_id;
}

s3r_status s3r_voice_gate_apply(s3r_voice_gate *out, const s3r_model *model,
                                const s3r_audio *audio, uint32_t *best_ids, size_t frames,
                                s3r_error *err)
{
    s3r_voice_activity activity;
    *out = (s3r_voice_gate){0};
    s3r_status status =
        s3r_voice_activity_find(&activity, audio->samples, audio->sample_count,
                                (uint32_t)model->config.sample_rate, err);
    if (status == S3R_OK) {
        out->segments = s3r_alloc(activity.count, sizeof *out->segments);
        if (out->segments)
            gate_frames(out, model, &activity, best_ids, frames);
        else
            status =
                s3r_fail_memory(err, "segments", activity.count * sizeof *out->segments);
    }
    s3r_voice_activity_release(&activity);
    return status;
}

void s3r_voice_gate_release(s3r_voice_gate *gate)
{
    s3r_free(gate->segments);
    *gate = (s3r_voice_gate){0};
}
