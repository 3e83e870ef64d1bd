/*
 * Parameters: the plan's entries with the weights they were bound to.
 */
#include "model/parameters.h"

#include <string.h>

#include "model/stored_values.h"

/* Some matrices together: the end of a chunk lies idle. */
#define OWNED_CHUNK_BYTES ((size_t)64 << 20)

static bool is_tap_major(s3r_weight_kind kind)
{
    return kind == S3R_WEIGHT_CONV || kind == S3R_WEIGHT_POS_CONV ||
           kind == S3R_WEIGHT_DIRECTION;
}

s3r_status s3r_parameters_open(s3r_parameters *out, const s3r_checkpoint *checkpoint,
                               const s3r_model_config *config, s3r_model_weights *weights,
                               s3r_error *err)
{
    *out = (s3r_parameters){0};
    S3R_TRY(s3r_weight_plan_make(&out->plan, checkpoint, NULL, config, err));
    s3r_arena_init(&out->owned, OWNED_CHUNK_BYTES);
    out->items = s3r_alloc(out->plan.count, sizeof *out->items);
    if (!out->items) {
        s3r_parameters_close(out);
        return s3r_fail_memory(err, "the parameters", out->plan.count);
    }
    out->count = out->plan.count;
    for (size_t i = 0; i < out->count; i++) {
        const s3r_weight_entry *entry = &out->plan.entries[i];
        out->items[i] = (s3r_parameter){
            .entry = entry,
            .weight = s3r_model_weights_target(weights, entry->rule, entry->number),
            .is_tap_major = is_tap_major(entry->rule->kind)};
    }
    return S3R_OK;
}

void s3r_parameters_close(s3r_parameters *parameters)
{
    s3r_free(parameters->items);
    s3r_weight_plan_release(&parameters->plan);
    if (parameters->owned.chunk_bytes > 0)
        s3r_arena_release(&parameters->owned);
    *parameters = (s3r_parameters){0};
}

s3r_parameter *s3r_parameters_find(const s3r_parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->count; i++)
        if (strcmp(parameters->items[i].entry->name, name) == 0)
            return &parameters->items[i];
    return NULL;
}

size_t s3r_parameter_elements(const s3r_parameter *parameter)
{
    return s3r_tensor_elements(parameter->entry->tensor);
}

/* Copies between [rows][in][tap] (stored) and [rows][tap][in] (op). */
static void reorder(const s3r_parameter *parameter, const float *from, float *to,
                    bool to_stored)
{
    size_t taps = parameter->entry->shape[2], in = parameter->entry->shape[1];
    for (size_t o = 0; o < parameter->entry->shape[0]; o++) {
        size_t row = o * taps * in;
        for (size_t tap = 0; tap < taps; tap++) {
            for (size_t c = 0; c < in; c++) {
                size_t stored = row + c * taps + tap, op = row + tap * in + c;
                if (to_stored)
                    to[stored] = from[op];
                else
                    to[op] = from[stored];
            }
        }
    }
}

void s3r_parameter_to_stored(const s3r_parameter *parameter, const float *values,
                             float *out)
{
    if (parameter->is_tap_major)
        reorder(parameter, values, out, true);
    else
        memcpy(out, values, s3r_parameter_elements(parameter) * sizeof *out);
}

void s3r_parameter_read(const s3r_parameter *parameter, size_t first, size_t count,
                        float *out)
{
    if (!parameter->is_tap_major) {
        memcpy(out, parameter->values + first, count * sizeof *out);
        return;
    }
    size_t taps = parameter->entry->shape[2], in = parameter->entry->shape[1];
    for (size_t i = 0; i < count; i++) {
        size_t at = first + i, row = at / (taps * in), within = at % (taps * in);
        size_t channel = within / taps, tap = within % taps;
        out[i] = parameter->values[(row * taps + tap) * in + channel];
    }
}

/* The stored values in the op's layout; scratch [elements]. */
static void load_values(const s3r_parameter *parameter, float *scratch, float *values)
{
    const s3r_tensor *tensor = parameter->entry->tensor;
    size_t elements = s3r_tensor_elements(tensor);
    float *out = parameter->is_tap_major ? scratch : values;
    s3r_stored_to_f32(out, tensor->data, tensor->dtype, 0, elements);
    if (parameter->is_tap_major)
        reorder(parameter, scratch, values, false);
}

s3r_status s3r_parameter_train(s3r_parameters *parameters, s3r_parameter *parameter,
                               s3r_error *err)
{
    if (parameter->values)
        return S3R_OK;
    size_t elements = s3r_parameter_elements(parameter);
    s3r_weight *weight = parameter->weight;
    float *values = s3r_arena_alloc(&parameters->owned, elements, sizeof *values);
    float *grad = weight->grad;
    if (!grad)
        grad = s3r_arena_alloc(&parameters->owned, elements, sizeof *grad);
    if (!values || !grad)
        return s3r_fail_memory(err, parameter->entry->name, elements * sizeof *grad);
    load_values(parameter, grad, values);
    memset(grad, 0, elements * sizeof *grad);
    parameter->values = values;
    if (parameter->is_tap_major) {
        weight->rows = parameter->entry->shape[0];
        weight->cols = elements / weight->rows;
    }
    weight->data = values;
    weight->dtype = S3R_DTYPE_F32;
    weight->packed_f32 = weight->packed_bf16 = NULL;
    weight->prepack = NULL;
    weight->grad = grad;
    return S3R_OK;
}

s3r_status s3r_parameter_track_grad(s3r_parameters *parameters, s3r_parameter *parameter,
                                    s3r_error *err)
{
    if (parameter->weight->grad)
        return S3R_OK;
    size_t elements = s3r_parameter_elements(parameter);
    float *grad = s3r_arena_alloc(&parameters->owned, elements, sizeof *grad);
    if (!grad)
        return s3r_fail_memory(err, parameter->entry->name, elements * sizeof *grad);
    memset(grad, 0, elements * sizeof *grad);
    parameter->weight->grad = grad;
    return S3R_OK;
}

void s3r_parameters_clear_grads(s3r_parameters *parameters)
{
    for (size_t i = 0; i < parameters->count; i++) {
        s3r_parameter *parameter = &parameters->items[i];
        if (parameter->weight->grad)
            memset(parameter->weight->grad, 0,
                   s3r_parameter_elements(parameter) * sizeof(float));
    }
}
