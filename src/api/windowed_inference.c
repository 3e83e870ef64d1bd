/*
 * Recordings through the network.
 */
#include "api/windowed_inference.h"

#include <math.h>

size_t s3r_seconds_to_frames(const s3r_model *model, double seconds)
{
    double frames = seconds * (double)model->config.sample_rate /
                    (double)s3r_config_stride(&model->config);
    return (size_t)fmin(frames, 1e9);
}

s3r_inference s3r_windowed_inference(s3r_context *context, const s3r_model *model,
                                     double window_s, double context_s)
{
    s3r_tape *tape = &context->tape;
    tape->is_bf16 = model->is_bf16;
    tape->is_recording = tape->is_training = false;
    return (s3r_inference){.tape = tape,
                           .config = &model->config,
                           .weights = &model->weights,
                           .window_frames =
                               S3R_MAX(s3r_seconds_to_frames(model, window_s), (size_t)2),
                           .context_frames = s3r_seconds_to_frames(model, context_s)};
}

s3r_status s3r_inference_recording(const s3r_inference *inference,
                                   const s3r_waveform *wave, size_t frames,
                                   s3r_error *err)
{
    if (s3r_inference_is_long(inference, frames))
        return s3r_inference_long(inference, wave, 0, err);
    return s3r_inference_batch(inference, wave, 1, err);
}
