/*
 * One batch of waveforms through several models of one backbone.
 *
 * A lane is an utterance on its way through a model.  What the models have in common, the
 * extractor and the blocks that no mask touches first, runs once an utterance; from the
 * first block in which two models differ on, rows of lanes run side by side, each with
 * its own weights.  A lane gives the bits of its utterance alone in its model.
 */
#ifndef S3R_TASKS_ROUTED_INFERENCE_H
#define S3R_TASKS_ROUTED_INFERENCE_H

#include "tasks/ctc_inference.h"

typedef struct s3r_lane_model {
    const s3r_model_config *config;
    const s3r_model_weights *weights;
} s3r_lane_model;

typedef struct s3r_lanes {
    size_t model_count;
    const s3r_lane_model *models; /* [model_count], with heads */
    /* [model_count]: its lanes, one at least */
    s3r_ragged of_model;
    const size_t *utterance; /* [lanes] */
    size_t max_rows; /* that run behind the common part at once, unless one model has
                        more; bounds memory, changes no bits */
} s3r_lanes;

/* Whether two models may be in one batch of lanes: what they make of a waveform before
 * the first block is the same. */
bool s3r_lanes_may_share(const s3r_lane_model *a, const s3r_lane_model *b);

/*
 * Runs whole utterances; lane i is `utterance` i of the log_probs sink.
 *
 *   inference  config and weights are not used, nor are hidden and goes_on
 *   waves      [count], made with the config of any of the models
 */
s3r_status s3r_inference_lanes(const s3r_inference *inference, const s3r_lanes *lanes,
                               const s3r_waveform *waves, size_t count, s3r_error *err);

#endif
