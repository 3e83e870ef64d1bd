/*
 * Masked prediction: naming the cluster of frames that the encoder did not see.
 * (Hsu et al. 2021, HuBERT; spec 2.10)
 *
 *   logits = cos(W h + b, label embeddings) / temperature
 *   loss   = sum over frames of weight * cross-entropy(logits, label)
 *
 * A masked frame has weight 1, another one `unmasked_weight`.
 */
#ifndef S3R_TASKS_MASKED_PREDICTION_H
#define S3R_TASKS_MASKED_PREDICTION_H

#include "ops/tape.h"

/* The label of a frame that does not count. */
#define S3R_NO_FRAME_LABEL UINT32_MAX

typedef struct s3r_masked_prediction_weights {
    s3r_weight projection, projection_bias; /* [P, hidden], [1, P] */
    s3r_weight embeddings;                  /* [labels, P] fp32 */
} s3r_masked_prediction_weights;

typedef struct s3r_masked_prediction_input {
    const uint32_t *labels; /* [frames] below the number of labels, or NO_FRAME_LABEL */
    const size_t *masked;   /* [masked_count] distinct rows that were masked */
    size_t masked_count;
    double unmasked_weight; /* 0: the other frames are not even looked at */
    double temperature;     /* 0.1 in the original */
} s3r_masked_prediction_input;

/* Sums over the frames that count; to be added up over micro-batches. */
typedef struct s3r_masked_prediction_result {
    double masked_loss, unmasked_loss; /* cross-entropy without weights, natural log */
    size_t masked, masked_correct;
    size_t unmasked, unmasked_correct;
} s3r_masked_prediction_result;

/*
 * Records projection and similarities, computes the loss, and puts its gradient where the
 * backward pass begins.
 *
 *   hidden   [frames, hidden], the encoder's
 *   weights  gradients are added to those that have one
 *   result   receives this batch's sums
 *
 * What is differentiated is masked_loss + unmasked_weight * unmasked_loss: the caller
 * divides by the number of frames when it updates.  A frame's loss is NaN when a value
 * is not finite.  No bits of a frame depend on batch or threads.  Memory comes from the
 * tape; s3r_tape_status tells.
 */
void s3r_masked_prediction_loss(s3r_tape *tape, s3r_value *hidden,
                                s3r_masked_prediction_weights *weights,
                                const s3r_masked_prediction_input *input,
                                s3r_masked_prediction_result *result);

#endif
