/*
 * A micro-batch of pretraining.
 */
#include "train/pretrain_step.h"

#include <math.h>

#include "ops/op_grad_scale.h"
#include "tasks/feature_penalty.h"

/* Keys that keep the draws of different purposes apart. */
#define CROP_PURPOSE  0x63726f70u
#define NOISE_PURPOSE 0x6e6f697365u

typedef struct pretrain_pass {
    s3r_step_pass step;
    s3r_train_model *model;
    const s3r_pretrain_labels *labels;
    size_t *first_frame; /* [utterances] where each crop begins */
    size_t updates;      /* of the run, for the temperature of codes */
    bool is_training;
} pretrain_pass;

static const s3r_train_item *item_of(const pretrain_pass *pass, size_t u)
{
    return &pass->step.set->items[pass->step.batch->indices[u]];
}

/* ---- crops ---- */

static void choose_crops(pretrain_pass *pass)
{
    const s3r_model_config *config = &pass->model->config;
    for (size_t u = 0; u < pass->step.batch->count; u++) {
        const s3r_train_item *item = item_of(pass, u);
        size_t whole = s3r_config_frames(config, item->samples);
        s3r_random random = s3r_step_stream(&pass->step, CROP_PURPOSE, u);
        bool is_cropped = whole > item->frames && pass->is_training;
        pass->first_frame[u] =
            is_cropped ? (size_t)s3r_random_below(&random, whole - item->frames + 1) : 0;
    }
}

/* ---- objectives ---- */

static const uint32_t *load_labels(const pretrain_pass *pass)
{
    s3r_ragged frames = pass->step.frames;
    uint32_t *labels =
        s3r_tape_alloc(pass->step.tape, frames.offset[frames.count], sizeof *labels);
    for (size_t u = 0; labels && u < frames.count; u++) {
        size_t utterance = pass->labels->utterance[pass->step.batch->indices[u]];
        s3r_frame_labels_get(pass->labels->file, utterance, pass->first_frame[u],
                             frames.offset[u + 1] - frames.offset[u],
                             labels + frames.offset[u]);
    }
    return labels;
}

static void predict(const pretrain_pass *pass, s3r_value *hidden,
                    const s3r_encoder_masking *masking, s3r_step_result *result)
{
    s3r_masked_prediction_result found = {0};
    const s3r_train_config *config = pass->step.config;
    const s3r_masked_prediction_input input = {
        .labels = load_labels(pass),
        .masked = masking->frames,
        .masked_count = masking->frame_count,
        .unmasked_weight = config->pretrain.unmasked_weight,
        .temperature = config->pretrain.temperature};
    if (!input.labels)
        return;
    s3r_masked_prediction_loss(pass->step.tape, hidden, &pass->model->prediction, &input,
                               &found);
    result->loss +=
        found.masked_loss + config->pretrain.unmasked_weight * found.unmasked_loss;
    result->units += (double)found.masked;
    result->counted += found.masked_correct;
    result->counted_of += found.masked;
}

static void contrast(const pretrain_pass *pass, s3r_value *hidden, s3r_value *features,
                     const s3r_encoder_masking *masking, const uint64_t *keys,
                     s3r_step_result *result)
{
    s3r_contrastive_result found = {0};
    const s3r_train_config *config = pass->step.config;
    s3r_norm_weights *norm = &pass->model->weights.feature_norm;
    double falling = config->pretrain.gumbel_first *
                     pow(config->pretrain.gumbel_decay, (double)pass->updates);
    const s3r_contrastive_options options = {
        .groups = config->pretrain.groups,
        .negatives = config->pretrain.negatives,
        .temperature = config->pretrain.temperature,
        .gumbel = fmax(falling, config->pretrain.gumbel_last),
        .feature_drop = config->pretrain.feature_dropout,
        .diversity = config->pretrain.diversity,
        .norm_eps = pass->model->config.layer_norm_eps,
        .noise_seed =
            s3r_random_at(config->seed, NOISE_PURPOSE, pass->step.batch->number)};
    const s3r_contrastive_input input = {.hidden = hidden,
                                         .features = features,
                                         .norm_gain = s3r_weight_present(&norm->gain),
                                         .norm_bias = s3r_weight_present(&norm->bias),
                                         .frames = pass->step.frames,
                                         .keys = keys,
                                         .masked = masking->frames,
                                         .masked_count = masking->frame_count};
    s3r_contrastive_loss(pass->step.tape, &input, &pass->model->contrastive, &options,
                         &found);
    result->loss += found.loss + config->pretrain.diversity * found.diversity;
    result->units += (double)found.masked;
    result->counted += found.correct;
    result->counted_of += found.masked;
}

/* ---- the batch ---- */

static void run_network(pretrain_pass *pass, s3r_value *features, s3r_step_result *result)
{
    const s3r_train_config *config = pass->step.config;
    s3r_tape *tape = pass->step.tape;
    s3r_encoder_masking masking;
    s3r_encoder_options options = s3r_step_draw(&pass->step, &masking);
    if (tape->is_out_of_memory)
        return;
    /* The original's penalty counts as often as the loss counts frames. */
    double frames = (double)masking.frame_count;
    double penalty =
        s3r_feature_penalty(tape, features, config->pretrain.feature_penalty * frames);
    s3r_value *hidden =
        s3r_encoder_forward(tape, &pass->model->config, &pass->model->weights, features,
                            pass->step.frames, &options);
    if (!hidden)
        return;
    result->loss += config->pretrain.feature_penalty * frames * penalty;
    if (config->pretrain.objective == S3R_OBJECTIVE_HUBERT)
        predict(pass, hidden, &masking, result);
    else
        contrast(pass, hidden, features, &masking, options.utterance_keys, result);
}

/* The loss of a batch is one number: all of its utterances are suspects. */
static void note_bad(s3r_step_result *result, const s3r_micro_batch *batch)
{
    if (isfinite(result->loss))
        return;
    result->loss = 0.0;
    for (size_t u = 0; u < batch->count; u++)
        s3r_step_note_bad(result, batch->indices[u]);
}

s3r_status s3r_pretrain_step_run(s3r_step_result *result, s3r_train_model *model,
                                 const s3r_train_set *set,
                                 const s3r_pretrain_labels *labels, s3r_tape *tape,
                                 const s3r_train_config *config,
                                 const s3r_micro_batch *batch, size_t step,
                                 bool is_training, s3r_error *err)
{
    pretrain_pass pass = {.step = {model, set, tape, config, batch, {0}},
                          .model = model,
                          .labels = labels,
                          .updates = step,
                          .is_training = is_training};
    s3r_step_begin(&pass.step, is_training);
    pass.first_frame = s3r_tape_alloc(tape, batch->count, sizeof *pass.first_frame);
    S3R_TRY(s3r_tape_status(tape, err));
    choose_crops(&pass);
    s3r_value *features =
        s3r_train_set_extract(set, model, tape, batch->indices, batch->count,
                              pass.first_frame, &pass.step.frames);
    S3R_TRY(s3r_tape_status(tape, err));
    features = s3r_op_grad_scale(tape, features, (float)config->pretrain.feature_grad);
    S3R_TRY(s3r_tape_status(tape, err));
    double before = result->loss;
    result->loss = 0.0;
    run_network(&pass, features, result);
    S3R_TRY(s3r_tape_status(tape, err));
    note_bad(result, batch);
    result->loss += before;
    if (is_training)
        s3r_tape_backward(tape);
    result->utterances += batch->count;
    result->frames += features->rows;
    return s3r_tape_status(tape, err);
}
