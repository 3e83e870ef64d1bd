/*
 * One micro-batch: features, masking, encoder, then CTC or the loss of languages,
 * backward.
 */
#ifndef S3R_TRAIN_TRAIN_STEP_H
#define S3R_TRAIN_TRAIN_STEP_H

#include "train/step_draws.h"

#define S3R_STEP_NAMED 10u /* items that a result can name */

typedef struct s3r_step_result {
    double loss;  /* sum over units, natural log */
    double units; /* that the loss is a sum over: utterances, but in pretraining */
    size_t utterances, frames;
    /* CTC: frames with a blank as best label, frames; lid: utterances named right, all */
    size_t counted, counted_of;
    size_t bad;                       /* utterances whose loss is not finite */
    size_t bad_items[S3R_STEP_NAMED]; /* the first of them, indices in the set */
} s3r_step_result;

void s3r_step_note_bad(s3r_step_result *result, size_t item);

/*
 * Adds the gradient of the summed loss to the trained arrays.  The result is added to
 * *result.  Calls no allocator once the tape holds enough memory and features are cached.
 * S3R_ERR_RESOURCE, S3R_ERR_DATA (audio without cache).
 */
s3r_status s3r_train_step_run(s3r_step_result *result, const s3r_train_model *model,
                              const s3r_train_set *set, s3r_tape *tape,
                              const s3r_train_config *config,
                              const s3r_micro_batch *batch, s3r_error *err);

/* The same for the task lid.  weights [languages]: what a loss counts, by its language;
 * the loss in *result is the weighted one. */
s3r_status s3r_lid_step_run(s3r_step_result *result, const s3r_train_model *model,
                            const s3r_train_set *set, const double *weights,
                            s3r_tape *tape, const s3r_train_config *config,
                            const s3r_micro_batch *batch, s3r_error *err);

/* The part before the loss: *hidden [frames, width] of the batch, and the *keys
 * [utterances] of dropout; pass->frames is set. */
s3r_status s3r_step_encode(s3r_step_pass *pass, s3r_value **hidden, const uint64_t **keys,
                           s3r_error *err);
/* The part behind the loss, whose gradient is there: backward, and what all tasks count.
 */
s3r_status s3r_step_finish(const s3r_step_pass *pass, s3r_step_result *result,
                           s3r_error *err);

#endif
