/*
 * Binding: the plan says which tensor is which; here each becomes an s3r_weight.
 */
#include "model/model_weights.h"

#include <string.h>

#include "model/conv_prepare.h"
#include "model/conv_shapes.h"
#include "model/stored_values.h"
#include "model/weight_plan.h"
#include "ops/op_weight_norm.h"

#define OWNED_CHUNK_BYTES ((size_t)1 << 18)

typedef struct binder {
    s3r_model_weights *weights;
    const s3r_model_config *config;
    s3r_conv_source *convs; /* what is left for s3r_conv_prepare */
    size_t conv_count;
} binder;

s3r_weight *s3r_model_weights_target(s3r_model_weights *weights,
                                     const s3r_weight_rule *rule, size_t number)
{
    void *owner = weights;
    if (rule->owner == S3R_OWNER_CONV)
        owner = &weights->conv[number];
    else if (rule->owner == S3R_OWNER_POS_CONV)
        owner = &weights->pos_conv[number];
    else if (rule->owner == S3R_OWNER_BLOCK)
        owner = &weights->blocks[number];
    return (s3r_weight *)(void *)((char *)owner + rule->offset);
}

static s3r_weight *target_of(const binder *b, const s3r_weight_entry *entry)
{
    return s3r_model_weights_target(b->weights, entry->rule, entry->number);
}

/* fp32 of a tensor: the map itself where possible. */
static s3r_status bind_f32(const binder *b, s3r_weight *target, const s3r_tensor *tensor,
                           s3r_error *err)
{
    size_t elements = s3r_tensor_elements(tensor);
    target->dtype = S3R_DTYPE_F32;
    target->data = tensor->data;
    if (tensor->dtype == S3R_DTYPE_F32 && (uintptr_t)tensor->data % sizeof(float) == 0)
        return S3R_OK;
    float *copy = s3r_arena_alloc(&b->weights->owned, elements, sizeof *copy);
    if (!copy)
        return s3r_fail_memory(err, tensor->name, elements * sizeof *copy);
    s3r_stored_to_f32(copy, tensor->data, tensor->dtype, 0, elements);
    target->data = copy;
    return S3R_OK;
}

/* Of the matrix that target is already. */
static s3r_status bind_scales(const binder *b, s3r_weight *target,
                              const s3r_tensor *tensor, s3r_error *err)
{
    s3r_weight scales;
    S3R_TRY(bind_f32(b, &scales, tensor, err));
    target->scales = scales.data;
    return S3R_OK;
}

static void add_conv(binder *b, const s3r_weight_entry *entry)
{
    s3r_conv_source *source = &b->convs[b->conv_count++];
    *source = (s3r_conv_source){
        .shape = entry->rule->owner == S3R_OWNER_CONV
                     ? s3r_extractor_conv_shape(b->config, entry->number)
                     : s3r_pos_conv_shape(b->config),
        .tensor = entry->tensor,
        .weight = target_of(b, entry)};
    if (entry->rule->kind == S3R_WEIGHT_DIRECTION) {
        s3r_pos_conv_weights *conv = &b->weights->pos_conv[entry->number];
        source->gain = conv->gain.data; /* its rule comes before */
        source->weight = &conv->weight;
        source->direction = &conv->direction;
    }
}

static s3r_status bind(binder *b, const s3r_weight_entry *entry, s3r_error *err)
{
    const s3r_tensor *tensor = entry->tensor;
    s3r_weight *target = target_of(b, entry);
    size_t elements = s3r_tensor_elements(tensor);
    switch (entry->rule->kind) {
    case S3R_WEIGHT_CONV:
    case S3R_WEIGHT_POS_CONV:
    case S3R_WEIGHT_DIRECTION:
        add_conv(b, entry);
        return S3R_OK;
    case S3R_WEIGHT_VECTOR:
    case S3R_WEIGHT_GAIN:
        *target = (s3r_weight){.rows = 1, .cols = elements};
        return bind_f32(b, target, tensor, err);
    case S3R_WEIGHT_SCALES:
        return bind_scales(b, target, tensor, err);
    default:
        *target = (s3r_weight){.rows = entry->shape[0], .cols = entry->shape[1]};
        if (entry->rule->kind == S3R_WEIGHT_TABLE || tensor->dtype == S3R_DTYPE_F64)
            return bind_f32(b, target, tensor, err);
        target->data = tensor->data;
        target->dtype = tensor->dtype;
        return S3R_OK;
    }
}

/* The arrays whose length the configuration gives, zeroed. */
static s3r_status make_arrays(binder *b, s3r_error *err)
{
    s3r_model_weights *weights = b->weights;
    size_t pos_bytes = b->config->pos_conv_depth * sizeof *weights->pos_conv;
    size_t block_bytes = b->config->block_count * sizeof *weights->blocks;
    size_t conv_count = b->config->conv_count + b->config->pos_conv_depth;
    weights->pos_conv = s3r_arena_alloc(&weights->owned, pos_bytes, 1);
    weights->blocks = s3r_arena_alloc(&weights->owned, block_bytes, 1);
    b->convs = s3r_alloc(conv_count, sizeof *b->convs);
    if (!weights->pos_conv || !weights->blocks || !b->convs)
        return s3r_fail_memory(err, "the weights", pos_bytes + block_bytes);
    memset(weights->pos_conv, 0, pos_bytes);
    memset(weights->blocks, 0, block_bytes);
    return S3R_OK;
}

static s3r_status prepare_convs(const binder *b, const s3r_weights_options *options,
                                s3r_error *err)
{
    s3r_pool *own_pool = NULL;
    if (!options->pool)
        S3R_TRY(s3r_pool_create(&own_pool, 1, err));
    const s3r_conv_prepare_options prepare = {
        .is_bf16 = options->is_bf16,
        .keeps_unpacked = options->keeps_unpacked,
        .is_int8 = b->config->is_int8 && !options->keeps_unpacked,
        .kernels =
            options->kernels ? options->kernels : s3r_kernels_get(s3r_cpu_detect()),
        .pool = options->pool ? options->pool : own_pool,
        .arena = &b->weights->owned,
    };
    s3r_status status = s3r_conv_prepare(b->convs, b->conv_count, &prepare, err);
    s3r_pool_destroy(own_pool);
    return status;
}

static s3r_status bind_all(binder *b, const s3r_weight_plan *plan,
                           const s3r_checkpoint *checkpoint,
                           const s3r_weights_options *options, s3r_error *err)
{
    S3R_TRY(make_arrays(b, err));
    for (size_t i = 0; i < plan->count; i++)
        S3R_TRY(bind(b, &plan->entries[i], err));
    S3R_TRY(prepare_convs(b, options, err));
    for (size_t i = 0; i < b->conv_count; i++)
        s3r_checkpoint_forget(checkpoint, b->convs[i].tensor);
    return S3R_OK;
}

void s3r_weights_options_init(s3r_weights_options *options)
{
    *options = (s3r_weights_options){0};
}

s3r_status s3r_model_weights_open(s3r_model_weights *out,
                                  const s3r_checkpoint *checkpoint,
                                  const s3r_model_config *config,
                                  const s3r_weights_options *options, s3r_error *err)
{
    s3r_weight_plan plan;
    binder b = {.weights = out, .config = config};
    *out = (s3r_model_weights){0};
    S3R_TRY(
        s3r_weight_plan_make(&plan, checkpoint, options->language_adapter, config, err));
    s3r_arena_init(&out->owned, OWNED_CHUNK_BYTES);
    s3r_status status = bind_all(&b, &plan, checkpoint, options, err);
    s3r_free(b.convs);
    s3r_weight_plan_release(&plan);
    if (status != S3R_OK)
        s3r_model_weights_close(out);
    return status;
}

void s3r_model_weights_close(s3r_model_weights *weights)
{
    if (weights->owned.chunk_bytes > 0)
        s3r_arena_release(&weights->owned);
    *weights = (s3r_model_weights){0};
}

s3r_weight *s3r_pos_conv_weight(s3r_tape *tape, s3r_pos_conv_weights *conv)
{
    bool is_trained = conv->gain.data && (conv->gain.grad || conv->direction.grad);
    return is_trained ? s3r_op_weight_norm(tape, &conv->gain, &conv->direction)
                      : &conv->weight;
}
