/*
 * Collecting what is known of a model.  Tensors are counted by the part of the network
 * that their name tells, in the names of Hugging Face and of fairseq.
 */
#include "model_facts.h"

#include <string.h>

#include "line_text.h"

/* The first pattern that a name contains decides. */
static const struct part {
    const char *pattern, *part;
} parts[] = {
    {"feature_extractor.", "extractor"},
    {"pos_conv", "positions"},
    {"encoder.layers.", "blocks"},
    {"encoder.layer_norm.", "blocks"},
    {"encoder.transformer.", "blocks"}, /* torchaudio */
    {"aux.", "head"},
    {"feature_projection.", "projection"},
    {"post_extract_proj.", "projection"},
    {"lm_head.", "head"},
    {"w2v_encoder.proj.", "head"},
    {"masked_spec_embed", "pretraining"},
    {"mask_emb", "pretraining"},
    {"quantizer.", "pretraining"},
    {"project_q.", "pretraining"},
    {"project_hid.", "pretraining"},
    {"final_proj.", "pretraining"},
    {"label_embs", "pretraining"},
    {"layer_norm.", "projection"},
};

static const char *part_of(const char *name)
{
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i].pattern))
            return parts[i].part;
    return "other";
}

static void add(json_t *object, const char *key, size_t amount)
{
    json_int_t sum = json_integer_value(json_object_get(object, key));
    json_object_set_new(object, key, json_integer(sum + (json_int_t)amount));
}

/* Adds a tensor to the {tensors, parameters, bytes} of `key`. */
static void count(json_t *groups, const char *key, const s3r_tensor_info *tensor)
{
    json_t *group = json_object_get(groups, key);
    size_t elements = 1;
    if (!group) {
        group = json_object();
        json_object_set_new(groups, key, group);
    }
    for (unsigned i = 0; i < tensor->rank; i++)
        elements *= tensor->shape[i];
    add(group, "tensors", 1);
    add(group, "parameters", elements);
    add(group, "bytes", tensor->size_bytes);
}

static json_t *describe_shape(const s3r_tensor_info *tensor)
{
    json_t *shape = json_array();
    for (unsigned i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    return shape;
}

static void describe_tensors(json_t *facts, const s3r_model *model)
{
    json_t *tensors = json_array(), *by_part = json_object(), *by_dtype = json_object();
    s3r_tensor_info tensor;
    for (size_t i = 0; s3r_model_tensor(model, i, &tensor); i++) {
        count(by_part, part_of(tensor.name), &tensor);
        count(by_dtype, tensor.dtype, &tensor);
        json_array_append_new(tensors,
                              json_pack("{s:o, s:s, s:o, s:I}", "name",
                                        s3r_json_from_bytes(tensor.name), "dtype",
                                        tensor.dtype, "shape", describe_shape(&tensor),
                                        "bytes", (json_int_t)tensor.size_bytes));
    }
    json_object_set_new(facts, "parts", by_part);
    json_object_set_new(facts, "dtypes", by_dtype);
    json_object_set_new(facts, "tensors", tensors);
}

static json_t *describe_vocabulary(const s3r_model *model, const s3r_model_info *info)
{
    json_t *labels = json_array();
    const char *label = NULL;
    if (!info->has_vocabulary) {
        json_decref(labels);
        return json_null();
    }
    for (size_t i = 0; (label = s3r_model_label(model, i)) != NULL; i++)
        json_array_append_new(labels, s3r_json_from_bytes(label));
    return labels;
}

/* null unless the model tells languages apart. */
static json_t *describe_languages(const s3r_model *model, const s3r_model_info *info)
{
    json_t *names = info->language_count > 0 ? json_array() : json_null();
    for (size_t i = 0; i < info->language_count; i++)
        json_array_append_new(names, s3r_json_from_bytes(s3r_model_language(model, i)));
    return names;
}

/* Text that a checkpoint may lack. */
static json_t *optional(const char *text)
{
    return text && *text ? s3r_json_from_bytes(text) : json_null();
}

static json_t *describe_network(const s3r_model_info *info)
{
    return json_pack(
        "{s:I, s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:s, s:f}", "conv_layers",
        (json_int_t)info->conv_layers, "extractor_norm",
        info->has_layer_norm_extractor ? "layer" : "group", "receptive_field",
        (json_int_t)info->receptive_field, "frame_stride", (json_int_t)info->frame_stride,
        "normalizes_input", info->normalizes_input, "blocks", (json_int_t)info->blocks,
        "hidden_size", (json_int_t)info->hidden_size, "ffn_size",
        (json_int_t)info->ffn_size, "heads", (json_int_t)info->heads, "block_norm",
        info->is_pre_norm ? "pre" : "post", "layer_norm_eps", info->layer_norm_eps);
}

/* null without a mask file. */
static json_t *describe_mask(const s3r_model_info *info)
{
    if (!info->mask_path)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:I, s:I}", "path",
                     s3r_json_from_bytes(info->mask_path), "method",
                     optional(info->method), "language", optional(info->mask_language),
                     "masked_elements", (json_int_t)info->masked_elements,
                     "removed_elements", (json_int_t)info->removed_elements);
}

json_t *s3r_model_facts(const s3r_model *model, const char *hash)
{
    s3r_model_info info;
    s3r_model_get_info(model, &info);
    json_t *facts = json_pack(
        "{s:o, s:o, s:b, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:s, s:b, s:I, s:o, s:o, "
        "s:o, s:I, s:I, s:I, s:I, s:I}",
        "path", s3r_json_from_bytes(info.path), "format", optional(info.format),
        "is_fairseq", info.is_fairseq, "family", info.family, "architecture",
        optional(info.architecture), "license", optional(info.license), "hash",
        optional(hash), "mask", describe_mask(&info), "sample_rate_hz",
        (json_int_t)info.sample_rate_hz, "network", describe_network(&info), "task",
        info.task, "has_head", info.has_head, "label_count", (json_int_t)info.label_count,
        "blank_id", info.has_head ? json_integer((json_int_t)info.blank_id) : json_null(),
        "vocabulary", describe_vocabulary(model, &info), "languages",
        describe_languages(model, &info), "tensor_count", (json_int_t)info.tensor_count,
        "parameter_count", (json_int_t)info.parameter_count, "encoder_parameter_count",
        (json_int_t)info.encoder_parameter_count, "stored_bytes",
        (json_int_t)info.stored_bytes, "prepared_bytes", (json_int_t)info.prepared_bytes);
    if (facts)
        describe_tensors(facts, model);
    return facts;
}
