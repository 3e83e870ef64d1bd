/*
 * The parts of a trainer, shared by its files: trainer.c (opening), train_loop.c (steps),
 * train_alarms.c, train_plan.c (the forecast), trainer_mask.c (mask files as results),
 * and what differs from task to task: trainer_ctc.c, trainer_lid.c, trainer_pretrain.c.
 */
#ifndef S3R_TRAIN_TRAINER_PARTS_H
#define S3R_TRAIN_TRAINER_PARTS_H

#include "base/file_lock.h"
#include "train/batch_plan.h"
#include "train/run_log.h"
#include "train/train_evaluate.h"
#include "train/train_result.h"
#include "train/train_state.h"
#include "train/train_step.h"
#include "train/trainer.h"

/* What an evaluation found. */
typedef struct s3r_run_score {
    double value; /* that ranks results; smaller is better */
    const char *metric_name;
    double loss;
    double ratio;      /* what task->counted_name says, of dev */
    bool is_collapsed; /* a sign that nothing is learned; task->collapse_advice */
    json_t *metrics;   /* name -> number, owned by the caller */
} s3r_run_score;

/* What differs from task to task. */
typedef struct s3r_trainer_task {
    s3r_train_target target;
    const char *counted_name; /* of counted / counted_of in metrics.jsonl and events */
    const char *collapse_advice;
    /* What must be known before trained arrays are made; NULL = nothing. */
    s3r_status (*open)(s3r_trainer *trainer, s3r_error *err);
    /* What the identity of the run has beside that of others; NULL = nothing. */
    void (*identify)(const s3r_trainer *trainer, s3r_train_identity *identity);
    /* After the data is there; NULL = nothing. */
    s3r_status (*match_data)(s3r_trainer *trainer, s3r_error *err);
    void (*close)(s3r_trainer *trainer); /* NULL = nothing */
    /* The gradient of a micro-batch, added; its loss, added to *result. */
    s3r_status (*run_batch)(s3r_trainer *trainer, s3r_step_result *result,
                            const s3r_micro_batch *batch, s3r_error *err);
    /* The dev set; masks are those of the scores. */
    s3r_status (*evaluate)(s3r_trainer *trainer, s3r_run_score *score, s3r_error *err);
    /* Writes the result as it is now under the run folder: "best", "last" or
     * "step-NUMBER".  metrics may be NULL. */
    s3r_status (*save)(s3r_trainer *trainer, const char *name, const json_t *metrics,
                       s3r_error *err);
    /* After the last step: what is for people. */
    s3r_status (*finish)(s3r_trainer *trainer, s3r_error *err);
} s3r_trainer_task;

extern const s3r_trainer_task s3r_trainer_ctc, s3r_trainer_lid, s3r_trainer_pretrain;

struct s3r_trainer {
    const s3r_trainer_task *task;
    s3r_trainer_options options; /* strings are borrowed until open returns */
    s3r_train_config config;
    char *folder;
    s3r_file_lock *lock; /* of the folder */
    s3r_train_identity identity;
    json_t *resumed; /* the facts of the checkpoint that it goes on from; NULL = none */
    s3r_pool *pool;
    s3r_tape tape;
    bool has_tape;
    s3r_train_model model;
    struct s3r_pretrain_data *pretrain; /* of trainer_pretrain.c; NULL for others */
    double *language_weights; /* of trainer_lid.c: [languages] what a loss counts */
    s3r_train_set train, dev;
    bool has_dev;
    size_t resident_before, peak_before; /* bytes of the process, when it was opened */
    double prepare_s; /* that opening took: decoding and extraction, mostly */
    s3r_trainable trainable;
    s3r_batch_plan batches;
    size_t batch_frames; /* of a micro-batch at most */
    s3r_train_state state;
    bool is_selected;                  /* the masks are those of the scores */
    bool is_stopped;                   /* the watcher asked for it */
    size_t step_items[S3R_STEP_NAMED]; /* the first utterances of the step, by index */
    size_t step_count;                 /* all of them */
    double last_loss;                  /* an utterance, of the last step that counted */
    /* Of the steps since the last line of the log, without what comes between. */
    size_t speed_frames;
    double speed_seconds;
};

/* Plans the epoch that the state is in. */
void s3r_trainer_plan_epoch(s3r_trainer *trainer);

/*
 * The gradient of one step over `accumulate` micro-batches from *state's position on,
 * which moves.  Gradients are cleared before.
 */
s3r_status s3r_trainer_gradient(s3r_trainer *trainer, s3r_train_state *state,
                                s3r_step_result *result, s3r_error *err);

/* One update from the gradients of a loss over `units`; sum_of_squares is that of all
 * gradients. */
void s3r_trainer_update(s3r_trainer *trainer, size_t step, size_t update, double units,
                        double sum_of_squares);

/* Fills the memory part of a forecast by running a small batch, which changes gradients
 * only.  S3R_ERR_RESOURCE when the run needs more than the limit. */
s3r_status s3r_trainer_forecast_memory(s3r_trainer *trainer, s3r_train_forecast *forecast,
                                       s3r_error *err);

/* Tells the watcher; remembers when it wants to stop. */
void s3r_trainer_tell(s3r_trainer *trainer, const s3r_train_event *event);

/* A progress callback for evaluations: context is the trainer. */
void s3r_trainer_tell_progress(void *context, const s3r_train_event *event);
/* A number, null for what is none. */
json_t *s3r_trainer_json_loss(double loss);

/* ---- trainer_mask.c: save and finish of tasks whose result is a mask file ---- */

s3r_status s3r_trainer_save_mask(s3r_trainer *trainer, const char *name,
                                 const json_t *metrics, s3r_error *err);
s3r_status s3r_trainer_report_mask(s3r_trainer *trainer, s3r_error *err);

/* ---- train_alarms.c ---- */

void s3r_trainer_warn(s3r_trainer *trainer, const char *text);

/* A step whose loss or gradient is not finite changes nothing but counters; it is told
 * and logged with the utterances.  S3R_ERR_DIVERGED after too many in a row. */
s3r_status s3r_trainer_skip_step(s3r_trainer *trainer, s3r_run_log *log,
                                 const s3r_step_result *result, s3r_error *err);

/* Warns, once, when evaluations show that nothing is learned. */
void s3r_trainer_check_collapse(s3r_trainer *trainer, const s3r_run_score *score,
                                bool is_last);

#endif
