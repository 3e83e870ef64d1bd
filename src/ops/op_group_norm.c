/*
 * Channel normalisation over time.
 *
 * Sums run in double over the frames in order, one chain a channel: products of floats
 * are exact in double, so neither batch nor CPU level change a bit.  The parallel work
 * is cut by (utterance, block of channels).
 *
 * With h = (x - mean) * rstd over the T frames of the utterance, and dy after GELU first
 * multiplied with its slope at x * scale + shift:
 *   dx    += gain * rstd * (dy - sum(dy) / T - h * sum(dy h) / T)
 *   dgain += sum(dy h), dbias += sum(dy)     utterance after utterance
 * which is an affine function of x and dy a channel.
 */
#include "ops/op_group_norm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

#define BLOCK 64u /* channels of a task: whole cache lines of each frame */

/* ---- sums over time ---- */

typedef struct sums_run {
    const s3r_kernels *kernels;
    s3r_ragged frames;
    size_t channels, blocks;
    const float *x, *y;
    size_t x_stride, y_stride;
    double *sum_y, *sum_xy; /* [utterances][channels] */
} sums_run;

static void sum_block(void *context, size_t task, size_t worker)
{
    const sums_run *run = context;
    size_t utterance = task / run->blocks, col = task % run->blocks * BLOCK;
    size_t first = run->frames.offset[utterance];
    size_t rows = run->frames.offset[utterance + 1] - first;
    size_t at = utterance * run->channels + col;
    (void)worker;
    run->kernels->column_sums(rows, S3R_MIN(run->channels - col, (size_t)BLOCK),
                              run->x + first * run->x_stride + col, run->x_stride,
                              run->y + first * run->y_stride + col, run->y_stride,
                              run->sum_y + at, run->sum_xy + at);
}

/* Adds to the sums of y and of x y over the frames of each utterance. */
static void sum_over_time(s3r_pool *pool, const s3r_kernels *kernels, s3r_ragged frames,
                          const s3r_value *x, const float *y, size_t y_stride,
                          double *sum_y, double *sum_xy)
{
    sums_run run = {.kernels = kernels,
                    .frames = frames,
                    .channels = x->cols,
                    .blocks = S3R_CEIL_DIV(x->cols, BLOCK),
                    .x = x->data,
                    .y = y,
                    .x_stride = x->stride,
                    .y_stride = y_stride,
                    .sum_y = sum_y,
                    .sum_xy = sum_xy};
    s3r_pool_run(pool, frames.count * run.blocks, sum_block, &run);
}

/* ---- frames ---- */

/* What the rows of an utterance need: [utterances][channels] each. */
typedef struct row_run {
    s3r_tape *tape;
    s3r_ragged frames;
    const s3r_value *x;
    const s3r_value *y;
    const float *scale, *shift; /* of the forward pass */
    bool gelu;
    const float *slope, *offset; /* of the backward pass */
    float *dx;
    bool is_new; /* dx is not there yet */
} row_run;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const row_run *run = context;
    const s3r_kernels *kernels = run->tape->kernels;
    size_t cols = run->x->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        size_t at = s3r_ragged_find(run->frames, i) * cols;
        float *y = run->y->data + i * run->y->stride;
        kernels->affine(cols, run->scale + at, run->shift + at,
                        run->x->data + i * run->x->stride, y);
        if (run->gelu)
            kernels->gelu(cols, y, y);
    }
}

/* dy *= gelu'(x * scale + shift), in place: nobody reads dy afterwards. */
static void gelu_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const row_run *run = context;
    const s3r_kernels *kernels = run->tape->kernels;
    float *z = s3r_pool_scratch(run->tape->pool, worker);
    size_t cols = run->x->cols;
    for (size_t i = row; i < row_end; i++) {
        size_t at = s3r_ragged_find(run->frames, i) * cols;
        float *dy = run->y->grad + i * run->y->stride;
        kernels->affine(cols, run->scale + at, run->shift + at,
                        run->x->data + i * run->x->stride, z);
        kernels->gelu_grad(cols, z, dy, dy);
    }
}

static void input_grad_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const row_run *run = context;
    size_t cols = run->x->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        size_t at = s3r_ragged_find(run->frames, i) * cols;
        float *dx = run->dx + i * run->x->stride;
        if (run->is_new) /* while the line is at hand */
            memset(dx, 0, cols * sizeof *dx);
        run->tape->kernels->affine_grad(
            cols, run->scale + at, run->slope + at, run->offset + at,
            run->x->data + i * run->x->stride, run->y->grad + i * run->y->stride, dx);
    }
}

/* ---- the op ---- */

typedef struct norm_node {
    s3r_node node;
    s3r_value *x;
    s3r_ragged frames;
    s3r_weight *gain, *bias;
    double eps;
    bool gelu;
    double *sum, *square_sum;   /* [utterances][channels] */
    const float *scale, *shift; /* the same */
} norm_node;

static double frame_count(const norm_node *norm, size_t u)
{
    size_t frames = norm->frames.offset[u + 1] - norm->frames.offset[u];
    return (double)S3R_MAX(frames, (size_t)1);
}

/* Mean and reciprocal deviation of a channel of utterance u. */
static void channel_moments(const norm_node *norm, size_t u, size_t channel, double *mean,
                            double *rstd)
{
    size_t at = u * norm->x->cols + channel;
    double count = frame_count(norm, u);
    *mean = norm->sum[at] / count;
    double variance = norm->square_sum[at] / count - *mean * *mean;
    *rstd = 1.0 / sqrt(S3R_MAX(variance, 0.0) + norm->eps);
}

/*
 * From the sums of dy and x dy: adds to the gradients of gain and bias, and gives the
 * coefficients of dx += dy * scale + x * slope + offset.
 */
static void finish_sums(const norm_node *norm, const double *sum_dy,
                        const double *sum_xdy, float *slope, float *offset)
{
    size_t channels = norm->x->cols;
    const float *gain = norm->gain->data;
    for (size_t u = 0; u < norm->frames.count; u++) {
        double frames = frame_count(norm, u);
        for (size_t j = 0; j < channels; j++) {
            size_t at = u * channels + j;
            double mean, rstd;
            channel_moments(norm, u, j, &mean, &rstd);
            double sum_hdy = (sum_xdy[at] - mean * sum_dy[at]) * rstd;
            double scale = (double)gain[j] * rstd;
            slope[at] = (float)(-scale * rstd * sum_hdy / frames);
            offset[at] = (float)(-scale * (sum_dy[at] - mean * rstd * sum_hdy) / frames);
            if (norm->gain->grad)
                norm->gain->grad[j] += (float)sum_hdy;
            if (norm->bias->grad)
                norm->bias->grad[j] += (float)sum_dy[at];
        }
    }
}

static void norm_backward(s3r_tape *tape, s3r_node *node)
{
    const norm_node *norm = (const norm_node *)node;
    const s3r_value *x = norm->x, *y = node->output;
    size_t entries = norm->frames.count * x->cols;
    bool is_new;
    float *dx = s3r_tape_grad_open(tape, norm->x, &is_new);
    row_run run = {.tape = tape,
                   .frames = norm->frames,
                   .x = x,
                   .y = y,
                   .scale = norm->scale,
                   .shift = norm->shift,
                   .dx = dx,
                   .is_new = is_new};
    (void)s3r_tape_data(tape, norm->x);
    s3r_arena_mark mark = s3r_tape_mark(tape);
    double *sum_dy = s3r_tape_alloc(tape, entries, sizeof *sum_dy);
    double *sum_xdy = s3r_tape_alloc(tape, entries, sizeof *sum_xdy);
    float *slope = s3r_tape_alloc(tape, entries, sizeof *slope);
    float *offset = s3r_tape_alloc(tape, entries, sizeof *offset);
    if (tape->is_out_of_memory)
        return;
    if (norm->gelu)
        s3r_tape_rows(tape, x->rows, 4 * x->cols, gelu_rows, &run);
    memset(sum_dy, 0, entries * sizeof *sum_dy);
    memset(sum_xdy, 0, entries * sizeof *sum_xdy);
    sum_over_time(tape->pool, tape->kernels, norm->frames, x, y->grad, y->stride, sum_dy,
                  sum_xdy);
    finish_sums(norm, sum_dy, sum_xdy, slope, offset);
    run.slope = slope;
    run.offset = offset;
    if (run.dx)
        s3r_tape_rows(tape, x->rows, 2 * x->cols, input_grad_rows, &run);
    s3r_arena_rewind(&tape->arena, mark);
}

static void norm_rebuild(s3r_tape *tape, s3r_node *node)
{
    const norm_node *norm = (const norm_node *)node;
    row_run run = {.tape = tape,
                   .frames = norm->frames,
                   .x = norm->x,
                   .y = node->output,
                   .scale = norm->scale,
                   .shift = norm->shift,
                   .gelu = norm->gelu};
    if (s3r_tape_data(tape, norm->x))
        s3r_tape_rows(tape, norm->x->rows, 2 * norm->x->cols, forward_rows, &run);
}

/* The statistics and what follows from them, all in the arena. */
static bool measure(s3r_tape *tape, norm_node *norm)
{
    size_t channels = norm->x->cols, entries = norm->frames.count * channels;
    float *scale = s3r_tape_alloc(tape, entries, sizeof *scale);
    float *shift = s3r_tape_alloc(tape, entries, sizeof *shift);
    norm->sum = s3r_tape_alloc(tape, entries, sizeof *norm->sum);
    norm->square_sum = s3r_tape_alloc(tape, entries, sizeof *norm->square_sum);
    if (tape->is_out_of_memory)
        return false;
    memset(norm->sum, 0, entries * sizeof *norm->sum);
    memset(norm->square_sum, 0, entries * sizeof *norm->square_sum);
    sum_over_time(tape->pool, tape->kernels, norm->frames, norm->x, norm->x->data,
                  norm->x->stride, norm->sum, norm->square_sum);
    /* y = x * scale + shift */
    const float *gain = norm->gain->data, *bias = norm->bias->data;
    for (size_t i = 0; i < entries; i++) {
        size_t j = i % channels;
        double mean, rstd;
        channel_moments(norm, i / channels, j, &mean, &rstd);
        scale[i] = (float)(rstd * (double)gain[j]);
        shift[i] = (float)((double)bias[j] - mean * rstd * (double)gain[j]);
    }
    norm->scale = scale;
    norm->shift = shift;
    return true;
}

s3r_value *s3r_op_group_norm(s3r_tape *tape, s3r_value *x, s3r_ragged frames,
                             s3r_weight *gain, s3r_weight *bias, double eps, bool gelu)
{
    if (!x || !frames.offset)
        return NULL;
    assert(frames.offset[frames.count] == x->rows);
    assert(gain->cols == x->cols && bias->cols == x->cols);
    assert(gain->dtype == S3R_DTYPE_F32 && bias->dtype == S3R_DTYPE_F32);
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    norm_node norm = {
        .x = x, .frames = frames, .gain = gain, .bias = bias, .eps = eps, .gelu = gelu};
    if (!y || !measure(tape, &norm))
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, gain) || s3r_tape_wants(tape, NULL, bias);
    row_run run = {.tape = tape,
                   .frames = frames,
                   .x = x,
                   .y = y,
                   .scale = norm.scale,
                   .shift = norm.shift,
                   .gelu = gelu};
    s3r_tape_rows(tape, x->rows, 2 * x->cols, forward_rows, &run);
    norm_node *node = (norm_node *)s3r_tape_push(tape, y, sizeof *node, norm_backward);
    if (node) {
        norm.node = node->node;
        *node = norm;
        node->node.rebuild = norm_rebuild;
        s3r_tape_need(x);
    }
    return y;
}
