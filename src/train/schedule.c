/*
 * Learning-rate schedules: a pure function of the update's number.
 */
#include "train/schedule.h"

#include <math.h>

#define PI 3.14159265358979323846

/* Linear from init_scale to 1 over the warm-up. */
static double warm_up(double init_scale, size_t warm, size_t step)
{
    return init_scale + (1.0 - init_scale) / (double)warm * (double)step;
}

static double tri_stage(const s3r_train_config *config, size_t warm, size_t step)
{
    size_t hold = (size_t)(config->schedule.hold * (double)config->schedule.steps);
    size_t decay = (size_t)(config->schedule.decay * (double)config->schedule.steps);
    if (step < warm + hold)
        return 1.0;
    size_t since = step - warm - hold;
    if (since >= decay)
        return config->schedule.final_scale;
    return exp(log(config->schedule.final_scale) / (double)decay * (double)since);
}

/* How far the part after the warm-up is, in [0, 1]: 1 in the last step. */
static double progress(const s3r_train_config *config, size_t warm, size_t step)
{
    size_t steps = config->schedule.steps;
    size_t rest = steps > warm + 1 ? steps - warm - 1 : 1;
    double done = (double)(step - warm) / (double)rest;
    return done < 1.0 ? done : 1.0;
}

double s3r_schedule_rate(const s3r_train_config *config, double peak, size_t step)
{
    size_t warm = (size_t)(config->schedule.warmup * (double)config->schedule.steps);
    double last = config->schedule.final_scale;
    if (step < warm)
        return peak * warm_up(config->schedule.init_scale, warm, step);
    switch (config->schedule.kind) {
    case S3R_SCHEDULE_TRI_STAGE:
        return peak * tri_stage(config, warm, step);
    case S3R_SCHEDULE_LINEAR:
        return peak * (1.0 + (last - 1.0) * progress(config, warm, step));
    case S3R_SCHEDULE_COSINE:
        return peak * (last + (1.0 - last) * 0.5 *
                                  (1.0 + cos(PI * progress(config, warm, step))));
    case S3R_SCHEDULE_CONSTANT:
        break;
    }
    return peak;
}
