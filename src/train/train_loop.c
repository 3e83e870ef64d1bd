/*
 * The steps of a run: gradient, update, watching, evaluation, checkpoints.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process_memory.h"
#include "train/adam.h"
#include "train/schedule.h"
#include "train/trainer_parts.h"

/* ---- one step ---- */

static void next_batch(s3r_trainer *trainer, s3r_train_state *state,
                       s3r_micro_batch *batch)
{
    s3r_batch_plan *plan = &trainer->batches;
    if (state->batch >= plan->batches || plan->epoch != state->epoch) {
        if (plan->epoch == state->epoch) {
            state->epoch++;
            state->batch = 0;
        }
        s3r_batch_plan_epoch(plan, trainer->train.frames, trainer->batch_frames,
                             trainer->config.seed, state->epoch);
    }
    size_t first = plan->offset[state->batch];
    *batch = (s3r_micro_batch){.indices = plan->order + first,
                               .count = plan->offset[state->batch + 1] - first,
                               .epoch = state->epoch,
                               .number = state->micro};
    state->batch++;
    state->micro++;
}

/* Makes the masks those of the scores, unless they are. */
static void select_masks(s3r_trainer *trainer)
{
    if (!trainer->is_selected)
        s3r_trainable_select(&trainer->trainable, trainer->pool);
    trainer->is_selected = true;
}

static void note_items(s3r_trainer *trainer, const s3r_micro_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (trainer->step_count < S3R_STEP_NAMED)
            trainer->step_items[trainer->step_count] = batch->indices[i];
        trainer->step_count++;
    }
}

s3r_status s3r_trainer_gradient(s3r_trainer *trainer, s3r_train_state *state,
                                s3r_step_result *result, s3r_error *err)
{
    *result = (s3r_step_result){0};
    select_masks(trainer);
    s3r_trainable_clear_grads(&trainer->trainable, trainer->pool);
    trainer->step_count = 0;
    for (size_t i = 0; i < trainer->config.batch.accumulate; i++) {
        s3r_micro_batch batch;
        next_batch(trainer, state, &batch);
        note_items(trainer, &batch);
        S3R_TRY(trainer->task->run_batch(trainer, result, &batch, err));
    }
    s3r_trainable_finish_grads(&trainer->trainable, trainer->pool);
    return S3R_OK;
}

void s3r_trainer_update(s3r_trainer *trainer, size_t step, size_t update, double units,
                        double sum_of_squares)
{
    const s3r_train_config *config = &trainer->config;
    double scale = 1.0 / units;
    double norm = sqrt(sum_of_squares) * scale, clip = config->optimizer.clip_norm;
    if (clip > 0.0 && norm > clip)
        scale *= clip / norm;
    const s3r_adam_step adam = {.form = config->optimizer.form,
                                .beta1 = config->optimizer.beta1,
                                .beta2 = config->optimizer.beta2,
                                .eps = config->optimizer.eps,
                                .weight_decay = config->optimizer.weight_decay,
                                .update = update,
                                .grad_scale = scale};
    double head_lr = config->optimizer.head_lr;
    for (size_t i = 0; i < trainer->trainable.count; i++) {
        s3r_trained *item = &trainer->trainable.items[i];
        double peak = item->is_head && head_lr > 0.0 ? head_lr : config->optimizer.lr;
        s3r_adam_update(trainer->pool, &adam, s3r_schedule_rate(config, peak, step),
                        item->values, item->first, item->second, item->grad, item->count);
    }
    trainer->is_selected = false;
}

/* ---- telling ---- */

/* The fixed one of the method magnitude has no scores. */
static bool learns_masks(const s3r_trainable *trainable)
{
    return trainable->masked_count > 0 && trainable->masked[0].scores;
}

static double changed_part(const s3r_trainable *trainable, bool since_start)
{
    size_t elements = s3r_trainable_masked_elements(trainable);
    return elements == 0
               ? 0.0
               : (double)s3r_trainable_changed(trainable, since_start) / (double)elements;
}

static void tell_step(s3r_trainer *trainer, const s3r_step_result *result, double seconds)
{
    const s3r_train_config *config = &trainer->config;
    s3r_train_event event = {
        .kind = S3R_TRAIN_STEP,
        .step = trainer->state.step,
        .steps = config->schedule.steps,
        .loss = trainer->last_loss,
        .learning_rate =
            s3r_schedule_rate(config, config->optimizer.lr, trainer->state.step - 1),
        .ratio = (double)result->counted / (double)S3R_MAX(result->counted_of, (size_t)1),
        .ratio_name = trainer->task->counted_name,
        .frames_per_second = (double)result->frames / seconds,
        .memory_bytes = s3r_process_peak_bytes()};
    s3r_trainer_tell(trainer, &event);
}

/* A number, null for what is none. */
json_t *s3r_trainer_json_loss(double loss)
{
    return isfinite(loss) ? json_real(loss) : json_null();
}

/* null when all steps since the last line were skipped. */
static json_t *window_loss(const s3r_train_state *state)
{
    return s3r_trainer_json_loss(
        state->window_units > 0.0 ? state->window_loss / state->window_units : NAN);
}

static s3r_status log_step(s3r_trainer *trainer, s3r_run_log *log, s3r_error *err)
{
    s3r_train_state *state = &trainer->state;
    const s3r_train_config *config = &trainer->config;
    if (state->step % S3R_MAX(config->run.log_every, (size_t)1) != 0 &&
        state->step != config->schedule.steps)
        return S3R_OK;
    double of = (double)S3R_MAX(state->window_of, (size_t)1);
    json_t *line =
        json_pack("{sI, s{so, sf, sf, sI, sf, sI}}", "step", (json_int_t)state->step,
                  "train", "loss", window_loss(state), "lr",
                  s3r_schedule_rate(config, config->optimizer.lr, state->step - 1),
                  trainer->task->counted_name, (double)state->window_counted / of,
                  "epoch", (json_int_t)state->epoch, "frames_per_second",
                  (double)trainer->speed_frames / S3R_MAX(trainer->speed_seconds, 1e-9),
                  "memory_bytes", (json_int_t)s3r_process_peak_bytes());
    state->window_loss = state->window_units = 0;
    state->window_counted = state->window_of = 0;
    trainer->speed_frames = 0;
    trainer->speed_seconds = 0.0;
    if (!line)
        return s3r_fail_memory(err, "metrics.jsonl", 0);
    s3r_status status = s3r_run_log_write(log, line, err);
    json_decref(line);
    return status;
}

/* ---- evaluation ---- */

static bool is_finished(const s3r_trainer *trainer)
{
    const s3r_train_config *config = &trainer->config;
    return trainer->state.step >= config->schedule.steps ||
           (config->eval.patience > 0 && trainer->state.stale >= config->eval.patience);
}

/* Sparsity of each matrix, by name. */
static json_t *sparsity_json(const s3r_trainable *trainable)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < trainable->masked_count; i++) {
        const s3r_masked *masked = &trainable->masked[i];
        if (json_object_set_new(object, masked->parameter->entry->name,
                                json_real(s3r_mask_sparsity(&masked->mask))) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

static s3r_status log_score(s3r_trainer *trainer, s3r_run_log *log,
                            const s3r_run_score *score, s3r_error *err)
{
    const s3r_trainable *trainable = &trainer->trainable;
    json_t *line = json_pack("{sI, sO}", "step", (json_int_t)trainer->state.step, "dev",
                             score->metrics);
    if (line && trainable->masked_count > 0) {
        json_t *mask = json_pack(
            "{sf, sf, so}", "changed_since_start", changed_part(trainable, true),
            "changed_since_evaluation", changed_part(trainable, false), "sparsity",
            sparsity_json(trainable));
        if (json_object_set_new(line, "mask", mask) != 0) {
            json_decref(line);
            line = NULL;
        }
    }
    if (!line)
        return s3r_fail_memory(err, "metrics.jsonl", 0);
    s3r_status status = s3r_run_log_write(log, line, err);
    json_decref(line);
    return status;
}

/* Saves the result when it is among the best, and as "best" when it is the best. */
static s3r_status keep_if_good(s3r_trainer *trainer, const s3r_run_score *score,
                               bool *is_best, s3r_error *err)
{
    s3r_train_state *state = &trainer->state;
    char name[64];
    *is_best = s3r_train_state_rank(state, state->step, score->value,
                                    trainer->config.eval.keep_best);
    bool is_kept = false;
    for (size_t i = 0; i < state->best_count; i++)
        is_kept = is_kept || state->best[i].step == state->step;
    snprintf(name, sizeof name, "step-%08zu", state->step);
    if (is_kept && trainer->config.eval.keep_best > 1)
        S3R_TRY(trainer->task->save(trainer, name, score->metrics, err));
    return *is_best ? trainer->task->save(trainer, "best", score->metrics, err) : S3R_OK;
}

void s3r_trainer_tell_progress(void *context, const s3r_train_event *event)
{
    s3r_trainer_tell(context, event);
}

static s3r_status take_score(s3r_trainer *trainer, s3r_run_log *log,
                             const s3r_run_score *score, s3r_error *err)
{
    s3r_train_event event = {.kind = S3R_TRAIN_EVALUATED,
                             .step = trainer->state.step,
                             .steps = trainer->config.schedule.steps,
                             .loss = score->loss,
                             .ratio = score->ratio,
                             .ratio_name = trainer->task->counted_name,
                             .metric = score->value,
                             .metric_name = score->metric_name,
                             .learns_masks = learns_masks(&trainer->trainable),
                             .mask_changed = changed_part(&trainer->trainable, true),
                             .memory_bytes = s3r_process_peak_bytes()};
    S3R_TRY(log_score(trainer, log, score, err));
    s3r_trainable_mark_evaluated(&trainer->trainable);
    S3R_TRY(keep_if_good(trainer, score, &event.is_best, err));
    s3r_trainer_tell(trainer, &event);
    s3r_trainer_check_collapse(trainer, score, is_finished(trainer));
    return S3R_OK;
}

/* Not interrupted: a step is done with its evaluation, or a resumed run would miss it. */
static s3r_status evaluate(s3r_trainer *trainer, s3r_run_log *log, s3r_error *err)
{
    s3r_run_score score = {0};
    select_masks(trainer);
    S3R_TRY(trainer->task->evaluate(trainer, &score, err));
    s3r_status status = take_score(trainer, log, &score, err);
    json_decref(score.metrics);
    return status;
}

/* ---- the loop ---- */

static s3r_status save_state(s3r_trainer *trainer, s3r_run_log *log, s3r_error *err)
{
    S3R_TRY(s3r_run_log_sync(log, err));
    return s3r_train_state_save(&trainer->state, &trainer->trainable, &trainer->identity,
                                trainer->folder, trainer->config.checkpoint.keep, err);
}

static bool is_due(size_t step, size_t every)
{
    return every > 0 && step % every == 0;
}

static s3r_status run_step(s3r_trainer *trainer, s3r_run_log *log,
                           s3r_step_result *result, s3r_error *err)
{
    s3r_train_state *state = &trainer->state;
    S3R_TRY(s3r_trainer_gradient(trainer, state, result, err));
    double squares = s3r_trainable_square_sum(&trainer->trainable, trainer->pool);
    if (result->bad > 0 || !isfinite(squares))
        return s3r_trainer_skip_step(trainer, log, result, err);
    if (result->units > 0) { /* else nothing was asked: no frame is masked */
        s3r_trainer_update(trainer, state->step, state->updates + 1, result->units,
                           squares);
        state->updates++;
    }
    state->step++;
    state->skipped = 0;
    state->window_loss += result->loss;
    state->window_units += result->units;
    trainer->last_loss = result->loss / S3R_MAX(result->units, 1.0);
    state->window_counted += result->counted;
    state->window_of += result->counted_of;
    return S3R_OK;
}

/* What follows a step: log, evaluation, checkpoint. */
static s3r_status after_step(s3r_trainer *trainer, s3r_run_log *log, s3r_error *err)
{
    const s3r_train_config *config = &trainer->config;
    size_t step = trainer->state.step;
    bool is_last = step == config->schedule.steps;
    if (trainer->has_dev && step >= config->eval.start &&
        (is_due(step, config->eval.every) || is_last))
        S3R_TRY(evaluate(trainer, log, err));
    if (is_due(step, config->checkpoint.every) || is_last || is_finished(trainer))
        S3R_TRY(save_state(trainer, log, err));
    return S3R_OK;
}

static s3r_status run_steps(s3r_trainer *trainer, s3r_run_log *log, s3r_error *err)
{
    while (!is_finished(trainer) && !trainer->is_stopped) {
        s3r_step_result result;
        double start = s3r_clock_seconds();
        S3R_TRY(run_step(trainer, log, &result, err));
        double seconds = S3R_MAX(s3r_clock_seconds() - start, 1e-9);
        trainer->speed_frames += result.frames;
        trainer->speed_seconds += seconds;
        tell_step(trainer, &result, seconds);
        S3R_TRY(log_step(trainer, log, err));
        S3R_TRY(after_step(trainer, log, err));
    }
    return S3R_OK;
}

/* The end: without dev the last result is the best. */
static s3r_status finish(s3r_trainer *trainer, s3r_error *err)
{
    select_masks(trainer); /* those of the last update */
    if (!trainer->has_dev)
        S3R_TRY(trainer->task->save(trainer, "best", NULL, err));
    S3R_TRY(trainer->task->save(trainer, "last", NULL, err));
    return trainer->task->finish(trainer, err);
}

s3r_status s3r_trainer_run(s3r_trainer *trainer, bool *finished, s3r_error *err)
{
    s3r_run_log *log = NULL;
    *finished = false;
    if (!is_finished(trainer)) {
        s3r_train_forecast forecast = {0};
        S3R_TRY(s3r_trainer_forecast_memory(trainer, &forecast, err));
    }
    S3R_TRY(s3r_run_log_open(&log, trainer->folder, trainer->state.step, err));
    s3r_trainer_tell(trainer,
                     &(s3r_train_event){.kind = S3R_TRAIN_STARTED,
                                        .step = trainer->state.step,
                                        .steps = trainer->config.schedule.steps});
    size_t start = trainer->state.step;
    s3r_status status = run_steps(trainer, log, err);
    *finished = status == S3R_OK && is_finished(trainer);
    /* A run that was stopped before its first step can go on, too. */
    if (status == S3R_OK && !*finished && (trainer->state.step > start || start == 0))
        status = save_state(trainer, log, err);
    s3r_status closed = s3r_run_log_close(log, status == S3R_OK ? err : NULL);
    if (status == S3R_OK)
        status = closed;
    return status == S3R_OK && *finished ? finish(trainer, err) : status;
}
