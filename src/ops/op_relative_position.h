/*
 * WavLM's gated relative position bias. (spec 2.14, "WavLM extras")
 */
#ifndef S3R_OPS_OP_RELATIVE_POSITION_H
#define S3R_OPS_OP_RELATIVE_POSITION_H

#include "ops/tape.h"

/* Bucket of distance = key - query: the sign takes half of the buckets, small distances
 * have one each, larger ones share them logarithmically up to max_distance. */
size_t s3r_relative_bucket(int64_t distance, size_t bucket_count, size_t max_distance);

/*
 * The bias of each head by distance.
 *
 *   embedding   [buckets, heads], any stored type
 *   center      the largest distance, so that column distance + center exists
 *
 * Returns [heads, 2 * center + 1].
 */
s3r_value *s3r_op_relative_table(s3r_tape *tape, s3r_weight *embedding,
                                 size_t max_distance, size_t center);

/*
 * The gate of each frame and head: with (a, b) = sigmoid of the two sums of four of
 * linear(x of the head), a * (b * scale[head] - 1) + 2.
 *
 *   x        [frames, heads * width]
 *   linear   [8, width] fp32, bias [1, 8], scale [1, heads]
 *
 * Returns [frames, heads].
 */
s3r_value *s3r_op_relative_gate(s3r_tape *tape, s3r_value *x, size_t heads,
                                s3r_weight *linear, s3r_weight *bias, s3r_weight *scale);

#endif
