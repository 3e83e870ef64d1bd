/*
 * A micro-batch of training.
 */
#include "train/train_step.h"

#include <math.h>

#include "tasks/ctc_loss.h"

/* ---- loss ---- */

static bool make_targets(const s3r_step_pass *pass, s3r_ctc_targets *targets)
{
    size_t count = pass->batch->count, total = 0;
    size_t *offset = s3r_tape_alloc(pass->tape, count + 1, sizeof *offset);
    if (!offset)
        return false;
    for (size_t u = 0; u < count; u++) {
        offset[u] = total;
        total += pass->set->items[pass->batch->indices[u]].label_count;
    }
    offset[count] = total;
    uint32_t *labels = s3r_tape_alloc(pass->tape, total, sizeof *labels);
    for (size_t u = 0; labels && u < count; u++) {
        const s3r_train_item *item = &pass->set->items[pass->batch->indices[u]];
        for (size_t i = 0; i < item->label_count; i++)
            labels[offset[u] + i] = item->labels[i];
    }
    *targets = (s3r_ctc_targets){.lengths = {count, offset},
                                 .labels = labels,
                                 .blank_id = pass->model->vocabulary.blank_id};
    return labels != NULL;
}

void s3r_step_note_bad(s3r_step_result *result, size_t item)
{
    if (result->bad < S3R_STEP_NAMED)
        result->bad_items[result->bad] = item;
    result->bad++;
}

static void take_losses(s3r_step_result *result, const s3r_micro_batch *batch,
                        const double *losses, const size_t *blanks)
{
    for (size_t u = 0; u < batch->count; u++) {
        result->counted += blanks[u];
        if (isfinite(losses[u])) {
            result->loss += losses[u];
            continue;
        }
        s3r_step_note_bad(result, batch->indices[u]);
    }
}

/* ---- what all tasks do ---- */

static s3r_status load_features(s3r_step_pass *pass, s3r_value **features, s3r_error *err)
{
    const s3r_micro_batch *batch = pass->batch;
    if (!pass->set->keeps_samples)
        return s3r_train_set_features(pass->set, pass->model, pass->tape, batch->indices,
                                      batch->count, features, &pass->frames, err);
    *features = s3r_train_set_extract(pass->set, pass->model, pass->tape, batch->indices,
                                      batch->count, NULL, &pass->frames);
    return s3r_tape_status(pass->tape, err);
}

s3r_status s3r_step_encode(s3r_step_pass *pass, s3r_value **hidden, const uint64_t **keys,
                           s3r_error *err)
{
    s3r_value *features = NULL;
    s3r_encoder_masking masking;
    s3r_step_begin(pass, true);
    S3R_TRY(load_features(pass, &features, err));
    s3r_encoder_options options = s3r_step_draw(pass, &masking);
    S3R_TRY(s3r_tape_status(pass->tape, err));
    *keys = options.utterance_keys;
    *hidden = s3r_encoder_forward(pass->tape, &pass->model->config, &pass->model->weights,
                                  features, pass->frames, &options);
    return s3r_tape_status(pass->tape, err);
}

s3r_status s3r_step_finish(const s3r_step_pass *pass, s3r_step_result *result,
                           s3r_error *err)
{
    S3R_TRY(s3r_tape_status(pass->tape, err));
    s3r_tape_backward(pass->tape);
    S3R_TRY(s3r_tape_status(pass->tape, err));
    result->units += (double)pass->batch->count;
    result->utterances += pass->batch->count;
    result->frames += pass->frames.offset[pass->frames.count];
    return S3R_OK;
}

s3r_status s3r_train_step_run(s3r_step_result *result, const s3r_train_model *model,
                              const s3r_train_set *set, s3r_tape *tape,
                              const s3r_train_config *config,
                              const s3r_micro_batch *batch, s3r_error *err)
{
    s3r_step_pass pass = {model, set, tape, config, batch, {0}};
    s3r_value *hidden;
    const uint64_t *keys;
    s3r_ctc_targets targets;
    S3R_TRY(s3r_step_encode(&pass, &hidden, &keys, err));
    double *losses = s3r_tape_alloc(tape, batch->count, sizeof *losses);
    size_t *blanks = s3r_tape_alloc(tape, batch->count, sizeof *blanks);
    s3r_value *logits = s3r_head_forward(tape, &model->config, &model->weights, hidden,
                                         pass.frames, keys);
    if (!logits || !losses || !blanks || !make_targets(&pass, &targets))
        return s3r_tape_status(tape, err);
    s3r_ctc_loss(tape, logits, pass.frames, &targets, 1.0, losses, blanks);
    S3R_TRY(s3r_step_finish(&pass, result, err));
    take_losses(result, batch, losses, blanks);
    result->counted_of += pass.frames.offset[pass.frames.count];
    return S3R_OK;
}
