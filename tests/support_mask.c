/*
 * Random mask files.  Values are the checkpoint's with a little noise, so that networks
 * stay reasonable.
 */
#include "support_mask.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/model_hash.h"
#include "model/stored_values.h"
#include "model/weight_plan.h"
#include "route/mask.h"
#include "text/vocabulary_encode.h"

#define RANK  3u
#define WIDTH 5u

typedef struct mask_maker {
    test_mask_content *content;
    const test_mask_options *options;
    const s3r_model_config *config;
    s3r_random random;
    json_t *matrices;
} mask_maker;

/* Adds a tensor; NULL without memory (or room). */
static void *add(mask_maker *m, const char *prefix, const char *name, const char *suffix,
                 s3r_dtype dtype, unsigned rank, const size_t *shape)
{
    test_mask_content *content = m->content;
    if (content->count == S3R_ARRAY_LEN(content->tensors))
        return NULL;
    s3r_tensor *tensor = &content->tensors[content->count];
    *tensor = (s3r_tensor){
        .name = content->names[content->count], .dtype = dtype, .rank = rank};
    memcpy(tensor->shape, shape, rank * sizeof *shape);
    snprintf(content->names[content->count++], sizeof content->names[0], "%s%s%s", prefix,
             name, suffix);
    tensor->size_bytes = s3r_tensor_elements(tensor) * s3r_dtype_size(dtype);
    void *data = s3r_arena_alloc(&content->owned, tensor->size_bytes, 1);
    tensor->data = data;
    return data;
}

static bool add_normal(mask_maker *m, const char *prefix, const char *name,
                       const char *suffix, size_t rows, size_t cols, double deviation)
{
    const size_t shape[2] = {rows == 1 ? cols : rows, cols};
    float *values = add(m, prefix, name, suffix, S3R_DTYPE_F32, rows == 1 ? 1 : 2, shape);
    for (size_t i = 0; values && i < rows * cols; i++)
        values[i] = (float)(deviation * s3r_random_normal(&m->random));
    return values != NULL;
}

static bool add_mask(mask_maker *m, const s3r_weight_entry *entry)
{
    size_t rows = entry->shape[0], cols = entry->shape[1], elements = rows * cols;
    size_t bytes = s3r_mask_packed_bytes(rows, cols), removed = 0;
    uint8_t *packed = add(m, S3R_MASK_PREFIX, entry->name, "", S3R_DTYPE_U8, 1, &bytes);
    if (!packed)
        return false;
    memset(packed, 0, bytes);
    for (size_t i = 0; i < elements; i++) {
        bool is_kept = s3r_random_uniform(&m->random) >= m->options->sparsity;
        packed[i / 8] |= (uint8_t)(is_kept << i % 8);
        removed += !is_kept;
    }
    json_t *fact =
        json_pack("{ss, s[II], sf}", "name", entry->name, "shape", (json_int_t)rows,
                  (json_int_t)cols, "sparsity", (double)removed / (double)elements);
    return json_array_append_new(m->matrices, fact) == 0;
}

static bool add_values(mask_maker *m, const s3r_weight_entry *entry)
{
    float *values = add(m, S3R_VALUES_PREFIX, entry->name, "", S3R_DTYPE_F32, entry->rank,
                        entry->shape);
    size_t elements = s3r_tensor_elements(entry->tensor);
    if (!values)
        return false;
    s3r_stored_to_f32(values, entry->tensor->data, entry->tensor->dtype, 0, elements);
    for (size_t i = 0; i < elements; i++)
        values[i] *= (float)(1 + 0.1 * s3r_random_normal(&m->random));
    return true;
}

static bool add_parameter(mask_maker *m, const s3r_weight_entry *entry)
{
    const test_mask_options *options = m->options;
    bool is_matrix = entry->rule->kind == S3R_WEIGHT_MATRIX;
    bool is_in_block =
        entry->rule->owner == S3R_OWNER_BLOCK && entry->number >= options->first_block;
    bool is_vector = entry->rule->kind == S3R_WEIGHT_VECTOR;
    if (strncmp(entry->name, "lm_head.", 8) == 0)
        return true;
    bool is_masked = options->has_masks && is_matrix && is_in_block &&
                     (!options->is_ffn_only || strstr(entry->name, ".feed_forward."));
    if (is_masked && !add_mask(m, entry))
        return false;
    if ((options->has_all_values || (options->has_vectors && is_vector)) &&
        !add_values(m, entry))
        return false;
    return !options->has_lora || !is_matrix || !is_in_block ||
           (add_normal(m, S3R_LORA_PREFIX, entry->name, "/down", RANK, entry->shape[1],
                       0.3) &&
            add_normal(m, S3R_LORA_PREFIX, entry->name, "/up", entry->shape[0], RANK,
                       0.3));
}

static bool add_adapter(mask_maker *m, size_t block)
{
    size_t hidden = m->config->hidden_size;
    char name[24];
    snprintf(name, sizeof name, "%zu", block);
    return add_normal(m, S3R_ADAPTER_PREFIX, name, "/norm.weight", 1, hidden, 0.5) &&
           add_normal(m, S3R_ADAPTER_PREFIX, name, "/norm.bias", 1, hidden, 0.2) &&
           add_normal(m, S3R_ADAPTER_PREFIX, name, "/down.weight", WIDTH, hidden, 0.3) &&
           add_normal(m, S3R_ADAPTER_PREFIX, name, "/down.bias", 1, WIDTH, 0.2) &&
           add_normal(m, S3R_ADAPTER_PREFIX, name, "/up.weight", hidden, WIDTH, 0.3) &&
           add_normal(m, S3R_ADAPTER_PREFIX, name, "/up.bias", 1, hidden, 0.2);
}

/* A blank, the word boundary, and letters. */
static json_t *make_vocabulary(size_t labels)
{
    json_t *list = json_pack("[ss]", "<pad>", "|");
    for (size_t i = 2; i < labels; i++) {
        char letter[2] = {(char)('A' + i - 2), '\0'};
        json_array_append_new(list, json_string(letter));
    }
    return json_pack("{s:o, s:[i], s:i, s:i, s:n, s:s, s:b, s:b}", "labels", list,
                     "special", 0, "blank", 0, "delimiter", 1, "unknown",
                     "delimiter_text", " ", "lower_case_output", 0, "phonemes", 0);
}

static json_t *make_languages(size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_sprintf("l%zu", i));
    return list;
}

static bool add_facts(mask_maker *m, const char *hash)
{
    const test_mask_options *options = m->options;
    json_t *facts = json_pack(
        "{s{ss, ss, ss}, ss, ss, ss, so, sb, sI, sO, ss, si, ss, ss, s{sf}}", "backbone",
        "hash", hash, "family", s3r_family_name(m->config->family), "name",
        m->config->architecture, "task", "ctc", "method",
        options->method ? options->method : "mask", "language",
        options->language ? options->language : "und", "vocabulary",
        make_vocabulary(options->labels), "normalize", (int)m->config->do_normalize,
        "sample_rate", (json_int_t)m->config->sample_rate, "matrices", m->matrices,
        "recipe", "none\n", "seed", 1, "license",
        options->license ? options->license : "CC0-1.0", "created_by", "a test",
        "metrics", "wer", 0.5);
    m->content->facts = facts;
    if (facts && options->identifies_languages) {
        json_object_set_new(facts, "task", json_string(S3R_TASK_LID));
        json_object_set_new(facts, "languages", make_languages(options->labels));
        json_object_del(facts, "vocabulary");
    }
    if (facts && options->has_lora)
        json_object_set_new(
            facts, "lora",
            json_pack("{si, sf, sf}", "rank", (int)RANK, "alpha", 6.0, "scale", 2.0));
    if (facts && options->has_adapters)
        json_object_set_new(facts, "adapter",
                            json_pack("{ss, si}", "kind", options->is_st ? "st" : "asr",
                                      "width", (int)WIDTH));
    return facts != NULL;
}

s3r_status test_mask_make(test_mask_content *out, const s3r_checkpoint *checkpoint,
                          const s3r_model_config *config,
                          const test_mask_options *options, s3r_error *err)
{
    char hash[S3R_MODEL_HASH_BYTES];
    s3r_weight_plan plan;
    mask_maker m = {
        .content = out, .options = options, .config = config, .matrices = json_array()};
    out->count = 0;
    out->facts = NULL;
    s3r_arena_init(&out->owned, (size_t)1 << 20);
    s3r_random_init(&m.random, options->seed, 0);
    S3R_TRY(s3r_model_hash(hash, checkpoint, config, err));
    S3R_TRY(s3r_weight_plan_make(&plan, checkpoint, NULL, config, err));
    bool is_made = true;
    for (size_t i = 0; is_made && i < plan.count; i++)
        is_made = add_parameter(&m, &plan.entries[i]);
    for (size_t i = 0; is_made && options->has_adapters && i < config->block_count; i++)
        is_made = add_adapter(&m, i);
    is_made = is_made &&
              add_normal(&m, "head/", "weight", "", options->labels, config->hidden_size,
                         0.3) &&
              add_normal(&m, "head/", "bias", "", 1, options->labels, 0.3) &&
              add_facts(&m, hash);
    s3r_weight_plan_release(&plan);
    json_decref(m.matrices);
    return is_made ? S3R_OK : s3r_fail_memory(err, "a mask file", 0);
}

void test_mask_release(test_mask_content *content)
{
    json_decref(content->facts);
    s3r_arena_release(&content->owned);
}

s3r_status test_mask_write(const char *mask_path, const char *model_path,
                           const test_mask_options *options, s3r_error *err)
{
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
    S3R_TRY(s3r_checkpoint_open(&checkpoint, model_path, err));
    s3r_status status = s3r_model_config_open(&config, checkpoint, NULL, err);
    test_mask_content *content = s3r_alloc(1, sizeof *content);
    if (status == S3R_OK && !content)
        status = s3r_fail_memory(err, "a mask file", sizeof *content);
    if (status == S3R_OK) {
        status = test_mask_make(content, checkpoint, &config, options, err);
        if (status == S3R_OK)
            status = s3r_mask_file_save(mask_path, content->tensors, content->count,
                                        content->facts, err);
        test_mask_release(content);
    }
    s3r_free(content);
    s3r_checkpoint_close(checkpoint);
    return status;
}
