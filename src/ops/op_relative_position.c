/*
 * Position table and gate of WavLM's attention.
 *
 * The eight outputs of the gate's linear layer only ever appear as two sums of four, so
 * two summed weight rows do.
 */
#include "ops/op_relative_position.h"

#include <math.h>
#include <string.h>

#include "ops/half.h"

/* ---- table ---- */

size_t s3r_relative_bucket(int64_t distance, size_t bucket_count, size_t max_distance)
{
    size_t half = bucket_count / 2, exact = half / 2;
    size_t bucket = distance > 0 ? half : 0;
    size_t magnitude = (size_t)(distance < 0 ? -distance : distance);
    if (magnitude < exact)
        return bucket + magnitude;
    /* In fp32, as the published models were trained. */
    float ratio = logf((float)magnitude / (float)exact) /
                  (float)log((double)max_distance / (double)exact);
    size_t large = exact + (size_t)(ratio * (float)(half - exact));
    return bucket + S3R_MIN(large, half - 1);
}

typedef struct table_node {
    s3r_node node;
    s3r_weight *embedding;
    size_t max_distance;
} table_node;

static void table_backward(s3r_tape *tape, s3r_node *node)
{
    const table_node *table = (const table_node *)node;
    const s3r_value *y = node->output;
    s3r_weight *embedding = table->embedding;
    size_t center = y->cols / 2;
    (void)tape;
    if (!embedding->grad)
        return;
    for (size_t d = 0; d < y->cols; d++) {
        size_t bucket = s3r_relative_bucket((int64_t)d - (int64_t)center, embedding->rows,
                                            table->max_distance);
        for (size_t h = 0; h < y->rows; h++)
            embedding->grad[bucket * embedding->cols + h] += y->grad[h * y->stride + d];
    }
}

s3r_value *s3r_op_relative_table(s3r_tape *tape, s3r_weight *embedding,
                                 size_t max_distance, size_t center)
{
    s3r_value *y = s3r_tape_value(tape, embedding->cols, 2 * center + 1);
    if (!y)
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, NULL, embedding);
    for (size_t d = 0; d < y->cols; d++) {
        size_t bucket = s3r_relative_bucket((int64_t)d - (int64_t)center, embedding->rows,
                                            max_distance);
        for (size_t h = 0; h < y->rows; h++)
            y->data[h * y->stride + d] = s3r_element_to_f32(
                embedding->data, embedding->dtype, bucket * embedding->cols + h);
    }
    table_node *table =
        (table_node *)s3r_tape_push(tape, y, sizeof *table, table_backward);
    if (table) {
        table->embedding = embedding;
        table->max_distance = max_distance;
    }
    return y;
}

/* ---- gate ---- */

typedef struct gate_node {
    s3r_node node;
    s3r_value *x;
    s3r_weight *linear, *bias, *scale;
    size_t heads, width;
    float *summed; /* [2, width]: rows 0-3 and rows 4-7 of linear added up */
    float summed_bias[2];
    float *activations; /* [frames, heads, 2]: a and b, when recording */
} gate_node;

typedef struct gate_run {
    const gate_node *gate;
    const s3r_value *y;
    double *parts; /* backward: [ranges][2 * width + 2 + heads] sums of gradients */
} gate_run;

static size_t part_size(const gate_node *gate)
{
    return 2 * gate->width + 2 + gate->heads;
}

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static void gate_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const gate_run *run = context;
    const gate_node *gate = run->gate;
    const float *scale = gate->scale->data;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        for (size_t h = 0; h < gate->heads; h++) {
            const float *x = gate->x->data + i * gate->x->stride + h * gate->width;
            float sum[2] = {gate->summed_bias[0], gate->summed_bias[1]};
            for (size_t c = 0; c < gate->width; c++) {
                sum[0] += x[c] * gate->summed[c];
                sum[1] += x[c] * gate->summed[gate->width + c];
            }
            float a = sigmoid(sum[0]), b = sigmoid(sum[1]);
            run->y->data[i * run->y->stride + h] = a * (b * scale[h] - 1.0f) + 2.0f;
            if (gate->activations) {
                gate->activations[(i * gate->heads + h) * 2] = a;
                gate->activations[(i * gate->heads + h) * 2 + 1] = b;
            }
        }
    }
}

static size_t row_cost(const gate_node *gate)
{
    return 4 * gate->heads * gate->width;
}

static void gate_grad_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const gate_run *run = context;
    const gate_node *gate = run->gate;
    const float *scale = gate->scale->data;
    size_t width = gate->width, first_end;
    size_t range = 0, start;
    (void)worker;
    s3r_row_range(gate->x->rows, row_cost(gate), 0, &start, &first_end);
    range = row / S3R_MAX(first_end, (size_t)1);
    double *part = run->parts + range * part_size(gate);
    for (size_t i = row; i < row_end; i++) {
        for (size_t h = 0; h < gate->heads; h++) {
            const float *x = gate->x->data + i * gate->x->stride + h * width;
            float a = gate->activations[(i * gate->heads + h) * 2];
            float b = gate->activations[(i * gate->heads + h) * 2 + 1];
            float dy = run->y->grad[i * run->y->stride + h];
            float slope[2] = {dy * (b * scale[h] - 1.0f) * a * (1.0f - a),
                              dy * a * scale[h] * b * (1.0f - b)};
            part[2 * width + 2 + h] += (double)(dy * a * b);
            for (size_t s = 0; s < 2; s++) {
                part[2 * width + s] += (double)slope[s];
                for (size_t c = 0; c < width; c++)
                    part[s * width + c] += (double)(slope[s] * x[c]);
            }
            if (!gate->x->grad)
                continue;
            float *dx = gate->x->grad + i * gate->x->stride + h * width;
            for (size_t c = 0; c < width; c++)
                dx[c] += slope[0] * gate->summed[c] + slope[1] * gate->summed[width + c];
        }
    }
}

/* The two sums go back to the eight rows alike. */
static void add_gate_grads(const gate_node *gate, const double *part)
{
    size_t width = gate->width;
    for (size_t r = 0; gate->linear->grad && r < 8; r++)
        for (size_t c = 0; c < width; c++)
            gate->linear->grad[r * width + c] += (float)part[(r / 4) * width + c];
    for (size_t r = 0; gate->bias->grad && r < 8; r++)
        gate->bias->grad[r] += (float)part[2 * width + r / 4];
    for (size_t h = 0; gate->scale->grad && h < gate->heads; h++)
        gate->scale->grad[h] += (float)part[2 * width + 2 + h];
}

static void gate_backward(s3r_tape *tape, s3r_node *node)
{
    const gate_node *gate = (const gate_node *)node;
    (void)s3r_tape_grad(tape, gate->x);
    (void)s3r_tape_data(tape, gate->x);
    s3r_arena_mark mark = s3r_tape_mark(tape);
    size_t ranges = s3r_row_ranges(gate->x->rows, row_cost(gate));
    size_t size = part_size(gate);
    double *parts = s3r_tape_alloc(tape, (ranges + 1) * size, sizeof *parts);
    if (tape->is_out_of_memory)
        return;
    memset(parts, 0, (ranges + 1) * size * sizeof *parts);
    gate_run run = {gate, node->output, parts};
    s3r_tape_rows(tape, gate->x->rows, row_cost(gate), gate_grad_rows, &run);
    double *total = parts + ranges * size;
    for (size_t range = 0; range < ranges; range++)
        for (size_t i = 0; i < size; i++)
            total[i] += parts[range * size + i];
    add_gate_grads(gate, total);
    s3r_arena_rewind(&tape->arena, mark);
}

static bool sum_rows(s3r_tape *tape, gate_node *gate)
{
    const float *linear = gate->linear->data, *bias = gate->bias->data;
    gate->summed = s3r_tape_alloc(tape, 2 * gate->width, sizeof(float));
    if (!gate->summed)
        return false;
    for (size_t s = 0; s < 2; s++) {
        gate->summed_bias[s] =
            bias[4 * s] + bias[4 * s + 1] + bias[4 * s + 2] + bias[4 * s + 3];
        for (size_t c = 0; c < gate->width; c++) {
            const float *column = linear + 4 * s * gate->width + c;
            gate->summed[s * gate->width + c] =
                (column[0] + column[gate->width]) +
                (column[2 * gate->width] + column[3 * gate->width]);
        }
    }
    return true;
}

s3r_value *s3r_op_relative_gate(s3r_tape *tape, s3r_value *x, size_t heads,
                                s3r_weight *linear, s3r_weight *bias, s3r_weight *scale)
{
    if (!x)
        return NULL;
    gate_node gate = {.x = x, .linear = linear, .bias = bias, .scale = scale};
    gate.heads = heads;
    gate.width = x->cols / heads;
    s3r_value *y = s3r_tape_value(tape, x->rows, heads);
    if (!y || !sum_rows(tape, &gate))
        return NULL;
    y->needs_grad = s3r_tape_wants(tape, x, linear) || s3r_tape_wants(tape, NULL, bias) ||
                    s3r_tape_wants(tape, NULL, scale);
    if (y->needs_grad) {
        gate.activations = s3r_tape_alloc(tape, x->rows * heads, 2 * sizeof(float));
        if (!gate.activations)
            return NULL;
    }
    gate_run run = {&gate, y, NULL};
    s3r_tape_rows(tape, x->rows, row_cost(&gate), gate_rows, &run);
    s3r_node *node = s3r_tape_push(tape, y, sizeof gate, gate_backward);
    if (node) {
        gate.node = *node;
        *(gate_node *)node = gate;
        s3r_tape_need(x);
    }
    return y;
}
