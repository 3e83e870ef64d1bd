/*
 * Channel masking: one row of zeros and ones an utterance multiplies its frames, forward
 * and backward.
 */
#include "ops/op_channel_mask.h"

#include <assert.h>

typedef struct mask_run {
    s3r_tape *tape;
    const s3r_value *x, *y;
    s3r_ragged frames;
    const float *keep; /* [utterances][cols] */
    float *dx;
} mask_run;

typedef struct mask_node {
    s3r_node node;
    s3r_value *x;
    mask_run run;
} mask_node;

static void forward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const mask_run *run = context;
    size_t cols = run->x->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *keep = run->keep + s3r_ragged_find(run->frames, i) * cols;
        const float *x = run->x->data + i * run->x->stride;
        float *y = run->y->data + i * run->y->stride;
        for (size_t j = 0; j < cols; j++) /* a product would keep NaN */
            y[j] = keep[j] != 0.0f ? x[j] : 0.0f;
    }
}

static void backward_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const mask_run *run = context;
    size_t cols = run->x->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *keep = run->keep + s3r_ragged_find(run->frames, i) * cols;
        const float *dy = run->y->grad + i * run->y->stride;
        float *dx = run->dx + i * run->x->stride;
        for (size_t j = 0; j < cols; j++)
            dx[j] += keep[j] * dy[j];
    }
}

static void mask_backward(s3r_tape *tape, s3r_node *node)
{
    mask_node *mask = (mask_node *)node;
    mask->run.dx = s3r_tape_grad(tape, mask->x);
    if (mask->run.dx)
        s3r_tape_rows(tape, mask->x->rows, mask->x->cols, backward_rows, &mask->run);
}

s3r_value *s3r_op_channel_mask(s3r_tape *tape, s3r_value *x, s3r_ragged frames,
                               s3r_ragged lists, const size_t *channels)
{
    if (!x || !frames.offset)
        return NULL;
    assert(lists.count == frames.count && frames.offset[frames.count] == x->rows);
    size_t entries = frames.count * x->cols;
    float *keep = s3r_tape_alloc(tape, entries, sizeof *keep);
    s3r_value *y = s3r_tape_value(tape, x->rows, x->cols);
    if (!keep || !y)
        return NULL;
    for (size_t i = 0; i < entries; i++)
        keep[i] = 1.0f;
    for (size_t u = 0; u < lists.count; u++) {
        for (size_t i = lists.offset[u]; i < lists.offset[u + 1]; i++) {
            assert(channels[i] < x->cols);
            keep[u * x->cols + channels[i]] = 0.0f;
        }
    }
    y->needs_grad = s3r_tape_wants(tape, x, NULL);
    mask_run run = {.tape = tape, .x = x, .y = y, .frames = frames, .keep = keep};
    s3r_tape_rows(tape, x->rows, x->cols, forward_rows, &run);
    mask_node *mask = (mask_node *)s3r_tape_push(tape, y, sizeof *mask, mask_backward);
    if (mask) {
        mask->x = x;
        mask->run = run;
    }
    return y;
}
