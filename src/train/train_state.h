/*
 * Where a run stands, and saving it: checkpoint-STEP.s3c in the run folder.
 *
 * A sealed file (checkpoint/sealed_file.h) with the trained arrays, their moments, the
 * remembered masks and the counters.  Frozen weights are not in it: the backbone's hash
 * is.  Random numbers are counted by step, so there is no generator to save.
 */
#ifndef S3R_TRAIN_TRAIN_STATE_H
#define S3R_TRAIN_TRAIN_STATE_H

#include "train/train_identity.h"

#define S3R_MAX_BEST 16u

/* An evaluation whose mask file is kept. */
typedef struct s3r_best {
    size_t step;
    double value; /* of the chosen metric; smaller is better */
} s3r_best;

typedef struct s3r_train_state {
    size_t step;                 /* updates done */
    size_t updates;              /* of the optimiser: steps without the skipped ones */
    size_t epoch, batch;         /* the next micro-batch */
    uint64_t micro;              /* micro-batches done */
    s3r_best best[S3R_MAX_BEST]; /* sorted, the best first */
    size_t best_count;
    size_t stale;     /* evaluations since the best one */
    size_t skipped;   /* steps skipped for NaN in a row */
    size_t collapsed; /* evaluations in a row that show that nothing is learned */
    /* Since the last line of metrics.jsonl. */
    double window_loss, window_units;
    size_t window_counted, window_of;
} s3r_train_state;

/* Writes FOLDER/checkpoint-STEP.s3c, then removes all but the newest `keep` and the
 * results (files and folders) of steps that are no longer among the best. S3R_ERR_RUNTIME
 * (disk full: what was there stays), S3R_ERR_RESOURCE. */
s3r_status s3r_train_state_save(const s3r_train_state *state,
                                const s3r_trainable *trainable,
                                const s3r_train_identity *identity, const char *folder,
                                size_t keep, s3r_error *err);

/* Whether the folder has a checkpoint, sound or not. S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
s3r_status s3r_train_state_is_there(bool *is_there, const char *folder, s3r_error *err);

/*
 * Loads the newest checkpoint of the folder into state and trainable.  *facts receives
 * what it says (json_decref), for s3r_train_identity_check of the data; NULL when there
 * is no checkpoint.  A damaged one is passed over (named in warning [warning_bytes],
 * else ""), for the one before.  S3R_ERR_USAGE: the checkpoint was made with other
 * settings, backbone, vocabulary (what differs is named); S3R_ERR_MODEL: all are damaged;
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_train_state_load(s3r_train_state *state, s3r_trainable *trainable,
                                const s3r_train_identity *identity, const char *folder,
                                json_t **facts, char *warning, size_t warning_bytes,
                                s3r_error *err);

/* Puts an evaluation among the best `keep`; true when it is now the best of all. */
bool s3r_train_state_rank(s3r_train_state *state, size_t step, double value, size_t keep);

#endif
