/*
 * Convolution over time on ragged batches, channel-last, as products with overlapping
 * rows.
 */
#ifndef S3R_OPS_OP_CONV_H
#define S3R_OPS_OP_CONV_H

#include "ops/tape.h"

typedef struct s3r_conv_shape {
    size_t in, out; /* channels; both multiples of groups */
    size_t kernel, stride, groups;
    size_t pad_left, pad_right; /* zero frames before and after each utterance */
} s3r_conv_shape;

/* Frames that come out of `frames`; 0 when the kernel does not fit. */
size_t s3r_conv_frames(const s3r_conv_shape *shape, size_t frames);

/*
 * Bytes of the packed weight and its making: the panels of group 0, then of group 1, ...;
 * each group is s3r_packed_bytes(kernel * in / groups, out / groups); then what
 * conv_pairs.h adds.  `weight` is fp32.
 */
size_t s3r_conv_packed_bytes(const s3r_conv_shape *shape, bool is_bf16);
void s3r_conv_pack(const s3r_kernels *kernels, const s3r_conv_shape *shape,
                   const float *weight, bool is_bf16, void *packed);

/* Whether bf16 products are possible for the shape (pairs of channels in a group);
 * otherwise the op computes in fp32. */
bool s3r_conv_allows_bf16(const s3r_conv_shape *shape);

/* What follows the sum. */
typedef enum s3r_conv_end {
    S3R_CONV_SUM, /* nothing */
    S3R_CONV_GELU,
    /* GELU, of a convolution without groups and padding, and only such a one reads the
     * result, with products in bf16 where the tape has them (s3r_conv_allows_bf16, no
     * panels in int8): in bf16 alone (value.narrow) then, unless the tape records */
    S3R_CONV_GELU_NARROW
} s3r_conv_end;

/*
 *   x        [frames, in]
 *   frames   where the utterances of x are
 *   weight   [out, kernel * in / groups]: tap by tap, fp32 (or packed)
 *   bias     [1, out] or NULL
 *   end      in the same pass
 *   out_frames  receives the ragged table of the result (arena)
 *
 * Returns [out frames, out].
 */
s3r_value *s3r_op_conv(s3r_tape *tape, s3r_value *x, s3r_ragged frames,
                       const s3r_conv_shape *shape, s3r_weight *weight, s3r_weight *bias,
                       s3r_conv_end end, s3r_ragged *out_frames);

#endif
