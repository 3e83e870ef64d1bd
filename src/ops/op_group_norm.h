/*
 * Normalisation of each channel over the time of its utterance (group norm with one
 * channel a group), optionally followed by GELU; whole utterances, or chunk by chunk with
 * the same bits.
 *
 * Chunked inference: s3r_channel_stats_add for every chunk, _finish, and then
 * s3r_op_channel_affine on the same chunks again.
 */
#ifndef S3R_OPS_OP_GROUP_NORM_H
#define S3R_OPS_OP_GROUP_NORM_H

#include "ops/tape.h"

/*
 * y = (x - mean) / sqrt(variance + eps) * gain + bias with mean and (biased) variance of
 * the channel over the frames of the utterance; then y = gelu(y) if asked for.
 *
 *   x           [frames, channels]
 *   frames      where the utterances of x are
 *   gain, bias  [1, channels] fp32
 *
 * Returns [frames, channels].  An utterance's result does not depend on its batch.
 */
s3r_value *s3r_op_group_norm(s3r_tape *tape, s3r_value *x, s3r_ragged frames,
                             s3r_weight *gain, s3r_weight *bias, double eps, bool gelu);

/* Sums over the frames seen so far of one utterance. */
typedef struct s3r_channel_stats {
    size_t channels;
    size_t frames;
    double *sum, *square_sum; /* [channels] */
} s3r_channel_stats;

/* No frames yet; in the tape's arena.  False without memory. */
bool s3r_channel_stats_init(s3r_channel_stats *stats, s3r_tape *tape, size_t channels);
/* Adds the rows of x [frames, channels].  Only the order of the frames matters, not how
 * they are cut into chunks. */
void s3r_channel_stats_add(s3r_channel_stats *stats, s3r_pool *pool,
                           const s3r_kernels *kernels, const s3r_value *x);
/* The scale and shift [channels] that normalise: y = x * scale + shift. */
void s3r_channel_stats_finish(const s3r_channel_stats *stats, const float *gain,
                              const float *bias, double eps, float *scale, float *shift);

/* y = x * scale + shift by channel, then GELU if asked for; not differentiable. */
s3r_value *s3r_op_channel_affine(s3r_tape *tape, s3r_value *x, const float *scale,
                                 const float *shift, bool gelu);

#endif
