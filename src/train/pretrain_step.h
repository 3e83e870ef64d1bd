/*
 * One micro-batch of pretraining: samples, extractor, masking, encoder, objective,
 * backward. (spec 2.10)
 */
#ifndef S3R_TRAIN_PRETRAIN_STEP_H
#define S3R_TRAIN_PRETRAIN_STEP_H

#include "tasks/frame_labels.h"
#include "train/train_step.h"

/* The labels of a set's utterances, by its items. */
typedef struct s3r_pretrain_labels {
    const s3r_frame_labels *file; /* NULL for the contrastive objective */
    size_t *utterance;            /* [items of the set] in the file */
} s3r_pretrain_labels;

/*
 * As s3r_train_step_run, for an unlabelled set.  Utterances that are longer than
 * batch.max_seconds are cropped, in training where the draw of the epoch says, else at
 * their start.  units of the result are masked frames, `counted` those named right.
 * With is_training false nothing is recorded and no gradient changes.
 */
s3r_status s3r_pretrain_step_run(s3r_step_result *result, s3r_train_model *model,
                                 const s3r_train_set *set,
                                 const s3r_pretrain_labels *labels, s3r_tape *tape,
                                 const s3r_train_config *config,
                                 const s3r_micro_batch *batch, size_t step,
                                 bool is_training, s3r_error *err);

#endif
