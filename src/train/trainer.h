/*
 * A training run from its settings to its mask file.  (docs/training.md)
 *
 * The state of a run is what train_state.h saves; everything else is a function of the
 * settings, the data and the step.
 */
#ifndef S3R_TRAIN_TRAINER_H
#define S3R_TRAIN_TRAINER_H

#include "train/fresh_start.h"
#include "s3r/train_event.h"
#include "train/train_config.h"
#include "ops/tape.h"

typedef struct s3r_trainer s3r_trainer;

typedef struct s3r_trainer_options {
    const char *model;                     /* folder or file of the backbone */
    const s3r_fresh_start *fresh;          /* instead of model; seed: that of config */
    const char *vocabulary;                /* folder; NULL = the backbone's */
    const char *train, *dev;               /* manifests; dev may be NULL */
    const char *train_labels, *dev_labels; /* of frames, for pretraining with clusters */
    const char *folder;                    /* of the run; made when missing */
    bool may_resume;                       /* go on from the folder's newest checkpoint */
    bool is_plan;                          /* nothing is written into the folder */
    size_t memory_limit;     /* bytes that the process may need; 0 = what is available */
    s3r_train_config config; /* checked */
    s3r_pool *pool;
    const s3r_kernels *kernels;
    s3r_train_watch_fn watch; /* NULL = nobody */
    void *watch_context;
} s3r_trainer_options;

/*
 * Opens model and data, makes what trains and, with may_resume, loads the newest
 * checkpoint.  S3R_ERR_USAGE: the folder has a run already, one with other settings, or
 * one that is going on; S3R_ERR_RESOURCE: it would not fit, with what is needed; the
 * errors of models and data.
 */
s3r_status s3r_trainer_open(s3r_trainer **out, const s3r_trainer_options *options,
                            s3r_error *err);
void s3r_trainer_close(s3r_trainer *trainer); /* NULL is allowed */

/* Measures some steps without changing anything.  S3R_ERR_RESOURCE when the run would
 * need more than the limit; forecast is then complete but for the times. */
s3r_status s3r_trainer_plan(s3r_trainer *trainer, s3r_train_forecast *forecast,
                            s3r_error *err);

/*
 * Runs to the end: best.s3m is the best mask on dev (without dev: the last).  *finished
 * is false when the watcher stopped it; a checkpoint was then written.  S3R_ERR_DIVERGED
 * when NaN persists; S3R_ERR_RUNTIME (disk full); S3R_ERR_RESOURCE, also before the first
 * step when the forecast of memory is above the limit.
 */
s3r_status s3r_trainer_run(s3r_trainer *trainer, bool *finished, s3r_error *err);

#endif
