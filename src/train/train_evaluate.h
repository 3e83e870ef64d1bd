/*
 * Evaluating a run on its dev set.
 */
#ifndef S3R_TRAIN_TRAIN_EVALUATE_H
#define S3R_TRAIN_TRAIN_EVALUATE_H

#include "s3r/train_event.h"
#include "tasks/error_rate.h"
#include "train/train_set.h"

typedef struct s3r_train_score {
    double wer, cer, per; /* 0 .. ; per of letters: as cer */
    double loss;          /* nats an utterance */
    double blank_ratio;
    size_t utterances, empty; /* hypotheses without text */
} s3r_train_score;

/*
 * Greedy decoding of all utterances with the model as it is now; tape is reset.  watch
 * may interrupt: S3R_ERR_RUNTIME.
 */
s3r_status s3r_train_evaluate(s3r_train_score *score, s3r_train_model *model,
                              const s3r_train_set *set, s3r_tape *tape,
                              size_t batch_frames, s3r_train_watch_fn watch,
                              void *watch_context, s3r_error *err);

#endif
