/*
 * Comparing models by the places of their weights.
 */
#include "model/weight_sharing.h"

static bool is_same(const s3r_weight *a, const s3r_weight *b)
{
    return a->data == b->data && a->packed_f32 == b->packed_f32 &&
           a->packed_bf16 == b->packed_bf16 && a->packed_int8 == b->packed_int8 &&
           a->kept == b->kept && a->scales == b->scales;
}

static bool is_same_norm(const s3r_norm_weights *a, const s3r_norm_weights *b)
{
    return is_same(&a->gain, &b->gain) && is_same(&a->bias, &b->bias);
}

bool s3r_linear_is_same(const s3r_linear_weights *a, const s3r_linear_weights *b)
{
    return is_same(&a->weight, &b->weight) && is_same(&a->bias, &b->bias) &&
           is_same(&a->lora.down, &b->lora.down) && is_same(&a->lora.up, &b->lora.up);
}

static bool is_same_adapter(const s3r_ffn_adapter_weights *a,
                            const s3r_ffn_adapter_weights *b)
{
    return a->kind == b->kind && is_same_norm(&a->norm, &b->norm) &&
           s3r_linear_is_same(&a->down, &b->down) && s3r_linear_is_same(&a->up, &b->up);
}

static bool is_int8(const s3r_linear_weights *layer)
{
    return layer->weight.dtype == S3R_DTYPE_I8;
}

/* All of a block but the linear layers of attention and feed-forward. */
static bool is_same_around(const s3r_block_weights *a, const s3r_block_weights *b)
{
    return is_same_norm(&a->attention_norm, &b->attention_norm) &&
           is_same_norm(&a->ffn_norm, &b->ffn_norm) &&
           s3r_linear_is_same(&a->gru_linear, &b->gru_linear) &&
           is_same(&a->gru_const, &b->gru_const) &&
           is_same_norm(&a->adapter_norm, &b->adapter_norm) &&
           s3r_linear_is_same(&a->adapter_down, &b->adapter_down) &&
           s3r_linear_is_same(&a->adapter_up, &b->adapter_up) &&
           is_same_adapter(&a->ffn_adapter, &b->ffn_adapter);
}

static bool is_same_block(const s3r_block_weights *a, const s3r_block_weights *b)
{
    return s3r_linear_is_same(&a->q, &b->q) && s3r_linear_is_same(&a->k, &b->k) &&
           s3r_linear_is_same(&a->v, &b->v) && s3r_linear_is_same(&a->out, &b->out) &&
           s3r_linear_is_same(&a->fc1, &b->fc1) && s3r_linear_is_same(&a->fc2, &b->fc2) &&
           is_same_around(a, b);
}

/* The encoder's norm stands before the blocks or behind them; either way both agree. */
bool s3r_weights_input_is_same(const s3r_model_config *config_a,
                               const s3r_model_weights *a,
                               const s3r_model_config *config_b,
                               const s3r_model_weights *b)
{
    bool is_equal = config_a->do_normalize == config_b->do_normalize &&
                    is_same_norm(&a->feature_norm, &b->feature_norm) &&
                    s3r_linear_is_same(&a->feature_projection, &b->feature_projection) &&
                    is_same_norm(&a->encoder_norm, &b->encoder_norm) &&
                    is_same(&a->relative_position, &b->relative_position);
    for (size_t i = 0; is_equal && i < config_a->conv_count; i++)
        is_equal = is_same(&a->conv[i].weight, &b->conv[i].weight) &&
                   is_same(&a->conv[i].bias, &b->conv[i].bias) &&
                   is_same_norm(&a->conv[i].norm, &b->conv[i].norm);
    for (size_t i = 0; is_equal && i < config_a->pos_conv_depth; i++)
        is_equal = is_same(&a->pos_conv[i].weight, &b->pos_conv[i].weight) &&
                   is_same(&a->pos_conv[i].bias, &b->pos_conv[i].bias);
    return is_equal;
}

size_t s3r_weights_same_blocks(const s3r_model_config *config, const s3r_model_weights *a,
                               const s3r_model_weights *b)
{
    size_t count = 0;
    while (count < config->block_count &&
           is_same_block(&a->blocks[count], &b->blocks[count]))
        count++;
    return count;
}

bool s3r_weights_is_mixable(const s3r_model_config *config, const s3r_model_weights *a,
                            const s3r_model_weights *b, size_t first)
{
    for (size_t i = first; i < config->block_count; i++)
        if (!is_same_around(&a->blocks[i], &b->blocks[i]) ||
            is_int8(&a->blocks[i].fc1) != is_int8(&b->blocks[i].fc1) ||
            is_int8(&a->blocks[i].fc2) != is_int8(&b->blocks[i].fc2))
            return false;
    return true;
}
