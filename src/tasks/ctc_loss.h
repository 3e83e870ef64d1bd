/*
 * Connectionist temporal classification: the loss and its gradient. (Graves et al. 2006;
 * spec 2.7)
 */
#ifndef S3R_TASKS_CTC_LOSS_H
#define S3R_TASKS_CTC_LOSS_H

#include "ops/tape.h"

typedef struct s3r_ctc_targets {
    s3r_ragged lengths; /* labels[offset[u]] .. labels[offset[u + 1]] of utterance u */
    const uint32_t *labels; /* without blanks */
    uint32_t blank_id;
} s3r_ctc_targets;

/* Frames that a target needs: its length and one for each adjacent repeat. */
size_t s3r_ctc_frames_needed(const uint32_t *labels, size_t count);

/*
 * Softmax and CTC of raw logits in one step, in parallel over utterances.
 *
 *   logits   [frames, labels]; when it wants a gradient, scale * d(sum of
 *            losses)/d(logits) is added to it
 *   frames   where the utterances are
 *   targets  labels below the number of columns, none of them the blank
 *   losses   [utterances] receives the negative log-likelihoods, natural log; infinite
 *            when no alignment exists (that utterance's gradient is zero, spec 2.7), NaN
 *            when a logit is not finite (its gradient is zero too)
 *   blank_frames  [utterances] receives how many frames have the blank as best label;
 *                 NULL = not wanted
 *
 * Sums are in double where it matters; no bits depend on batch or threads.  Memory comes
 * from the tape; s3r_tape_status tells.
 */
void s3r_ctc_loss(s3r_tape *tape, s3r_value *logits, s3r_ragged frames,
                  const s3r_ctc_targets *targets, double scale, double *losses,
                  size_t *blank_frames);

#endif
