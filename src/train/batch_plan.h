/*
 * The order of the training data: each epoch shuffles the utterances by (seed, epoch) and
 * fills micro-batches up to a number of frames.  Nothing is padded, so lengths need not
 * be sorted.
 */
#ifndef S3R_TRAIN_BATCH_PLAN_H
#define S3R_TRAIN_BATCH_PLAN_H

#include "base/error.h"

typedef struct s3r_batch_plan {
    size_t *order;  /* [count] utterances of the epoch */
    size_t *offset; /* [batches + 1] */
    size_t batches;
    size_t count;
    size_t epoch; /* that the plan holds */
} s3r_batch_plan;

/* For `count` utterances. S3R_ERR_RESOURCE. */
s3r_status s3r_batch_plan_init(s3r_batch_plan *plan, size_t count, s3r_error *err);
void s3r_batch_plan_release(s3r_batch_plan *plan);

/*
 * Plans an epoch: frames [count] of each utterance, at most limit a batch (an utterance
 * that is longer has a batch of its own).  Calls no allocator.
 */
void s3r_batch_plan_epoch(s3r_batch_plan *plan, const size_t *frames, size_t limit,
                          uint64_t seed, size_t epoch);

#endif
