/*
 * With p the mean over rows of the softmax of a group, H = -sum of p log(p + e), e 1e-7:
 *   d exp(H) / dp = -exp(H) (log(p + e) + p / (p + e))
 * and the softmax of each row carries it to the logits.
 */
#include "tasks/code_diversity.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define LOG_EPS 1e-7

typedef struct diversity_run {
    const s3r_kernels *kernels;
    const s3r_value *logits;
    size_t groups;
    float *chance; /* [rows, logits->cols], stride of logits: the softmax */
    double *mean;  /* [cols] of chance over the rows */
    float *slope;  /* [cols] d(weight * loss)/d(chance) of any row */
    float *grad;   /* layout of logits */
} diversity_run;

static void softmax_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const diversity_run *run = context;
    size_t entries = run->logits->cols / run->groups;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        for (size_t g = 0; g < run->groups; g++) {
            size_t at = i * run->logits->stride + g * entries;
            const float *x = run->logits->data + at;
            float *p = run->chance + at;
            double total =
                run->kernels->exp_sum(entries, run->kernels->max(entries, x), x, p);
            float inverse = (float)(1.0 / total);
            for (size_t j = 0; j < entries; j++)
                p[j] *= inverse;
        }
    }
}

/* A column range owns its sums. */
static void mean_columns(void *context, size_t col, size_t col_end, size_t worker)
{
    const diversity_run *run = context;
    size_t rows = run->logits->rows;
    (void)worker;
    memset(run->mean + col, 0, (col_end - col) * sizeof *run->mean);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = col; j < col_end; j++)
            run->mean[j] += (double)run->chance[i * run->logits->stride + j];
    for (size_t j = col; j < col_end; j++)
        run->mean[j] /= (double)rows;
}

static void grad_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const diversity_run *run = context;
    size_t entries = run->logits->cols / run->groups;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        for (size_t g = 0; g < run->groups; g++) {
            size_t at = i * run->logits->stride + g * entries;
            const float *p = run->chance + at, *slope = run->slope + g * entries;
            float mean = (float)run->kernels->dot(entries, p, slope);
            for (size_t j = 0; j < entries; j++)
                run->grad[at + j] += p[j] * (slope[j] - mean);
        }
    }
}

static double perplexity_of(const double *p, size_t entries)
{
    double entropy = 0;
    for (size_t j = 0; j < entries; j++)
        entropy -= p[j] * log(p[j] + LOG_EPS);
    return exp(entropy);
}

/* Perplexities of the means; slopes for a loss of `rows` times the missing ones. */
static void measure(const diversity_run *run, double weight, s3r_code_diversity *out)
{
    size_t cols = run->logits->cols, entries = cols / run->groups;
    for (size_t g = 0; g < run->groups; g++) {
        const double *p = run->mean + g * entries;
        double perplexity = perplexity_of(p, entries);
        out->perplexity += perplexity;
        /* The rows of the loss and those of the mean cancel. */
        for (size_t j = 0; j < entries; j++)
            run->slope[g * entries + j] =
                (float)(weight / (double)cols * perplexity *
                        (log(p[j] + LOG_EPS) + p[j] / (p[j] + LOG_EPS)));
    }
    out->loss =
        (double)run->logits->rows * ((double)cols - out->perplexity) / (double)cols;
}

static void measure_codes(const diversity_run *run, const uint32_t *codes,
                          s3r_code_diversity *out)
{
    size_t rows = run->logits->rows, entries = run->logits->cols / run->groups;
    for (size_t g = 0; g < run->groups; g++) {
        double *share = run->mean + g * entries; /* not needed any more */
        memset(share, 0, entries * sizeof *share);
        for (size_t i = 0; i < rows; i++)
            share[codes[i * run->groups + g]] += 1.0 / (double)rows;
        out->code_perplexity += perplexity_of(share, entries);
    }
}

void s3r_code_diversity_add(s3r_tape *tape, s3r_value *logits, const uint32_t *codes,
                            size_t groups, double weight, s3r_code_diversity *out)
{
    *out = (s3r_code_diversity){0};
    if (!logits || logits->rows == 0)
        return;
    assert(logits->cols % groups == 0);
    size_t elements = logits->rows * logits->stride;
    bool has_grad = tape->is_recording && logits->needs_grad && weight != 0.0;
    diversity_run run = {.kernels = tape->kernels,
                         .logits = logits,
                         .groups = groups,
                         .grad = has_grad ? s3r_tape_grad(tape, logits) : NULL,
                         .mean = s3r_tape_alloc(tape, logits->cols, sizeof *run.mean),
                         .slope = s3r_tape_alloc(tape, logits->cols, sizeof *run.slope),
                         .chance = s3r_tape_take(tape, elements)};
    if (tape->is_out_of_memory)
        return;
    s3r_tape_rows(tape, logits->rows, 4 * logits->cols, softmax_rows, &run);
    s3r_tape_rows(tape, logits->cols, logits->rows, mean_columns, &run);
    measure(&run, weight, out);
    measure_codes(&run, codes, out);
    if (run.grad)
        s3r_tape_rows(tape, logits->rows, 4 * logits->cols, grad_rows, &run);
    s3r_tape_give(tape, run.chance, elements);
}
