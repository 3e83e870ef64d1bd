/*
 * Masked prediction: the frames that count are taken first, so that nothing is computed
 * for the others; masked ones come before the rest.
 */
#include "tasks/masked_prediction.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ops/op_cosine.h"
#include "ops/op_linear.h"
#include "ops/op_take_rows.h"

typedef struct entropy_run {
    s3r_tape *tape;
    const s3r_value *cosines; /* [rows, labels] */
    const uint32_t *labels;   /* [rows] */
    size_t masked;            /* rows before this one */
    double unmasked_weight;
    float scale;       /* 1 / temperature */
    float *grad;       /* layout of cosines; NULL = not wanted */
    double *losses;    /* [rows] */
    uint8_t *is_right; /* [rows] */
} entropy_run;

static void entropy_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const entropy_run *run = context;
    const s3r_kernels *kernels = run->tape->kernels;
    size_t classes = run->cosines->cols;
    float *z = s3r_pool_scratch(run->tape->pool, worker);
    for (size_t i = row; i < row_end; i++) {
        const float *x = run->cosines->data + i * run->cosines->stride;
        uint32_t label = run->labels[i];
        for (size_t j = 0; j < classes; j++)
            z[j] = x[j] * run->scale;
        float largest = kernels->max(classes, z), own = z[label];
        double total = kernels->exp_sum(classes, largest, z, z);
        run->losses[i] = log(total) + (double)(largest - own);
        run->is_right[i] = own >= largest;
        if (!run->grad)
            continue;
        double weight = i < run->masked ? 1.0 : run->unmasked_weight;
        float slope = (float)(weight * (double)run->scale);
        float *grad = run->grad + i * run->cosines->stride;
        kernels->axpy(classes, (float)((double)slope / total), z, grad);
        grad[label] -= slope;
    }
}

typedef struct chosen_rows {
    size_t *rows; /* of hidden */
    uint32_t *labels;
    size_t masked, count;
} chosen_rows;

static void choose_row(chosen_rows *chosen, size_t row, uint32_t label)
{
    if (label == S3R_NO_FRAME_LABEL)
        return;
    chosen->rows[chosen->count] = row;
    chosen->labels[chosen->count++] = label;
}

static bool choose_rows(s3r_tape *tape, chosen_rows *chosen, size_t frames,
                        const s3r_masked_prediction_input *input)
{
    uint8_t *is_masked = s3r_tape_alloc(tape, frames, 1);
    *chosen = (chosen_rows){.rows = s3r_tape_alloc(tape, frames, sizeof(size_t)),
                            .labels = s3r_tape_alloc(tape, frames, sizeof(uint32_t))};
    if (!is_masked || !chosen->rows || !chosen->labels)
        return false;
    memset(is_masked, 0, frames);
    for (size_t i = 0; i < input->masked_count; i++) {
        size_t row = input->masked[i];
        assert(row < frames && !is_masked[row]);
        is_masked[row] = 1;
        choose_row(chosen, row, input->labels[row]);
    }
    chosen->masked = chosen->count;
    for (size_t row = 0; input->unmasked_weight > 0.0 && row < frames; row++)
        if (!is_masked[row])
            choose_row(chosen, row, input->labels[row]);
    return true;
}

static void take_sums(s3r_masked_prediction_result *result, const entropy_run *run,
                      const chosen_rows *chosen)
{
    result->masked = chosen->masked;
    result->unmasked = chosen->count - chosen->masked;
    for (size_t i = 0; i < chosen->count; i++) {
        bool is_masked = i < chosen->masked;
        *(is_masked ? &result->masked_loss : &result->unmasked_loss) += run->losses[i];
        *(is_masked ? &result->masked_correct : &result->unmasked_correct) +=
            run->is_right[i];
    }
}

static void run_entropy(s3r_tape *tape, s3r_value *cosines, const chosen_rows *chosen,
                        const s3r_masked_prediction_input *input,
                        s3r_masked_prediction_result *result)
{
    entropy_run run = {.tape = tape,
                       .cosines = cosines,
                       .labels = chosen->labels,
                       .masked = chosen->masked,
                       .unmasked_weight = input->unmasked_weight,
                       .scale = (float)(1.0 / input->temperature),
                       .losses = s3r_tape_alloc(tape, chosen->count, sizeof(double)),
                       .is_right = s3r_tape_alloc(tape, chosen->count, 1)};
    if (tape->is_recording && cosines->needs_grad)
        run.grad = s3r_tape_grad(tape, cosines);
    if (tape->is_out_of_memory)
        return;
    s3r_tape_rows(tape, chosen->count, 8 * cosines->cols, entropy_rows, &run);
    take_sums(result, &run, chosen);
}

void s3r_masked_prediction_loss(s3r_tape *tape, s3r_value *hidden,
                                s3r_masked_prediction_weights *weights,
                                const s3r_masked_prediction_input *input,
                                s3r_masked_prediction_result *result)
{
    chosen_rows chosen;
    *result = (s3r_masked_prediction_result){0};
    assert(input->temperature > 0.0);
    assert(weights->embeddings.rows <= S3R_POOL_SCRATCH_BYTES / sizeof(float));
    if (!hidden || !choose_rows(tape, &chosen, hidden->rows, input) || chosen.count == 0)
        return;
    s3r_value *x = s3r_op_take_rows(tape, hidden, chosen.rows, chosen.count);
    s3r_value *projected =
        s3r_op_linear(tape, x, s3r_weight_present(&weights->projection),
                      s3r_weight_present(&weights->projection_bias), false);
    s3r_tape_forget(tape, x);
    s3r_value *cosines = s3r_op_cosine(tape, projected, &weights->embeddings);
    s3r_tape_forget(tape, projected);
    if (cosines)
        run_entropy(tape, cosines, &chosen, input, result);
}
