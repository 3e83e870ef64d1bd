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
    double loss;          /* nats an utterance; NaN when no text has labels */
    double blank_ratio;
    size_t utterances, empty; /* hypotheses without text */
} s3r_train_score;

typedef void (*s3r_train_tell_fn)(void *context, const s3r_train_event *event);

/*
 * Greedy decoding of all utterances with the model as it is now; tape is reset.  tell
 * is told how many are done.
 */
s3r_status s3r_train_evaluate(s3r_train_score *score, s3r_train_model *model,
                              const s3r_train_set *set, s3r_tape *tape,
                              size_t batch_frames, s3r_train_tell_fn tell,
                              void *tell_context, s3r_error *err);

#endif
