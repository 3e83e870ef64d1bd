/*
 * The merged model: the checkpoint's tensors with a route's changes worked in, piece by
 * piece while they are written.
 *
 *   W' = W o mask + scale * up down     (W replaced before, where the file has values)
 */
#include "tasks/routed_model.h"

#include <string.h>

#include "model/stored_values.h"

static const s3r_tensor *replacement(const s3r_route *route,
                                     const s3r_weight_entry *entry)
{
    return s3r_mask_file_find_part(&route->file, S3R_VALUES_PREFIX, entry->name, "");
}

static const s3r_weight *weight_of(const s3r_route *route, const s3r_weight_entry *entry)
{
    s3r_model_weights *weights = (s3r_model_weights *)(uintptr_t)&route->weights;
    return s3r_model_weights_target(weights, entry->rule, entry->number);
}

/* Only matrices, which are the first member of a linear layer, may have one. */
static const s3r_lora_weights *update_of(const s3r_route *route,
                                         const s3r_weight_entry *entry)
{
    if (entry->rule->kind != S3R_WEIGHT_MATRIX)
        return NULL;
    const void *linear = weight_of(route, entry);
    const s3r_lora_weights *lora = &((const s3r_linear_weights *)linear)->lora;
    return lora->down.data ? lora : NULL;
}

static bool touches(void *context, const s3r_weight_entry *entry)
{
    const s3r_route *route = context;
    return replacement(route, entry) || weight_of(route, entry)->kept ||
           update_of(route, entry);
}

static void remove_values(const s3r_weight *weight, size_t first, size_t count,
                          float *values)
{
    for (size_t i = 0; i < count; i++) {
        size_t row = (first + i) / weight->cols, col = (first + i) % weight->cols;
        if (!(weight->kept[row * weight->kept_stride + col / 64] >> col % 64 & 1))
            values[i] = 0;
    }
}

static void add_update(const s3r_lora_weights *lora, size_t first, size_t count,
                       float *values)
{
    const float *down = lora->down.data, *up = lora->up.data;
    size_t rank = lora->down.rows, cols = lora->down.cols;
    for (size_t i = 0; i < count; i++) {
        size_t row = (first + i) / cols, col = (first + i) % cols;
        double sum = 0;
        for (size_t r = 0; r < rank; r++)
            sum += (double)up[row * rank + r] * (double)down[r * cols + col];
        values[i] = (float)((double)values[i] + (double)lora->scale * sum);
    }
}

static void apply(void *context, const s3r_weight_entry *entry, size_t first,
                  size_t count, float *values)
{
    const s3r_route *route = context;
    const s3r_tensor *values_tensor = replacement(route, entry);
    const s3r_weight *weight = weight_of(route, entry);
    const s3r_lora_weights *lora = update_of(route, entry);
    if (values_tensor)
        s3r_stored_to_f32(values, values_tensor->data, values_tensor->dtype, first,
                          count);
    if (weight->kept)
        remove_values(weight, first, count, values);
    if (lora)
        add_update(lora, first, count, values);
}

s3r_status s3r_route_convert(const s3r_route *route, const s3r_checkpoint *checkpoint,
                             const s3r_model_config *config, const char *folder,
                             const s3r_convert_options *options, s3r_error *err)
{
    if (route->file.identifies_languages)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: identifies languages (task lid), which the folder of a CTC "
                        "model cannot express; use the mask file itself",
                        route->file.path);
    for (size_t i = 0; i < config->block_count; i++)
        if (route->weights.blocks[i].ffn_adapter.kind != S3R_ADAPTER_NONE)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: has adapters (method \"%s\"), which a Hugging Face "
                            "folder cannot express; use the mask file itself",
                            route->file.path, route->file.method);
    const s3r_convert_edit edit = {
        .context = (void *)(uintptr_t)route,
        .touches = touches,
        .apply = apply,
        .head_weight = s3r_mask_file_find(&route->file, "head/weight"),
        .head_bias = s3r_mask_file_find(&route->file, "head/bias"),
        .config = &route->config};
    s3r_convert_options edited = *options;
    edited.edit = &edit;
    return s3r_model_convert(checkpoint, config,
                             route->has_vocabulary ? &route->vocabulary : NULL, folder,
                             &edited, err);
}
