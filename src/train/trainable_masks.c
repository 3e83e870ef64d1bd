/*
 * Masked matrices: which they are, their first scores and masks. (spec 1.1-1.4)
 */
#include <string.h>

#include "base/memory.h"
#include "model/stored_values.h"
#include "train/trainable_maker.h"

#define VALUES_CHUNK ((size_t)1 << 20)

static double sparsity_of(const s3r_train_config *config, size_t block)
{
    const s3r_block_numbers *numbers = &config->mask.sparsity;
    return numbers->values[numbers->count > 1 ? block : 0];
}

/* By mask.modules and mask.blocks. */
static bool is_chosen(const s3r_trainable_maker *m, const s3r_parameter *parameter)
{
    size_t block = parameter->entry->number;
    return (s3r_parameter_module(parameter) & m->config->mask.modules) &&
           block >= m->config->mask.first_block && block <= m->config->mask.last_block;
}

/* Per-block lists leave blocks with sparsity 0 alone: dense and frozen. (spec 6.3) */
static bool is_masked(const s3r_trainable_maker *m, const s3r_parameter *parameter)
{
    return is_chosen(m, parameter) &&
           (m->config->mask.sparsity.count == 1 ||
            sparsity_of(m->config, parameter->entry->number) > 0.0);
}

/* What is selected: elements, rows or columns. */
static size_t units_of(s3r_mask_structure structure, const s3r_mask *mask)
{
    if (structure == S3R_MASK_ELEMENTS)
        return mask->rows * mask->cols;
    return structure == S3R_MASK_ROWS ? mask->rows : mask->cols;
}

static s3r_status make_mask(s3r_trainable_maker *m, s3r_mask *mask, size_t rows,
                            size_t cols, s3r_error *err)
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

static s3r_status add_scores(s3r_trainable_maker *m, s3r_masked *masked, s3r_error *err)
{
    s3r_parameter *parameter = masked->parameter;
    s3r_weight *weight = parameter->weight;
    s3r_trained item = {.rows = masked->mask.rows, .cols = masked->mask.cols};
    S3R_TRY(s3r_trainable_add(m, item, "scores/%s", parameter->entry->name, err));
    masked->scores = s3r_trainable_last(m)->values;
    masked->score_grad = s3r_trainable_last(m)->grad;
    masked->stream = s3r_trainable_stream(m, s3r_trainable_last(m)->name);
    if (!weight->grad) /* the weight itself is frozen: one buffer serves both */
        weight->grad = masked->score_grad;
    return S3R_OK;
}

/* First scores of some matrices at once: each has a stream of its own. */
typedef struct score_maker {
    const s3r_trainable_maker *m;
    s3r_masked *masked;
    s3r_error *errors; /* [matrices at once] */
} score_maker;

static void init_scores(void *context, size_t task, size_t worker)
{
    (void)worker;
    const score_maker *self = context;
    s3r_masked *masked = &self->masked[task];
    const s3r_train_config *config = self->m->config;
    self->errors[task] = (s3r_error){S3R_OK, ""};
    (void)s3r_scores_init(masked->scores, init_of(config), masked->weight, masked->dtype,
                          masked->mask.rows, masked->mask.cols, config->mask.init_scale,
                          &masked->stream, &self->errors[task]);
}

/* Sorting takes 24 bytes an element for a while.  Half of the matrices at once stay below
 * what training needs for all (scores, gradients, moments). */
static s3r_status init_all_scores(s3r_trainable_maker *m, s3r_error *err)
{
    s3r_trainable *trainable = m->trainable;
    size_t count = trainable->masked_count, at_once = count / 2;
    at_once = S3R_MAX(S3R_MIN(at_once, s3r_pool_threads(m->pool)), (size_t)1);
    s3r_error *errors = s3r_alloc(at_once, sizeof *errors);
    s3r_status status =
        errors ? S3R_OK : s3r_fail_memory(err, "first scores", at_once * sizeof *errors);
    for (size_t first = 0; first < count && status == S3R_OK; first += at_once) {
        size_t some = S3R_MIN(at_once, count - first);
        score_maker maker = {m, trainable->masked + first, errors};
        s3r_pool_run(m->pool, some, init_scores, &maker);
        for (size_t i = 0; i < some && status == S3R_OK; i++)
            if (errors[i].code != S3R_OK)
                status = s3r_fail(err, errors[i].code, "%s", errors[i].message);
    }
    s3r_free(errors);
    return status;
}

static s3r_status add_masked(s3r_trainable_maker *m, s3r_parameter *parameter,
                             s3r_error *err)
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

static s3r_status check_blocks(const s3r_trainable_maker *m, s3r_error *err)
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
static s3r_status select_by_magnitude(s3r_trainable_maker *m, s3r_error *err)
{
    s3r_trainable *trainable = m->trainable;
    s3r_arena values;
    s3r_arena_init(&values, VALUES_CHUNK);
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

static s3r_status fail_unmasked(const s3r_trainable_maker *m, s3r_error *err)
{
    for (size_t i = 0; i < m->model->parameters.count; i++)
        if (is_chosen(m, &m->model->parameters.items[i]))
            return s3r_fail(err, S3R_ERR_USAGE,
                            "mask.sparsity: expected a number above 0 for one of the "
                            "blocks of mask.blocks, found 0 for all of them");
    return s3r_fail(err, S3R_ERR_USAGE, "mask.modules: nothing is left to mask in %s",
                    m->model->path);
}

s3r_status s3r_trainable_add_masks(s3r_trainable_maker *m, s3r_error *err)
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
        return fail_unmasked(m, err);
    if (m->config->method != S3R_METHOD_MAGNITUDE)
        S3R_TRY(init_all_scores(m, err));
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
