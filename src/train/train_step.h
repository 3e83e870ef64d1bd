/*
 * One micro-batch: features, masking, encoder, CTC, backward.
 */
#ifndef S3R_TRAIN_TRAIN_STEP_H
#define S3R_TRAIN_TRAIN_STEP_H

#include "train/step_draws.h"

#define S3R_STEP_NAMED 10u /* items that a result can name */

typedef struct s3r_step_result {
    double loss;  /* sum over units, natural log */
    double units; /* that the loss is a sum over: utterances for CTC */
    size_t utterances, frames;
    size_t counted_frames, of_frames; /* CTC: frames with a blank as best label, frames */
    size_t bad;                       /* utterances whose loss is not finite */
    size_t bad_items[S3R_STEP_NAMED]; /* the first of them, indices in the set */
} s3r_step_result;

void s3r_step_note_bad(s3r_step_result *result, size_t item);

/*
 * Adds the gradient of the summed loss to the trained arrays.  The result is added to
 * *result.  Calls no allocator once the tape holds enough memory and features are cached.
 * S3R_ERR_RESOURCE, S3R_ERR_DATA (audio without cache).
 */
s3r_status s3r_train_step_run(s3r_step_result *result, s3r_train_model *model,
                              const s3r_train_set *set, s3r_tape *tape,
                              const s3r_train_config *config,
                              const s3r_micro_batch *batch, s3r_error *err);

#endif
