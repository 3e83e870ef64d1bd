/*
 * A micro-batch of training.
 */
#include "train/train_step.h"

#include <math.h>

#include "model/encoder.h"
#include "tasks/ctc_loss.h"
#include "train/augment.h"

/* Keys that keep the draws of different purposes apart. */
#define DROPOUT_PURPOSE    0x64726f706f7574u
#define LAYER_DROP_PURPOSE 0x6c61796572u
#define TIME_PURPOSE       0x74696d65u
#define CHANNEL_PURPOSE    0x6368616e6eu

typedef struct step_pass {
    const s3r_train_model *model;
    const s3r_train_set *set;
    s3r_tape *tape;
    const s3r_train_config *config;
    const s3r_micro_batch *batch;
    s3r_ragged frames;
} step_pass;

static const s3r_utterance *utterance_of(const step_pass *pass, size_t u)
{
    return pass->set->items[pass->batch->indices[u]].utterance;
}

/* What is drawn for an utterance in an epoch. */
static s3r_random stream_of(const step_pass *pass, uint64_t purpose, size_t u)
{
    s3r_random random;
    uint64_t seed = s3r_random_at(pass->config->seed, purpose, pass->batch->epoch);
    s3r_random_init(&random, seed, utterance_of(pass, u)->key);
    return random;
}

/* ---- masking ---- */

static void mask_time(const step_pass *pass, s3r_encoder_masking *masking)
{
    const s3r_model_config *config = &pass->model->config;
    const s3r_span_plan plan = {config->mask_time_prob, config->mask_time_length,
                                config->mask_time_min_masks};
    size_t total = pass->frames.offset[pass->frames.count];
    size_t *rows = s3r_tape_alloc(pass->tape, total, sizeof *rows);
    size_t *scratch = s3r_tape_alloc(pass->tape, total, sizeof *scratch);
    if (plan.prob <= 0.0 || !rows || !scratch)
        return;
    for (size_t u = 0; u < pass->frames.count; u++) {
        size_t first = pass->frames.offset[u];
        size_t size = pass->frames.offset[u + 1] - first;
        s3r_random random = stream_of(pass, TIME_PURPOSE, u);
        size_t *places = rows + masking->frame_count;
        size_t found = s3r_draw_spans(places, scratch, &plan, size, &random);
        for (size_t i = 0; i < found; i++)
            places[i] += first;
        masking->frame_count += found;
    }
    masking->frames = rows;
}

static void mask_channels(const step_pass *pass, s3r_encoder_masking *masking)
{
    const s3r_model_config *config = &pass->model->config;
    const s3r_span_plan plan = {config->mask_feature_prob, config->mask_feature_length,
                                config->mask_feature_min_masks};
    size_t width = config->hidden_size, count = pass->frames.count;
    size_t *channels = s3r_tape_alloc(pass->tape, count * width, sizeof *channels);
    size_t *offset = s3r_tape_alloc(pass->tape, count + 1, sizeof *offset);
    size_t *scratch = s3r_tape_alloc(pass->tape, width, sizeof *scratch);
    if (plan.prob <= 0.0 || !channels || !offset || !scratch)
        return;
    offset[0] = 0;
    for (size_t u = 0; u < count; u++) {
        s3r_random random = stream_of(pass, CHANNEL_PURPOSE, u);
        offset[u + 1] = offset[u] + s3r_draw_spans(channels + offset[u], scratch, &plan,
                                                   width, &random);
    }
    masking->channel_lists = (s3r_ragged){count, offset};
    masking->channels = channels;
}

/* ---- layer drop and dropout ---- */

static const bool *drop_layers(const step_pass *pass)
{
    const s3r_model_config *config = &pass->model->config;
    bool *skip = s3r_tape_alloc(pass->tape, config->block_count, sizeof *skip);
    if (config->layerdrop <= 0.0 || !skip)
        return NULL;
    uint64_t key = s3r_random_at(pass->config->seed, LAYER_DROP_PURPOSE, 0);
    for (size_t i = 0; i < config->block_count; i++) {
        uint64_t bits = s3r_random_at(key, pass->batch->number, i);
        skip[i] = (double)(bits >> 11) * 0x1p-53 < config->layerdrop;
    }
    return skip;
}

static const uint64_t *utterance_keys(const step_pass *pass)
{
    uint64_t *keys = s3r_tape_alloc(pass->tape, pass->batch->count, sizeof *keys);
    for (size_t u = 0; keys && u < pass->batch->count; u++)
        keys[u] = utterance_of(pass, u)->key;
    return keys;
}

/* ---- loss ---- */

static bool make_targets(const step_pass *pass, s3r_ctc_targets *targets)
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

static void take_losses(s3r_step_result *result, const s3r_micro_batch *batch,
                        const double *losses, const size_t *blanks)
{
    for (size_t u = 0; u < batch->count; u++) {
        result->counted_frames += blanks[u];
        if (isfinite(losses[u])) {
            result->loss += losses[u];
            continue;
        }
        if (result->bad++ == 0)
            result->first_bad = batch->indices[u];
    }
}

static s3r_value *forward(const step_pass *pass, s3r_value *features)
{
    s3r_encoder_masking masking = {0};
    mask_time(pass, &masking);
    mask_channels(pass, &masking);
    s3r_encoder_options options = {.masking = &masking,
                                   .utterance_keys = utterance_keys(pass),
                                   .skip_block = drop_layers(pass)};
    if (pass->tape->is_out_of_memory)
        return NULL;
    s3r_value *hidden =
        s3r_encoder_forward(pass->tape, &pass->model->config, &pass->model->weights,
                            features, pass->frames, &options);
    return s3r_head_forward(pass->tape, &pass->model->config, &pass->model->weights,
                            hidden, pass->frames, options.utterance_keys);
}

s3r_status s3r_train_step_run(s3r_step_result *result, s3r_train_model *model,
                              const s3r_train_set *set, s3r_tape *tape,
                              const s3r_train_config *config,
                              const s3r_micro_batch *batch, s3r_error *err)
{
    step_pass pass = {model, set, tape, config, batch, {0}};
    s3r_value *features = NULL;
    s3r_ctc_targets targets;
    s3r_tape_reset(tape);
    tape->is_bf16 = config->precision == S3R_PRECISION_BF16;
    tape->is_recording = tape->is_training = true;
    tape->dropout_seed = s3r_random_at(config->seed, DROPOUT_PURPOSE, batch->number);
    S3R_TRY(s3r_train_set_features(set, model, tape, batch->indices, batch->count,
                                   &features, &pass.frames, err));
    double *losses = s3r_tape_alloc(tape, batch->count, sizeof *losses);
    size_t *blanks = s3r_tape_alloc(tape, batch->count, sizeof *blanks);
    s3r_value *logits = forward(&pass, features);
    if (!logits || !losses || !blanks || !make_targets(&pass, &targets))
        return s3r_tape_status(tape, err);
    s3r_ctc_loss(tape, logits, pass.frames, &targets, 1.0, losses, blanks);
    S3R_TRY(s3r_tape_status(tape, err));
    s3r_tape_backward(tape);
    S3R_TRY(s3r_tape_status(tape, err));
    take_losses(result, batch, losses, blanks);
    result->units += (double)batch->count;
    result->utterances += batch->count;
    result->frames += features->rows;
    result->of_frames += features->rows;
    return S3R_OK;
}
