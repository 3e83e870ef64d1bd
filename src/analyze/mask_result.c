/*
 * Facts and tensors of a computed mask.
 */
#include "analyze/mask_result.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define ARENA_CHUNK ((size_t)1 << 20)

typedef struct result_file {
    s3r_tensor *tensors;
    size_t count;
    json_t *facts;
    s3r_arena owned;
} result_file;

/* ---- facts ---- */

static json_t *describe_masks(const s3r_mask_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->count; i++) {
        const s3r_mask *mask = &result->masks[i].mask;
        json_t *one = json_pack("{ss, s[II], sf}", "name", result->masks[i].name, "shape",
                                (json_int_t)mask->rows, (json_int_t)mask->cols,
                                "sparsity", s3r_mask_sparsity(mask));
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* What one file gives to the result beside its tensors. */
static json_t *inherited_facts(const s3r_mask_result *result)
{
    static const char *const keys[] = {"backbone", "normalize",  "sample_rate",
                                       "task",     "language",   "lora",
                                       "adapter",  "vocabulary", "languages"};
    json_t *facts = json_object();
    const json_t *from = result->head ? result->head->facts : result->backbone_facts;
    int failed = 0;
    for (size_t i = 0; i < S3R_ARRAY_LEN(keys); i++) {
        json_t *value = json_object_get(from, keys[i]);
        if (value)
            failed |= json_object_set(facts, keys[i], value);
    }
    if (!result->head) {
        static const char *const heads[] = {"language", "lora", "adapter", "vocabulary",
                                            "languages"};
        for (size_t i = 0; i < S3R_ARRAY_LEN(heads); i++)
            json_object_del(facts, heads[i]);
        failed |= json_object_set_new(facts, "task", json_string(S3R_TASK_NONE));
    }
    if (failed) {
        json_decref(facts);
        return NULL;
    }
    return facts;
}

static json_t *make_facts(const s3r_mask_result *result)
{
    json_t *facts = inherited_facts(result);
    int failed = json_object_set_new(facts, "matrices", describe_masks(result));
    failed |= json_object_set_new(facts, "method", json_string(result->operation));
    failed |= json_object_set(facts, "made_from", result->made_from);
    failed |= json_object_set_new(facts, "created_by", json_string("s3r " S3R_VERSION));
    if (result->license[0])
        failed |= json_object_set_new(facts, "license", json_string(result->license));
    if (failed) {
        json_decref(facts);
        return NULL;
    }
    return facts;
}

/* ---- tensors ---- */

static bool add_mask(result_file *file, const s3r_named_mask *one)
{
    size_t bytes = s3r_mask_packed_bytes(one->mask.rows, one->mask.cols);
    size_t name_bytes = strlen(S3R_MASK_PREFIX) + strlen(one->name) + 1;
    uint8_t *packed = s3r_arena_alloc(&file->owned, bytes, 1);
    char *name = s3r_arena_alloc(&file->owned, name_bytes, 1);
    if (!packed || !name)
        return false;
    s3r_mask_to_packed(&one->mask, packed);
    snprintf(name, name_bytes, S3R_MASK_PREFIX "%s", one->name);
    file->tensors[file->count++] = (s3r_tensor){.name = name,
                                                .dtype = S3R_DTYPE_U8,
                                                .rank = 1,
                                                .shape = {bytes},
                                                .data = packed,
                                                .size_bytes = bytes};
    return true;
}

static bool is_inherited(const s3r_tensor *tensor)
{
    return strncmp(tensor->name, S3R_MASK_PREFIX, strlen(S3R_MASK_PREFIX)) != 0 &&
           strcmp(tensor->name, S3R_COMPACT_TENSOR) != 0;
}

static bool add_tensors(result_file *file, const s3r_mask_result *result)
{
    bool is_complete = true;
    for (size_t i = 0; is_complete && i < result->count; i++)
        is_complete = add_mask(file, &result->masks[i]);
    if (!result->head)
        return is_complete;
    const s3r_safetensors *container = &result->head->sealed.container;
    for (size_t i = 0; i < container->tensor_count; i++)
        if (is_inherited(&container->tensors[i]))
            file->tensors[file->count++] = container->tensors[i];
    return is_complete;
}

static void count_masks(const s3r_mask_result *result, s3r_combine_result *counts)
{
    *counts = (s3r_combine_result){.matrices = result->count};
    for (size_t i = 0; i < result->count; i++) {
        const s3r_mask *mask = &result->masks[i].mask;
        counts->elements += mask->rows * mask->cols;
        counts->removed += mask->rows * mask->cols - s3r_mask_kept_count(mask);
    }
}

s3r_status s3r_mask_result_save(const char *out_path, s3r_mask_result *result,
                                s3r_combine_result *counts, s3r_error *err)
{
    size_t most =
        result->count + (result->head ? result->head->sealed.container.tensor_count : 0);
    result_file file = {.tensors = s3r_alloc(most, sizeof *file.tensors)};
    s3r_arena_init(&file.owned, ARENA_CHUNK);
    if (file.tensors && result->made_from && add_tensors(&file, result))
        file.facts = make_facts(result);
    s3r_status status =
        file.facts
            ? s3r_mask_file_save(out_path, file.tensors, file.count, file.facts, err)
            : s3r_fail_memory(err, out_path, most * sizeof *file.tensors);
    if (status == S3R_OK)
        count_masks(result, counts);
    json_decref(file.facts);
    json_decref(result->made_from);
    result->made_from = NULL;
    s3r_arena_release(&file.owned);
    s3r_free(file.tensors);
    return status;
}
