/*
 * The parts of a trainer, shared by its files: trainer.c (opening), train_loop.c (steps),
 * train_plan.c (the forecast).
 */
#ifndef S3R_TRAIN_TRAINER_PARTS_H
#define S3R_TRAIN_TRAINER_PARTS_H

#include "train/batch_plan.h"
#include "train/train_evaluate.h"
#include "train/train_result.h"
#include "train/train_step.h"
#include "train/trainer.h"

struct s3r_trainer {
    s3r_trainer_options options; /* strings are borrowed until open returns */
    s3r_train_config config;
    char *folder;
    s3r_pool *pool;
    s3r_tape tape;
    bool has_tape;
    s3r_train_model model;
    s3r_train_set train, dev;
    bool has_dev;
    s3r_trainable trainable;
    s3r_batch_plan batches;
    size_t batch_frames; /* of a micro-batch at most */
    s3r_train_state state;
    bool is_selected; /* the masks are those of the scores */
    bool is_stopped;  /* the watcher asked for it */
    size_t collapsed; /* evaluations in a row with nothing but blanks */
};

/* Plans the epoch that the state is in. */
void s3r_trainer_plan_epoch(s3r_trainer *trainer);

/*
 * The gradient of one step over `accumulate` micro-batches from *state's position on,
 * which moves.  Gradients are cleared before.
 */
s3r_status s3r_trainer_gradient(s3r_trainer *trainer, s3r_train_state *state,
                                s3r_step_result *result, s3r_error *err);

/* One update from the gradients; sum_of_squares is that of all of them. */
void s3r_trainer_update(s3r_trainer *trainer, size_t step, size_t update,
                        size_t utterances, double sum_of_squares);

/* Tells the watcher; remembers when it wants to stop. */
void s3r_trainer_tell(s3r_trainer *trainer, const s3r_train_event *event);

/* Wall-clock seconds. */
double s3r_trainer_clock(void);

#endif
