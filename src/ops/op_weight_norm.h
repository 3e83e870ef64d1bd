/*
 * Weight normalisation by kernel tap, as the positional convolution of wav2vec 2.0 has
 * it: w[:, tap, :] = gain[tap] * v[:, tap, :] / ||v[:, tap, :]||.  (spec 2.4)
 */
#ifndef S3R_OPS_OP_WEIGHT_NORM_H
#define S3R_OPS_OP_WEIGHT_NORM_H

#include "ops/tape.h"

/*
 *   gain  [1, taps] fp32
 *   v     [out, taps * in] fp32, tap by tap (the layout of the convolution)
 *
 * Returns w in the layout of v, in the arena: make it outside every s3r_tape_keep scope
 * of its users.  Its gradient, when gain or v want one, flows on to them.
 */
s3r_weight *s3r_op_weight_norm(s3r_tape *tape, s3r_weight *gain, s3r_weight *v);

/* The same without a tape, for frozen weights; w may be v. */
void s3r_weight_norm(s3r_pool *pool, const s3r_kernels *kernels, const float *gain,
                     const float *v, size_t out, size_t taps, size_t in, float *w);

#endif
