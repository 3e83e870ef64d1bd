/*
 * What every call sets up that runs recordings through the network, long ones in windows.
 */
#ifndef S3R_API_WINDOWED_INFERENCE_H
#define S3R_API_WINDOWED_INFERENCE_H

#include "api/handles.h"
#include "tasks/ctc_inference.h"

/* Whole frames in so many seconds; at most 1e9. */
size_t s3r_seconds_to_frames(const s3r_model *model, double seconds);

/* With the context's tape, made ready, and windows of at least 2 frames; the caller adds
 * who takes the results. */
s3r_inference s3r_windowed_inference(s3r_context *context, const s3r_model *model,
                                     double window_s, double context_s);

/* One recording, in windows where it is long. */
s3r_status s3r_inference_recording(const s3r_inference *inference,
                                   const s3r_waveform *wave, size_t frames,
                                   s3r_error *err);

#endif
