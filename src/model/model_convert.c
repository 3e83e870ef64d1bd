/*
 * Conversion: the plan lists the tensors, a source converts them piece by piece while the
 * safetensors writer asks for them, and the same source is compared with the file
 * afterwards.
 */
#include "model/model_convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/folder_writer.h"
#include "base/memory.h"
#include "checkpoint/safetensors.h"
#include "model/model_folder.h"
#include "model/model_hash.h"
#include "model/stored_values.h"
#include "model/weight_plan.h"
#include "model/weight_quantize.h"

#define PIECE_ELEMENTS 16384u
#define PREFIX_BYTES   24u

/* A tensor that is written: a weight, or the scales of an int8 one. */
typedef struct output {
    const s3r_weight_entry *entry;
    bool is_scales;
    char name[S3R_TENSOR_NAME_BYTES + PREFIX_BYTES];
} output;

typedef struct conversion {
    const s3r_checkpoint *checkpoint;
    s3r_model_config config; /* of the result */
    const s3r_convert_options *options;
    s3r_weight_plan plan;
    output *outputs;
    size_t output_count;
    s3r_tensor *tensors;   /* as they will be written, those of the options behind */
    size_t piece;          /* elements that are converted at once: whole rows */
    float *values;         /* [piece] */
    unsigned char *stored; /* the same in the wanted type */
    size_t supplied;       /* tensors, to be written and to be compared */
} conversion;

static s3r_status check_form(const s3r_model_config *config,
                             const s3r_convert_options *options, s3r_error *err)
{
    const char *form = NULL;
    bool is_data2vec = config->family == S3R_FAMILY_DATA2VEC_AUDIO;
    if (options->dtype != S3R_DTYPE_F32 && options->dtype != S3R_DTYPE_F16 &&
        options->dtype != S3R_DTYPE_BF16 && options->dtype != S3R_DTYPE_I8)
        return s3r_fail(err, S3R_ERR_USAGE, "expected F32, F16, BF16 or I8, found %s",
                        s3r_dtype_name(options->dtype));
    if (!config->has_feature_projection)
        form = "an encoder without feature projection";
    else if (is_data2vec && config->extractor_norm != S3R_EXTRACTOR_LAYER)
        form = "data2vec-audio with a group norm";
    else if (is_data2vec && config->is_pre_norm)
        form = "data2vec-audio with a pre-norm encoder";
    else if (is_data2vec == config->has_pos_conv_weight_norm)
        form = "this positional convolution";
    if (!form)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL, "transformers has no %s with %s",
                    s3r_family_name(config->family), form);
}

static size_t tensor_count(const conversion *c)
{
    return c->output_count + c->options->extra_count;
}

static bool is_quantized(const conversion *c, const s3r_weight_entry *entry)
{
    return c->options->dtype == S3R_DTYPE_I8 && entry->rule &&
           s3r_weight_rule_is_quantizable(entry->rule);
}

/* What a weight is written as. */
static s3r_dtype type_of(const conversion *c, const s3r_weight_entry *entry)
{
    if (c->options->dtype != S3R_DTYPE_I8 || is_quantized(c, entry))
        return c->options->dtype;
    s3r_dtype stored = entry->tensor->dtype;
    return stored == S3R_DTYPE_F64 ? S3R_DTYPE_F32 : stored;
}

static void add_output(conversion *c, const s3r_weight_entry *entry, bool is_scales)
{
    const char *prefix = strncmp(entry->name, "lm_head.", 8) == 0
                             ? ""
                             : s3r_family_prefix(c->config.family);
    char scales_name[S3R_TENSOR_NAME_BYTES];
    if (is_scales)
        s3r_weight_scales_name(scales_name, entry->name);
    output *out = &c->outputs[c->output_count];
    s3r_tensor *tensor = &c->tensors[c->output_count++];
    *out = (output){.entry = entry, .is_scales = is_scales};
    snprintf(out->name, sizeof out->name, "%s%s", prefix,
             is_scales ? scales_name : entry->name);
    *tensor = (s3r_tensor){.name = out->name, .rank = is_scales ? 1 : entry->rank};
    tensor->dtype = is_scales ? S3R_DTYPE_F32 : type_of(c, entry);
    memcpy(tensor->shape, entry->shape, sizeof entry->shape);
    tensor->size_bytes = s3r_dtype_size(tensor->dtype);
    for (unsigned i = 0; i < tensor->rank; i++)
        tensor->size_bytes *= entry->shape[i];
}

/* Of all matrices of one rule, of which entry `last` is the last: the order of a plan. */
static void add_scales(conversion *c, size_t last)
{
    const s3r_weight_entry *entries = c->plan.entries;
    size_t first = last;
    while (first > 0 && entries[first - 1].rule == entries[last].rule)
        first--;
    for (size_t i = first; i <= last; i++)
        add_output(c, &entries[i], true);
}

/* Whole rows of every matrix that is quantised, in one piece. */
static size_t piece_of(const conversion *c)
{
    size_t cols = S3R_MAX(c->config.hidden_size, c->config.ffn_size);
    return S3R_MAX(cols, (size_t)PIECE_ELEMENTS);
}

static s3r_status list_tensors(conversion *c, s3r_error *err)
{
    size_t capacity = 2 * c->plan.count;
    c->piece = piece_of(c);
    c->outputs = s3r_alloc(capacity, sizeof *c->outputs);
    c->tensors = s3r_alloc(capacity + c->options->extra_count, sizeof *c->tensors);
    c->values = s3r_alloc_raw(c->piece, sizeof *c->values);
    c->stored = s3r_alloc_raw(c->piece, sizeof *c->values);
    if (!c->outputs || !c->tensors || !c->values || !c->stored)
        return s3r_fail_memory(err, "the list of tensors", capacity * sizeof *c->outputs);
    for (size_t i = 0; i < c->plan.count; i++) {
        const s3r_weight_entry *entry = &c->plan.entries[i];
        if (entry->rule && entry->rule->kind == S3R_WEIGHT_SCALES)
            continue; /* of the model that is read */
        add_output(c, entry, false);
        bool is_last = i + 1 == c->plan.count || entry[1].rule != entry->rule;
        if (is_last && is_quantized(c, entry))
            add_scales(c, i);
    }
    for (size_t i = 0; i < c->options->extra_count; i++)
        c->tensors[c->output_count + i] = c->options->extra[i];
    return S3R_OK;
}

/* The edit's head, or none, instead of the one that is there, if any, at the end as in
 * every plan. */
static s3r_status replace_head(s3r_weight_plan *plan, const s3r_convert_edit *edit,
                               s3r_error *err)
{
    const struct {
        const char *name;
        const s3r_tensor *tensor;
    } head[] = {{"lm_head.weight", edit->head_weight}, {"lm_head.bias", edit->head_bias}};
    while (plan->count > 0 &&
           strncmp(plan->entries[plan->count - 1].name, "lm_head.", 8) == 0)
        plan->count--;
    if (!edit->head_weight)
        return S3R_OK;
    s3r_weight_entry *entries = s3r_realloc(
        plan->entries, plan->count, plan->count + S3R_ARRAY_LEN(head), sizeof *entries);
    if (!entries)
        return s3r_fail_memory(err, "the list of weights", plan->count * sizeof *entries);
    plan->entries = entries;
    for (size_t i = 0; i < S3R_ARRAY_LEN(head); i++) {
        s3r_weight_entry *entry = &plan->entries[plan->count++];
        *entry =
            (s3r_weight_entry){.tensor = head[i].tensor, .rank = head[i].tensor->rank};
        snprintf(entry->name, sizeof entry->name, "%s", head[i].name);
        memcpy(entry->shape, head[i].tensor->shape, sizeof entry->shape);
    }
    return S3R_OK;
}

/* Elements of a weight as they are meant: what is stored is worth, then the edit. */
static void read_values(const conversion *c, const s3r_weight_entry *entry, size_t first,
                        size_t count)
{
    const s3r_tensor *from = entry->tensor;
    const s3r_convert_edit *edit = c->options->edit;
    if (from->dtype == S3R_DTYPE_I8)
        s3r_dequantize_weights(c->values, from->data,
                               s3r_weight_plan_scales(&c->plan, entry)->data,
                               entry->shape[1], first, count);
    else
        s3r_stored_to_f32(c->values, from->data, from->dtype, first, count);
    if (edit && entry->rule && edit->touches(edit->context, entry))
        edit->apply(edit->context, entry, first, count, c->values);
}

static s3r_status fail_value(const conversion *c, const s3r_weight_entry *entry,
                             const char *type, size_t element, float value,
                             s3r_error *err)
{
    return s3r_fail(
        err, S3R_ERR_MODEL,
        "%s: \"%s\": element %zu: expected a value that %s can hold, found %g",
        s3r_checkpoint_path(c->checkpoint), entry->tensor->name, element, type,
        (double)value);
}

/* An int8 matrix or its scales, row by row. */
static s3r_status supply_quantized(conversion *c, const output *out,
                                   s3r_tensor_write_fn write, void *write_context,
                                   s3r_error *err)
{
    size_t rows = out->entry->shape[0], cols = out->entry->shape[1];
    s3r_status status = S3R_OK;
    for (size_t row = 0; status == S3R_OK && row < rows; row++) {
        read_values(c, out->entry, row * cols, cols);
        for (size_t i = 0; i < cols; i++)
            if (!isfinite(c->values[i]))
                return fail_value(c, out->entry, "int8", row * cols + i, c->values[i],
                                  err);
        float scale = s3r_quantize_weights(cols, c->values, (int8_t *)c->stored);
        status = out->is_scales ? write(write_context, &scale, sizeof scale, err)
                                : write(write_context, c->stored, cols, err);
    }
    return status;
}

static s3r_status supply_converted(conversion *c, const s3r_weight_entry *entry,
                                   s3r_dtype dtype, s3r_tensor_write_fn write,
                                   void *write_context, s3r_error *err)
{
    size_t total = s3r_tensor_elements(entry->tensor), bad;
    s3r_status status = S3R_OK;
    for (size_t at = 0; status == S3R_OK && at < total; at += c->piece) {
        size_t count = S3R_MIN(total - at, c->piece);
        const s3r_tensor *from = entry->tensor;
        read_values(c, entry, at, count);
        if (!s3r_stored_fits_f32(from->data, from->dtype, at, count, &bad))
            return fail_value(c, entry, "F32", at + bad, c->values[bad], err);
        if (!s3r_stored_from_f32(c->stored, dtype, c->values, count, &bad))
            return fail_value(c, entry, s3r_dtype_name(dtype), at + bad, c->values[bad],
                              err);
        status = write(write_context, c->stored, count * s3r_dtype_size(dtype), err);
    }
    return status;
}

/* An s3r_tensor_source_fn. */
static s3r_status supply(void *context, size_t index, s3r_tensor_write_fn write,
                         void *write_context, s3r_error *err)
{
    conversion *c = context;
    const s3r_convert_options *options = c->options;
    const s3r_tensor *meant = &c->tensors[index];
    if (options->progress && !options->progress(options->progress_context, c->supplied++,
                                                tensor_count(c) + c->output_count))
        return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
    if (index >= c->output_count)
        return write(write_context, meant->data, meant->size_bytes, err);
    const output *out = &c->outputs[index];
    const s3r_tensor *from = out->entry->tensor;
    const s3r_convert_edit *edit = options->edit;
    bool is_edited = edit && out->entry->rule && edit->touches(edit->context, out->entry);
    s3r_status status;
    if (out->is_scales || (meant->dtype == S3R_DTYPE_I8 && from->dtype != S3R_DTYPE_I8) ||
        (meant->dtype == S3R_DTYPE_I8 && is_edited))
        status = supply_quantized(c, out, write, write_context, err);
    else if (from->dtype == meant->dtype && !is_edited)
        status = meant->size_bytes
                     ? write(write_context, from->data, from->size_bytes, err)
                     : S3R_OK;
    else
        status = supply_converted(c, out->entry, meant->dtype, write, write_context, err);
    s3r_checkpoint_forget(c->checkpoint, from);
    return status;
}

/* ---- comparing ---- */

typedef struct comparison {
    const s3r_tensor *written;
    size_t at;
} comparison;

static s3r_status compare_piece(void *context, const void *bytes, size_t size,
                                s3r_error *err)
{
    comparison *run = context;
    const unsigned char *written = run->written->data;
    if (size > run->written->size_bytes - run->at ||
        memcmp(written + run->at, bytes, size) != 0)
        return s3r_fail(err, S3R_ERR_RUNTIME,
                        "\"%s\": what the disk holds is not what was written to it",
                        run->written->name);
    run->at += size;
    return S3R_OK;
}

/* Extra tensors have no place in the plan. */
static s3r_status compare_extra(const conversion *c, const s3r_checkpoint *written,
                                s3r_error *err)
{
    for (size_t i = c->output_count; i < tensor_count(c); i++) {
        const s3r_tensor *meant = &c->tensors[i], *found = NULL;
        for (size_t j = 0; j < s3r_checkpoint_tensor_count(written) && !found; j++) {
            const s3r_tensor *tensor = s3r_checkpoint_tensor(written, j);
            found = strcmp(tensor->name, meant->name) == 0 ? tensor : NULL;
        }
        comparison run = {found, 0};
        if (!found || found->size_bytes != meant->size_bytes)
            return s3r_fail(err, S3R_ERR_RUNTIME, "%s: \"%s\" is not as it was written",
                            s3r_checkpoint_path(written), meant->name);
        S3R_TRY(compare_piece(&run, meant->data, meant->size_bytes, err));
    }
    return S3R_OK;
}

static s3r_status compare_all(conversion *c, const s3r_checkpoint *written,
                              s3r_error *err)
{
    s3r_model_config config;
    s3r_weight_plan plan;
    S3R_TRY(s3r_model_config_open(&config, written, NULL, err));
    S3R_TRY(s3r_weight_plan_make(&plan, written, NULL, &config, err));
    s3r_status status = S3R_OK;
    if (plan.count != c->output_count)
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: expected %zu tensors, found %zu",
                          s3r_checkpoint_path(written), c->output_count, plan.count);
    for (size_t i = 0; status == S3R_OK && i < plan.count; i++) {
        comparison run = {plan.entries[i].tensor, 0};
        status = supply(c, i, compare_piece, &run, err);
        if (status == S3R_OK && run.at != run.written->size_bytes)
            status =
                s3r_fail(err, S3R_ERR_RUNTIME, "\"%s\": expected %zu bytes, found %zu",
                         run.written->name, run.at, run.written->size_bytes);
        s3r_checkpoint_forget(written, run.written);
    }
    if (status == S3R_OK)
        status = compare_extra(c, written, err);
    s3r_weight_plan_release(&plan);
    return status;
}

static s3r_status verify(conversion *c, const char *folder, s3r_error *err)
{
    s3r_checkpoint *written;
    s3r_status status = s3r_checkpoint_open(&written, folder, err);
    if (status == S3R_OK) {
        status = compare_all(c, written, err);
        s3r_checkpoint_close(written);
    }
    return s3r_fail_prefix(err, status, "reading the result again");
}

/* ---- writing ---- */

static s3r_status write_weights(conversion *c, const char *folder, s3r_error *err)
{
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    char *path = s3r_path_join(folder, S3R_MODEL_FILE);
    bool is_complete =
        metadata && path &&
        (!c->options->metadata ||
         json_object_update(metadata, (json_t *)(uintptr_t)c->options->metadata) == 0);
    s3r_status status = is_complete
                            ? s3r_safetensors_save(path, c->tensors, tensor_count(c),
                                                   metadata, supply, c, err)
                            : s3r_fail_memory(err, "a path", strlen(folder));
    json_decref(metadata);
    s3r_free(path);
    return status;
}

static s3r_status write_folder(conversion *c, const s3r_vocabulary *vocabulary,
                               const char *folder, s3r_error *err)
{
    const s3r_checkpoint *from = c->config.is_fairseq ? NULL : c->checkpoint;
    const s3r_model_description description = {
        .config = &c->config,
        .vocabulary = vocabulary,
        .dtype = c->options->dtype,
        .base_config = from ? s3r_checkpoint_config(from) : NULL,
        .base_preprocessor = from ? s3r_checkpoint_preprocessor(from) : NULL};
    S3R_TRY(s3r_model_folder_describe(folder, &description, err));
    S3R_TRY(write_weights(c, folder, err));
    return verify(c, folder, err);
}

/* What the result says of int8: the backbone that masks know it by, unless its weights
 * are no longer that one's. */
static s3r_status describe_int8(conversion *c, const s3r_model_config *from,
                                s3r_error *err)
{
    c->config.is_int8 = c->options->dtype == S3R_DTYPE_I8;
    c->config.int8_backbone[0] = '\0';
    if (!c->config.is_int8 || c->options->edit)
        return S3R_OK;
    return s3r_model_hash(c->config.int8_backbone, c->checkpoint, from, err);
}

s3r_status s3r_model_convert(const s3r_checkpoint *checkpoint,
                             const s3r_model_config *config,
                             const s3r_vocabulary *vocabulary, const char *folder,
                             const s3r_convert_options *options, s3r_error *err)
{
    s3r_folder_writer writer = {0};
    const s3r_convert_edit *edit = options->edit;
    conversion c = {.checkpoint = checkpoint,
                    .config = edit ? *edit->config : *config,
                    .options = options};
    S3R_TRY(check_form(config, options, err));
    S3R_TRY(s3r_model_folder_check(folder, options->is_forced, err));
    S3R_TRY(describe_int8(&c, config, err));
    S3R_TRY(s3r_weight_plan_make(&c.plan, checkpoint, options->language_adapter, config,
                                 err));
    bool has_other_head = edit && (edit->head_weight || !edit->config->has_head);
    s3r_status status = has_other_head ? replace_head(&c.plan, edit, err) : S3R_OK;
    if (status == S3R_OK)
        status = list_tensors(&c, err);
    if (status == S3R_OK)
        status = s3r_folder_writer_open(&writer, folder, err);
    if (status == S3R_OK)
        status = write_folder(&c, vocabulary, writer.temporary_path, err);
    if (status == S3R_OK && options->accept)
        status = options->accept(options->accept_context, writer.temporary_path, err);
    if (status == S3R_OK)
        status = s3r_folder_writer_commit(&writer, s3r_model_folder_owns, err);
    else
        s3r_folder_writer_abort(&writer);
    s3r_weight_plan_release(&c.plan);
    s3r_free(c.outputs);
    s3r_free(c.tensors);
    s3r_free(c.values);
    s3r_free(c.stored);
    return status;
}
