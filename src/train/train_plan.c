/*
 * The forecast: some real steps are run and thrown away.
 *
 * A small batch first, from whose memory that of the largest follows (activations grow
 * with the frames), so that a run that does not fit is found without running out; then
 * real steps for the time.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/folder_writer.h"
#include "base/memory.h"
#include "base/process_memory.h"
#include "base/temporary_file.h"
#include "checkpoint/sealed_file.h"
#include "train/trainer_parts.h"

#include <string.h>

#define SMALL_PART  8u                 /* of a micro-batch */
#define TIMED_STEPS 2u                 /* beside the first, which finds its memory */
#define TIMED_BYTES ((size_t)32 << 20) /* of a checkpoint */
#define TIMED_MICRO 3u                 /* micro-batches that are timed, at most, a step */

/* Frames of the largest micro-batch that is likely: the limit, or one long utterance, or
 * all there is. */
static size_t largest_batch(const s3r_trainer *trainer)
{
    size_t total = 0, longest = 0;
    for (size_t i = 0; i < trainer->train.count; i++) {
        total += trainer->train.frames[i];
        longest = S3R_MAX(longest, trainer->train.frames[i]);
    }
    return S3R_MAX(longest, S3R_MIN(total, trainer->batch_frames));
}

/* The first utterances of the epoch that fill `frames`, at least one. */
static size_t take_frames(const s3r_trainer *trainer, size_t frames, size_t *taken)
{
    size_t count = 0;
    *taken = 0;
    while (count < trainer->train.count && (count == 0 || *taken < frames))
        *taken += trainer->train.frames[trainer->batches.order[count++]];
    return count;
}

static s3r_status run_batch(s3r_trainer *trainer, size_t first, size_t count,
                            uint64_t number, s3r_error *err)
{
    s3r_step_result result = {0};
    const s3r_micro_batch batch = {.indices = trainer->batches.order + first,
                                   .count = count,
                                   .epoch = 0,
                                   .number = number};
    return trainer->task->run_batch(trainer, &result, &batch, err);
}

static size_t trained_bytes(const s3r_trainable *trainable)
{
    return trainable->trained_total * 4 * sizeof(float);
}

/* The most that was resident since the run was opened, without what was before. */
static size_t held_by_run(const s3r_trainer *trainer)
{
    size_t most = s3r_process_resident_bytes(), peak = s3r_process_peak_bytes();
    if (peak > trainer->peak_before)
        most = S3R_MAX(most, peak);
    return most > trainer->resident_before ? most - trainer->resident_before : 0;
}

/* The peak of the run from that of a small batch. */
s3r_status s3r_trainer_forecast_memory(s3r_trainer *trainer, s3r_train_forecast *forecast,
                                       s3r_error *err)
{
    size_t taken, largest = largest_batch(trainer);
    size_t count = take_frames(trainer, largest / SMALL_PART, &taken);
    s3r_trainable_clear_grads(&trainer->trainable, trainer->pool);
    S3R_TRY(run_batch(trainer, 0, count, 0, err));
    size_t arena = trainer->tape.arena.peak_bytes;
    double scaled = (double)arena * (double)largest / (double)S3R_MIN(taken, largest);
    size_t growth = scaled > (double)arena ? (size_t)scaled - arena : 0;
    /* Scores, gradients and values have been touched; moments have been zeroed. */
    forecast->memory_bytes = held_by_run(trainer) + growth;
    forecast->memory_limit_bytes = trainer->options.memory_limit;
    forecast->checkpoint_bytes = trained_bytes(&trainer->trainable) / 4 * 3;
    if (forecast->memory_bytes <= trainer->options.memory_limit)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_RESOURCE,
                    "it would not fit: the run needs about %zu MiB, %zu MiB are "
                    "available; a smaller batch.seconds (now %g, the largest micro-batch "
                    "has %.1f s) with a larger batch.accumulate needs less",
                    forecast->memory_bytes >> 20, trainer->options.memory_limit >> 20,
                    trainer->config.batch.seconds,
                    (double)largest * (double)s3r_config_stride(&trainer->model.config) /
                        (double)trainer->model.config.sample_rate);
}

/* ---- time ---- */

/* Everything in a step but the micro-batches. */
static double time_fixed_part(s3r_trainer *trainer)
{
    double start = s3r_clock_seconds();
    s3r_trainable_select(&trainer->trainable, trainer->pool);
    s3r_trainable_clear_grads(&trainer->trainable, trainer->pool);
    s3r_trainable_finish_grads(&trainer->trainable, trainer->pool);
    (void)s3r_trainable_square_sum(&trainer->trainable, trainer->pool);
    return s3r_clock_seconds() - start;
}

/* The optimiser reads and writes seven arrays where finishing gradients and their norms
 * read or write about four: the ratio was measured. */
#define UPDATE_RATIO 1.6

static s3r_status time_step(s3r_trainer *trainer, double *seconds, s3r_error *err)
{
    const s3r_batch_plan *plan = &trainer->batches;
    size_t batches = S3R_MIN(plan->batches, (size_t)TIMED_STEPS * TIMED_MICRO);
    size_t frames = 0, total = 0;
    double elapsed = 0;
    for (size_t i = 0; i < trainer->train.count; i++)
        total += trainer->train.frames[i];
    S3R_TRY(run_batch(trainer, 0, plan->offset[1], 0, err)); /* finds its memory */
    for (size_t b = 0; b < batches; b++) {
        double start = s3r_clock_seconds();
        S3R_TRY(run_batch(trainer, plan->offset[b], plan->offset[b + 1] - plan->offset[b],
                          b + 1, err));
        elapsed += s3r_clock_seconds() - start;
        for (size_t i = plan->offset[b]; i < plan->offset[b + 1]; i++)
            frames += trainer->train.frames[plan->order[i]];
    }
    double fixed = time_fixed_part(trainer) * (1.0 + UPDATE_RATIO);
    double mean_frames = (double)total / (double)plan->batches;
    *seconds = fixed + elapsed / (double)frames * mean_frames *
                           (double)trainer->config.batch.accumulate;
    return S3R_OK;
}

static s3r_status time_evaluation(s3r_trainer *trainer, s3r_train_forecast *forecast,
                                  s3r_error *err)
{
    const s3r_train_config *config = &trainer->config;
    s3r_run_score score;
    if (!trainer->has_dev)
        return S3R_OK;
    double start = s3r_clock_seconds();
    S3R_TRY(trainer->task->evaluate(trainer, &score, err));
    json_decref(score.metrics);
    forecast->evaluation_s = s3r_clock_seconds() - start;
    size_t every = S3R_MAX(config->eval.every, (size_t)1);
    size_t last = config->schedule.steps;
    for (size_t step = every; step < last; step += every)
        forecast->evaluations += step >= config->eval.start;
    forecast->evaluations++; /* the last step's */
    return S3R_OK;
}

/* As many trained arrays as make up `wanted` bytes, or all. */
static size_t list_arrays(const s3r_trainable *trainable, s3r_tensor *tensors,
                          size_t wanted, size_t *bytes)
{
    size_t count = 0;
    *bytes = 0;
    for (size_t i = 0; i < trainable->count && *bytes < wanted; i++) {
        const s3r_trained *item = &trainable->items[i];
        tensors[count++] = (s3r_tensor){.name = item->name,
                                        .dtype = S3R_DTYPE_F32,
                                        .rank = 1,
                                        .shape = {item->count},
                                        .data = item->values,
                                        .size_bytes = item->count * sizeof(float)};
        *bytes += item->count * sizeof(float);
    }
    return count;
}

/* Seconds a byte of a file like a part of a checkpoint, in a temporary folder; 0 when it
 * cannot be written there. */
static double time_writing(const s3r_tensor *tensors, size_t count, size_t bytes)
{
    s3r_folder_writer folder = {0};
    double seconds = 0.0;
    char *parent = s3r_path_join(s3r_temporary_folder(), "s3r-plan");
    json_t *facts = json_object();
    if (parent && facts && s3r_folder_writer_open(&folder, parent, NULL) == S3R_OK) {
        char *path = s3r_path_join(folder.temporary_path, "plan.s3c");
        double start = s3r_clock_seconds();
        if (path && s3r_sealed_file_save(path, "s3r.plan", 1, tensors, count, facts,
                                         NULL) == S3R_OK)
            seconds = s3r_clock_seconds() - start;
        s3r_free(path);
    }
    s3r_folder_writer_abort(&folder); /* nothing stays */
    json_decref(facts);
    s3r_free(parent);
    return seconds / (double)S3R_MAX(bytes, (size_t)1);
}

static s3r_status time_checkpoint(const s3r_trainer *trainer,
                                  s3r_train_forecast *forecast, s3r_error *err)
{
    const s3r_trainable *trainable = &trainer->trainable;
    size_t all = forecast->checkpoint_bytes, bytes = 0;
    size_t every = S3R_MAX(trainer->config.checkpoint.every, (size_t)1);
    s3r_tensor *tensors = s3r_alloc(trainable->count, sizeof *tensors);
    if (!tensors)
        return s3r_fail_memory(err, "the forecast", trainable->count * sizeof *tensors);
    size_t count = list_arrays(trainable, tensors, TIMED_BYTES, &bytes);
    forecast->checkpoint_s = time_writing(tensors, count, bytes) * (double)all;
    forecast->checkpoints = S3R_CEIL_DIV(forecast->steps, every);
    s3r_free(tensors);
    return S3R_OK;
}

s3r_status s3r_trainer_plan(s3r_trainer *trainer, s3r_train_forecast *forecast,
                            s3r_error *err)
{
    const s3r_trainable *trainable = &trainer->trainable;
    *forecast = (s3r_train_forecast){.utterances = trainer->train.count,
                                     .dev_utterances = trainer->dev.count,
                                     .train_s = trainer->train.seconds,
                                     .dev_s = trainer->dev.seconds,
                                     .trained_parameters = trainable->trained_total,
                                     .steps = trainer->config.schedule.steps};
    forecast->masked_elements = s3r_trainable_masked_elements(trainable);
    for (size_t i = 0; i < trainable->masked_count; i++)
        forecast->removed_elements +=
            trainable->masked[i].mask.rows * trainable->masked[i].mask.cols -
            s3r_mask_kept_count(&trainable->masked[i].mask);
    S3R_TRY(s3r_trainer_forecast_memory(trainer, forecast, err));
    S3R_TRY(time_step(trainer, &forecast->step_s, err));
    S3R_TRY(time_evaluation(trainer, forecast, err));
    S3R_TRY(time_checkpoint(trainer, forecast, err));
    forecast->prepare_s = trainer->prepare_s;
    forecast->total_s = forecast->prepare_s + forecast->step_s * (double)forecast->steps +
                        forecast->evaluation_s * (double)forecast->evaluations +
                        forecast->checkpoint_s * (double)forecast->checkpoints;
    return S3R_OK;
}
