/*
 * Cosine similarities between rows, always in fp32.
 *
 * The cosine of rows a and b is a.b / (|a| |b|), with lengths below 1e-8 taken as 1e-8.
 */
#ifndef S3R_OPS_OP_COSINE_H
#define S3R_OPS_OP_COSINE_H

#include "ops/tape.h"

/*
 * Each row of a value with each row of a weight.
 *
 *   x       [rows, cols]
 *   weight  [classes, cols] fp32
 *
 * Returns [rows, classes].
 */
s3r_value *s3r_op_cosine(s3r_tape *tape, s3r_value *x, s3r_weight *weight);

/*
 * Each row of x with each row of y of the same utterance.
 *
 *   x, y    [rows, cols]
 *   ragged  rows of the utterances; must live as long as the step
 *   width   at least as many as the longest utterance has rows
 *
 * Returns [rows, width]: column j of a row belongs to row j of y's utterance, and is 0
 * behind the utterance's last.
 */
s3r_value *s3r_op_cosine_within(s3r_tape *tape, s3r_value *x, s3r_value *y,
                                s3r_ragged ragged, size_t width);

#endif
