/*
 * What a micro-batch draws: which frames and channels are masked (augment.h), which
 * layers are left out, the keys of dropout.
 *
 * Everything is drawn by (seed, purpose, epoch or micro-batch, utterance): see
 * ARCHITECTURE.md, "A run is a function".
 */
#ifndef S3R_TRAIN_STEP_DRAWS_H
#define S3R_TRAIN_STEP_DRAWS_H

#include "base/random.h"
#include "model/encoder.h"
#include "train/train_set.h"

typedef struct s3r_micro_batch {
    const size_t *indices; /* [count] of the set's items */
    size_t count;
    size_t epoch; /* with the utterance it fixes what is masked */
    uint64_t
        number; /* of all micro-batches of the run; it fixes dropout and layer drop */
} s3r_micro_batch;

/* One micro-batch under way. */
typedef struct s3r_step_pass {
    const s3r_train_model *model;
    const s3r_train_set *set;
    s3r_tape *tape;
    const s3r_train_config *config;
    const s3r_micro_batch *batch;
    s3r_ragged frames; /* known once the features are */
} s3r_step_pass;

/* The utterance in place u of the batch. */
const s3r_utterance *s3r_step_utterance(const s3r_step_pass *pass, size_t u);
/* Random numbers of an utterance in an epoch, for one purpose. */
s3r_random s3r_step_stream(const s3r_step_pass *pass, uint64_t purpose, size_t u);

/* Resets the tape for the batch; without is_training nothing is recorded or dropped. */
void s3r_step_begin(const s3r_step_pass *pass, bool is_training);

/*
 * The options of the encoder for this batch, after frames is set: masks (in any case),
 * and in training keys and layers to leave out.  Memory comes from the tape;
 * s3r_tape_status tells.
 */
s3r_encoder_options s3r_step_draw(const s3r_step_pass *pass,
                                  s3r_encoder_masking *masking);

#endif
