/*
 * The gate: the sound says where speech may be, the labels where it is.
 */
#include "api/voice_gate.h"

#include <math.h>

#include "audio/voice_activity.h"

void s3r_voice_gate_release(s3r_voice_gate *gate)
{
    s3r_free(gate->is_voice);
    s3r_free(gate->blank);
    s3r_free(gate->segments);
    *gate = (s3r_voice_gate){0};
}

static s3r_status fill(s3r_voice_gate *gate, const s3r_model *model,
                       const s3r_voice_activity *activity, size_t frames, s3r_error *err)
{
    size_t stride = s3r_config_stride(&model->config), labels = model->config.vocab_size;
    double rate = (double)model->config.sample_rate;
    gate->is_voice = s3r_alloc(frames, sizeof *gate->is_voice);
    gate->blank = s3r_alloc(labels, sizeof *gate->blank);
    gate->segments = s3r_alloc(activity->count, sizeof *gate->segments);
    if (!gate->is_voice || !gate->blank || !gate->segments)
        return s3r_fail_memory(err, "segments", frames);
    for (size_t i = 0; i < labels; i++)
        gate->blank[i] = i == model->vocabulary.blank_id ? 0 : -INFINITY;
    for (size_t i = 0; i < activity->count; i++) {
        const s3r_voice_segment *voice = &activity->items[i];
        gate->segments[i] = (s3r_segment){.start_s = (double)voice->start / rate,
                                          .end_s = (double)voice->end / rate};
        for (size_t at = (voice->start + stride - 1) / stride;
             at < frames && at * stride < voice->end; at++)
            gate->is_voice[at] = true;
    }
    gate->count = activity->count;
    gate->blank_id = model->vocabulary.blank_id;
    return S3R_OK;
}

s3r_status s3r_voice_gate_find(s3r_voice_gate *out, const s3r_model *model,
                               const s3r_audio *audio, size_t frames, s3r_error *err)
{
    s3r_voice_activity activity;
    *out = (s3r_voice_gate){0};
    s3r_status status =
        s3r_voice_activity_find(&activity, audio->samples, audio->sample_count,
                                (uint32_t)model->config.sample_rate, err);
    if (status == S3R_OK)
        status = fill(out, model, &activity, frames, err);
    s3r_voice_activity_release(&activity);
    return status;
}

static bool is_printed(const s3r_vocabulary *vocabulary, size_t id)
{
    return vocabulary->printed[id] && id != vocabulary->delimiter_id;
}

void s3r_voice_gate_keep_labelled(s3r_voice_gate *gate, const s3r_model *model,
                                  const s3r_label *labels, size_t count)
{
    size_t stride = s3r_config_stride(&model->config), kept = 0, at = 0;
    double rate = (double)model->config.sample_rate;
    for (size_t i = 0; i < gate->count; i++) {
        s3r_segment segment = gate->segments[i];
        bool has_label = false;
        for (; at < count; at++) {
            if ((double)(labels[at].start_frame * stride) / rate >= segment.end_s)
                break;
            has_label = has_label || is_printed(&model->vocabulary, labels[at].id);
        }
        if (has_label)
            gate->segments[kept++] = segment;
    }
    gate->count = kept;
}
