/*
 * Models: opening and describing.
 */
#include <stdio.h>
#include <string.h>

#include "api/handles.h"
#include "api/options_check.h"
#include "base/affix.h"
#include "base/file.h"
#include "base/json_read.h"
#include "checkpoint/tensor_names.h"
#include "model/model_convert.h"
#include "model/model_find.h"
#include "model/model_hash.h"

void s3r_model_options_init(s3r_model_options *options)
{
    *options = (s3r_model_options){.struct_size = sizeof *options};
}

s3r_status s3r_model_find(const char *name, char path[S3R_MODEL_PATH_BYTES],
                          s3r_error *err)
{
    char *found = NULL;
    S3R_TRY(s3r_model_find_path(&found, name, err));
    size_t bytes = strlen(found) + 1;
    bool has_room = bytes <= S3R_MODEL_PATH_BYTES;
    if (has_room)
        memcpy(path, found, bytes);
    s3r_free(found);
    return has_room ? S3R_OK
                    : s3r_fail(err, S3R_ERR_MODEL,
                               "path of a model: expected less than %d bytes, found %zu",
                               S3R_MODEL_PATH_BYTES, bytes - 1);
}

/* A model without head needs no vocabulary; one with a head may lack it (then only
 * numbers can be written), but a vocabulary that is there must be right. */
static s3r_status open_vocabulary(s3r_model *model, const char *language, s3r_error *err)
{
    if (!model->config.has_head)
        return S3R_OK;
    const char *folder = s3r_checkpoint_folder(model->checkpoint);
    if (!s3r_vocabulary_exists(folder))
        return S3R_OK;
    const json_t *config = s3r_checkpoint_is_fairseq(model->checkpoint)
                               ? NULL
                               : s3r_checkpoint_config(model->checkpoint);
    S3R_TRY(s3r_vocabulary_open(&model->vocabulary, folder, config, language, err));
    S3R_TRY(s3r_vocabulary_check_head(&model->vocabulary, model->config.vocab_size, err));
    model->has_vocabulary = true;
    model->config.pad_token_id = model->vocabulary.blank_id;
    return S3R_OK;
}

static s3r_weights_options weights_options(const s3r_context *context, bool is_bf16)
{
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    options.is_bf16 = is_bf16;
    options.kernels = context->kernels;
    options.pool = context->pool;
    return options;
}

/* Two threads that ask at once both compute it, and one of them writes it down. */
static s3r_status backbone_hash(const s3r_model *model, char hash[S3R_MODEL_HASH_BYTES],
                                s3r_error *err)
{
    s3r_hash_memo *memo = model->hash;
    int unknown = 0;
    if (atomic_load(&memo->state) == 2) {
        memcpy(hash, memo->text, sizeof memo->text);
        return S3R_OK;
    }
    S3R_TRY(s3r_model_hash(hash, model->checkpoint, &model->backbone_config, err));
    if (atomic_compare_exchange_strong(&memo->state, &unknown, 1)) {
        memcpy(memo->text, hash, sizeof memo->text);
        atomic_store(&memo->state, 2);
    }
    return S3R_OK;
}

/* From here on the model is the backbone with the mask file applied. */
static s3r_status open_route(s3r_model *model, s3r_context *context, const char *path,
                             s3r_error *err)
{
    char hash[S3R_MODEL_HASH_BYTES];
    const s3r_weights_options options = weights_options(context, model->is_bf16);
    S3R_TRY(backbone_hash(model, hash, err));
    S3R_TRY(s3r_route_open(&model->route, path, model->checkpoint, &model->config,
                           &model->weights, hash, &options, err));
    model->has_route = true;
    model->backbone_weights = model->weights;
    model->weights = model->route.weights;
    model->config = model->route.config;
    model->vocabulary = model->route.vocabulary;
    model->has_vocabulary = model->route.has_vocabulary;
    return S3R_OK;
}

static s3r_status open_checkpoint(s3r_model *model, const char *name, s3r_error *err)
{
    char *path = NULL;
    S3R_TRY(s3r_model_find_path(&path, name, err));
    s3r_status status = s3r_checkpoint_open(&model->checkpoint, path, err);
    s3r_free(path);
    return status;
}

/* Whether the checkpoint's own adapters are those of the language, as its tokenizer says.
 */
static s3r_status check_own_language(const char *folder, const char *language,
                                     s3r_error *err)
{
    char *path = s3r_path_join(folder, "tokenizer_config.json");
    if (!path)
        return s3r_fail_memory(err, folder, 0);
    json_t *tokenizer = NULL; /* stays so when the file cannot be read */
    s3r_json_file_load(&tokenizer, path, NULL);
    const char *own = json_string_value(json_object_get(tokenizer, "target_lang"));
    s3r_status status = S3R_OK;
    if (!own || strcmp(own, language) != 0)
        status = s3r_fail(err, S3R_ERR_MODEL,
                          "%s: language \"%s\": expected adapter.%s.safetensors, or a "
                          "checkpoint of that language, found one of %s",
                          folder, language, language, own ? own : "unknown language");
    json_decref(tokenizer);
    s3r_free(path);
    return status;
}

/* The adapters and the head of a language, which replace those of the checkpoint (MMS).
 */
static s3r_status open_language(s3r_model *model, const char *language, s3r_error *err)
{
    static const char *const endings[] = {".safetensors", ".bin"};
    const char *folder = s3r_checkpoint_folder(model->checkpoint);
    char name[128];
    if (!language || strchr(language, '/') || strlen(language) > 64)
        return S3R_OK; /* no vocabulary has it */
    for (size_t i = 0; i < S3R_ARRAY_LEN(endings) && !model->language_adapter; i++) {
        snprintf(name, sizeof name, "adapter.%s%s", language, endings[i]);
        char *path = s3r_path_join(folder, name);
        if (!path)
            return s3r_fail_memory(err, name, 0);
        s3r_status status = s3r_path_exists(path)
                                ? s3r_checkpoint_open(&model->language_adapter, path, err)
                                : S3R_OK;
        s3r_free(path);
        S3R_TRY(status);
    }
    return S3R_OK;
}

static s3r_status open_parts(s3r_model *model, s3r_context *context, const char *name,
                             const s3r_model_options *options, s3r_error *err)
{
    s3r_weights_options weights = weights_options(context, options->is_bf16);
    if (options->mask_path && options->language)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "language \"%s\": expected none, since %s has the vocabulary",
                        options->language, options->mask_path);
    model->is_bf16 = options->is_bf16;
    S3R_TRY(open_checkpoint(model, name, err));
    S3R_TRY(open_language(model, options->language, err));
    weights.language_adapter = model->language_adapter;
    S3R_TRY(s3r_model_config_open(&model->config, model->checkpoint,
                                  model->language_adapter, err));
    if (options->language && !model->language_adapter &&
        model->config.adapter_attn_dim > 0)
        S3R_TRY(check_own_language(s3r_checkpoint_folder(model->checkpoint),
                                   options->language, err));
    S3R_TRY(s3r_model_weights_open(&model->weights, model->checkpoint, &model->config,
                                   &weights, err));
    model->backbone_config = model->config;
    if (options->mask_path)
        S3R_TRY(open_route(model, context, options->mask_path, err));
    else
        S3R_TRY(open_vocabulary(model, options->language, err));
    if (options->weights != S3R_WEIGHTS_SHARED)
        s3r_model_prepack(&model->prepacks, &model->weights, model->config.block_count,
                          model->checkpoint, model->route.file.sealed.map, model->is_bf16,
                          options->weights == S3R_WEIGHTS_PACKED);
    return S3R_OK;
}

/* *out is the model when status is OK; else the model is closed. */
static s3r_status hand_out(s3r_model **out, s3r_model *model, s3r_status status)
{
    if (status == S3R_OK)
        *out = model;
    else
        s3r_model_close(model);
    return status;
}

s3r_status s3r_model_open(s3r_model **out, s3r_context *context, const char *path,
                          const s3r_model_options *options, s3r_error *err)
{
    s3r_model_options defaults;
    s3r_model_options_init(&defaults);
    if (!options)
        options = &defaults;
    S3R_TRY(s3r_options_check_size("model options", sizeof *options, options->struct_size,
                                   err));
    if ((unsigned)options->weights > S3R_WEIGHTS_PACKED)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "memory of the weights: expected auto, shared or packed, found %d",
            (int)options->weights);
    if (s3r_ends_with(path, ".s3m") && !s3r_path_is_folder(path))
        return s3r_fail(
            err, S3R_ERR_MODEL,
            "%s: expected a model, found the name of a mask file: it goes with "
            "--mask, and its backbone with --model",
            path);
    s3r_model *model = s3r_alloc(1, sizeof *model);
    if (!model)
        return s3r_fail_memory(err, "a model", sizeof *model);
    model->hash = &model->own_hash;
    return hand_out(out, model, open_parts(model, context, path, options, err));
}

s3r_status s3r_model_open_mask(s3r_model **out, s3r_context *context,
                               const s3r_model *backbone, const char *mask_path,
                               s3r_error *err)
{
    if (backbone->language_adapter)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: expected a backbone that was opened without a language",
                        mask_path);
    s3r_model *model = s3r_alloc(1, sizeof *model);
    if (!model)
        return s3r_fail_memory(err, "a model", sizeof *model);
    model->is_borrowing = true;
    model->hash = backbone->hash;
    model->checkpoint = backbone->checkpoint;
    model->is_bf16 = backbone->is_bf16;
    model->config = model->backbone_config = backbone->backbone_config;
    model->weights = backbone->has_route ? backbone->backbone_weights : backbone->weights;
    return hand_out(out, model, open_route(model, context, mask_path, err));
}

void s3r_model_close(s3r_model *model)
{
    if (!model)
        return;
    s3r_prepacks_close(&model->prepacks);
    if (model->has_route) /* the vocabulary and the weights in use are its */
        s3r_route_close(&model->route);
    else
        s3r_vocabulary_close(&model->vocabulary);
    if (!model->is_borrowing) {
        s3r_model_weights_close(model->has_route ? &model->backbone_weights
                                                 : &model->weights);
        s3r_checkpoint_close(model->language_adapter);
        s3r_checkpoint_close(model->checkpoint);
    }
    s3r_free(model);
}

static const char *format_name(s3r_checkpoint_format format)
{
    static const char *const names[] = {[S3R_FORMAT_SAFETENSORS] = "safetensors",
                                        [S3R_FORMAT_TORCH_ZIP] = "pytorch zip",
                                        [S3R_FORMAT_TORCH_LEGACY] = "pytorch legacy"};
    return names[format];
}

static void count_tensors(const s3r_model *model, s3r_model_info *info)
{
    char name[S3R_TENSOR_NAME_BYTES];
    info->tensor_count = s3r_checkpoint_tensor_count(model->checkpoint);
    for (size_t i = 0; i < info->tensor_count; i++) {
        const s3r_tensor *tensor = s3r_checkpoint_tensor(model->checkpoint, i);
        size_t elements = s3r_tensor_elements(tensor), length = strlen(tensor->name);
        size_t suffix = strlen(S3R_WEIGHT_SCALES_NAME);
        info->stored_bytes += tensor->size_bytes;
        if (length >= suffix &&
            strcmp(tensor->name + length - suffix, S3R_WEIGHT_SCALES_NAME) == 0)
            continue; /* how int8 is stored, not what was learned */
        info->parameter_count += elements;
        if (s3r_tensor_name_canonical(tensor->name, name, sizeof name) ==
                S3R_TENSOR_PARAMETER &&
            strncmp(name, "lm_head.", 8) != 0)
            info->encoder_parameter_count += elements;
    }
}

static void describe_route(const s3r_model *model, size_t packed, s3r_model_info *info)
{
    const s3r_route *route = &model->route;
    info->mask_path = route->file.path;
    info->method = route->file.method;
    info->task = route->file.task;
    info->language_count = route->languages.count;
    info->mask_language =
        json_string_value(json_object_get(route->file.facts, "language"));
    info->masked_elements = route->masked_count;
    info->removed_elements = route->removed_count;
    info->prepared_bytes =
        model->backbone_weights.owned.peak_bytes + route->owned.peak_bytes + packed;
}

void s3r_model_get_info(const s3r_model *model, s3r_model_info *info)
{
    const s3r_model_config *config = &model->config;
    /* Asking changes nothing that others see. */
    size_t packed = s3r_prepacks_bytes((s3r_prepacks *)(uintptr_t)&model->prepacks);
    *info = (s3r_model_info){
        .path = s3r_checkpoint_path(model->checkpoint),
        .format = format_name(s3r_checkpoint_get_format(model->checkpoint)),
        .family = s3r_family_name(config->family),
        .architecture = config->architecture,
        .license = config->license,
        .is_fairseq = s3r_checkpoint_is_fairseq(model->checkpoint),
        .conv_layers = config->conv_count,
        .hidden_size = config->hidden_size,
        .ffn_size = config->ffn_size,
        .blocks = config->block_count,
        .heads = config->head_count,
        .is_pre_norm = config->is_pre_norm,
        .has_layer_norm_extractor = config->extractor_norm == S3R_EXTRACTOR_LAYER,
        .normalizes_input = config->do_normalize,
        .layer_norm_eps = config->layer_norm_eps,
        .sample_rate_hz = (uint32_t)config->sample_rate,
        .receptive_field = s3r_config_receptive_field(config),
        .frame_stride = s3r_config_stride(config),
        .has_head = config->has_head,
        .label_count = config->has_head ? config->vocab_size : 0,
        .has_vocabulary = model->has_vocabulary,
        .task = config->has_head ? S3R_TASK_CTC : S3R_TASK_NONE,
        .blank_id = config->pad_token_id,
        .prepared_bytes = model->weights.owned.peak_bytes + packed};
    if (model->has_route)
        describe_route(model, packed, info);
    count_tensors(model, info);
}

s3r_status s3r_model_check_head(const s3r_model *model, const char *consequence,
                                s3r_error *err)
{
    if (model->config.has_head)
        return S3R_OK;
    if (model->has_route && model->route.file.identifies_languages)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: identifies languages (task lid) and has no CTC head; %s",
                        model->route.file.path, consequence);
    if (model->has_route)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: a mask without head and vocabulary (method \"%s\"); %s. The "
                        "mask verbs take a head from another mask file with --head",
                        model->route.file.path, model->route.file.method, consequence);
    return s3r_fail(
        err, S3R_ERR_MODEL,
        "%s: has no CTC head (a pretrained backbone); %s. A mask file has one: "
        "s3r train makes it, --mask or --masks opens it",
        s3r_checkpoint_path(model->checkpoint), consequence);
}

s3r_status s3r_model_check_labels(const s3r_model *model, const char *consequence,
                                  s3r_error *err)
{
    S3R_TRY(s3r_model_check_head(model, consequence, err));
    if (model->has_vocabulary)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: no vocab.json or dict.*.txt beside the weights; %s",
                    s3r_checkpoint_path(model->checkpoint), consequence);
}

s3r_status s3r_model_check_languages(const s3r_model *model, s3r_error *err)
{
    if (model->has_route && model->route.languages.count > 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: tells no languages apart; expected a mask file of the task lid "
                    "(s3r train --task lid makes one)",
                    model->has_route ? model->route.file.path
                                     : s3r_checkpoint_path(model->checkpoint));
}

const char *s3r_model_label(const s3r_model *model, size_t id)
{
    return model->has_vocabulary && id < model->vocabulary.count
               ? model->vocabulary.labels[id]
               : NULL;
}

const char *s3r_model_language(const s3r_model *model, size_t index)
{
    return model->has_route && index < model->route.languages.count
               ? model->route.languages.names[index]
               : NULL;
}

bool s3r_model_tensor(const s3r_model *model, size_t index, s3r_tensor_info *out)
{
    if (index >= s3r_checkpoint_tensor_count(model->checkpoint))
        return false;
    const s3r_tensor *tensor = s3r_checkpoint_tensor(model->checkpoint, index);
    *out = (s3r_tensor_info){.name = tensor->name,
                             .dtype = s3r_dtype_name(tensor->dtype),
                             .rank = tensor->rank,
                             .shape = tensor->shape,
                             .size_bytes = tensor->size_bytes};
    return true;
}

size_t s3r_model_frames(const s3r_model *model, size_t sample_count)
{
    return s3r_config_frames(&model->config, sample_count);
}

s3r_status s3r_model_get_hash(const s3r_model *model, char hex[S3R_HASH_HEX_BYTES],
                              s3r_error *err)
{
    _Static_assert(S3R_HASH_HEX_BYTES >= S3R_MODEL_HASH_BYTES, "room for the hash");
    return backbone_hash(model, hex, err);
}

s3r_status s3r_model_save(const s3r_model *model, const char *folder, const char *dtype,
                          bool is_forced, s3r_error *err)
{
    s3r_model_save_options options;
    s3r_model_save_options_init(&options);
    options.dtype = dtype;
    options.is_forced = is_forced;
    return s3r_model_save_with(model, folder, &options, err);
}

void s3r_model_save_options_init(s3r_model_save_options *options)
{
    *options = (s3r_model_save_options){.struct_size = sizeof *options, .dtype = "f32"};
}

s3r_status s3r_model_save_with(const s3r_model *model, const char *folder,
                               const s3r_model_save_options *options, s3r_error *err)
{
    static const struct {
        const char *name;
        s3r_dtype dtype;
    } types[] = {{"f32", S3R_DTYPE_F32},
                 {"f16", S3R_DTYPE_F16},
                 {"bf16", S3R_DTYPE_BF16},
                 {"int8", S3R_DTYPE_I8}};
    S3R_TRY(s3r_options_check_size("save options", sizeof *options, options->struct_size,
                                   err));
    for (size_t i = 0; i < S3R_ARRAY_LEN(types); i++) {
        if (strcmp(options->dtype, types[i].name) != 0)
            continue;
        const s3r_convert_options convert = {.dtype = types[i].dtype,
                                             .is_forced = options->is_forced,
                                             .language_adapter = model->language_adapter,
                                             .accept = options->accept,
                                             .accept_context = options->accept_context,
                                             .progress = options->progress,
                                             .progress_context =
                                                 options->progress_context};
        if (model->has_route)
            return s3r_route_convert(&model->route, model->checkpoint,
                                     &model->backbone_config, folder, &convert, err);
        return s3r_model_convert(model->checkpoint, &model->config,
                                 model->has_vocabulary ? &model->vocabulary : NULL,
                                 folder, &convert, err);
    }
    return s3r_fail(err, S3R_ERR_USAGE,
                    "dtype: expected f32, f16, bf16 or int8, found \"%s\"",
                    options->dtype);
}
