/*
 * Encoder forward pass.  Backward is the tape's.
 *
 *   post-norm: x = norm1(x + drop(attention(x)));   x = norm2(x + drop(ffn(x)))
 *   pre-norm:  x = x + drop(attention(norm1(x)));   x = x + drop(ffn(norm2(x)))
 *
 * While training, the input may be masked in time and channels, and low-rank updates and
 * adapters may sit beside the weights.
 */
#include "model/encoder.h"

#include <assert.h>

#include "model/conv_shapes.h"
#include "model/weight_sharing.h"
#include "ops/op_add.h"
#include "ops/op_attention.h"
#include "ops/op_channel_mask.h"
#include "ops/op_conv.h"
#include "ops/op_dropout.h"
#include "ops/op_layer_norm.h"
#include "ops/op_linear.h"
#include "ops/op_relative_position.h"
#include "ops/op_relu.h"
#include "ops/op_scale.h"
#include "ops/op_time_mask.h"

#define POS_NORM_EPS 1e-5 /* data2vec's norms between positional convs */

typedef struct encoder_pass {
    s3r_tape *tape;
    const s3r_model_config *config;
    const s3r_model_weights *weights;
    s3r_ragged frames;
    const s3r_encoder_options *options;
    s3r_value *position;           /* WavLM's table; NULL for the others */
    const s3r_encoder_part *parts; /* of the rows, two at least; NULL: all are weights' */
    size_t part_count;
} encoder_pass;

/* scale * up(down(x)); NULL when there is no such update. */
static s3r_value *low_rank(const encoder_pass *pass, s3r_value *x,
                           const s3r_lora_weights *lora)
{
    s3r_weight *down = s3r_weight_present(&lora->down);
    if (!down)
        return NULL;
    s3r_value *h = s3r_op_linear(pass->tape, x, down, NULL, false);
    s3r_value *scaled = s3r_op_scale(pass->tape, h, lora->scale);
    if (scaled != h)
        s3r_tape_forget(pass->tape, h);
    h = s3r_op_linear(pass->tape, scaled, s3r_weight_present(&lora->up), NULL, false);
    s3r_tape_forget(pass->tape, scaled);
    return h;
}

/* The same layer of a block in the weights of another part. */
static const s3r_linear_weights *peer(const encoder_pass *pass,
                                      const s3r_encoder_part *part,
                                      const s3r_linear_weights *weights)
{
    const char *blocks = (const char *)pass->weights->blocks;
    size_t offset = (size_t)((const char *)weights - blocks);
    assert(offset < pass->config->block_count * sizeof(s3r_block_weights));
    return (const void *)((const char *)part->weights->blocks + offset);
}

/* Fills out [part_count], neighbours with one weight as one; returns how many. */
static size_t parts_of(const encoder_pass *pass, const s3r_linear_weights *weights,
                       const s3r_linear_weights **layers, s3r_linear_part *out)
{
    size_t count = 0;
    for (size_t i = 0; i < pass->part_count; i++) {
        const s3r_linear_weights *layer = peer(pass, &pass->parts[i], weights);
        if (count > 0 && s3r_linear_is_same(layers[count - 1], layer)) {
            out[count - 1].rows += pass->parts[i].rows;
            continue;
        }
        layers[count] = layer;
        out[count++] = (s3r_linear_part){.rows = pass->parts[i].rows,
                                         .weight = s3r_weight_present(&layer->weight),
                                         .bias = s3r_weight_present(&layer->bias)};
    }
    return count;
}

/* Rows [row, row + count) of x, which products read. */
static s3r_value *rows_of(s3r_tape *tape, const s3r_value *x, size_t row, size_t count)
{
    float *data = x->data ? x->data + row * x->stride : NULL;
    s3r_value *rows = s3r_tape_wrap(tape, data, count, x->cols, x->stride);
    if (rows && x->narrow) {
        rows->narrow = x->narrow + row * x->narrow_stride;
        rows->narrow_stride = x->narrow_stride;
    }
    return rows;
}

static s3r_value *linear_in_parts(const encoder_pass *pass, s3r_value *x,
                                  const s3r_linear_weights *weights,
                                  const s3r_linear_options *options)
{
    s3r_tape *tape = pass->tape;
    size_t most = pass->part_count, row = 0;
    s3r_linear_part *parts = s3r_tape_alloc(tape, most, sizeof *parts);
    const s3r_linear_weights **layers = s3r_tape_alloc(tape, most, sizeof *layers);
    if (!x || !parts || !layers)
        return NULL;
    size_t count = parts_of(pass, weights, layers, parts);
    for (size_t i = 0; i < count; row += parts[i++].rows) {
        if (!s3r_weight_present(&layers[i]->lora.down))
            continue;
        s3r_value *rows = rows_of(tape, x, row, parts[i].rows);
        parts[i].addend = rows ? low_rank(pass, rows, &layers[i]->lora) : NULL;
        if (!parts[i].addend)
            return NULL;
    }
    return s3r_op_linear_parts(tape, x, parts, count, options);
}

static s3r_value *linear_with(const encoder_pass *pass, s3r_value *x,
                              const s3r_linear_weights *weights,
                              s3r_linear_options options)
{
    if (pass->parts)
        return linear_in_parts(pass, x, weights, &options);
    options.addend = low_rank(pass, x, &weights->lora);
    s3r_value *y = s3r_op_linear_with(pass->tape, x, s3r_weight_present(&weights->weight),
                                      s3r_weight_present(&weights->bias), &options);
    s3r_tape_forget(pass->tape, options.addend);
    return y;
}

static s3r_value *linear(const encoder_pass *pass, s3r_value *x,
                         const s3r_linear_weights *weights, bool gelu)
{
    return linear_with(pass, x, weights, (s3r_linear_options){.gelu = gelu});
}

static s3r_value *norm_with(const encoder_pass *pass, s3r_value *x,
                            const s3r_norm_weights *weights, double eps)
{
    return s3r_op_layer_norm(pass->tape, x, s3r_weight_present(&weights->gain),
                             s3r_weight_present(&weights->bias), eps, false);
}

static s3r_value *norm(const encoder_pass *pass, s3r_value *x,
                       const s3r_norm_weights *weights)
{
    return norm_with(pass, x, weights, pass->config->layer_norm_eps);
}

static s3r_value *drop(const encoder_pass *pass, s3r_value *x, double p)
{
    return s3r_op_dropout(pass->tape, x, pass->frames, pass->options->utterance_keys, p);
}

static s3r_dropout_mask draw(const encoder_pass *pass, double p)
{
    return s3r_dropout_draw(pass->tape, pass->frames, pass->options->utterance_keys, p);
}

/* y, which was made of x: nothing else reads x. */
static s3r_value *instead(const encoder_pass *pass, s3r_value *x, s3r_value *y)
{
    if (y != x)
        s3r_tape_forget(pass->tape, x);
    return y;
}

static s3r_value *positional(const encoder_pass *pass, s3r_value *x)
{
    const s3r_model_config *config = pass->config;
    s3r_conv_shape shape = s3r_pos_conv_shape(config);
    s3r_value *y = x;
    for (size_t i = 0; i < config->pos_conv_depth; i++) {
        s3r_pos_conv_weights *conv = &pass->weights->pos_conv[i];
        s3r_ragged same;
        s3r_weight *weight = s3r_pos_conv_weight(pass->tape, conv);
        s3r_value *input = y;
        y = s3r_op_conv(
            pass->tape, y, pass->frames, &shape, weight, s3r_weight_present(&conv->bias),
            config->has_pos_conv_weight_norm ? S3R_CONV_GELU : S3R_CONV_SUM, &same);
        if (i > 0)
            s3r_tape_forget(pass->tape, input);
        if (!config->has_pos_conv_weight_norm)
            y = instead(pass, y,
                        s3r_op_layer_norm(pass->tape, y, NULL, NULL, POS_NORM_EPS, true));
    }
    s3r_value *sum = s3r_op_add(pass->tape, x, y);
    s3r_tape_forget(pass->tape, y);
    return instead(pass, x, sum);
}

/* residual + drop(attention(x)) */
static s3r_value *attention(const encoder_pass *pass, const s3r_block_weights *block,
                            s3r_value *x, s3r_value *residual)
{
    const s3r_model_config *config = pass->config;
    s3r_attention_options options = {.heads = config->head_count,
                                     .dropout = (float)config->attention_dropout,
                                     .utterance_keys = pass->options->utterance_keys,
                                     .position = pass->position};
    if (pass->position)
        options.gate = s3r_op_relative_gate(pass->tape, x, config->head_count,
                                            s3r_weight_present(&block->gru_linear.weight),
                                            s3r_weight_present(&block->gru_linear.bias),
                                            s3r_weight_present(&block->gru_const));
    s3r_value *q = linear(pass, x, &block->q, false);
    s3r_value *k = linear(pass, x, &block->k, false);
    s3r_value *v = linear(pass, x, &block->v, false);
    if (pass->position && !options.gate)
        return NULL;
    s3r_value *y = s3r_op_attention(pass->tape, q, k, v, pass->frames, &options);
    s3r_value *const used[] = {options.gate, q, k, v};
    for (size_t i = 0; i < S3R_ARRAY_LEN(used); i++)
        s3r_tape_forget(pass->tape, used[i]);
    s3r_linear_options last = {.dropout = draw(pass, config->hidden_dropout),
                               .residual = residual};
    return instead(pass, y, linear_with(pass, y, &block->out, last));
}

/* The adapters of spec 1.8. */
static s3r_value *ffn_adapter(const encoder_pass *pass,
                              const s3r_ffn_adapter_weights *weights, s3r_value *x)
{
    bool is_last_norm = weights->kind == S3R_ADAPTER_ASR;
    s3r_value *h = is_last_norm ? x : norm(pass, x, &weights->norm);
    s3r_value *narrow = linear(pass, h, &weights->down, is_last_norm);
    if (!is_last_norm) {
        s3r_tape_forget(pass->tape, h);
        narrow = instead(pass, narrow, s3r_op_relu(pass->tape, narrow));
    }
    h = instead(pass, narrow, linear(pass, narrow, &weights->up, false));
    if (is_last_norm)
        h = instead(pass, h, norm(pass, h, &weights->norm));
    s3r_value *y = s3r_op_add(pass->tape, x, h);
    s3r_tape_forget(pass->tape, h);
    return instead(pass, x, y);
}

/* residual + drop(ffn(x)), an adapter between. */
static s3r_value *feed_forward(const encoder_pass *pass, const s3r_block_weights *block,
                               s3r_value *x, s3r_value *residual)
{
    const s3r_model_config *config = pass->config;
    bool has_adapter = block->ffn_adapter.kind != S3R_ADAPTER_NONE;
    s3r_linear_options first = {.gelu = true,
                                .dropout = draw(pass, config->activation_dropout),
                                .is_for_products =
                                    block->fc2.weight.dtype != S3R_DTYPE_I8};
    s3r_value *h = linear_with(pass, x, &block->fc1, first);
    s3r_linear_options second = {.dropout = draw(pass, config->hidden_dropout),
                                 .residual = has_adapter ? NULL : residual};
    h = instead(pass, h, linear_with(pass, h, &block->fc2, second));
    if (!has_adapter)
        return h;
    h = ffn_adapter(pass, &block->ffn_adapter, h);
    return instead(pass, h, s3r_op_add(pass->tape, residual, h));
}

/* MMS: x += linear2(relu(linear1(norm(x)))); its norm has an eps of its own. */
static s3r_value *adapter(const encoder_pass *pass, const s3r_block_weights *block,
                          s3r_value *x)
{
    if (!block->adapter_down.weight.data)
        return x;
    s3r_value *h = norm_with(pass, x, &block->adapter_norm, 1e-5);
    h = instead(pass, h, linear(pass, h, &block->adapter_down, false));
    h = instead(pass, h, s3r_op_relu(pass->tape, h));
    s3r_linear_options last = {.residual = x};
    return instead(pass, x,
                   instead(pass, h, linear_with(pass, h, &block->adapter_up, last)));
}

static s3r_value *run_block(const encoder_pass *pass, const s3r_block_weights *block,
                            s3r_value *x)
{
    if (pass->config->is_pre_norm) {
        s3r_value *h = norm(pass, x, &block->attention_norm);
        x = instead(pass, x, instead(pass, h, attention(pass, block, h, x)));
        h = norm(pass, x, &block->ffn_norm);
        x = instead(pass, x, instead(pass, h, feed_forward(pass, block, h, x)));
    } else {
        x = instead(pass, x, attention(pass, block, x, x));
        x = instead(pass, x, norm(pass, x, &block->attention_norm));
        x = instead(pass, x, feed_forward(pass, block, x, x));
        x = instead(pass, x, norm(pass, x, &block->ffn_norm));
    }
    return adapter(pass, block, x);
}

static s3r_value *project(const encoder_pass *pass, s3r_value *x)
{
    const s3r_model_weights *weights = pass->weights;
    if (pass->config->has_feature_projection_norm)
        x = norm(pass, x, &weights->feature_norm);
    if (pass->config->has_feature_projection) {
        s3r_linear_options options = {.dropout =
                                          draw(pass, pass->config->feat_proj_dropout)};
        s3r_value *y = linear_with(pass, x, &weights->feature_projection, options);
        return instead(pass, x, y);
    }
    return drop(pass, x, pass->config->feat_proj_dropout);
}

/* Time mask first, then channels. (spec 2.6) */
static s3r_value *apply_masking(const encoder_pass *pass, s3r_value *x)
{
    const s3r_encoder_masking *masking = pass->options->masking;
    if (!masking)
        return x;
    if (masking->frame_count > 0)
        x = instead(pass, x,
                    s3r_op_time_mask(pass->tape, x, masking->frames, masking->frame_count,
                                     s3r_weight_present(&pass->weights->mask_embedding)));
    if (masking->channels)
        x = instead(pass, x,
                    s3r_op_channel_mask(pass->tape, x, pass->frames,
                                        masking->channel_lists, masking->channels));
    return x;
}

/* WavLM: one table for all blocks, from block 0's embedding. */
static bool make_position(encoder_pass *pass)
{
    size_t longest = 1;
    if (pass->config->family != S3R_FAMILY_WAVLM)
        return true;
    for (size_t u = 0; u < pass->frames.count; u++)
        longest = S3R_MAX(longest, pass->frames.offset[u + 1] - pass->frames.offset[u]);
    pass->position = s3r_op_relative_table(
        pass->tape, s3r_weight_present(&pass->weights->relative_position),
        pass->config->max_bucket_distance, longest - 1);
    return pass->position != NULL;
}

static void report(const encoder_pass *pass, size_t layer, const s3r_value *x)
{
    if (x && pass->options->hidden)
        pass->options->hidden(pass->options->hidden_context, layer, x);
}

/* Hidden state 0, moved down to the mark. */
static s3r_value *make_input(const encoder_pass *pass, s3r_arena_mark mark,
                             s3r_value *features)
{
    features->is_borrowed = true; /* the caller may read them afterwards */
    s3r_value *x = positional(pass, apply_masking(pass, project(pass, features)));
    if (!pass->config->is_pre_norm)
        x = instead(pass, x, norm(pass, x, &pass->weights->encoder_norm));
    x = instead(pass, x, drop(pass, x, pass->config->hidden_dropout));
    x = s3r_tape_keep(pass->tape, mark, x);
    report(pass, 0, x);
    return x;
}

/* Blocks first .. end - 1; each result is moved down to the mark. */
static s3r_value *run_blocks(const encoder_pass *pass, s3r_arena_mark mark, s3r_value *x,
                             size_t first, size_t end)
{
    const s3r_model_config *config = pass->config;
    for (size_t i = first; i < end; i++) {
        bool is_last = i + 1 == config->block_count;
        if (!pass->options->skip_block || !pass->options->skip_block[i])
            x = run_block(pass, &pass->weights->blocks[i], x);
        if (is_last && config->is_pre_norm)
            x = instead(pass, x, norm(pass, x, &pass->weights->encoder_norm));
        x = s3r_tape_keep(pass->tape, mark, x);
        report(pass, i + 1, x);
    }
    return x;
}

static encoder_pass pass_of(s3r_tape *tape, const s3r_model_config *config,
                            const s3r_model_weights *weights, s3r_ragged frames,
                            const s3r_encoder_options *options)
{
    static const s3r_encoder_options no_options = {0};
    return (encoder_pass){.tape = tape,
                          .config = config,
                          .weights = weights,
                          .frames = frames,
                          .options = options ? options : &no_options};
}

s3r_value *s3r_encoder_forward(s3r_tape *tape, const s3r_model_config *config,
                               const s3r_model_weights *weights, s3r_value *features,
                               s3r_ragged frames, const s3r_encoder_options *options)
{
    encoder_pass pass = pass_of(tape, config, weights, frames, options);
    if (!features || !frames.offset || !make_position(&pass))
        return NULL;
    s3r_arena_mark mark = s3r_tape_mark(tape);
    s3r_value *x = make_input(&pass, mark, features);
    return run_blocks(&pass, mark, x, 0, config->block_count);
}

s3r_value *s3r_encoder_input(s3r_tape *tape, const s3r_model_config *config,
                             const s3r_model_weights *weights, s3r_value *features,
                             s3r_ragged frames, const s3r_encoder_options *options)
{
    encoder_pass pass = pass_of(tape, config, weights, frames, options);
    assert(!tape->is_recording);
    if (!features || !frames.offset)
        return NULL;
    return make_input(&pass, s3r_tape_mark(tape), features);
}

s3r_value *s3r_encoder_blocks(s3r_tape *tape, const s3r_model_config *config,
                              const s3r_encoder_part *parts, size_t part_count,
                              s3r_value *x, s3r_ragged frames, size_t first, size_t end,
                              const s3r_encoder_options *options)
{
    encoder_pass pass = pass_of(tape, config, parts[0].weights, frames, options);
    assert(!tape->is_recording && part_count > 0);
    if (part_count > 1) {
        pass.parts = parts;
        pass.part_count = part_count;
    }
    if (!x || !frames.offset || !make_position(&pass))
        return NULL;
    return run_blocks(&pass, s3r_tape_mark(tape), x, first, end);
}

s3r_value *s3r_head_forward(s3r_tape *tape, const s3r_model_config *config,
                            const s3r_model_weights *weights, s3r_value *hidden,
                            s3r_ragged frames, const uint64_t *utterance_keys)
{
    hidden = s3r_op_dropout(tape, hidden, frames, utterance_keys, config->final_dropout);
    return s3r_op_linear(tape, hidden, s3r_weight_present(&weights->lm_head.weight),
                         s3r_weight_present(&weights->lm_head.bias), false);
}
