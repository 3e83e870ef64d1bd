/*
 * Applying a mask file.
 *
 * The route's weights start as a copy of the backbone's structs (not of the weights).
 * Every tensor of the file then changes one of them: bits become `kept`, values become
 * `data`.  Matrices are used where they lie in the file; vectors are copied where they
 * are not aligned; convolutions are packed anew.
 */
#include "tasks/routed_model.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/affix.h"
#include "model/conv_prepare.h"
#include "model/conv_shapes.h"
#include "model/model_hash.h"
#include "model/weight_plan.h"
#include "route/mask.h"
#include "tasks/mask_bits.h"
#include "text/vocabulary_encode.h"

#define OWNED_CHUNK_BYTES ((size_t)1 << 18)

typedef struct applier {
    s3r_route *route;
    const s3r_model_config *base; /* the backbone's configuration */
    const s3r_weights_options *options;
    s3r_weight_plan plan;
    s3r_conv_source *convs; /* to prepare anew */
    size_t conv_count;
} applier;

static s3r_status fail_shape(const applier *a, const char *name, const char *expected,
                             const char *found, s3r_error *err)
{
    return s3r_fail(err, S3R_ERR_MODEL, "%s: \"%s\": expected %s, found %s",
                    a->route->file.path, name, expected, found);
}

static const s3r_weight_entry *find_entry(const applier *a, const char *name)
{
    for (size_t i = 0; i < a->plan.count; i++)
        if (strcmp(a->plan.entries[i].name, name) == 0)
            return &a->plan.entries[i];
    return NULL;
}

/* The parameter of the encoder that a tensor of the file is for. */
static s3r_status need_entry(const applier *a, const char *name,
                             const s3r_weight_entry **out, s3r_error *err)
{
    *out = find_entry(a, name);
    if (*out && strncmp(name, "lm_head.", 8) != 0)
        return S3R_OK;
    return fail_shape(a, name, "a parameter of the encoder", "no such parameter", err);
}

static s3r_weight *target_of(const applier *a, const s3r_weight_entry *entry)
{
    return s3r_model_weights_target(&a->route->weights, entry->rule, entry->number);
}

/* fp32 data of a tensor of the file, aligned. */
static s3r_status aligned_data(const applier *a, const s3r_tensor *tensor,
                               const void **out, s3r_error *err)
{
    *out = tensor->data;
    if ((uintptr_t)tensor->data % sizeof(float) == 0)
        return S3R_OK;
    float *copy = s3r_arena_alloc(&a->route->owned, tensor->size_bytes, 1);
    if (!copy)
        return s3r_fail_memory(err, tensor->name, tensor->size_bytes);
    memcpy(copy, tensor->data, tensor->size_bytes);
    *out = copy;
    return S3R_OK;
}

/* A weight that is a tensor of the file. */
static s3r_status bind(const applier *a, s3r_weight *weight, const s3r_tensor *tensor,
                       size_t rows, size_t cols, s3r_error *err)
{
    char expected[64], found[128];
    bool is_vector = rows == 1 && tensor->rank == 1;
    if (is_vector
            ? tensor->shape[0] != cols
            : tensor->rank != 2 || tensor->shape[0] != rows || tensor->shape[1] != cols) {
        snprintf(expected, sizeof expected, "[%zu,%zu]", rows, cols);
        s3r_tensor_shape_text(tensor, found, sizeof found);
        return fail_shape(a, tensor->name, expected, found, err);
    }
    *weight = (s3r_weight){.dtype = S3R_DTYPE_F32, .rows = rows, .cols = cols};
    return aligned_data(a, tensor, &weight->data, err);
}

/* ------------------------------------------------------------------------------- masks
 */

static void apply_mask(const applier *a, const char *name, const s3r_mask *mask)
{
    s3r_route *route = a->route;
    s3r_weight *weight = target_of(a, find_entry(a, name));
    assert(weight->data && weight->rows == mask->rows && weight->cols == mask->cols);
    route->masked_count += mask->rows * mask->cols;
    route->removed_count += mask->rows * mask->cols - s3r_mask_kept_count(mask);
    weight->prepack = NULL;
    weight->kept = mask->bits;
    weight->kept_stride = mask->stride;
}

static s3r_status apply_masks(const applier *a, const s3r_mask_backbone *backbone,
                              s3r_error *err)
{
    s3r_route *route = a->route;
    const s3r_kernels *kernels = a->options->kernels;
    size_t count = s3r_mask_file_matrix_count(&route->file);
    s3r_weighed_mask *masks = s3r_alloc(count, sizeof *masks);
    if (!masks)
        return s3r_fail_memory(err, "the masks", count * sizeof *masks);
    s3r_status status = s3r_mask_bits_load(
        masks, &route->owned, &route->file, backbone, true,
        kernels ? kernels->level : s3r_cpu_detect(), a->options->pool, err);
    for (size_t i = 0; i < count && status == S3R_OK; i++) {
        const char *name;
        size_t rows, cols;
        s3r_mask_file_matrix(&route->file, i, &name, &rows, &cols);
        apply_mask(a, name, &masks[i].mask);
    }
    s3r_free(masks);
    return status;
}

/* -------------------------------------------------------------------------- new values
 */

static bool has_entry_shape(const s3r_weight_entry *entry, const s3r_tensor *tensor)
{
    bool is_equal = tensor->rank == entry->rank;
    for (unsigned i = 0; is_equal && i < entry->rank; i++)
        is_equal = tensor->shape[i] == entry->shape[i];
    return is_equal;
}

/* The convolution that a new weight, direction or gain belongs to, for preparation. */
static void plan_conv(applier *a, const s3r_weight_entry *entry)
{
    size_t i = entry->number;
    bool is_extractor = entry->rule->owner == S3R_OWNER_CONV;
    s3r_conv_source source = {.shape = is_extractor ? s3r_extractor_conv_shape(a->base, i)
                                                    : s3r_pos_conv_shape(a->base),
                              .weight = is_extractor
                                            ? &a->route->weights.conv[i].weight
                                            : &a->route->weights.pos_conv[i].weight};
    for (size_t c = 0; c < a->conv_count; c++)
        if (a->convs[c].weight == source.weight)
            return; /* its gain or direction came before */
    a->convs[a->conv_count++] = source;
}

static s3r_status apply_values(applier *a, const s3r_tensor *tensor, s3r_error *err)
{
    const s3r_weight_entry *entry;
    char expected[128], found[128];
    s3r_tensor shape = {0};
    S3R_TRY(need_entry(a, tensor->name + strlen(S3R_VALUES_PREFIX), &entry, err));
    if (!has_entry_shape(entry, tensor)) {
        shape.rank = entry->rank;
        memcpy(shape.shape, entry->shape, sizeof entry->shape);
        s3r_tensor_shape_text(&shape, expected, sizeof expected);
        s3r_tensor_shape_text(tensor, found, sizeof found);
        return fail_shape(a, tensor->name, expected, found, err);
    }
    s3r_weight *weight = target_of(a, entry);
    switch (entry->rule->kind) {
    case S3R_WEIGHT_CONV:
    case S3R_WEIGHT_POS_CONV:
    case S3R_WEIGHT_DIRECTION:
        plan_conv(a, entry);
        return S3R_OK;
    case S3R_WEIGHT_GAIN:
        plan_conv(a, entry);
        return aligned_data(a, tensor, &weight->data, err);
    default:
        weight->dtype = S3R_DTYPE_F32;
        weight->prepack = NULL;
        if (entry->rule->kind == S3R_WEIGHT_MATRIX) {
            weight->data = tensor->data;
            return S3R_OK;
        }
        return aligned_data(a, tensor, &weight->data, err);
    }
}

/* The tensor that a parameter has now: the file's or the checkpoint's. */
static const s3r_tensor *current_tensor(const applier *a, const char *name)
{
    const s3r_tensor *tensor =
        s3r_mask_file_find_part(&a->route->file, S3R_VALUES_PREFIX, name, "");
    return tensor ? tensor : find_entry(a, name)->tensor;
}

static void complete_conv(const applier *a, s3r_conv_source *source)
{
    s3r_model_weights *weights = &a->route->weights;
    char name[S3R_TENSOR_NAME_BYTES];
    for (size_t i = 0; i < a->base->conv_count; i++) {
        if (source->weight != &weights->conv[i].weight)
            continue;
        snprintf(name, sizeof name, "feature_extractor.conv_layers.%zu.conv.weight", i);
        source->tensor = current_tensor(a, name);
        return;
    }
    for (size_t i = 0; i < a->base->pos_conv_depth; i++) {
        s3r_pos_conv_weights *conv = &weights->pos_conv[i];
        if (source->weight != &conv->weight)
            continue;
        if (a->base->has_pos_conv_weight_norm) {
            source->gain = conv->gain.data;
            source->direction = &conv->direction;
            snprintf(name, sizeof name, "encoder.pos_conv_embed.conv.weight_v");
        } else {
            snprintf(name, sizeof name, "encoder.pos_conv_embed.layers.%zu.conv.weight",
                     i);
        }
        source->tensor = current_tensor(a, name);
    }
}

static s3r_status prepare_convs(applier *a, s3r_error *err)
{
    s3r_pool *own_pool = NULL;
    if (a->conv_count == 0)
        return S3R_OK;
    if (!a->options->pool)
        S3R_TRY(s3r_pool_create(&own_pool, 1, err));
    const s3r_kernels *kernels = a->options->kernels;
    const s3r_conv_prepare_options prepare = {
        .is_bf16 = a->options->is_bf16,
        .keeps_unpacked = a->options->keeps_unpacked,
        .kernels = kernels ? kernels : s3r_kernels_get(s3r_cpu_detect()),
        .pool = own_pool ? own_pool : a->options->pool,
        .arena = &a->route->owned};
    for (size_t i = 0; i < a->conv_count; i++)
        complete_conv(a, &a->convs[i]);
    s3r_status status = s3r_conv_prepare(a->convs, a->conv_count, &prepare, err);
    s3r_pool_destroy(own_pool);
    return status;
}

/* ------------------------------------------------------------------------- added parts
 */

/* Both halves of an update; tensor is the lower one, "lora/PARAMETER/down". */
static s3r_status apply_lora(const applier *a, const s3r_tensor *tensor, s3r_error *err)
{
    const s3r_mask_file *file = &a->route->file;
    const char *name = tensor->name + strlen(S3R_LORA_PREFIX);
    char parameter[S3R_TENSOR_NAME_BYTES];
    const s3r_weight_entry *entry;
    snprintf(parameter, sizeof parameter, "%.*s", (int)(strlen(name) - strlen("/down")),
             name);
    S3R_TRY(need_entry(a, parameter, &entry, err));
    if (entry->rule->kind != S3R_WEIGHT_MATRIX)
        return fail_shape(a, parameter, "the name of a matrix", "another parameter", err);
    /* Every matrix of the plan is the first member of a linear layer. */
    _Static_assert(offsetof(s3r_linear_weights, weight) == 0, "weight comes first");
    s3r_weight *weight = target_of(a, entry);
    s3r_lora_weights *lora = &((s3r_linear_weights *)(void *)weight)->lora;
    size_t rank = tensor->shape[0];
    const s3r_tensor *up =
        s3r_mask_file_find_part(file, S3R_LORA_PREFIX, parameter, "/up");
    S3R_TRY(bind(a, &lora->down, tensor, rank, weight->cols, err));
    S3R_TRY(bind(a, &lora->up, up, weight->rows, rank, err));
    lora->scale = (float)s3r_mask_file_lora_scale(file);
    return S3R_OK;
}

/* All parts of a block's adapter; tensor is its "down.weight". */
static s3r_status apply_adapter(const applier *a, const s3r_tensor *tensor,
                                s3r_error *err)
{
    const s3r_mask_file *file = &a->route->file;
    const json_t *facts = json_object_get(file->facts, "adapter");
    const char *kind = json_string_value(json_object_get(facts, "kind"));
    size_t hidden = a->base->hidden_size;
    size_t width = (size_t)json_integer_value(json_object_get(facts, "width"));
    unsigned long block = 0;
    char number[32];
    sscanf(tensor->name + strlen(S3R_ADAPTER_PREFIX), "%10lu", &block);
    if (block >= a->base->block_count) {
        snprintf(number, sizeof number, "fewer than %zu blocks", a->base->block_count);
        return fail_shape(a, tensor->name, number, "another block", err);
    }
    snprintf(number, sizeof number, "%lu", block);
    s3r_ffn_adapter_weights *adapter = &a->route->weights.blocks[block].ffn_adapter;
    const struct {
        const char *suffix;
        s3r_weight *weight;
        size_t rows, cols;
    } parts[] = {{"/norm.weight", &adapter->norm.gain, 1, hidden},
                 {"/norm.bias", &adapter->norm.bias, 1, hidden},
                 {"/down.weight", &adapter->down.weight, width, hidden},
                 {"/down.bias", &adapter->down.bias, 1, width},
                 {"/up.weight", &adapter->up.weight, hidden, width},
                 {"/up.bias", &adapter->up.bias, 1, hidden}};
    adapter->kind = strcmp(kind, "asr") == 0 ? S3R_ADAPTER_ASR : S3R_ADAPTER_ST;
    for (size_t i = 0; i < S3R_ARRAY_LEN(parts); i++) {
        const s3r_tensor *part =
            s3r_mask_file_find_part(file, S3R_ADAPTER_PREFIX, number, parts[i].suffix);
        if (!part)
            return fail_shape(a, tensor->name,
                              "the block's number without zeros before it",
                              "another form", err);
        S3R_TRY(bind(a, parts[i].weight, part, parts[i].rows, parts[i].cols, err));
    }
    return S3R_OK;
}

/* A file without a head takes the backbone's away: the two do not belong together. */
static s3r_status apply_head(const applier *a, s3r_error *err)
{
    s3r_route *route = a->route;
    s3r_linear_weights *head = &route->weights.lm_head;
    const s3r_tensor *weight = s3r_mask_file_find(&route->file, "head/weight");
    const s3r_tensor *bias = s3r_mask_file_find(&route->file, "head/bias");
    const json_t *facts = route->file.facts;
    *head = (s3r_linear_weights){0};
    route->config.has_head = route->file.has_head && !route->file.identifies_languages;
    route->config.do_normalize = json_is_true(json_object_get(facts, "normalize"));
    if (!route->file.has_head)
        return S3R_OK;
    size_t labels = weight->shape[0];
    S3R_TRY(bind(a, &head->weight, weight, labels, a->base->hidden_size, err));
    S3R_TRY(bind(a, &head->bias, bias, 1, labels, err));
    if (route->file.identifies_languages)
        return s3r_language_list_from_json(&route->languages,
                                           json_object_get(facts, "languages"),
                                           route->file.path, err);
    S3R_TRY(s3r_vocabulary_from_json(
        &route->vocabulary, json_object_get(facts, "vocabulary"), route->file.path, err));
    route->has_vocabulary = true;
    route->config.vocab_size = labels;
    route->config.pad_token_id = route->vocabulary.blank_id;
    return S3R_OK;
}

/* ------------------------------------------------------------------------------ opening
 */

static s3r_status check_rate(const s3r_mask_file *file, const s3r_model_config *config,
                             s3r_error *err)
{
    json_int_t rate = json_integer_value(json_object_get(file->facts, "sample_rate"));
    if ((unsigned long long)rate != config->sample_rate)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: facts: \"sample_rate\": expected %zu Hz as the model has, "
                        "found %lld",
                        file->path, config->sample_rate, (long long)rate);
    return S3R_OK;
}

/* The backbone's structs in the route's memory, so that they can be changed. */
static s3r_status copy_structs(s3r_route *route, const s3r_model_weights *weights,
                               const s3r_model_config *config, s3r_error *err)
{
    size_t blocks = config->block_count, depth = config->pos_conv_depth;
    route->weights = *weights;
    route->weights.owned = (s3r_arena){0};
    route->weights.blocks =
        s3r_arena_alloc(&route->owned, blocks, sizeof *weights->blocks);
    route->weights.pos_conv =
        s3r_arena_alloc(&route->owned, depth, sizeof *weights->pos_conv);
    if (!route->weights.blocks || !route->weights.pos_conv)
        return s3r_fail_memory(err, "the blocks", blocks * sizeof *weights->blocks);
    memcpy(route->weights.blocks, weights->blocks, blocks * sizeof *weights->blocks);
    memcpy(route->weights.pos_conv, weights->pos_conv, depth * sizeof *weights->pos_conv);
    return S3R_OK;
}

static s3r_status apply_all(applier *a, const s3r_mask_backbone *backbone, s3r_error *err)
{
    const s3r_safetensors *container = &a->route->file.sealed.container;
    for (size_t i = 0; i < container->tensor_count; i++) {
        const s3r_tensor *tensor = &container->tensors[i];
        if (s3r_begins_with(tensor->name, S3R_VALUES_PREFIX))
            S3R_TRY(apply_values(a, tensor, err));
        else if (s3r_begins_with(tensor->name, S3R_LORA_PREFIX) &&
                 s3r_ends_with(tensor->name, "/down"))
            S3R_TRY(apply_lora(a, tensor, err));
        else if (s3r_begins_with(tensor->name, S3R_ADAPTER_PREFIX) &&
                 s3r_ends_with(tensor->name, "/down.weight"))
            S3R_TRY(apply_adapter(a, tensor, err));
    }
    S3R_TRY(apply_masks(a, backbone, err)); /* of new values too */
    S3R_TRY(prepare_convs(a, err));
    return apply_head(a, err);
}

static s3r_status open_route(s3r_route *out, const char *path,
                             const s3r_checkpoint *checkpoint,
                             const s3r_model_config *config,
                             const s3r_model_weights *weights, const char *backbone_hash,
                             const s3r_weights_options *options, s3r_error *err)
{
    applier a = {.route = out, .base = config, .options = options};
    const s3r_mask_backbone backbone = {.path = s3r_checkpoint_path(checkpoint),
                                        .hash = backbone_hash,
                                        .family = s3r_family_name(config->family),
                                        .plan = &a.plan};
    S3R_TRY(s3r_mask_file_open(&out->file, path, err));
    S3R_TRY(s3r_mask_file_check_backbone(&out->file, &backbone, err));
    S3R_TRY(check_rate(&out->file, config, err));
    S3R_TRY(copy_structs(out, weights, config, err));
    S3R_TRY(s3r_weight_plan_make(&a.plan, checkpoint, options->language_adapter, config,
                                 err));
    a.convs = s3r_alloc(config->conv_count + config->pos_conv_depth, sizeof *a.convs);
    s3r_status status = a.convs ? apply_all(&a, &backbone, err)
                                : s3r_fail_memory(err, "the convolutions", 0);
    s3r_free(a.convs);
    s3r_weight_plan_release(&a.plan);
    return status;
}

s3r_status s3r_route_open(s3r_route *out, const char *path,
                          const s3r_checkpoint *checkpoint,
                          const s3r_model_config *config,
                          const s3r_model_weights *weights, const char *backbone_hash,
                          const s3r_weights_options *options, s3r_error *err)
{
    *out = (s3r_route){.config = *config};
    s3r_arena_init(&out->owned, OWNED_CHUNK_BYTES);
    s3r_status status =
        open_route(out, path, checkpoint, config, weights, backbone_hash, options, err);
    if (status != S3R_OK)
        s3r_route_close(out);
    return status;
}

void s3r_route_close(s3r_route *route)
{
    s3r_vocabulary_close(&route->vocabulary);
    s3r_language_list_release(&route->languages);
    s3r_mask_file_close(&route->file);
    if (route->owned.chunk_bytes > 0)
        s3r_arena_release(&route->owned);
    *route = (s3r_route){0};
}
