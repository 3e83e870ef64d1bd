/*
 * The network on samples in memory.
 */
#include <math.h>
#include <string.h>

#include "api/handles.h"
#include "s3r/transcribe.h"
#include "tasks/ctc_inference.h"

typedef struct forward_buffers {
    float *log_probs, *hidden;
    size_t last_layer;
} forward_buffers;

static void copy_rows(float *out, const s3r_frame_rows *rows)
{
    const s3r_value *value = rows->value;
    for (size_t i = 0; i < rows->count; i++)
        memcpy(out + (rows->first_frame + i) * value->cols,
               value->data + (rows->row + i) * value->stride,
               value->cols * sizeof(float));
}

static s3r_status take_log_probs(void *context, const s3r_frame_rows *rows,
                                 s3r_error *err)
{
    (void)err;
    copy_rows(((forward_buffers *)context)->log_probs, rows);
    return S3R_OK;
}

static s3r_status take_hidden(void *context, size_t layer, const s3r_frame_rows *rows,
                              s3r_error *err)
{
    forward_buffers *buffers = context;
    (void)err;
    if (layer == buffers->last_layer)
        copy_rows(buffers->hidden, rows);
    return S3R_OK;
}

static s3r_status check_finite(const float *samples, size_t count, s3r_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(samples[i]))
            return s3r_fail(err, S3R_ERR_DATA, "sample %zu: expected a finite number", i);
    return S3R_OK;
}

/* Buffers for what is wanted; both are released on failure. */
static s3r_status make_buffers(forward_buffers *buffers, const s3r_model *model,
                               size_t frames, bool wants_log_probs, bool wants_hidden,
                               s3r_error *err)
{
    size_t labels = model->config.vocab_size, width = model->config.hidden_size;
    if (wants_log_probs && model->config.has_head)
        buffers->log_probs = s3r_alloc(frames, labels * sizeof(float));
    if (wants_hidden)
        buffers->hidden = s3r_alloc(frames, width * sizeof(float));
    bool has_all = (!wants_log_probs || !model->config.has_head || buffers->log_probs) &&
                   (!wants_hidden || buffers->hidden);
    if (has_all)
        return S3R_OK;
    s3r_free(buffers->log_probs);
    s3r_free(buffers->hidden);
    return s3r_fail_memory(err, "the output", frames * (labels + width) * sizeof(float));
}

s3r_status s3r_forward(s3r_context *context, const s3r_model *model, const float *samples,
                       size_t sample_count, size_t *frame_count, float **log_probs,
                       float **hidden, s3r_error *err)
{
    size_t frames = s3r_config_frames(&model->config, sample_count);
    forward_buffers buffers = {.last_layer = model->config.block_count};
    S3R_TRY(check_finite(samples, sample_count, err));
    S3R_TRY(
        make_buffers(&buffers, model, frames, log_probs != NULL, hidden != NULL, err));
    s3r_tape *tape = &context->tape;
    tape->is_bf16 = model->is_bf16;
    tape->is_recording = tape->is_training = false;
    s3r_inference inference = {.tape = tape,
                               .config = &model->config,
                               .weights = &model->weights,
                               .log_probs = buffers.log_probs ? take_log_probs : NULL,
                               .hidden = hidden ? take_hidden : NULL,
                               .sink_context = &buffers};
    s3r_waveform wave = s3r_waveform_make(&model->config, samples, sample_count);
    s3r_status status = s3r_inference_batch(&inference, &wave, 1, err);
    if (status != S3R_OK) {
        s3r_free(buffers.log_probs);
        s3r_free(buffers.hidden);
        return status;
    }
    *frame_count = frames;
    if (log_probs)
        *log_probs = buffers.log_probs;
    if (hidden)
        *hidden = buffers.hidden;
    return S3R_OK;
}

void s3r_buffer_free(float *buffer)
{
    s3r_free(buffer);
}
