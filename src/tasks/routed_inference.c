/*
 * Lanes: extractor and common blocks by utterance, the others by lane.
 */
#include "tasks/routed_inference.h"

#include <string.h>

#include "model/weight_sharing.h"
#include "ops/op_log_softmax.h"

bool s3r_lanes_may_share(const s3r_lane_model *a, const s3r_lane_model *b)
{
    return s3r_weights_input_is_same(a->config, a->weights, b->config, b->weights);
}

typedef struct lanes_pass {
    const s3r_inference *inference;
    const s3r_lanes *lanes;
    const s3r_model_config *config; /* of the backbone, for what models share */
    s3r_ragged frames;              /* of utterances */
    size_t fork;                    /* blocks that run by utterance */
} lanes_pass;

static size_t common_blocks(const s3r_lanes *lanes)
{
    const s3r_lane_model *first = &lanes->models[0];
    size_t common = first->config->block_count;
    for (size_t m = 1; m < lanes->model_count; m++)
        common = S3R_MIN(common, s3r_weights_same_blocks(first->config, first->weights,
                                                         lanes->models[m].weights));
    return common;
}

static size_t lane_rows(const lanes_pass *pass, size_t lane)
{
    size_t u = pass->lanes->utterance[lane];
    return pass->frames.offset[u + 1] - pass->frames.offset[u];
}

static size_t model_rows(const lanes_pass *pass, size_t model)
{
    s3r_ragged of_model = pass->lanes->of_model;
    size_t rows = 0;
    for (size_t i = of_model.offset[model]; i < of_model.offset[model + 1]; i++)
        rows += lane_rows(pass, i);
    return rows;
}

/* The first model after `first` that does not run together with it. */
static size_t end_of_group(const lanes_pass *pass, size_t first)
{
    const s3r_lanes *lanes = pass->lanes;
    size_t rows = model_rows(pass, first), end = first + 1;
    for (; end < lanes->model_count; end++) {
        rows += model_rows(pass, end);
        if (rows > lanes->max_rows ||
            !s3r_weights_is_mixable(pass->config, lanes->models[first].weights,
                                    lanes->models[end].weights, pass->fork))
            break;
    }
    return end;
}

/* Rows of the group's lanes, one after another; offsets [lanes + 1] in *frames. */
static s3r_value *gather(const lanes_pass *pass, const s3r_value *trunk, size_t first,
                         size_t end, s3r_ragged *frames)
{
    s3r_tape *tape = pass->inference->tape;
    size_t lane = pass->lanes->of_model.offset[first];
    size_t count = pass->lanes->of_model.offset[end] - lane, rows = 0;
    size_t *offset = s3r_tape_alloc(tape, count + 1, sizeof *offset);
    if (!offset)
        return NULL;
    for (size_t i = 0; i <= count; i++) {
        offset[i] = rows;
        rows += i < count ? lane_rows(pass, lane + i) : 0;
    }
    *frames = (s3r_ragged){count, offset};
    s3r_value *x = s3r_tape_value(tape, rows, trunk->cols);
    for (size_t i = 0; x && i < count; i++) {
        size_t from = pass->frames.offset[pass->lanes->utterance[lane + i]];
        memcpy(x->data + offset[i] * x->stride, trunk->data + from * trunk->stride,
               (offset[i + 1] - offset[i]) * x->stride * sizeof *x->data);
    }
    return x;
}

/* Head of a model on its rows of x, which begin at lane `at` of frames. */
static s3r_status deliver(const lanes_pass *pass, size_t model, s3r_value *x,
                          s3r_ragged frames, size_t at, s3r_error *err)
{
    const s3r_inference *inference = pass->inference;
    const s3r_lane_model *lane_model = &pass->lanes->models[model];
    size_t lane = pass->lanes->of_model.offset[model];
    size_t count = pass->lanes->of_model.offset[model + 1] - lane;
    size_t row = frames.offset[at], rows = frames.offset[at + count] - row;
    s3r_value *hidden = s3r_tape_wrap(inference->tape, x->data + row * x->stride, rows,
                                      x->cols, x->stride);
    s3r_value *log_probs = s3r_op_log_softmax(
        inference->tape, s3r_head_forward(inference->tape, lane_model->config,
                                          lane_model->weights, hidden, frames, NULL));
    for (size_t i = 0; log_probs && i < count; i++) {
        size_t first = frames.offset[at + i];
        const s3r_frame_rows given = {lane + i, 0, frames.offset[at + i + 1] - first,
                                      log_probs, first - row};
        if (given.count > 0)
            S3R_TRY(inference->log_probs(inference->sink_context, &given, err));
    }
    return s3r_tape_status(inference->tape, err);
}

/* The blocks behind the fork and the heads of models [first, end). */
static s3r_status run_group(const lanes_pass *pass, const s3r_value *trunk, size_t first,
                            size_t end, s3r_error *err)
{
    s3r_tape *tape = pass->inference->tape;
    const s3r_lanes *lanes = pass->lanes;
    s3r_encoder_part *parts = s3r_tape_alloc(tape, end - first, sizeof *parts);
    for (size_t m = first; parts && m < end; m++)
        parts[m - first] =
            (s3r_encoder_part){lanes->models[m].weights, model_rows(pass, m)};
    s3r_ragged frames;
    s3r_value *x = parts ? gather(pass, trunk, first, end, &frames) : NULL;
    if (x)
        x = s3r_encoder_blocks(tape, pass->config, parts, end - first, x, frames,
                               pass->fork, pass->config->block_count, NULL);
    if (!x)
        return s3r_tape_status(tape, err);
    for (size_t m = first, at = 0; m < end; m++) {
        S3R_TRY(deliver(pass, m, x, frames, at, err));
        at += lanes->of_model.offset[m + 1] - lanes->of_model.offset[m];
    }
    return S3R_OK;
}

s3r_status s3r_inference_lanes(const s3r_inference *inference, const s3r_lanes *lanes,
                               const s3r_waveform *waves, size_t count, s3r_error *err)
{
    s3r_tape *tape = inference->tape;
    const s3r_lane_model *model = &lanes->models[0];
    lanes_pass pass = {.inference = inference,
                       .lanes = lanes,
                       .config = model->config,
                       .fork = common_blocks(lanes)};
    s3r_tape_reset(tape);
    s3r_value *x = s3r_extractor_batch(tape, model->config, model->weights, waves, count,
                                       &pass.frames);
    if (!x || x->rows == 0)
        return s3r_tape_status(tape, err);
    x = s3r_encoder_input(tape, model->config, model->weights, x, pass.frames, NULL);
    const s3r_encoder_part all = {model->weights, x ? x->rows : 0};
    x = s3r_encoder_blocks(tape, model->config, &all, 1, x, pass.frames, 0, pass.fork,
                           NULL);
    if (!x)
        return s3r_tape_status(tape, err);
    for (size_t first = 0; first < lanes->model_count;) {
        s3r_arena_mark mark = s3r_tape_mark(tape);
        size_t end = end_of_group(&pass, first);
        S3R_TRY(run_group(&pass, x, first, end, err));
        s3r_arena_rewind(&tape->arena, mark);
        s3r_tape_unstage(tape);
        first = end;
    }
    return S3R_OK;
}
