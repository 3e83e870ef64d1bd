/*
 * Learning-rate schedules. (spec 2.8)
 */
#ifndef S3R_TRAIN_SCHEDULE_H
#define S3R_TRAIN_SCHEDULE_H

#include "train/train_config.h"

/*
 * The learning rate of update `step`, the first being 0, for a peak of `peak`.
 *
 * tri_stage: warm-up from init_scale * peak in trunc(warmup * steps) updates, hold for
 * trunc(hold * steps), then exponentially to final_scale * peak in trunc(decay * steps),
 * which then stays.  linear and cosine reach final_scale * peak in the last update.
 */
double s3r_schedule_rate(const s3r_train_config *config, double peak, size_t step);

#endif
