/*
 * The table of weights, and matching it with the tensors of a checkpoint.
 *
 * All tensors are indexed by canonical name, each rule takes what is its own, and what
 * remains in the index is unused.
 */
#include "model/weight_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/model_weights.h"
#include "model/name_fold.h"

#define SHAPE_BYTES 128u

/* ---- the table ---- */

static bool has_conv_bias(const s3r_model_config *c, size_t number)
{
    (void)number;
    return c->conv_bias;
}

static bool has_conv_norm(const s3r_model_config *c, size_t number)
{
    return c->extractor_norm == S3R_EXTRACTOR_LAYER || number == 0;
}

static bool has_feature_norm(const s3r_model_config *c, size_t number)
{
    (void)number;
    return c->has_feature_projection_norm;
}

static bool has_projection(const s3r_model_config *c, size_t number)
{
    (void)number;
    return c->has_feature_projection;
}

static bool has_weight_norm(const s3r_model_config *c, size_t number)
{
    (void)number;
    return c->has_pos_conv_weight_norm;
}

static bool has_stacked_pos_conv(const s3r_model_config *c, size_t number)
{
    (void)number;
    return !c->has_pos_conv_weight_norm;
}

static bool is_wavlm(const s3r_model_config *c, size_t number)
{
    (void)number;
    return c->family == S3R_FAMILY_WAVLM;
}

static bool is_first_of_wavlm(const s3r_model_config *c, size_t number)
{
    return c->family == S3R_FAMILY_WAVLM && number == 0;
}

static bool has_adapters(const s3r_model_config *c, size_t number)
{
    (void)number;
    return c->adapter_attn_dim > 0;
}

static bool is_int8(const s3r_model_config *c, size_t number)
{
    (void)number;
    return c->is_int8;
}

static bool has_head(const s3r_model_config *c, size_t number)
{
    (void)number;
    return c->has_head;
}

/* One element of a shape:
 *   o i k  output and input channels and kernel of conv layer `number`
 *   C      channels of the last conv layer
 *   D F    width of the encoder and of its feed-forward part
 *   g K    input channels of a group and kernel of the positional conv
 *   H h    attention heads, width of a head
 *   B      buckets of WavLM's relative positions
 *   A V    width of adapters, labels
 *   1 8    themselves */
static size_t dim_of(char letter, const s3r_model_config *c, size_t number)
{
    switch (letter) {
    case 'o':
        return c->conv[number].dim;
    case 'i':
        return number > 0 ? c->conv[number - 1].dim : 1;
    case 'k':
        return c->conv[number].kernel;
    case 'C':
        return c->conv[c->conv_count - 1].dim;
    case 'D':
        return c->hidden_size;
    case 'F':
        return c->ffn_size;
    case 'g':
        return c->hidden_size / c->pos_conv_groups;
    case 'K':
        return c->pos_conv_kernel;
    case 'H':
        return c->head_count;
    case 'h':
        return c->hidden_size / c->head_count;
    case 'B':
        return c->num_buckets;
    case 'A':
        return c->adapter_attn_dim;
    case 'V':
        return c->vocab_size;
    default:
        return (size_t)(letter - '0');
    }
}

/* clang-format off */
#define RULE(owner_tag, owner_type, name, kind, member, shape, applies)                  \
    {name, owner_tag, kind, offsetof(owner_type, member), shape, applies, false}
#define CONV(name, kind, member, shape, applies)                                         \
    RULE(S3R_OWNER_CONV, s3r_conv_weights, "feature_extractor.conv_layers.#." name,      \
         kind, member, shape, applies)
#define MODEL(name, kind, member, shape, applies)                                        \
    RULE(S3R_OWNER_MODEL, s3r_model_weights, name, kind, member, shape, applies)
#define POS(name, kind, member, shape, applies)                                          \
    RULE(S3R_OWNER_POS_CONV, s3r_pos_conv_weights, "encoder.pos_conv_embed." name,       \
         kind, member, shape, applies)
#define BLOCK(name, kind, member, shape, applies)                                        \
    RULE(S3R_OWNER_BLOCK, s3r_block_weights, "encoder.layers.#." name, kind, member,     \
         shape, applies)
/* Behind their matrix. */
#define SCALES(name, member, shape)                                                      \
    BLOCK(name S3R_WEIGHT_SCALES_NAME, S3R_WEIGHT_SCALES, member, shape, is_int8)

static const s3r_weight_rule rules[] = {
    CONV("conv.weight", S3R_WEIGHT_CONV, weight, "oik", NULL),
    CONV("conv.bias", S3R_WEIGHT_VECTOR, bias, "o", has_conv_bias),
    CONV("layer_norm.weight", S3R_WEIGHT_VECTOR, norm.gain, "o", has_conv_norm),
    CONV("layer_norm.bias", S3R_WEIGHT_VECTOR, norm.bias, "o", has_conv_norm),
    MODEL("feature_projection.layer_norm.weight", S3R_WEIGHT_VECTOR, feature_norm.gain,
          "C", has_feature_norm),
    MODEL("feature_projection.layer_norm.bias", S3R_WEIGHT_VECTOR, feature_norm.bias,
          "C", has_feature_norm),
    MODEL("feature_projection.projection.weight", S3R_WEIGHT_MATRIX,
          feature_projection.weight, "DC", has_projection),
    MODEL("feature_projection.projection.bias", S3R_WEIGHT_VECTOR,
          feature_projection.bias, "D", has_projection),
    {"masked_spec_embed", S3R_OWNER_MODEL, S3R_WEIGHT_VECTOR,
     offsetof(s3r_model_weights, mask_embedding), "D", NULL, true},
    /* The gain comes before the direction that it scales. */
    POS("conv.weight_g", S3R_WEIGHT_GAIN, gain, "11K", has_weight_norm),
    POS("conv.weight_v", S3R_WEIGHT_DIRECTION, direction, "DgK", has_weight_norm),
    POS("conv.bias", S3R_WEIGHT_VECTOR, bias, "D", has_weight_norm),
    POS("layers.#.conv.weight", S3R_WEIGHT_POS_CONV, weight, "DgK",
        has_stacked_pos_conv),
    POS("layers.#.conv.bias", S3R_WEIGHT_VECTOR, bias, "D", has_stacked_pos_conv),
    MODEL("encoder.layer_norm.weight", S3R_WEIGHT_VECTOR, encoder_norm.gain, "D", NULL),
    MODEL("encoder.layer_norm.bias", S3R_WEIGHT_VECTOR, encoder_norm.bias, "D", NULL),
    BLOCK("attention.q_proj.weight", S3R_WEIGHT_MATRIX, q.weight, "DD", NULL),
    SCALES("attention.q_proj", q.weight, "D"),
    BLOCK("attention.q_proj.bias", S3R_WEIGHT_VECTOR, q.bias, "D", NULL),
    BLOCK("attention.k_proj.weight", S3R_WEIGHT_MATRIX, k.weight, "DD", NULL),
    SCALES("attention.k_proj", k.weight, "D"),
    BLOCK("attention.k_proj.bias", S3R_WEIGHT_VECTOR, k.bias, "D", NULL),
    BLOCK("attention.v_proj.weight", S3R_WEIGHT_MATRIX, v.weight, "DD", NULL),
    SCALES("attention.v_proj", v.weight, "D"),
    BLOCK("attention.v_proj.bias", S3R_WEIGHT_VECTOR, v.bias, "D", NULL),
    BLOCK("attention.out_proj.weight", S3R_WEIGHT_MATRIX, out.weight, "DD", NULL),
    SCALES("attention.out_proj", out.weight, "D"),
    BLOCK("attention.out_proj.bias", S3R_WEIGHT_VECTOR, out.bias, "D", NULL),
    BLOCK("attention.gru_rel_pos_linear.weight", S3R_WEIGHT_TABLE, gru_linear.weight,
          "8h", is_wavlm),
    BLOCK("attention.gru_rel_pos_linear.bias", S3R_WEIGHT_VECTOR, gru_linear.bias, "8",
          is_wavlm),
    BLOCK("attention.gru_rel_pos_const", S3R_WEIGHT_VECTOR, gru_const, "1H11", is_wavlm),
    {"encoder.layers.0.attention.rel_attn_embed.weight", S3R_OWNER_MODEL,
     S3R_WEIGHT_TABLE, offsetof(s3r_model_weights, relative_position), "BH",
     is_first_of_wavlm, false},
    BLOCK("layer_norm.weight", S3R_WEIGHT_VECTOR, attention_norm.gain, "D", NULL),
    BLOCK("layer_norm.bias", S3R_WEIGHT_VECTOR, attention_norm.bias, "D", NULL),
    BLOCK("feed_forward.intermediate_dense.weight", S3R_WEIGHT_MATRIX, fc1.weight, "FD",
          NULL),
    SCALES("feed_forward.intermediate_dense", fc1.weight, "F"),
    BLOCK("feed_forward.intermediate_dense.bias", S3R_WEIGHT_VECTOR, fc1.bias, "F",
          NULL),
    BLOCK("feed_forward.output_dense.weight", S3R_WEIGHT_MATRIX, fc2.weight, "DF", NULL),
    SCALES("feed_forward.output_dense", fc2.weight, "D"),
    BLOCK("feed_forward.output_dense.bias", S3R_WEIGHT_VECTOR, fc2.bias, "D", NULL),
    BLOCK("final_layer_norm.weight", S3R_WEIGHT_VECTOR, ffn_norm.gain, "D", NULL),
    BLOCK("final_layer_norm.bias", S3R_WEIGHT_VECTOR, ffn_norm.bias, "D", NULL),
    BLOCK("adapter_layer.norm.weight", S3R_WEIGHT_VECTOR, adapter_norm.gain, "D",
          has_adapters),
    BLOCK("adapter_layer.norm.bias", S3R_WEIGHT_VECTOR, adapter_norm.bias, "D",
          has_adapters),
    BLOCK("adapter_layer.linear_1.weight", S3R_WEIGHT_MATRIX, adapter_down.weight, "AD",
          has_adapters),
    BLOCK("adapter_layer.linear_1.bias", S3R_WEIGHT_VECTOR, adapter_down.bias, "A",
          has_adapters),
    BLOCK("adapter_layer.linear_2.weight", S3R_WEIGHT_MATRIX, adapter_up.weight, "DA",
          has_adapters),
    BLOCK("adapter_layer.linear_2.bias", S3R_WEIGHT_VECTOR, adapter_up.bias, "D",
          has_adapters),
    MODEL("lm_head.weight", S3R_WEIGHT_MATRIX, lm_head.weight, "VD", has_head),
    MODEL("lm_head.bias", S3R_WEIGHT_VECTOR, lm_head.bias, "V", has_head),
};
/* clang-format on */

static size_t owner_count(s3r_weight_owner owner, const s3r_model_config *config)
{
    switch (owner) {
    case S3R_OWNER_CONV:
        return config->conv_count;
    case S3R_OWNER_POS_CONV:
        return config->pos_conv_depth;
    case S3R_OWNER_BLOCK:
        return config->block_count;
    default:
        return 1;
    }
}

/* ---- the index of tensors ---- */

typedef struct indexed_tensor {
    char name[S3R_TENSOR_NAME_BYTES]; /* canonical; cut for unknown long ones */
    const s3r_tensor *tensor;
    size_t order; /* adapters before the checkpoint, then as in the file */
    bool is_from_adapter, is_taken;
} indexed_tensor;

typedef struct tensor_index {
    indexed_tensor *items; /* sorted by name, then order */
    size_t count;
    size_t score_count;
} tensor_index;

typedef struct faults {
    s3r_fault_list missing, unused, repeated, misshaped;
    bool is_out_of_memory;
} faults;

static int compare_indexed(const void *a, const void *b)
{
    const indexed_tensor *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order != 0)
        return order;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void index_add(tensor_index *index, const s3r_checkpoint *checkpoint,
                      bool is_from_adapter)
{
    for (size_t i = 0; i < s3r_checkpoint_tensor_count(checkpoint); i++) {
        indexed_tensor *item = &index->items[index->count];
        item->tensor = s3r_checkpoint_tensor(checkpoint, i);
        item->order = index->count;
        item->is_from_adapter = is_from_adapter;
        s3r_tensor_role role =
            s3r_tensor_name_canonical(item->tensor->name, item->name, sizeof item->name);
        index->score_count += role == S3R_TENSOR_SCORES;
        index->count += role == S3R_TENSOR_PARAMETER || role == S3R_TENSOR_UNKNOWN;
    }
}

static s3r_status index_make(tensor_index *index, const s3r_checkpoint *checkpoint,
                             const s3r_checkpoint *adapter, s3r_error *err)
{
    size_t total = s3r_checkpoint_tensor_count(checkpoint) +
                   (adapter ? s3r_checkpoint_tensor_count(adapter) : 0);
    *index = (tensor_index){.items = s3r_alloc(total + 1, sizeof *index->items)};
    if (!index->items)
        return s3r_fail_memory(err, "the index of tensors", total * sizeof *index->items);
    if (adapter)
        index_add(index, adapter, true);
    index_add(index, checkpoint, false);
    qsort(index->items, index->count, sizeof *index->items, compare_indexed);
    return S3R_OK;
}

/* The first tensor of a name, NULL when there is none.  Marks all of the name as taken;
 * a second one is a fault unless the first came from the adapter. */
static const s3r_tensor *index_take(tensor_index *index, const char *name, faults *found)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(index->items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t first = low, per_file[2] = {0, 0};
    for (; low < index->count && strcmp(index->items[low].name, name) == 0; low++) {
        index->items[low].is_taken = true;
        per_file[index->items[low].is_from_adapter]++;
    }
    if ((per_file[0] > 1 || per_file[1] > 1) &&
        !s3r_fault_list_add(&found->repeated, name, ""))
        found->is_out_of_memory = true;
    return low > first ? index->items[first].tensor : NULL;
}

/* ---- matching ---- */

static void expand_name(char *out, const char *pattern, size_t number)
{
    const char *mark = strchr(pattern, '#');
    if (mark)
        snprintf(out, S3R_TENSOR_NAME_BYTES, "%.*s%zu%s", (int)(mark - pattern), pattern,
                 number, mark + 1);
    else
        snprintf(out, S3R_TENSOR_NAME_BYTES, "%s", pattern);
}

/* The canonical shape, or for vectors with ones around (weight_g, gru_rel_pos_const) the
 * bare vector. */
static bool has_shape(const s3r_tensor *tensor, const s3r_weight_entry *entry)
{
    size_t elements = 1;
    bool is_equal = tensor->rank == entry->rank;
    for (unsigned i = 0; i < entry->rank; i++) {
        elements *= entry->shape[i];
        is_equal = is_equal && tensor->shape[i] == entry->shape[i];
    }
    bool is_vector =
        entry->rule->kind == S3R_WEIGHT_GAIN || entry->rule->kind == S3R_WEIGHT_VECTOR;
    return is_equal || (is_vector && tensor->rank == 1 && tensor->shape[0] == elements);
}

static bool is_float(s3r_dtype dtype)
{
    return dtype == S3R_DTYPE_F32 || dtype == S3R_DTYPE_F16 || dtype == S3R_DTYPE_BF16 ||
           dtype == S3R_DTYPE_F64;
}

bool s3r_weight_rule_is_quantizable(const s3r_weight_rule *rule)
{
    return rule + 1 < rules + S3R_ARRAY_LEN(rules) && rule[1].kind == S3R_WEIGHT_SCALES;
}

const s3r_tensor *s3r_weight_plan_scales(const s3r_weight_plan *plan,
                                         const s3r_weight_entry *matrix)
{
    for (size_t i = 0; i < plan->count; i++) {
        const s3r_weight_entry *entry = &plan->entries[i];
        if (entry->rule == matrix->rule + 1 && entry->number == matrix->number)
            return entry->tensor;
    }
    return NULL; /* the plan was made for int8: not reached */
}

void s3r_weight_scales_name(char out[S3R_TENSOR_NAME_BYTES], const char *matrix)
{
    size_t stem = strlen(matrix) - strlen(".weight");
    snprintf(out, S3R_TENSOR_NAME_BYTES, "%.*s" S3R_WEIGHT_SCALES_NAME, (int)stem,
             matrix);
}

/* What a tensor may be stored as. */
static const char *wanted_types(const s3r_weight_entry *entry,
                                const s3r_model_config *config)
{
    s3r_dtype dtype = entry->tensor->dtype;
    if (entry->rule->kind == S3R_WEIGHT_SCALES)
        return dtype == S3R_DTYPE_F32 ? NULL : "F32";
    if (config->is_int8 && s3r_weight_rule_is_quantizable(entry->rule))
        return dtype == S3R_DTYPE_I8 ? NULL : "I8";
    return is_float(dtype) ? NULL : "F32, F16, BF16 or F64";
}

static void check_tensor(const s3r_weight_entry *entry, const s3r_model_config *config,
                         faults *found)
{
    char detail[2 * SHAPE_BYTES + 64], expected_shape[SHAPE_BYTES], shape[SHAPE_BYTES];
    s3r_tensor expected = {.rank = entry->rank};
    memcpy(expected.shape, entry->shape, sizeof entry->shape);
    bool is_fitting = has_shape(entry->tensor, entry);
    const char *types = wanted_types(entry, config);
    if (is_fitting && !types)
        return;
    s3r_tensor_shape_text(&expected, expected_shape, sizeof expected_shape);
    s3r_tensor_shape_text(entry->tensor, shape, sizeof shape);
    if (is_fitting)
        snprintf(detail, sizeof detail, "expected %s, found %s", types,
                 s3r_dtype_name(entry->tensor->dtype));
    else
        snprintf(detail, sizeof detail, "expected %s, found %s", expected_shape, shape);
    if (!s3r_fault_list_add(&found->misshaped, entry->name, detail))
        found->is_out_of_memory = true;
}

/* The next entry of the plan, not counted yet. */
static s3r_weight_entry *describe(s3r_weight_plan *plan, const s3r_weight_rule *rule,
                                  size_t number, const s3r_model_config *config)
{
    s3r_weight_entry *entry = &plan->entries[plan->count];
    *entry = (s3r_weight_entry){.rule = rule, .number = number};
    expand_name(entry->name, rule->name, number);
    for (const char *letter = rule->shape; *letter; letter++)
        entry->shape[entry->rank++] = dim_of(*letter, config, number);
    return entry;
}

static void match(s3r_weight_plan *plan, const s3r_weight_rule *rule, size_t number,
                  const s3r_model_config *config, tensor_index *index, faults *found)
{
    s3r_weight_entry *entry = describe(plan, rule, number, config);
    entry->tensor = index_take(index, entry->name, found);
    if (entry->tensor) {
        check_tensor(entry, config, found);
        plan->count++;
    } else if (!rule->is_optional &&
               !s3r_fault_list_add(&found->missing, entry->name, "")) {
        found->is_out_of_memory = true;
    }
}

static void match_all(s3r_weight_plan *plan, const s3r_model_config *config,
                      tensor_index *index, faults *found)
{
    for (size_t r = 0; r < S3R_ARRAY_LEN(rules); r++) {
        for (size_t i = 0; i < owner_count(rules[r].owner, config); i++) {
            if (!rules[r].applies || rules[r].applies(config, i))
                match(plan, &rules[r], i, config, index, found);
        }
    }
    for (size_t i = 0; i < index->count; i++) {
        if (!index->items[i].is_taken &&
            !s3r_fault_list_add(&found->unused, index->items[i].tensor->name, ""))
            found->is_out_of_memory = true;
    }
}

/* ---- the message ---- */

static bool add_list(s3r_text *text, const char *title, const s3r_fault_list *list)
{
    if (list->count == 0)
        return true;
    s3r_text_add(text, "%s%s: ", text->used > 0 ? "; " : "", title);
    return s3r_fault_list_fold(list, text);
}

static s3r_status report(const faults *found, const s3r_checkpoint *checkpoint,
                         s3r_error *err)
{
    s3r_text text;
    if (found->missing.count + found->unused.count + found->repeated.count +
            found->misshaped.count ==
        0)
        return S3R_OK;
    if (!s3r_text_create(&text, S3R_ERROR_MESSAGE_BYTES))
        return s3r_fail_memory(err, "an error message", S3R_ERROR_MESSAGE_BYTES);
    bool is_told = add_list(&text, "missing", &found->missing) &&
                   add_list(&text, "unlike the configuration", &found->misshaped) &&
                   add_list(&text, "there twice", &found->repeated) &&
                   add_list(&text, "unused", &found->unused);
    s3r_status status =
        is_told ? s3r_fail(err, S3R_ERR_MODEL,
                           "%s: the tensors do not fit the configuration: %s",
                           s3r_checkpoint_path(checkpoint), text.bytes)
                : s3r_fail_memory(err, "an error message", S3R_ERROR_MESSAGE_BYTES);
    s3r_free(text.bytes);
    return status;
}

static void faults_release(faults *found)
{
    s3r_fault_list_release(&found->missing);
    s3r_fault_list_release(&found->unused);
    s3r_fault_list_release(&found->repeated);
    s3r_fault_list_release(&found->misshaped);
}

static size_t plan_capacity(const s3r_model_config *config)
{
    size_t capacity = 1;
    for (size_t r = 0; r < S3R_ARRAY_LEN(rules); r++)
        capacity += owner_count(rules[r].owner, config);
    return capacity;
}

s3r_status s3r_weight_plan_list(s3r_weight_plan *out, const s3r_model_config *config,
                                s3r_error *err)
{
    size_t capacity = plan_capacity(config);
    *out = (s3r_weight_plan){.entries = s3r_alloc(capacity, sizeof *out->entries)};
    if (!out->entries)
        return s3r_fail_memory(err, "the list of weights",
                               capacity * sizeof *out->entries);
    for (size_t r = 0; r < S3R_ARRAY_LEN(rules); r++) {
        for (size_t i = 0; i < owner_count(rules[r].owner, config); i++) {
            if (rules[r].applies && !rules[r].applies(config, i))
                continue;
            (void)describe(out, &rules[r], i, config);
            out->count++;
        }
    }
    return S3R_OK;
}

s3r_status s3r_weight_plan_make(s3r_weight_plan *out, const s3r_checkpoint *checkpoint,
                                const s3r_checkpoint *language_adapter,
                                const s3r_model_config *config, s3r_error *err)
{
    tensor_index index;
    faults found = {.is_out_of_memory = false};
    s3r_weight_plan plan = {0};
    size_t capacity = plan_capacity(config);
    S3R_TRY(index_make(&index, checkpoint, language_adapter, err));
    plan.entries = s3r_alloc(capacity, sizeof *plan.entries);
    if (plan.entries)
        match_all(&plan, config, &index, &found);
    s3r_status status =
        !plan.entries || found.is_out_of_memory
            ? s3r_fail_memory(err, "the list of weights", capacity * sizeof *plan.entries)
            : report(&found, checkpoint, err);
    if (status == S3R_OK && index.score_count > 0)
        status = s3r_fail(
            err, S3R_ERR_MODEL,
            "%s: holds %zu tensors of scores, as the original S3-Router saves them: its "
            "weights count only where these keep them, and that is not read; expected a "
            "checkpoint without (its own backbone, with a mask of s3r train)",
            s3r_checkpoint_path(checkpoint), index.score_count);
    faults_release(&found);
    s3r_free(index.items);
    if (status == S3R_OK)
        *out = plan;
    else
        s3r_free(plan.entries);
    return status;
}

void s3r_weight_plan_release(s3r_weight_plan *plan)
{
    s3r_free(plan->entries);
    *plan = (s3r_weight_plan){0};
}
