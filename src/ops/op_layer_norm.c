/*
 * Layer normalisation.
 *
 * With h = (x - mean) * rstd and t = dy * gain, the backward pass is
 *   dx    += rstd * (t - mean(t) - h * mean(t h))     means over the columns
 *   dgain += sum of dy * h, dbias += sum of dy        sums over the rows
 * After GELU, dy is first multiplied with the slope at h * gain + bias, which is computed
 * again instead of being kept.
 *
 * A forgotten result is made again from x and the kept statistics, in the same bits.
 *
 * The row sums are made by row ranges that depend on the shape only and are added in
 * order.
 */
#include "ops/op_layer_norm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MAX_RANGES     64u /* partial sums of dgain and dbias */
#define MIN_RANGE_ROWS 8u

typedef struct norm_node {
    s3r_node node;
    s3r_value *x;
    s3r_weight *gain, *bias;
    const float *gain_row, *bias_row;
    float *mean, *rstd; /* [rows] */
    bool gelu;
} norm_node;

typedef struct norm_run {
    s3r_tape *tape;
    const s3r_value *x;
    const s3r_value *y;
    const float *gain_row, *bias_row;
    float *mean, *rstd; /* NULL when not recording */
    double eps;
    bool gelu;
    /* backward only */
    float *dx;       /* NULL: x needs no gradient */
    bool is_new;     /* dx is not there yet */
    double *partial; /* [ranges][2][cols]: dgain, dbias; NULL: neither is wanted */
    size_t range_rows;
} norm_run;

static void write_row(const norm_run *run, const float *x, float mean, float rstd,
                      float *y)
{
    const s3r_kernels *kernels = run->tape->kernels;
    kernels->scale_shift(run->x->cols, mean, rstd, run->gain_row, run->bias_row, x, y);
    if (run->gelu)
        kernels->gelu(run->x->cols, y, y);
}

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const norm_run *run = context;
    const s3r_kernels *kernels = run->tape->kernels;
    size_t cols = run->x->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *x = run->x->data + i * run->x->stride;
        float *y = run->y->data + i * run->y->stride;
        double mean = kernels->sum(cols, x) / (double)cols;
        double variance = kernels->sum_squares(cols, mean, x) / (double)cols;
        double rstd = 1.0 / sqrt(variance + run->eps);
        write_row(run, x, (float)mean, (float)rstd, y);
        if (run->mean) {
            run->mean[i] = (float)mean;
            run->rstd[i] = (float)rstd;
        }
    }
}

static void rebuild_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const norm_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        write_row(run, run->x->data + i * run->x->stride, run->mean[i], run->rstd[i],
                  run->y->data + i * run->y->stride);
}

/* One row; scratch holds three rows. */
static void backward_row(const norm_run *run, size_t i, double *partial, float *scratch)
{
    const s3r_kernels *kernels = run->tape->kernels;
    size_t cols = run->x->cols;
    const float *x = run->x->data + i * run->x->stride;
    const float *dy = run->y->grad + i * run->y->stride;
    float mean = run->mean[i], rstd = run->rstd[i];
    float *z = scratch, *dz = scratch + cols, *t = scratch + 2 * cols;
    if (run->gelu) {
        kernels->scale_shift(cols, mean, rstd, run->gain_row, run->bias_row, x, z);
        kernels->gelu_grad(cols, z, dy, dz);
        dy = dz;
    }
    if (partial)
        kernels->norm_weight_grad(cols, mean, rstd, x, dy, partial, partial + cols);
    if (!run->dx)
        return;
    kernels->mul(cols, dy, run->gain_row, t);
    double sum = kernels->sum(cols, t);
    double sum_h = (kernels->dot(cols, t, x) - sum * (double)mean) * (double)rstd;
    float *dx = run->dx + i * run->x->stride;
    if (run->is_new)
        memset(dx, 0, cols * sizeof *dx);
    kernels->norm_grad(cols, mean, rstd, (float)(sum / (double)cols),
                       (float)(sum_h / (double)cols), x, t, dx);
}

static void backward_range(void *context, size_t range, size_t worker)
{
    const norm_run *run = context;
    size_t cols = run->x->cols, first = range * run->range_rows;
    size_t end = S3R_MIN(first + run->range_rows, run->x->rows);
    double *partial = run->partial ? run->partial + range * 2 * cols : NULL;
    if (partial)
        memset(partial, 0, 2 * cols * sizeof *partial);
    for (size_t i = first; i < end; i++)
        backward_row(run, i, partial, s3r_pool_scratch(run->tape->pool, worker));
}

/* weight->grad += the sum of the ranges, in order. */
static void add_partials(const double *partial, size_t ranges, size_t cols,
                         s3r_weight *weight)
{
    if (!weight || !weight->grad)
        return;
    for (size_t j = 0; j < cols; j++) {
        double total = 0;
        for (size_t r = 0; r < ranges; r++)
            total += partial[r * 2 * cols + j];
        weight->grad[j] += (float)total;
    }
}

static void norm_backward(s3r_tape *tape, s3r_node *node)
{
    const norm_node *norm = (const norm_node *)node;
    size_t rows = norm->x->rows, cols = norm->x->cols;
    size_t range_rows = S3R_MAX(S3R_CEIL_DIV(rows, MAX_RANGES), (size_t)MIN_RANGE_ROWS);
    size_t ranges = S3R_CEIL_DIV(rows, range_rows);
    bool is_new;
    float *dx = s3r_tape_grad_open(tape, norm->x, &is_new);
    (void)s3r_tape_data(tape, norm->x);
    s3r_arena_mark mark = s3r_tape_mark(tape);
    double *partial = NULL;
    if ((norm->gain && norm->gain->grad) || (norm->bias && norm->bias->grad))
        partial = s3r_tape_alloc(tape, ranges * 2, cols * sizeof *partial);
    if (tape->is_out_of_memory)
        return;
    norm_run run = {.tape = tape,
                    .x = norm->x,
                    .y = node->output,
                    .gain_row = norm->gain_row,
                    .bias_row = norm->bias_row,
                    .mean = norm->mean,
                    .rstd = norm->rstd,
                    .gelu = norm->gelu,
                    .dx = dx,
                    .is_new = is_new,
                    .partial = partial,
                    .range_rows = range_rows};
    s3r_pool_run(tape->pool, ranges, backward_range, &run);
    if (partial) {
        add_partials(partial, ranges, cols, norm->gain);
        add_partials(partial + cols, ranges, cols, norm->bias);
    }
    s3r_arena_rewind(&tape->arena, mark);
}

static void norm_rebuild(s3r_tape *tape, s3r_node *node)
{
    const norm_node *norm = (const norm_node *)node;
    norm_run run = {.tape = tape,
                    .x = norm->x,
                    .y = node->output,
                    .gain_row = norm->gain_row,
                    .bias_row = norm->bias_row,
                    .mean = norm->mean,
                    .rstd = norm->rstd,
                    .gelu = norm->gelu};
    if (s3r_tape_data(tape, norm->x))
        s3r_tape_rows(tape, norm->x->rows, 2 * norm->x->cols, rebuild_rows, &run);
}

/* The weight's row, or a row of `absent`. */
static const float *weight_row(s3r_tape *tape, const s3r_weight *weight, size_t cols,
                               float absent)
{
    if (weight) {
        assert(weight->dtype == S3R_DTYPE_F32 && weight->cols == cols);
        return weight->data;
    }
    float *row = s3r_tape_alloc(tape, cols, sizeof *row);
    for (size_t j = 0; row && j < cols; j++)
        row[j] = absent;
    return row;
}

s3r_value *s3r_op_layer_norm(s3r_tape *tape, s3r_value *x, s3r_weight *gain,
                             s3r_weight *bias, double eps, bool gelu)
{
    if (!x)
        return NULL;
    assert(x->cols <= S3R_LAYER_NORM_COLS_MAX);
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, gain) || s3r_tape_wants(tape, NULL, bias);
    norm_run run = {.tape = tape, .x = x, .y = y, .eps = eps, .gelu = gelu};
    run.gain_row = weight_row(tape, gain, x->cols, 1.0f);
    run.bias_row = weight_row(tape, bias, x->cols, 0.0f);
    if (y->needs_grad) {
        run.mean = s3r_tape_alloc(tape, x->rows, sizeof(float));
        run.rstd = s3r_tape_alloc(tape, x->rows, sizeof(float));
    }
    if (tape->is_out_of_memory)
        return NULL;
    s3r_tape_rows(tape, x->rows, 4 * x->cols, forward_rows, &run);
    norm_node *norm = (norm_node *)s3r_tape_push(tape, y, sizeof *norm, norm_backward);
    if (norm) {
        norm->x = x;
        norm->gain = gain;
        norm->bias = bias;
        norm->gain_row = run.gain_row;
        norm->bias_row = run.bias_row;
        norm->mean = run.mean;
        norm->rstd = run.rstd;
        norm->gelu = gelu;
        norm->node.rebuild = norm_rebuild;
        s3r_tape_need(x);
    }
    return y;
}
