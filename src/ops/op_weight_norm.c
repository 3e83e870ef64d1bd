/*
 * Weight normalisation.
 *
 * With n = ||v|| and p = sum of dw * v, both over all entries of a tap:
 *   dgain += p / n
 *   dv    += gain / n * (dw - v * p / n^2)
 * A tap belongs to one task, which adds row after row in double.
 */
#include "ops/op_weight_norm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct tap_run {
    const s3r_kernels *kernels;
    const float *gain, *v;
    size_t out, taps, in;
    float *w;        /* forward */
    const float *dw; /* backward; dgain and dv may be NULL */
    float *dgain, *dv;
} tap_run;

static double tap_norm(const tap_run *run, size_t tap)
{
    double total = 0;
    for (size_t i = 0; i < run->out; i++)
        total += run->kernels->sum_squares(run->in, 0,
                                           run->v + (i * run->taps + tap) * run->in);
    return sqrt(total);
}

/* A tap of zeros stays zero. */
static double reciprocal(double norm)
{
    return norm > 0 ? 1.0 / norm : 0.0;
}

static void forward_tap(void *context, size_t tap, size_t worker)
{
    const tap_run *run = context;
    (void)worker;
    float scale = (float)((double)run->gain[tap] * reciprocal(tap_norm(run, tap)));
    for (size_t i = 0; i < run->out; i++) {
        size_t at = (i * run->taps + tap) * run->in;
        for (size_t j = 0; j < run->in; j++)
            run->w[at + j] = run->v[at + j] * scale;
    }
}

static void backward_tap(void *context, size_t tap, size_t worker)
{
    const tap_run *run = context;
    double inverse = reciprocal(tap_norm(run, tap)), product = 0;
    (void)worker;
    for (size_t i = 0; i < run->out; i++) {
        size_t at = (i * run->taps + tap) * run->in;
        product += run->kernels->dot(run->in, run->dw + at, run->v + at);
    }
    if (run->dgain)
        run->dgain[tap] += (float)(product * inverse);
    if (!run->dv)
        return;
    double scale = (double)run->gain[tap] * inverse;
    float slope = (float)(-scale * product * inverse * inverse);
    for (size_t i = 0; i < run->out; i++) {
        size_t at = (i * run->taps + tap) * run->in;
        run->kernels->axpy(run->in, (float)scale, run->dw + at, run->dv + at);
        run->kernels->axpy(run->in, slope, run->v + at, run->dv + at);
    }
}

void s3r_weight_norm(s3r_pool *pool, const s3r_kernels *kernels, const float *gain,
                     const float *v, size_t out, size_t taps, size_t in, float *w)
{
    tap_run run = {.kernels = kernels,
                   .gain = gain,
                   .v = v,
                   .out = out,
                   .taps = taps,
                   .in = in,
                   .w = w};
    s3r_pool_run(pool, taps, forward_tap, &run);
}

typedef struct norm_node {
    s3r_node node;
    s3r_weight *gain, *v, *w;
} norm_node;

static void norm_backward(s3r_tape *tape, s3r_node *node)
{
    const norm_node *norm = (const norm_node *)node;
    size_t taps = norm->gain->cols;
    tap_run run = {.kernels = tape->kernels,
                   .gain = norm->gain->data,
                   .v = norm->v->data,
                   .out = norm->v->rows,
                   .taps = taps,
                   .in = norm->v->cols / taps,
                   .dw = node->output->grad,
                   .dgain = norm->gain->grad,
                   .dv = norm->v->grad};
    norm->w->grad = NULL; /* the buffer is reused after this */
    s3r_pool_run(tape->pool, taps, backward_tap, &run);
}

s3r_weight *s3r_op_weight_norm(s3r_tape *tape, s3r_weight *gain, s3r_weight *v)
{
    size_t taps = gain->cols;
    assert(taps > 0 && v->cols % taps == 0);
    assert(gain->dtype == S3R_DTYPE_F32 && v->dtype == S3R_DTYPE_F32);
    s3r_weight *w = s3r_tape_alloc(tape, 1, sizeof *w);
    float *data = s3r_tape_alloc(tape, v->rows, v->cols * sizeof *data);
    /* The value stands for w on the tape; the two share data and gradient. */
    s3r_value *value = s3r_tape_wrap(tape, data, v->rows, v->cols, v->cols);
    if (!w || !data || !value)
        return NULL;
    s3r_weight_norm(tape->pool, tape->kernels, gain->data, v->data, v->rows, taps,
                    v->cols / taps, data);
    *w = (s3r_weight){
        .data = data, .dtype = S3R_DTYPE_F32, .rows = v->rows, .cols = v->cols};
    value->needs_grad = s3r_tape_wants(tape, NULL, gain) || s3r_tape_wants(tape, NULL, v);
    norm_node *norm =
        (norm_node *)s3r_tape_push(tape, value, sizeof *norm, norm_backward);
    if (norm) {
        norm->gain = gain;
        norm->v = v;
        norm->w = w;
        w->grad = s3r_tape_grad(tape, value);
    }
    return tape->is_out_of_memory ? NULL : w;
}
