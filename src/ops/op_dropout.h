/*
 * Inverted dropout: while training, each element is 0 with probability p and else scaled
 * by 1 / (1 - p).
 */
#ifndef S3R_OPS_OP_DROPOUT_H
#define S3R_OPS_OP_DROPOUT_H

#include "ops/tape.h"

/* Rows may be this wide: a worker's scratch holds one of them. */
#define S3R_DROPOUT_COLS_MAX (S3R_POOL_SCRATCH_BYTES / sizeof(float))

/*
 * Draws what the next dropout drops, for ops that fuse one and for s3r_op_dropout below,
 * whose parameters these are.  Draws nothing when the tape does not train or p is 0 (the
 * dropout is counted all the same).
 */
s3r_dropout_mask s3r_dropout_draw(s3r_tape *tape, s3r_ragged ragged, const uint64_t *keys,
                                  double p);

/* y = x dropped; y may be x: all [rows, cols] with one stride. */
void s3r_dropout_rows(s3r_tape *tape, const s3r_dropout_mask *mask, size_t rows,
                      size_t cols, size_t stride, const float *x, float *y);

/*
 *   x       [rows, cols], cols <= S3R_DROPOUT_COLS_MAX
 *   ragged  rows of the utterances; must live as long as the step
 *   keys    [ragged.count] one number that identifies each utterance; as long, too
 *   p       in [0, 1)
 *
 * What is dropped depends on tape->dropout_seed, the number of dropout ops before this
 * one in the step, the utterance's key, the frame within the utterance and the column:
 * not on the other utterances.  Returns x itself when the tape does not train or p is 0
 * (the op is counted all the same).
 */
s3r_value *s3r_op_dropout(s3r_tape *tape, s3r_value *x, s3r_ragged ragged,
                          const uint64_t *keys, double p);

#endif
