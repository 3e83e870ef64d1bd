/*
 * Masking of channels while training: the application, not the choice.  (spec 2.6)
 */
#ifndef S3R_OPS_OP_CHANNEL_MASK_H
#define S3R_OPS_OP_CHANNEL_MASK_H

#include "ops/tape.h"

/*
 * A copy of x with the listed channels of each utterance set to 0 in all its frames.
 *
 *   x         [rows, cols]
 *   frames    where the utterances of x are
 *   lists     lists.offset[u] .. lists.offset[u + 1] are the places of utterance u in
 *   channels  the channels to clear; both lists are copied
 *
 * Returns [rows, cols].
 */
s3r_value *s3r_op_channel_mask(s3r_tape *tape, s3r_value *x, s3r_ragged frames,
                               s3r_ragged lists, const size_t *channels);

#endif
