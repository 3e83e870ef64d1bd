/*
 * The list of a method: which parameters train, and their first values.
 *
 * Every array draws from a stream of its own, named by what it is, so that the values do
 * not depend on what else trains.
 */
#include "train/trainable.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/stored_values.h"
#include "train/adam.h"

#define OWNED_CHUNK_BYTES ((size_t)1 << 20)
#define ADAPTER_STD       0.02 /* spec 1.8 */
#define NAME_BYTES        (S3R_TENSOR_NAME_BYTES + 32)

typedef struct maker {
    s3r_trainable *trainable;
    s3r_train_model *model;
    const s3r_train_config *config;
    s3r_pool *pool;
    size_t memory_limit;
} maker;

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

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The module of an encoder block's matrix; 0 for everything else. */
static unsigned module_of(const s3r_parameter *parameter)
{
    if (parameter->entry->rule->owner != S3R_OWNER_BLOCK)
        return 0;
    for (size_t i = 0; i < sizeof module_names / sizeof module_names[0]; i++)
        if (ends_with(parameter->entry->name, module_names[i].suffix))
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
    return starts_with(name, "lm_head.");
}

/* Whether the values of a parameter of the backbone train. */
static bool trains_values(const s3r_train_config *config, const s3r_parameter *parameter)
{
    const char *name = parameter->entry->name;
    bool is_bias_method = config->method == S3R_METHOD_BIAS;
    bool is_weight_method =
        config->method == S3R_METHOD_WEIGHTS || config->method == S3R_METHOD_MASK_WEIGHTS;
    if (is_extractor(parameter) || is_backbone_head(name))
        return false;
    if (is_weight_method)
        return true;
    if (strcmp(name, "masked_spec_embed") == 0)
        return config->also.mask_embedding;
    if (is_norm(name))
        return is_bias_method || config->also.norms;
    if (starts_with(name, "encoder.pos_conv_embed."))
        return config->also.pos_conv || (is_bias_method && ends_with(name, ".bias"));
    if (starts_with(name, "feature_projection.projection.") && config->also.projection)
        return true;
    return ends_with(name, ".bias") && (is_bias_method || config->also.biases);
}

/* ---- the list ---- */

static s3r_status fail_memory(const char *name, size_t count, s3r_error *err)
{
    return s3r_fail_memory(err, name, count * 4 * sizeof(float));
}

/* Pages are taken when they are touched, long after this: better to say it now. */
static s3r_status check_limit(const maker *m, size_t count, s3r_error *err)
{
    size_t needed = (m->trainable->trained_total + count) * 4 * sizeof(float);
    if (needed <= m->memory_limit)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_RESOURCE,
                    "it would not fit: what trains needs more than %zu MiB, %zu MiB are "
                    "available (fewer mask.modules or mask.blocks, or method=head, need "
                    "less)",
                    needed >> 20, m->memory_limit >> 20);
}

/* Adds an array; values and grad may be given, moments are new and zero. */
static s3r_status add(maker *m, s3r_trained item, const char *format, const char *name,
                      s3r_error *err)
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

static s3r_trained *last_item(const maker *m)
{
    return &m->trainable->items[m->trainable->count - 1];
}

/* A stream for one array: by its name, FNV-1a. */
static s3r_random stream_of(const maker *m, const char *name)
{
    s3r_random random;
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    s3r_random_init(&random, m->config->seed, hash);
    return random;
}

static void fill_uniform(const maker *m, const s3r_trained *item, double bound)
{
    s3r_random random = stream_of(m, item->name);
    for (size_t i = 0; i < item->count; i++)
        item->values[i] = (float)(bound * (2.0 * s3r_random_uniform(&random) - 1.0));
}

static void fill_normal(const maker *m, const s3r_trained *item, double deviation)
{
    s3r_random random = stream_of(m, item->name);
    for (size_t i = 0; i < item->count; i++)
        item->values[i] = (float)(deviation * s3r_random_normal(&random));
}

static void fill_constant(const s3r_trained *item, float value)
{
    for (size_t i = 0; i < item->count; i++)
        item->values[i] = value;
}

static void bind(s3r_weight *weight, const s3r_trained *item)
{
    *weight = (s3r_weight){.data = item->values,
                           .dtype = S3R_DTYPE_F32,
                           .rows = item->rows,
                           .cols = item->cols,
                           .grad = item->grad};
}

/* ---- parts of methods ---- */

static s3r_status add_values(maker *m, s3r_error *err)
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
        S3R_TRY(add(m, item, "values/%s", parameter->entry->name, err));
    }
    return S3R_OK;
}

/* Xavier-uniform with a zero bias, or the checkpoint's. (spec 1.5) */
static s3r_status add_head(maker *m, s3r_error *err)
{
    s3r_linear_weights *head = &m->model->weights.lm_head, before = *head;
    size_t labels = m->model->config.vocab_size, width = m->model->config.hidden_size;
    s3r_trained weight = {.rows = labels, .cols = width, .is_head = true};
    s3r_trained bias = {.rows = 1, .cols = labels, .is_head = true};
    S3R_TRY(add(m, weight, "head/%s", "weight", err));
    if (m->model->has_own_head)
        s3r_stored_to_f32(last_item(m)->values, before.weight.data, before.weight.dtype,
                          0, labels * width);
    else
        fill_uniform(m, last_item(m), sqrt(6.0 / (double)(labels + width)));
    bind(&head->weight, last_item(m));
    S3R_TRY(add(m, bias, "head/%s", "bias", err));
    if (m->model->has_own_head && before.bias.data)
        memcpy(last_item(m)->values, before.bias.data, labels * sizeof(float));
    bind(&head->bias, last_item(m));
    return S3R_OK;
}

static s3r_status add_norm(maker *m, s3r_norm_weights *norm, const char *name,
                           size_t width, s3r_error *err)
{
    S3R_TRY(add(m, (s3r_trained){.rows = 1, .cols = width}, "%s/norm.weight", name, err));
    fill_constant(last_item(m), 1.0f);
    bind(&norm->gain, last_item(m));
    S3R_TRY(add(m, (s3r_trained){.rows = 1, .cols = width}, "%s/norm.bias", name, err));
    bind(&norm->bias, last_item(m));
    return S3R_OK;
}

static s3r_status add_linear(maker *m, s3r_linear_weights *linear, const char *name,
                             const char *part, size_t out, size_t in, double deviation,
                             s3r_error *err)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s/%s", name, part);
    S3R_TRY(add(m, (s3r_trained){.rows = out, .cols = in}, "%s.weight", full, err));
    fill_normal(m, last_item(m), deviation);
    bind(&linear->weight, last_item(m));
    S3R_TRY(add(m, (s3r_trained){.rows = 1, .cols = out}, "%s.bias", full, err));
    bind(&linear->bias, last_item(m));
    return S3R_OK;
}

/* spec 1.8; "zero" is the st form whose up-projection starts at zero. */
static s3r_status add_adapters(maker *m, s3r_error *err)
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
static s3r_status add_lora(maker *m, s3r_error *err)
{
    s3r_parameters *parameters = &m->model->parameters;
    size_t rank = m->config->lora.rank;
    for (size_t i = 0; i < parameters->count; i++) {
        s3r_parameter *parameter = &parameters->items[i];
        unsigned module = module_of(parameter);
        if (!(module & m->config->lora.modules))
            continue;
        s3r_block_weights *block = &m->model->weights.blocks[parameter->entry->number];
        s3r_lora_weights *lora = &linear_of(block, module)->lora;
        size_t out = parameter->weight->rows, in = parameter->weight->cols;
        S3R_TRY(add(m, (s3r_trained){.rows = rank, .cols = in}, "lora/%s/down",
                    parameter->entry->name, err));
        fill_uniform(m, last_item(m), 1.0 / sqrt((double)in));
        bind(&lora->down, last_item(m));
        S3R_TRY(add(m, (s3r_trained){.rows = out, .cols = rank}, "lora/%s/up",
                    parameter->entry->name, err));
        bind(&lora->up, last_item(m));
        lora->scale = (float)(m->config->lora.alpha / (double)rank);
    }
    return S3R_OK;
}

/* ---- masks ---- */

static double sparsity_of(const s3r_train_config *config, size_t block)
{
    const s3r_block_numbers *numbers = &config->mask.sparsity;
    return numbers->values[numbers->count > 1 ? block : 0];
}

/* Per-block lists leave blocks with sparsity 0 alone: dense and frozen. (spec 6.3) */
static bool is_masked(const maker *m, const s3r_parameter *parameter)
{
    size_t block = parameter->entry->number;
    if (!(module_of(parameter) & m->config->mask.modules))
        return false;
    if (block < m->config->mask.first_block || block > m->config->mask.last_block)
        return false;
    return m->config->mask.sparsity.count == 1 || sparsity_of(m->config, block) > 0.0;
}

/* What is selected: elements, rows or columns. */
static size_t units_of(s3r_mask_structure structure, const s3r_mask *mask)
{
    if (structure == S3R_MASK_ELEMENTS)
        return mask->rows * mask->cols;
    return structure == S3R_MASK_ROWS ? mask->rows : mask->cols;
}

static s3r_status make_mask(maker *m, s3r_mask *mask, size_t rows, size_t cols,
                            s3r_error *err)
{
    size_t words = s3r_mask_words(rows, cols);
    *mask = (s3r_mask){.rows = rows, .cols = cols, .stride = s3r_mask_stride(cols)};
    mask->bits = s3r_arena_alloc(&m->trainable->owned, words, sizeof *mask->bits);
    if (!mask->bits)
        return s3r_fail_memory(err, "a mask", words * sizeof *mask->bits);
    s3r_mask_fill(mask);
    return S3R_OK;
}

static s3r_score_init init_of(const s3r_train_config *config)
{
    switch (config->mask.init) {
    case S3R_INIT_RI:
        return S3R_SCORE_RANDOM;
    case S3R_INIT_WMI:
        return S3R_SCORE_MAGNITUDE;
    default:
        return S3R_SCORE_ORDERED;
    }
}

static s3r_status add_scores(maker *m, s3r_masked *masked, s3r_error *err)
{
    s3r_parameter *parameter = masked->parameter;
    s3r_weight *weight = parameter->weight;
    s3r_trained item = {.rows = masked->mask.rows, .cols = masked->mask.cols};
    S3R_TRY(add(m, item, "scores/%s", parameter->entry->name, err));
    masked->scores = last_item(m)->values;
    masked->score_grad = last_item(m)->grad;
    s3r_random random = stream_of(m, last_item(m)->name);
    S3R_TRY(s3r_scores_init(masked->scores, init_of(m->config), masked->weight,
                            masked->dtype, item.rows, item.cols,
                            m->config->mask.init_scale, &random, err));
    if (!weight->grad) /* the weight itself is frozen: one buffer serves both */
        weight->grad = masked->score_grad;
    return S3R_OK;
}

static s3r_status add_masked(maker *m, s3r_parameter *parameter, s3r_error *err)
{
    s3r_trainable *trainable = m->trainable;
    s3r_weight *weight = parameter->weight;
    s3r_masked *masked = &trainable->masked[trainable->masked_count];
    *masked = (s3r_masked){
        .parameter = parameter, .weight = weight->data, .dtype = weight->dtype};
    S3R_TRY(make_mask(m, &masked->mask, weight->rows, weight->cols, err));
    S3R_TRY(make_mask(m, &masked->initial, weight->rows, weight->cols, err));
    S3R_TRY(make_mask(m, &masked->evaluated, weight->rows, weight->cols, err));
    masked->removed = s3r_removed_count(sparsity_of(m->config, parameter->entry->number),
                                        units_of(trainable->structure, &masked->mask));
    if (m->config->method != S3R_METHOD_MAGNITUDE)
        S3R_TRY(add_scores(m, masked, err));
    weight->kept = masked->mask.bits;
    weight->kept_stride = masked->mask.stride;
    trainable->targets[trainable->masked_count++] = (s3r_mask_target){
        .scores = masked->scores, .mask = masked->mask, .removed = masked->removed};
    return S3R_OK;
}

static s3r_status check_blocks(const maker *m, s3r_error *err)
{
    size_t blocks = m->model->config.block_count, last = m->config->mask.last_block;
    size_t count = m->config->mask.sparsity.count;
    if (count > 1 && count != blocks)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "mask.sparsity: expected one number or %zu (one a block of %s), "
                        "found %zu",
                        blocks, m->model->path, count);
    if (m->config->mask.first_block >= blocks || (last != SIZE_MAX && last >= blocks))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "mask.blocks: expected block numbers below %zu (%s), found "
                        "%zu-%zu",
                        blocks, m->model->path, m->config->mask.first_block,
                        last == SIZE_MAX ? m->config->mask.first_block : last);
    return S3R_OK;
}

/* A mask that stays: by the magnitude of the weights. */
static s3r_status select_by_magnitude(maker *m, s3r_error *err)
{
    s3r_trainable *trainable = m->trainable;
    s3r_arena values;
    s3r_arena_init(&values, OWNED_CHUNK_BYTES);
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < trainable->masked_count && status == S3R_OK; i++) {
        s3r_masked *masked = &trainable->masked[i];
        size_t count = masked->mask.rows * masked->mask.cols;
        float *copy = s3r_arena_alloc(&values, count, sizeof *copy);
        if (copy)
            s3r_stored_to_f32(copy, masked->weight, masked->dtype, 0, count);
        else
            status = s3r_fail_memory(err, "the weights", count * sizeof *copy);
        trainable->targets[i].scores = masked->scores = copy;
    }
    if (status == S3R_OK)
        s3r_trainable_select(trainable, m->pool);
    for (size_t i = 0; i < trainable->masked_count; i++)
        trainable->targets[i].scores = trainable->masked[i].scores = NULL;
    s3r_arena_release(&values);
    return status;
}

static s3r_status add_masks(maker *m, s3r_error *err)
{
    s3r_trainable *trainable = m->trainable;
    s3r_parameters *parameters = &m->model->parameters;
    S3R_TRY(check_blocks(m, err));
    trainable->masked = s3r_alloc(parameters->count, sizeof *trainable->masked);
    trainable->targets = s3r_alloc(parameters->count, sizeof *trainable->targets);
    if (!trainable->masked || !trainable->targets)
        return s3r_fail_memory(err, "the masks", parameters->count);
    for (size_t i = 0; i < parameters->count; i++)
        if (is_masked(m, &parameters->items[i]))
            S3R_TRY(add_masked(m, &parameters->items[i], err));
    if (trainable->masked_count == 0)
        return s3r_fail(err, S3R_ERR_USAGE, "mask.modules: nothing is left to mask in %s",
                        m->model->path);
    size_t units = 0;
    for (size_t i = 0; i < trainable->masked_count; i++)
        units += units_of(trainable->structure, &trainable->masked[i].mask);
    trainable->removed_total =
        s3r_removed_count(m->config->mask.sparsity.values[0], units);
    size_t scratch =
        s3r_mask_select_scratch_bytes(trainable->targets, trainable->masked_count,
                                      trainable->structure, s3r_pool_threads(m->pool));
    trainable->select_scratch = s3r_alloc(scratch, 1);
    if (!trainable->select_scratch)
        return s3r_fail_memory(err, "the selection", scratch);
    if (m->config->method == S3R_METHOD_MAGNITUDE)
        S3R_TRY(select_by_magnitude(m, err));
    else
        s3r_trainable_select(trainable, m->pool);
    for (size_t i = 0; i < trainable->masked_count; i++) {
        s3r_masked *masked = &trainable->masked[i];
        memcpy(masked->initial.bits, masked->mask.bits,
               s3r_mask_words(masked->mask.rows, masked->mask.cols) * sizeof(uint64_t));
    }
    s3r_trainable_mark_evaluated(trainable);
    return S3R_OK;
}

/* ---- all ---- */

static s3r_status add_method(maker *m, s3r_error *err)
{
    S3R_TRY(add_values(m, err));
    switch (m->config->method) {
    case S3R_METHOD_MASK:
    case S3R_METHOD_MAGNITUDE:
    case S3R_METHOD_MASK_WEIGHTS:
        S3R_TRY(add_masks(m, err));
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
    return add_head(m, err);
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
    maker m = {out, model, config, pool, memory_limit};
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
