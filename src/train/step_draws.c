/*
 * What a micro-batch draws: masks, layers that are left out, dropout's keys.
 */
#include "train/step_draws.h"

#include "train/augment.h"

/* Keys that keep the draws of different purposes apart. */
#define DROPOUT_PURPOSE    0x64726f706f7574u
#define LAYER_DROP_PURPOSE 0x6c61796572u
#define TIME_PURPOSE       0x74696d65u
#define CHANNEL_PURPOSE    0x6368616e6eu

const s3r_utterance *s3r_step_utterance(const s3r_step_pass *pass, size_t u)
{
    return pass->set->items[pass->batch->indices[u]].utterance;
}

/* What is drawn for an utterance in an epoch. */
s3r_random s3r_step_stream(const s3r_step_pass *pass, uint64_t purpose, size_t u)
{
    s3r_random random;
    uint64_t seed = s3r_random_at(pass->config->seed, purpose, pass->batch->epoch);
    s3r_random_init(&random, seed, s3r_step_utterance(pass, u)->key);
    return random;
}

/* ---- masking ---- */

static void mask_time(const s3r_step_pass *pass, s3r_encoder_masking *masking)
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
        s3r_random random = s3r_step_stream(pass, TIME_PURPOSE, u);
        size_t *places = rows + masking->frame_count;
        size_t found = s3r_draw_spans(places, scratch, &plan, size, &random);
        for (size_t i = 0; i < found; i++)
            places[i] += first;
        masking->frame_count += found;
    }
    masking->frames = rows;
}

static void mask_channels(const s3r_step_pass *pass, s3r_encoder_masking *masking)
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
        s3r_random random = s3r_step_stream(pass, CHANNEL_PURPOSE, u);
        offset[u + 1] = offset[u] + s3r_draw_spans(channels + offset[u], scratch, &plan,
                                                   width, &random);
    }
    masking->channel_lists = (s3r_ragged){count, offset};
    masking->channels = channels;
}

/* ---- layer drop and dropout ---- */

static const bool *drop_layers(const s3r_step_pass *pass)
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

static const uint64_t *utterance_keys(const s3r_step_pass *pass)
{
    uint64_t *keys = s3r_tape_alloc(pass->tape, pass->batch->count, sizeof *keys);
    for (size_t u = 0; keys && u < pass->batch->count; u++)
        keys[u] = s3r_step_utterance(pass, u)->key;
    return keys;
}

void s3r_step_begin(const s3r_step_pass *pass, bool is_training)
{
    s3r_tape *tape = pass->tape;
    s3r_tape_reset(tape);
    tape->is_bf16 = pass->config->precision == S3R_PRECISION_BF16;
    tape->is_recording = tape->is_training = is_training;
    tape->dropout_seed =
        s3r_random_at(pass->config->seed, DROPOUT_PURPOSE, pass->batch->number);
}

s3r_encoder_options s3r_step_draw(const s3r_step_pass *pass, s3r_encoder_masking *masking)
{
    *masking = (s3r_encoder_masking){0};
    mask_time(pass, masking);
    mask_channels(pass, masking);
    return (s3r_encoder_options){.masking = masking,
                                 .utterance_keys = utterance_keys(pass),
                                 .skip_block =
                                     pass->tape->is_training ? drop_layers(pass) : NULL};
}
