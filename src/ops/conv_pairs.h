/*
 * Convolution with kernel 3 and stride 2 with a sixth of the products saved.
 *
 * With e(t) = x(2t) and o(t) = x(2t + 1) an output is W0 e(t) + W1 o(t) + W2 e(t + 1).
 * Two neighbours, t even and t + 1, share one product:
 *
 *   s        = (W0 + W2) e(t + 1)
 *   y(t)     = s + W0 (e(t) - e(t + 1)) + W1 o(t)
 *   y(t + 1) = s + W1 o(t + 1) + W2 (e(t + 2) - e(t + 1))
 *
 * (Winograd's F(2,2) on the even samples.)  Neighbours are of one utterance, counted from
 * its first frame, so that results do not depend on the batch.
 */
#ifndef S3R_OPS_CONV_PAIRS_H
#define S3R_OPS_CONV_PAIRS_H

#include "ops/conv_result.h"
#include "ops/op_conv.h"

/* Whether the shape is computed this way. */
bool s3r_conv_has_pairs(const s3r_conv_shape *shape);

/* The panels of W0 + W2, which stand behind those of the whole weight: their bytes, and
 * the making of panel `panel` from the packed weight before them. */
size_t s3r_conv_pair_bytes(const s3r_conv_shape *shape, bool is_bf16);
void s3r_conv_pair_panel(const s3r_conv_shape *shape, bool is_bf16, void *packed,
                         size_t panel);

/* y for every utterance. x_narrow is x in bf16, NULL in fp32; x may have no data then. */
typedef struct s3r_conv_pairs {
    const s3r_conv_shape *shape;
    const s3r_value *x;
    const uint16_t *x_narrow;
    size_t x_narrow_stride;
    s3r_ragged in, out;
    const s3r_weight *weight, *bias;
    const s3r_conv_result *y;
} s3r_conv_pairs;

void s3r_conv_pairs_run(s3r_tape *tape, const s3r_conv_pairs *conv);

#endif
