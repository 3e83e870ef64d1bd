/*
 * With p = softmax((logits + noise) / T) of a group, kept from the forward pass, and
 * c = dy vectors^T, what each entry would have earned:
 *   dlogits    += p (c - sum of p c) / T
 *   dvectors[k] += sum of dy over the rows that chose k
 * A range of entries belongs to one task, which adds row after row.
 */
#include "ops/op_gumbel.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/random.h"

#define ENTRIES_A_TASK 16u

typedef struct gumbel_node {
    s3r_node node;
    s3r_value *logits;
    s3r_weight *vectors;
    s3r_gumbel_options options;
    const uint32_t *codes; /* [rows * groups] */
    float *chance;         /* layout of logits; NULL when they get no gradient */
} gumbel_node;

typedef struct gumbel_run {
    const s3r_kernels *kernels;
    const gumbel_node *gumbel;
    const s3r_value *y;
    uint32_t *codes;
    const float *earned; /* backward: c, layout of logits */
    float *dlogits;
} gumbel_run;

double s3r_gumbel_noise(uint64_t key, size_t index)
{
    uint32_t bits = s3r_hash_lane((uint32_t)key, (uint32_t)(key >> 32), (uint32_t)index);
    double uniform = ((double)bits + 0.5) * 0x1p-32; /* in (0, 1), neither end */
    return -log(-log(uniform));
}

static size_t entries_of(const gumbel_node *gumbel)
{
    return gumbel->logits->cols / gumbel->options.groups;
}

/* ---- forward ---- */

/* The first of the largest. */
static size_t largest(const float *x, size_t count)
{
    size_t best = 0;
    for (size_t j = 1; j < count; j++)
        if (x[j] > x[best])
            best = j;
    return best;
}

/* Softmax in place. */
static void softmax(const s3r_kernels *kernels, size_t count, float *x)
{
    double total = kernels->exp_sum(count, kernels->max(count, x), x, x);
    float inverse = (float)(1.0 / total);
    for (size_t j = 0; j < count; j++)
        x[j] *= inverse;
}

static size_t choose(const gumbel_run *run, size_t row, size_t group)
{
    const gumbel_node *gumbel = run->gumbel;
    size_t entries = entries_of(gumbel), first = group * entries;
    const float *x = gumbel->logits->data + row * gumbel->logits->stride + first;
    if (!gumbel->options.keys)
        return largest(x, entries);
    uint64_t key = gumbel->options.keys[row];
    float *noisy = gumbel->chance + row * gumbel->logits->stride + first;
    float inverse = (float)(1.0 / gumbel->options.temperature);
    for (size_t j = 0; j < entries; j++)
        noisy[j] = (float)((double)x[j] + s3r_gumbel_noise(key, first + j)) * inverse;
    size_t chosen = largest(noisy, entries);
    softmax(run->kernels, entries, noisy);
    return chosen;
}

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const gumbel_run *run = context;
    const gumbel_node *gumbel = run->gumbel;
    size_t groups = gumbel->options.groups, dim = gumbel->vectors->cols;
    const float *vectors = gumbel->vectors->data;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        for (size_t g = 0; g < groups; g++) {
            size_t code = choose(run, i, g);
            run->codes[i * groups + g] = (uint32_t)code;
            memcpy(run->y->data + i * run->y->stride + g * dim,
                   vectors + (g * entries_of(gumbel) + code) * dim, dim * sizeof(float));
        }
    }
}

/* ---- backward ---- */

static void logit_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const gumbel_run *run = context;
    const gumbel_node *gumbel = run->gumbel;
    size_t entries = entries_of(gumbel), stride = gumbel->logits->stride;
    float inverse = (float)(1.0 / gumbel->options.temperature);
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        for (size_t g = 0; g < gumbel->options.groups; g++) {
            size_t at = i * stride + g * entries;
            const float *p = gumbel->chance + at, *c = run->earned + at;
            float mean = (float)run->kernels->dot(entries, p, c);
            for (size_t j = 0; j < entries; j++)
                run->dlogits[at + j] += p[j] * (c[j] - mean) * inverse;
        }
    }
}

static void logits_backward(s3r_tape *tape, gumbel_run *run)
{
    const gumbel_node *gumbel = run->gumbel;
    size_t groups = gumbel->options.groups, dim = gumbel->vectors->cols;
    size_t entries = entries_of(gumbel), stride = gumbel->logits->stride;
    size_t elements = gumbel->logits->rows * stride;
    s3r_product *products = s3r_tape_alloc(tape, groups, sizeof *products);
    float *earned = s3r_tape_take(tape, elements);
    if (!products || !earned)
        return;
    for (size_t g = 0; g < groups; g++)
        products[g] =
            (s3r_product){.m = run->y->rows,
                          .n = entries,
                          .k = dim,
                          .a = run->y->grad + g * dim,
                          .a_stride = run->y->stride,
                          .b = (const float *)gumbel->vectors->data + g * entries * dim,
                          .b_layout = S3R_B_TRANSPOSED,
                          .b_dtype = S3R_DTYPE_F32,
                          .b_stride = dim,
                          .c = earned + g * entries,
                          .c_stride = stride};
    if (run->y->rows > 0)
        s3r_products_run(tape->pool, tape->kernels, products, groups);
    run->earned = earned;
    s3r_tape_rows(tape, run->y->rows, 4 * gumbel->logits->cols, logit_rows, run);
    s3r_tape_give(tape, earned, elements);
}

static void vector_entries(void *context, size_t task, size_t worker)
{
    const gumbel_run *run = context;
    const gumbel_node *gumbel = run->gumbel;
    size_t groups = gumbel->options.groups, dim = gumbel->vectors->cols;
    size_t entries = entries_of(gumbel), tasks = S3R_CEIL_DIV(entries, ENTRIES_A_TASK);
    size_t group = task / tasks, first = task % tasks * ENTRIES_A_TASK;
    (void)worker;
    for (size_t i = 0; i < run->y->rows; i++) {
        size_t code = gumbel->codes[i * groups + group];
        if (code >= first && code < first + ENTRIES_A_TASK)
            run->kernels->axpy(dim, 1.0f, run->y->grad + i * run->y->stride + group * dim,
                               gumbel->vectors->grad + (group * entries + code) * dim);
    }
}

static void gumbel_backward(s3r_tape *tape, s3r_node *node)
{
    const gumbel_node *gumbel = (const gumbel_node *)node;
    gumbel_run run = {
        .kernels = tape->kernels, .gumbel = gumbel, .y = node->output, .codes = NULL};
    if (gumbel->vectors->grad)
        s3r_pool_run(tape->pool,
                     gumbel->options.groups *
                         S3R_CEIL_DIV(entries_of(gumbel), ENTRIES_A_TASK),
                     vector_entries, &run);
    if (gumbel->options.keys)
        run.dlogits = s3r_tape_grad(tape, gumbel->logits);
    if (run.dlogits)
        logits_backward(tape, &run);
    s3r_tape_give(tape, gumbel->chance, gumbel->logits->rows * gumbel->logits->stride);
}

s3r_value *s3r_op_gumbel(s3r_tape *tape, s3r_value *logits, s3r_weight *vectors,
                         const s3r_gumbel_options *options, uint32_t *codes)
{
    if (!logits)
        return NULL;
    size_t groups = options->groups, rows = logits->rows;
    assert(logits->cols == vectors->rows && logits->cols % groups == 0);
    assert(vectors->dtype == S3R_DTYPE_F32);
    uint32_t *kept = s3r_tape_alloc(tape, rows * groups, sizeof *kept);
    s3r_value *y = s3r_tape_value(tape, rows, groups * vectors->cols);
    gumbel_node gumbel = {.logits = logits, .vectors = vectors, .options = *options};
    if (options->keys)
        gumbel.chance = s3r_tape_take(tape, rows * logits->stride);
    if (!kept || !y || tape->is_out_of_memory)
        return NULL;
    gumbel.codes = kept;
    y->needs_grad = s3r_tape_wants(tape, options->keys ? logits : NULL, vectors);
    gumbel_run run = {.kernels = tape->kernels, .gumbel = &gumbel, .y = y, .codes = kept};
    s3r_tape_rows(tape, rows, 16 * logits->cols, forward_rows, &run);
    memcpy(codes, kept, rows * groups * sizeof *codes);
    s3r_node *node = s3r_tape_push(tape, y, sizeof gumbel, gumbel_backward);
    if (node) {
        gumbel.node = *node;
        *(gumbel_node *)node = gumbel;
    }
    return tape->is_out_of_memory ? NULL : y;
}
