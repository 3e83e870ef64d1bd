/*
 * The list of a method: which parameters train, and their first values.
 */
#include "base/affix.h"
#include "base/hash_text.h"
#include "train/trainable_maker.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/stored_values.h"
#include "train/adam.h"

#define OWNED_CHUNK_BYTES ((size_t)64 << 20) /* arrays of many sizes share chunks */
#define ADAPTER_STD       0.02               /* spec 1.8 */
#define NAME_BYTES        (S3R_TENSOR_NAME_BYTES + 32)

/* ---- names and modules ---- */

static const struct {
    const char *suffix;
    unsigned module;
} module_names[] = {
    {"attention.q_proj.weight", S3R_MODULE_Q},
    {"attention.k_proj.weight", S3R_MODULE_K},
    {"attention.v_proj.weight", S3R_MODULE_V},
    {"attention.out_proj.weight", S3R_MODULE_OUT},
    {"feed_forward.intermediate_dense.weight", S3R_MODULE_FC1},
    {"feed_forward.output_dense.weight", S3R_MODULE_FC2},
};

/* The module of an encoder block's matrix; 0 for everything else. */
unsigned s3r_parameter_module(const s3r_parameter *parameter)
{
    if (parameter->entry->rule->owner != S3R_OWNER_BLOCK)
        return 0;
    for (size_t i = 0; i < sizeof module_names / sizeof module_names[0]; i++)
        if (s3r_ends_with(parameter->entry->name, module_names[i].suffix))
            return module_names[i].module;
    return 0;
}

static bool is_norm(const char *name)
{
    return strstr(name, "layer_norm.") != NULL || strstr(name, "adapter_layer.norm.");
}

static bool is_extractor(const s3r_parameter *parameter)
{
    return parameter->entry->rule->owner == S3R_OWNER_CONV;
}

static bool is_backbone_head(const char *name)
{
    return s3r_begins_with(name, "lm_head.");
}

/* Whether the values of a parameter of the backbone train. */
static bool trains_values(const s3r_train_config *config, const s3r_parameter *parameter)
{
    const char *name = parameter->entry->name;
    bool is_bias_method = config->method == S3R_METHOD_BIAS;
    bool is_weight_method =
        config->method == S3R_METHOD_WEIGHTS || config->method == S3R_METHOD_MASK_WEIGHTS;
    if (is_backbone_head(name))
        return false;
    if (config->method == S3R_METHOD_PRETRAIN)
        return true;
    if (is_extractor(parameter))
        return config->also.extractor;
    if (is_weight_method)
        return true;
    if (strcmp(name, "masked_spec_embed") == 0)
        return config->also.mask_embedding;
    if (is_norm(name))
        return is_bias_method || config->also.norms;
    if (s3r_begins_with(name, "encoder.pos_conv_embed."))
        return config->also.pos_conv || (is_bias_method && s3r_ends_with(name, ".bias"));
    if (s3r_begins_with(name, "feature_projection.projection.") &&
        config->also.projection)
        return true;
    return s3r_ends_with(name, ".bias") && (is_bias_method || config->also.biases);
}

/* ---- the list ---- */

static s3r_status fail_memory(const char *name, size_t count, s3r_error *err)
{
    return s3r_fail_memory(err, name, count * 4 * sizeof(float));
}

/* Pages are taken when they are touched, long after this: better to say it now. */
static s3r_status check_limit(const s3r_trainable_maker *m, size_t count, s3r_error *err)
{
    size_t needed = (m->trainable->trained_total + count) * 4 * sizeof(float);
    if (needed <= m->memory_limit)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_RESOURCE,
                    "it would not fit: what trains needs more than %zu MiB, %zu MiB are "
                    "available (fewer mask.modules or mask.blocks, or method=head, need "
                    "less)",
                    S3R_CEIL_DIV(needed, (size_t)1 << 20), m->memory_limit >> 20);
}

/* Adds an array; values and grad may be given, moments are new and zero. */
s3r_status s3r_trainable_add(s3r_trainable_maker *m, s3r_trained item, const char *format,
                             const char *name, s3r_error *err)
{
    s3r_trainable *trainable = m->trainable;
    char text[NAME_BYTES];
    snprintf(text, sizeof text, format, name);
    size_t bytes = strlen(text) + 1;
    char *copy = s3r_arena_alloc(&trainable->owned, bytes, 1);
    item.count = item.rows * item.cols;
    if (!copy)
        return fail_memory(text, item.count, err);
    S3R_TRY(check_limit(m, item.count, err));
    memcpy(copy, text, bytes);
    item.name = copy;
    float **arrays[] = {&item.values, &item.grad, &item.first, &item.second};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        if (*arrays[i])
            continue;
        *arrays[i] = s3r_arena_alloc(&trainable->owned, item.count, sizeof(float));
        if (!*arrays[i])
            return fail_memory(text, item.count, err);
        memset(*arrays[i], 0, item.count * sizeof(float));
    }
    if (trainable->count == trainable->capacity) {
        size_t more = trainable->capacity * 2 + 64;
        s3r_trained *items =
            s3r_realloc(trainable->items, trainable->capacity, more, sizeof item);
        if (!items)
            return fail_memory(text, item.count, err);
        trainable->items = items;
        trainable->capacity = more;
    }
    trainable->items[trainable->count++] = item;
    trainable->trained_total += item.count;
    return S3R_OK;
}

s3r_trained *s3r_trainable_last(const s3r_trainable_maker *m)
{
    return &m->trainable->items[m->trainable->count - 1];
}

/* A stream for one array: by its name. */
s3r_random s3r_trainable_stream(const s3r_trainable_maker *m, const char *name)
{
    s3r_random random;
    s3r_random_init(&random, m->config->seed, s3r_hash_bytes(name, strlen(name)));
    return random;
}

void s3r_trained_fill_uniform(const s3r_trainable_maker *m, const s3r_trained *item,
                              double bound)
{
    s3r_random random = s3r_trainable_stream(m, item->name);
    for (size_t i = 0; i < item->count; i++)
        item->values[i] = (float)(bound * (2.0 * s3r_random_uniform(&random) - 1.0));
}

void s3r_trained_fill_normal(const s3r_trainable_maker *m, const s3r_trained *item,
                             double deviation)
{
    s3r_random random = s3r_trainable_stream(m, item->name);
    for (size_t i = 0; i < item->count; i++)
        item->values[i] = (float)(deviation * s3r_random_normal(&random));
}

void s3r_trained_fill_constant(const s3r_trained *item, float value)
{
    for (size_t i = 0; i < item->count; i++)
        item->values[i] = value;
}

void s3r_trained_bind(s3r_weight *weight, const s3r_trained *item)
{
    *weight = (s3r_weight){.data = item->values,
                           .dtype = S3R_DTYPE_F32,
                           .rows = item->rows,
                           .cols = item->cols,
                           .grad = item->grad};
}

/* ---- parts of methods ---- */

static s3r_status add_values(s3r_trainable_maker *m, s3r_error *err)
{
    s3r_parameters *parameters = &m->model->parameters;
    for (size_t i = 0; i < parameters->count; i++) {
        s3r_parameter *parameter = &parameters->items[i];
        if (!trains_values(m->config, parameter))
            continue;
        S3R_TRY(s3r_parameter_train(parameters, parameter, err));
        s3r_trained item = {.values = parameter->values,
                            .grad = parameter->weight->grad,
                            .rows = parameter->weight->rows,
                            .cols = parameter->weight->cols,
                            .parameter = parameter};
        S3R_TRY(s3r_trainable_add(m, item, "values/%s", parameter->entry->name, err));
    }
    return S3R_OK;
}

/* Xavier-uniform with a zero bias, or the checkpoint's. (spec 1.5) */
static s3r_status add_head(s3r_trainable_maker *m, s3r_error *err)
{
    s3r_linear_weights *head = &m->model->weights.lm_head, before = *head;
    size_t labels = m->model->config.vocab_size, width = m->model->config.hidden_size;
    s3r_trained weight = {.rows = labels, .cols = width, .is_head = true};
    s3r_trained bias = {.rows = 1, .cols = labels, .is_head = true};
    S3R_TRY(s3r_trainable_add(m, weight, "head/%s", "weight", err));
    if (m->model->has_own_head)
        s3r_stored_to_f32(s3r_trainable_last(m)->values, before.weight.data,
                          before.weight.dtype, 0, labels * width);
    else
        s3r_trained_fill_uniform(m, s3r_trainable_last(m),
                                 sqrt(6.0 / (double)(labels + width)));
    s3r_trained_bind(&head->weight, s3r_trainable_last(m));
    S3R_TRY(s3r_trainable_add(m, bias, "head/%s", "bias", err));
    if (m->model->has_own_head && before.bias.data)
        memcpy(s3r_trainable_last(m)->values, before.bias.data, labels * sizeof(float));
    s3r_trained_bind(&head->bias, s3r_trainable_last(m));
    return S3R_OK;
}

static s3r_status add_norm(s3r_trainable_maker *m, s3r_norm_weights *norm,
                           const char *name, size_t width, s3r_error *err)
{
    S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = 1, .cols = width},
                              "%s/norm.weight", name, err));
    s3r_trained_fill_constant(s3r_trainable_last(m), 1.0f);
    s3r_trained_bind(&norm->gain, s3r_trainable_last(m));
    S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = 1, .cols = width}, "%s/norm.bias",
                              name, err));
    s3r_trained_bind(&norm->bias, s3r_trainable_last(m));
    return S3R_OK;
}

static s3r_status add_linear(s3r_trainable_maker *m, s3r_linear_weights *linear,
                             const char *name, const char *part, size_t out, size_t in,
                             double deviation, s3r_error *err)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s/%s", name, part);
    S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = out, .cols = in}, "%s.weight",
                              full, err));
    s3r_trained_fill_normal(m, s3r_trainable_last(m), deviation);
    s3r_trained_bind(&linear->weight, s3r_trainable_last(m));
    S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = 1, .cols = out}, "%s.bias", full,
                              err));
    s3r_trained_bind(&linear->bias, s3r_trainable_last(m));
    return S3R_OK;
}

/* spec 1.8; "zero" is the st form whose up-projection starts at zero. */
static s3r_status add_adapters(s3r_trainable_maker *m, s3r_error *err)
{
    size_t width = m->config->adapter.width, hidden = m->model->config.hidden_size;
    bool is_zero = m->config->adapter.kind == S3R_ADAPTER_CHOICE_ZERO;
    for (size_t i = 0; i < m->model->config.block_count; i++) {
        char name[32];
        s3r_ffn_adapter_weights *adapter = &m->model->weights.blocks[i].ffn_adapter;
        snprintf(name, sizeof name, "adapter/%zu", i);
        adapter->kind = m->config->adapter.kind == S3R_ADAPTER_CHOICE_ASR
                            ? S3R_ADAPTER_ASR
                            : S3R_ADAPTER_ST;
        S3R_TRY(add_norm(m, &adapter->norm, name, hidden, err));
        S3R_TRY(
            add_linear(m, &adapter->down, name, "down", width, hidden, ADAPTER_STD, err));
        S3R_TRY(add_linear(m, &adapter->up, name, "up", hidden, width,
                           is_zero ? 0.0 : ADAPTER_STD, err));
    }
    return S3R_OK;
}

static s3r_linear_weights *linear_of(s3r_block_weights *block, unsigned module)
{
    switch (module) {
    case S3R_MODULE_Q:
        return &block->q;
    case S3R_MODULE_K:
        return &block->k;
    case S3R_MODULE_V:
        return &block->v;
    case S3R_MODULE_OUT:
        return &block->out;
    case S3R_MODULE_FC1:
        return &block->fc1;
    default:
        return &block->fc2;
    }
}

/* down is Kaiming-uniform (a = sqrt 5), up is zero: the update starts at nothing. */
static s3r_status add_lora(s3r_trainable_maker *m, s3r_error *err)
{
    s3r_parameters *parameters = &m->model->parameters;
    size_t rank = m->config->lora.rank;
    for (size_t i = 0; i < parameters->count; i++) {
        s3r_parameter *parameter = &parameters->items[i];
        unsigned module = s3r_parameter_module(parameter);
        if (!(module & m->config->lora.modules))
            continue;
        s3r_block_weights *block = &m->model->weights.blocks[parameter->entry->number];
        s3r_lora_weights *lora = &linear_of(block, module)->lora;
        size_t out = parameter->weight->rows, in = parameter->weight->cols;
        S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = rank, .cols = in},
                                  "lora/%s/down", parameter->entry->name, err));
        s3r_trained_fill_uniform(m, s3r_trainable_last(m), 1.0 / sqrt((double)in));
        s3r_trained_bind(&lora->down, s3r_trainable_last(m));
        S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = out, .cols = rank},
                                  "lora/%s/up", parameter->entry->name, err));
        s3r_trained_bind(&lora->up, s3r_trainable_last(m));
        lora->scale = (float)(m->config->lora.alpha / (double)rank);
    }
    return S3R_OK;
}

/* ---- all ---- */

static s3r_status add_method(s3r_trainable_maker *m, s3r_error *err)
{
    S3R_TRY(add_values(m, err));
    switch (m->config->method) {
    case S3R_METHOD_MASK:
    case S3R_METHOD_MAGNITUDE:
    case S3R_METHOD_MASK_WEIGHTS:
        S3R_TRY(s3r_trainable_add_masks(m, err));
        break;
    case S3R_METHOD_ADAPTER:
        S3R_TRY(add_adapters(m, err));
        break;
    case S3R_METHOD_LORA:
        S3R_TRY(add_lora(m, err));
        break;
    default:
        break;
    }
    return m->config->method == S3R_METHOD_PRETRAIN ? s3r_trainable_add_objective(m, err)
                                                    : add_head(m, err);
}

static s3r_status make_partial(s3r_trainable *trainable, s3r_error *err)
{
    size_t parts = 0;
    for (size_t i = 0; i < trainable->count; i++)
        parts = S3R_MAX(parts, s3r_square_sum_parts(trainable->items[i].count));
    trainable->partial = s3r_alloc(parts, sizeof *trainable->partial);
    if (!trainable->partial)
        return s3r_fail_memory(err, "the norms", parts * sizeof *trainable->partial);
    return S3R_OK;
}

s3r_status s3r_trainable_make(s3r_trainable *out, s3r_train_model *model, s3r_pool *pool,
                              const s3r_train_config *config, size_t memory_limit,
                              s3r_error *err)
{
    static const s3r_mask_structure structures[] = {
        [S3R_SHAPE_ELEMENTS] = S3R_MASK_ELEMENTS,
        [S3R_SHAPE_ROWS] = S3R_MASK_ROWS,
        [S3R_SHAPE_COLUMNS] = S3R_MASK_COLUMNS};
    s3r_trainable_maker m = {out, model, config, pool, memory_limit};
    *out = (s3r_trainable){.structure = structures[config->mask.shape],
                           .scope = config->mask.scope,
                           .is_sigmoid = config->mask.is_sigmoid};
    s3r_arena_init(&out->owned, OWNED_CHUNK_BYTES);
    s3r_status status = add_method(&m, err);
    if (status == S3R_OK)
        status = make_partial(out, err);
    if (status != S3R_OK)
        s3r_trainable_release(out);
    return status;
}
