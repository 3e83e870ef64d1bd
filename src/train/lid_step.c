/*
 * A micro-batch of identifying languages: the mean of each utterance's hidden state is
 * one row of the head's input.
 */
#include <math.h>

#include "ops/op_mean_rows.h"
#include "tasks/class_loss.h"
#include "train/train_step.h"

/* One row an utterance, for the head's dropout. */
static s3r_ragged single_rows(s3r_tape *tape, size_t count)
{
    size_t *offset = s3r_tape_alloc(tape, count + 1, sizeof *offset);
    for (size_t u = 0; offset && u <= count; u++)
        offset[u] = u;
    return (s3r_ragged){count, offset};
}

static void take_losses(s3r_step_result *result, const s3r_micro_batch *batch,
                        const double *losses, const bool *right)
{
    for (size_t u = 0; u < batch->count; u++) {
        result->counted += right[u];
        if (isfinite(losses[u]))
            result->loss += losses[u];
        else
            s3r_step_note_bad(result, batch->indices[u]);
    }
    result->counted_of += batch->count;
}

s3r_status s3r_lid_step_run(s3r_step_result *result, const s3r_train_model *model,
                            const s3r_train_set *set, const double *weights,
                            s3r_tape *tape, const s3r_train_config *config,
                            const s3r_micro_batch *batch, s3r_error *err)
{
    s3r_step_pass pass = {model, set, tape, config, batch, {0}};
    s3r_value *hidden;
    const uint64_t *keys;
    size_t count = batch->count;
    S3R_TRY(s3r_step_encode(&pass, &hidden, &keys, err));
    double *losses = s3r_tape_alloc(tape, count, sizeof *losses);
    bool *right = s3r_tape_alloc(tape, count, sizeof *right);
    size_t *targets = s3r_tape_alloc(tape, count, sizeof *targets);
    s3r_ragged rows = single_rows(tape, count);
    S3R_TRY(s3r_tape_status(tape, err));
    for (size_t u = 0; u < count; u++)
        targets[u] = set->items[batch->indices[u]].language;
    s3r_value *pooled = s3r_op_mean_rows(tape, hidden, pass.frames);
    s3r_value *logits =
        s3r_head_forward(tape, &model->config, &model->weights, pooled, rows, keys);
    s3r_class_loss(tape, logits, targets, weights, losses, right);
    S3R_TRY(s3r_step_finish(&pass, result, err));
    take_losses(result, batch, losses, right);
    return S3R_OK;
}
