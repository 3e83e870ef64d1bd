/*
 * Folds the group norm of one utterance into the panels of conv 0.
 */
#include "model/folded_norm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ops/conv_pairs.h"

bool s3r_folded_norm_make(s3r_folded_norm *norm, s3r_tape *tape,
                          const s3r_conv_shape *shape, const s3r_weight *weight,
                          const float *gain, const float *bias, double eps,
                          const s3r_window_moments *moments)
{
    size_t bytes = s3r_conv_packed_bytes(shape, false);
    float *panels = s3r_tape_alloc(tape, bytes, 1);
    float *shift = s3r_tape_alloc(tape, shape->out, sizeof *shift);
    assert(shape->in == 1 && shape->groups == 1);
    if (!panels || !shift)
        return false;
    if (weight->packed_f32)
        memcpy(panels, weight->packed_f32, bytes);
    else
        s3r_conv_pack(tape->kernels, shape, weight->data, false, panels);
    for (size_t j = 0; j < shape->out; j++) {
        float *w = panels + j / S3R_PANEL * shape->kernel * S3R_PANEL + j % S3R_PANEL;
        double variance = s3r_window_moments_variance(moments, w, S3R_PANEL);
        double scale = (double)gain[j] / sqrt(variance + eps);
        for (size_t k = 0; k < shape->kernel; k++)
            w[k * S3R_PANEL] = (float)((double)w[k * S3R_PANEL] * scale);
        /* The mean of the new weights as they are rounded. */
        double mean = s3r_window_moments_mean(moments, w, S3R_PANEL);
        shift[j] = (float)((double)bias[j] - mean);
    }
    size_t panel_count = S3R_CEIL_DIV(shape->out, (size_t)S3R_PANEL);
    for (size_t p = 0; s3r_conv_has_pairs(shape) && p < panel_count; p++)
        s3r_conv_pair_panel(shape, false, panels, p);
    *norm = (s3r_folded_norm){
        .weight = {.packed_f32 = panels, .rows = shape->out, .cols = shape->kernel},
        .bias = {.data = shift, .rows = 1, .cols = shape->out}};
    return true;
}
