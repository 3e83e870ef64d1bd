/*
 * Gradients of convolutions as few long products instead of one a tap.
 *
 * Input, stride s: the frames q * s + r of one remainder r read the same taps,
 *
 *   dx[q * s + r] = sum over j of dz[q - j] W[r + j * s]
 *
 * which is one product over rows of dz that overlap, with zeros around each utterance.
 *
 * Weight, stride 1 with groups: with each channel c of x laid along time,
 *
 *   dW[o, tap, c] = sum over t of x[c, t + tap] dz[t, o]
 *
 * is a product whose row `tap` is the channel from frame `tap` on, so that the wide side,
 * kernel times channels, need not be packed for the few outputs of a group.
 */
#ifndef S3R_OPS_CONV_GRADS_H
#define S3R_OPS_CONV_GRADS_H

#include "ops/op_conv.h"

/* dx (+)= the gradient, for every row of x; one group, no padding.
 *   in, out  frames of x and of dz
 *   weight   [out, kernel * in] fp32, not packed
 *   dx       [frames, in] with dx_stride */
typedef struct s3r_conv_input_grad {
    const s3r_conv_shape *shape;
    s3r_ragged in, out;
    const s3r_value *dz;
    const s3r_weight *weight;
    float *dx;
    size_t dx_stride;
    bool accumulate;
} s3r_conv_input_grad;

void s3r_conv_input_grad_run(s3r_tape *tape, const s3r_conv_input_grad *conv);

/* grad += the gradient; stride 1.
 *   padded  [utterances + 1] rows of x with padding, before each utterance
 *   x       group after group of each utterance: group g of u is
 *           [padded frames, in / groups] at (padded[u] * groups + g * frames) * width
 *   grad    [out, kernel * in / groups] */
typedef struct s3r_conv_group_grad {
    const s3r_conv_shape *shape;
    s3r_ragged out;
    const s3r_value *dz;
    const float *x;
    const size_t *padded;
    float *grad;
} s3r_conv_group_grad;

void s3r_conv_group_grad_run(s3r_tape *tape, const s3r_conv_group_grad *conv);

#endif
