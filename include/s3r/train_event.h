/*
 * What a training run tells while it goes.
 */
#ifndef S3R_TRAIN_EVENT_H
#define S3R_TRAIN_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum s3r_train_event_kind {
    S3R_TRAIN_PREPARING,  /* data is read: done of total utterances */
    S3R_TRAIN_STARTED,    /* the first step (or, resumed, the next) begins */
    S3R_TRAIN_STEP,       /* after each step */
    S3R_TRAIN_EVALUATING, /* done of total dev utterances */
    S3R_TRAIN_EVALUATED,
    S3R_TRAIN_SAVED,  /* text: the file that was written */
    S3R_TRAIN_WARNING /* text: what is wrong and what to do */
} s3r_train_event_kind;

/* Fields that do not belong to the kind are 0. */
typedef struct s3r_train_event {
    s3r_train_event_kind kind;
    const char *text; /* valid during the call */
    size_t done, total;
    size_t step, steps; /* updates done, of all */
    double loss; /* of the step: nats an utterance (pretraining: a masked frame); of the
                    one before when the step was skipped.  NaN: dev has none */
    double learning_rate;
    double ratio;           /* STEP, EVALUATED: part of what ratio_name says */
    const char *ratio_name; /* "blank_ratio": frames whose best label is the blank;
                               "accuracy": what is named right */
    double frames_per_second;
    double metric;           /* EVALUATED: error rate on dev, of the chosen metric */
    const char *metric_name; /* "wer", "cer", "per"; task lid: "error"; pretraining:
                                "masked error" */
    bool is_best;            /* the best so far */
    bool learns_masks;
    double mask_changed; /* part of the masks that differs from their start */
    size_t memory_bytes; /* peak of the process so far */
} s3r_train_event;

/* Returning false asks the run to stop: it writes a checkpoint first.  While data is
 * read: S3R_ERR_INTERRUPTED without one. */
typedef bool (*s3r_train_watch_fn)(void *context, const s3r_train_event *event);

/* What a run will take. */
typedef struct s3r_train_forecast {
    size_t utterances, dev_utterances;
    double train_s, dev_s;     /* of audio */
    size_t trained_parameters; /* the head included */
    size_t masked_elements, removed_elements;
    size_t steps;
    double step_s;       /* seconds a step */
    double evaluation_s; /* seconds an evaluation; 0 without dev */
    size_t evaluations;
    double prepare_s;    /* before the first step: opening, decoding, extraction */
    double checkpoint_s; /* seconds to write one */
    size_t checkpoints;
    double total_s;            /* of all these */
    size_t memory_bytes;       /* the most that the run holds at once */
    size_t memory_limit_bytes; /* what it may need */
    size_t checkpoint_bytes;   /* a file on disk */
} s3r_train_forecast;

#ifdef __cplusplus
}
#endif
#endif
