/*
 * The contrastive objective.
 *
 * All similarities within an utterance are one matrix product; the negatives of a frame
 * are then places in its row, and one that is drawn twice counts twice.
 */
#include "tasks/contrastive.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "ops/op_cosine.h"
#include "ops/op_dropout.h"
#include "ops/op_gumbel.h"
#include "ops/op_layer_norm.h"
#include "ops/op_linear.h"
#include "ops/op_take_rows.h"
#include "tasks/code_diversity.h"

#define GUMBEL_PURPOSE   0x67756d62656cu
#define NEGATIVE_PURPOSE 0x6e65676174u

/* Masked rows as the objective sees them. */
typedef struct masked_rows {
    s3r_ragged ragged;       /* of masked rows, by utterance */
    size_t longest;          /* most of an utterance */
    uint64_t *gumbel_keys;   /* [rows] */
    uint64_t *negative_keys; /* [rows] */
    uint32_t *codes;         /* [rows * groups] */
} masked_rows;

size_t s3r_contrastive_negative(uint64_t key, size_t number, size_t own, size_t n)
{
    uint32_t bits = s3r_hash_lane((uint32_t)key, (uint32_t)(key >> 32), (uint32_t)number);
    size_t pick = (size_t)((uint64_t)bits * (uint64_t)(n - 1) >> 32);
    return pick + (pick >= own);
}

/* ---- which rows ---- */

static bool lay_out(s3r_tape *tape, const s3r_contrastive_input *input,
                    const s3r_contrastive_options *options, masked_rows *rows)
{
    size_t count = input->masked_count, utterances = input->frames.count, at = 0;
    size_t *offset = s3r_tape_alloc(tape, utterances + 1, sizeof *offset);
    *rows = (masked_rows){
        .ragged = {utterances, offset},
        .gumbel_keys = s3r_tape_alloc(tape, count, sizeof(uint64_t)),
        .negative_keys = s3r_tape_alloc(tape, count, sizeof(uint64_t)),
        .codes = s3r_tape_alloc(tape, count * options->groups, sizeof(uint32_t))};
    if (tape->is_out_of_memory)
        return false;
    uint64_t gumbel = s3r_random_at(options->noise_seed, GUMBEL_PURPOSE, 0);
    uint64_t negative = s3r_random_at(options->noise_seed, NEGATIVE_PURPOSE, 0);
    for (size_t u = 0; u < utterances; u++) {
        size_t first = input->frames.offset[u];
        offset[u] = at;
        for (; at < count && input->masked[at] < input->frames.offset[u + 1]; at++) {
            size_t frame = input->masked[at] - first;
            assert(input->masked[at] >= first);
            assert(at == offset[u] || input->masked[at] > input->masked[at - 1]);
            rows->gumbel_keys[at] = s3r_random_at(gumbel, input->keys[u], frame);
            rows->negative_keys[at] = s3r_random_at(negative, input->keys[u], frame);
        }
        rows->longest = S3R_MAX(rows->longest, at - offset[u]);
    }
    offset[utterances] = at;
    assert(at == count);
    return true;
}

/* ---- both sides of the comparison ---- */

static s3r_value *make_contexts(s3r_tape *tape, const s3r_contrastive_input *input,
                                s3r_contrastive_weights *weights)
{
    s3r_value *x =
        s3r_op_take_rows(tape, input->hidden, input->masked, input->masked_count);
    s3r_value *y = s3r_op_linear(tape, x, s3r_weight_present(&weights->hidden_projection),
                                 s3r_weight_present(&weights->hidden_bias), false);
    s3r_tape_forget(tape, x);
    return y;
}

/* Also adds the diversity to the result and its gradient to the quantiser's logits. */
static s3r_value *make_targets(s3r_tape *tape, const s3r_contrastive_input *input,
                               s3r_contrastive_weights *weights,
                               const s3r_contrastive_options *options,
                               const masked_rows *rows, s3r_contrastive_result *result)
{
    const s3r_gumbel_options gumbel = {.groups = options->groups,
                                       .keys =
                                           tape->is_training ? rows->gumbel_keys : NULL,
                                       .temperature = options->gumbel};
    s3r_value *x =
        s3r_op_take_rows(tape, input->features, input->masked, input->masked_count);
    s3r_value *normed = s3r_op_layer_norm(tape, x, input->norm_gain, input->norm_bias,
                                          options->norm_eps, false);
    s3r_value *dropped =
        s3r_op_dropout(tape, normed, rows->ragged, input->keys, options->feature_drop);
    s3r_value *logits =
        s3r_op_linear(tape, dropped, s3r_weight_present(&weights->code_projection),
                      s3r_weight_present(&weights->code_bias), false);
    s3r_value *codes =
        s3r_op_gumbel(tape, logits, &weights->vectors, &gumbel, rows->codes);
    s3r_value *targets =
        s3r_op_linear(tape, codes, s3r_weight_present(&weights->target_projection),
                      s3r_weight_present(&weights->target_bias), false);
    if (targets) {
        s3r_code_diversity diversity;
        s3r_code_diversity_add(tape, logits, rows->codes, options->groups,
                               options->diversity, &diversity);
        result->diversity = diversity.loss;
        result->perplexity = diversity.perplexity;
        result->code_perplexity = diversity.code_perplexity;
    }
    s3r_value *const used[] = {x, normed, dropped, logits, codes};
    for (size_t i = 0; i < S3R_ARRAY_LEN(used); i++)
        s3r_tape_forget(tape, used[i]);
    return targets;
}

/* ---- the comparison ---- */

typedef struct contrast_run {
    s3r_tape *tape;
    const s3r_contrastive_options *options;
    const masked_rows *rows;
    const s3r_value *cosines; /* [rows, longest] */
    float *grad;              /* layout of cosines; NULL = not wanted */
    double *losses;           /* [rows] */
    uint8_t *is_right;        /* [rows] */
} contrast_run;

/* How often each place of the utterance is a negative of row i, those with its own codes
 * left out. */
static void count_negatives(const contrast_run *run, size_t i, size_t first, size_t n,
                            uint32_t *counts)
{
    size_t groups = run->options->groups;
    const uint32_t *codes = run->rows->codes + first * groups;
    const uint32_t *own = codes + (i - first) * groups;
    memset(counts, 0, n * sizeof *counts);
    for (size_t k = 0; n > 1 && k < run->options->negatives; k++) {
        size_t place =
            s3r_contrastive_negative(run->rows->negative_keys[i], k, i - first, n);
        if (memcmp(codes + place * groups, own, groups * sizeof *own) != 0)
            counts[place]++;
    }
}

/* Row i against its negatives; z [n] and counts [n] are scratch. */
static void contrast_row(const contrast_run *run, size_t i, size_t first, size_t n,
                         float *z, uint32_t *counts)
{
    const float *x = run->cosines->data + i * run->cosines->stride;
    size_t own = i - first;
    float scale = (float)(1.0 / run->options->temperature), best = -INFINITY;
    count_negatives(run, i, first, n, counts);
    for (size_t j = 0; j < n; j++) {
        z[j] = x[j] * scale;
        best = counts[j] > 0 && z[j] > best ? z[j] : best;
    }
    /* Similarities lie within +-scale, so that any of them serves as the shift. */
    float shift = z[own];
    run->is_right[i] = shift > best && best > -INFINITY;
    run->tape->kernels->exp_sum(n, shift, z, z);
    double total = 1.0;
    for (size_t j = 0; j < n; j++)
        total += (double)counts[j] * (double)z[j];
    run->losses[i] = isfinite(shift) ? log(total) : (double)NAN;
    if (!run->grad)
        return;
    float *grad = run->grad + i * run->cosines->stride;
    double share = (double)scale / total;
    for (size_t j = 0; j < n; j++)
        grad[j] += (float)((double)counts[j] * (double)z[j] * share);
    grad[own] += (float)(share - (double)scale);
}

static void contrast_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const contrast_run *run = context;
    s3r_ragged ragged = run->rows->ragged;
    float *z = s3r_pool_scratch(run->tape->pool, worker);
    uint32_t *counts = (uint32_t *)(void *)(z + run->cosines->cols);
    size_t u = s3r_ragged_find(ragged, row);
    for (size_t i = row; i < row_end; i++) {
        while (ragged.offset[u + 1] <= i)
            u++;
        size_t first = ragged.offset[u];
        contrast_row(run, i, first, ragged.offset[u + 1] - first, z, counts);
    }
}

static void contrast(s3r_tape *tape, s3r_value *cosines,
                     const s3r_contrastive_options *options, const masked_rows *rows,
                     s3r_contrastive_result *result)
{
    contrast_run run = {.tape = tape,
                        .options = options,
                        .rows = rows,
                        .cosines = cosines,
                        .losses = s3r_tape_alloc(tape, cosines->rows, sizeof(double)),
                        .is_right = s3r_tape_alloc(tape, cosines->rows, 1)};
    if (tape->is_recording && cosines->needs_grad)
        run.grad = s3r_tape_grad(tape, cosines);
    if (tape->is_out_of_memory)
        return;
    assert(cosines->cols <= S3R_POOL_SCRATCH_BYTES / (sizeof(float) + sizeof(uint32_t)));
    s3r_tape_rows(tape, cosines->rows, 8 * (cosines->cols + options->negatives),
                  contrast_rows, &run);
    for (size_t i = 0; i < cosines->rows; i++) {
        result->loss += run.losses[i];
        result->correct += run.is_right[i];
    }
}

void s3r_contrastive_loss(s3r_tape *tape, const s3r_contrastive_input *input,
                          s3r_contrastive_weights *weights,
                          const s3r_contrastive_options *options,
                          s3r_contrastive_result *result)
{
    masked_rows rows;
    *result = (s3r_contrastive_result){.masked = input->masked_count};
    assert(options->temperature > 0.0);
    if (!input->hidden || !input->features || input->masked_count == 0 ||
        !lay_out(tape, input, options, &rows))
        return;
    s3r_value *contexts = make_contexts(tape, input, weights);
    s3r_value *targets = make_targets(tape, input, weights, options, &rows, result);
    s3r_value *cosines =
        s3r_op_cosine_within(tape, contexts, targets, rows.ragged, rows.longest);
    s3r_tape_forget(tape, contexts);
    s3r_tape_forget(tape, targets);
    if (cosines)
        contrast(tape, cosines, options, &rows, result);
}
