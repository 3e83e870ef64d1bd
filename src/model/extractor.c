/*
 * Extractor: convolutions with GELU, group norm after the first or layer norm after each.
 * Frozen, the group norm is part of the first (folded_norm.h).
 */
#include "model/extractor.h"

#include <assert.h>
#include <string.h>

#include "model/conv_shapes.h"
#include "ops/op_group_norm.h"
#include "ops/op_layer_norm.h"

#define NORM_EPS     1e-5
#define CHUNK_FRAMES 48u /* about 6 MB of activations a chunk at 512 channels */
#define MOMENT_ROWS  (8u * S3R_MOMENT_FRAMES)

static bool has_group_norm(const s3r_model_config *config, size_t layer)
{
    return config->extractor_norm == S3R_EXTRACTOR_GROUP && layer == 0;
}

/* What follows the sums of a layer where no norm does: GELU, with a result in bf16 alone
 * where the next layer is a convolution that reads that. */
static s3r_conv_end end_of_layer(const s3r_model_config *config,
                                 const s3r_model_weights *weights, size_t layer)
{
    if (layer + 1 == config->conv_count || weights->conv[layer + 1].weight.packed_int8)
        return S3R_CONV_GELU;
    s3r_conv_shape next = s3r_extractor_conv_shape(config, layer + 1);
    return s3r_conv_allows_bf16(&next) ? S3R_CONV_GELU_NARROW : S3R_CONV_GELU;
}

/* Conv layer with what follows it; a norm that is given is that of conv 0. */
static s3r_value *run_layer(s3r_tape *tape, const s3r_model_config *config,
                            const s3r_model_weights *weights, size_t layer, s3r_value *x,
                            s3r_ragged *frames, const s3r_folded_norm *norm)
{
    const s3r_conv_weights *conv = &weights->conv[layer];
    s3r_conv_shape shape = s3r_extractor_conv_shape(config, layer);
    bool is_group = has_group_norm(config, layer);
    bool is_layer = config->extractor_norm == S3R_EXTRACTOR_LAYER;
    s3r_conv_end end = end_of_layer(config, weights, layer);
    if (is_group && norm)
        return s3r_op_conv(tape, x, *frames, &shape, s3r_weight_present(&norm->weight),
                           s3r_weight_present(&norm->bias), end, frames);
    s3r_value *y =
        s3r_op_conv(tape, x, *frames, &shape, s3r_weight_present(&conv->weight),
                    s3r_weight_present(&conv->bias),
                    is_group || is_layer ? S3R_CONV_SUM : end, frames);
    if (layer > 0)
        s3r_tape_forget(tape, x);
    if (is_layer)
        return s3r_op_layer_norm(tape, y, s3r_weight_present(&conv->norm.gain),
                                 s3r_weight_present(&conv->norm.bias), NORM_EPS, true);
    if (!is_group)
        return y;
    return s3r_op_group_norm(tape, y, *frames, s3r_weight_present(&conv->norm.gain),
                             s3r_weight_present(&conv->norm.bias), NORM_EPS, true);
}

s3r_waveform s3r_waveform_make(const s3r_model_config *config, const float *samples,
                               size_t count)
{
    s3r_waveform wave = {samples, count, {0.0, 1.0}};
    if (config->do_normalize)
        wave.scaling = s3r_audio_measure(samples, count, config->normalize_eps);
    return wave;
}

/* Samples [first, first + count) of the waveform, scaled, as a batch of one. */
static s3r_value *take_piece(s3r_tape *tape, const s3r_waveform *wave, size_t first,
                             size_t count, s3r_ragged *frames)
{
    const size_t offset[2] = {0, count};
    float *piece = s3r_tape_alloc(tape, count, sizeof *piece);
    *frames = s3r_tape_ragged(tape, 1, offset);
    if (!piece)
        return NULL;
    s3r_audio_scale(piece, wave->samples + first, count, wave->scaling);
    return s3r_tape_wrap(tape, piece, count, 1, 1);
}

s3r_folded_norm s3r_extractor_measure(s3r_tape *tape, const s3r_model_config *config,
                                      const s3r_model_weights *weights,
                                      const s3r_waveform *wave)
{
    s3r_folded_norm norm = {0};
    s3r_conv_shape shape = s3r_extractor_conv_shape(config, 0);
    size_t frames = s3r_conv_frames(&shape, wave->count);
    s3r_window_moments moments;
    if (!has_group_norm(config, 0) || frames == 0 ||
        !s3r_window_moments_init(&moments, tape, shape.kernel, shape.stride))
        return norm;
    for (size_t first = 0; first < frames && !tape->is_out_of_memory;
         first += MOMENT_ROWS) {
        size_t rows = S3R_MIN(frames - first, (size_t)MOMENT_ROWS);
        s3r_arena_mark mark = s3r_tape_mark(tape);
        s3r_ragged piece;
        const s3r_value *x = take_piece(tape, wave, first * shape.stride,
                                        (rows - 1) * shape.stride + shape.kernel, &piece);
        if (x)
            s3r_window_moments_add(&moments, tape->kernels, x->data, rows);
        s3r_arena_rewind(&tape->arena, mark);
    }
    const s3r_conv_weights *conv = &weights->conv[0];
    if (tape->is_out_of_memory)
        return norm;
    s3r_window_moments_finish(&moments);
    s3r_folded_norm_make(&norm, tape, &shape, &conv->weight, conv->norm.gain.data,
                         conv->norm.bias.data, NORM_EPS, &moments);
    return norm;
}

/* Rows [skip, ..) of from to the rows of `to` from first_row on. */
static void copy_rows(const s3r_value *from, size_t skip, s3r_value *to, size_t first_row)
{
    for (size_t i = skip; i < from->rows; i++)
        memcpy(to->data + (first_row + i - skip) * to->stride,
               from->data + i * from->stride, from->cols * sizeof(float));
}

void s3r_extractor_run(s3r_tape *tape, const s3r_model_config *config,
                       const s3r_model_weights *weights, const s3r_waveform *wave,
                       size_t first, size_t count, const s3r_folded_norm *norm,
                       s3r_value *out, size_t first_row)
{
    size_t stride = s3r_config_stride(config);
    size_t field = s3r_config_receptive_field(config);
    bool was_recording = tape->is_recording;
    /* Frames share products in pairs (conv_pairs.h): chunks begin at an even one. */
    size_t lead = first % 2, total = count > 0 ? count + lead : 0;
    if (tape->is_out_of_memory) /* then the norm may be missing */
        return;
    assert(!has_group_norm(config, 0) || total == 0 || norm->weight.packed_f32);
    tape->is_recording = false;
    for (size_t done = 0; done < total && !tape->is_out_of_memory; done += CHUNK_FRAMES) {
        size_t rows = S3R_MIN(total - done, (size_t)CHUNK_FRAMES);
        size_t skip = done == 0 ? lead : 0;
        s3r_arena_mark mark = s3r_tape_mark(tape);
        s3r_ragged piece;
        s3r_value *x = take_piece(tape, wave, (first - lead + done) * stride,
                                  (rows - 1) * stride + field, &piece);
        for (size_t layer = 0; layer < config->conv_count; layer++)
            x = run_layer(tape, config, weights, layer, x, &piece, norm);
        if (x)
            copy_rows(x, skip, out, first_row + done + skip - lead);
        tape->staged_value = NULL;
        s3r_arena_rewind(&tape->arena, mark);
    }
    tape->is_recording = was_recording;
}

static bool wants_gradient(const s3r_tape *tape, const s3r_model_config *config,
                           const s3r_model_weights *weights, const s3r_value *wave)
{
    bool wants = s3r_tape_wants(tape, wave, NULL);
    for (size_t layer = 0; layer < config->conv_count; layer++) {
        const s3r_conv_weights *conv = &weights->conv[layer];
        wants = wants || s3r_tape_wants(tape, NULL, &conv->weight) ||
                s3r_tape_wants(tape, NULL, &conv->bias) ||
                s3r_tape_wants(tape, NULL, &conv->norm.gain) ||
                s3r_tape_wants(tape, NULL, &conv->norm.bias);
    }
    return wants;
}

s3r_value *s3r_extractor_batch(s3r_tape *tape, const s3r_model_config *config,
                               const s3r_model_weights *weights,
                               const s3r_waveform *waves, size_t count,
                               s3r_ragged *frames)
{
    size_t *offset = s3r_tape_alloc(tape, count + 1, sizeof *offset);
    if (!offset)
        return NULL;
    offset[0] = 0;
    for (size_t u = 0; u < count; u++)
        offset[u + 1] = offset[u] + s3r_config_frames(config, waves[u].count);
    *frames = (s3r_ragged){count, offset};
    s3r_value *out =
        s3r_tape_value(tape, offset[count], config->conv[config->conv_count - 1].dim);
    for (size_t u = 0; out && u < count; u++) {
        s3r_arena_mark mark = s3r_tape_mark(tape);
        s3r_folded_norm norm = s3r_extractor_measure(tape, config, weights, &waves[u]);
        s3r_extractor_run(tape, config, weights, &waves[u], 0, offset[u + 1] - offset[u],
                          &norm, out, offset[u]);
        s3r_arena_rewind(&tape->arena, mark);
    }
    return tape->is_out_of_memory ? NULL : out;
}

static s3r_value *run_frozen(s3r_tape *tape, const s3r_model_config *config,
                             const s3r_model_weights *weights, const s3r_value *wave,
                             s3r_ragged samples, s3r_ragged *frames)
{
    s3r_waveform *waves = s3r_tape_alloc(tape, samples.count, sizeof *waves);
    for (size_t u = 0; waves && u < samples.count; u++)
        waves[u] = (s3r_waveform){wave->data + samples.offset[u],
                                  samples.offset[u + 1] - samples.offset[u],
                                  {0.0, 1.0}};
    if (!waves)
        return NULL;
    return s3r_extractor_batch(tape, config, weights, waves, samples.count, frames);
}

s3r_value *s3r_extractor_forward(s3r_tape *tape, const s3r_model_config *config,
                                 const s3r_model_weights *weights, s3r_value *wave,
                                 s3r_ragged samples, s3r_ragged *frames)
{
    if (!wave || !samples.offset)
        return NULL;
    if (!wants_gradient(tape, config, weights, wave))
        return run_frozen(tape, config, weights, wave, samples, frames);
    *frames = samples;
    s3r_value *x = wave;
    for (size_t layer = 0; layer < config->conv_count; layer++)
        x = run_layer(tape, config, weights, layer, x, frames, NULL);
    return x;
}
