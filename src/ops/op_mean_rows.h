/*
 * The mean over the frames of each utterance.
 */
#ifndef S3R_OPS_OP_MEAN_ROWS_H
#define S3R_OPS_OP_MEAN_ROWS_H

#include "ops/tape.h"

/*
 *   x       [frames, cols]
 *   frames  where the utterances are; the table stays through the step
 *
 * Returns [utterances, cols]; zeros for an utterance without frames.
 */
s3r_value *s3r_op_mean_rows(s3r_tape *tape, s3r_value *x, s3r_ragged frames);

/* The sums that the means are made of: adds rows [count, cols] to sums [cols], one chain
 * a column, so that rows that come in pieces give what they give at once. */
void s3r_rows_add_to_sums(double *sums, const float *rows, size_t stride, size_t count,
                          size_t cols);
/* And the means. */
void s3r_sums_to_mean(float *mean, const double *sums, size_t count, size_t cols);

#endif
