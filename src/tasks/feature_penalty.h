/*
 * The penalty on large features of the extractor in pretraining. (spec 2.10)
 */
#ifndef S3R_TASKS_FEATURE_PENALTY_H
#define S3R_TASKS_FEATURE_PENALTY_H

#include "ops/tape.h"

/*
 * Returns m, the mean of the squares of features [frames, channels], the extractor's
 * output before any norm; when it wants a gradient, d(weight * m)/d(features) is added to
 * it.  The original uses weight 10 times the frames that the loss counts.  Memory comes
 * from the tape; s3r_tape_status tells.
 */
double s3r_feature_penalty(s3r_tape *tape, s3r_value *features, double weight);

#endif
