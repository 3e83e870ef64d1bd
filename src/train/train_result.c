/*
 * Writing what was learned.
 */
#include "train/train_result.h"

#include <stdlib.h>
#include <string.h>

#include "route/mask_file.h"
#include "text/vocabulary_encode.h"
#include "train/config_table.h"

#define NAMES_CHUNK ((size_t)1 << 16)

/* ---- facts ---- */

static json_t *matrices_fact(const s3r_trainable *trainable)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < trainable->masked_count; i++) {
        const s3r_mask *mask = &trainable->masked[i].mask;
        json_t *one = json_pack("{ss, s[II], sf}", "name",
                                trainable->masked[i].parameter->entry->name, "shape",
                                (json_int_t)mask->rows, (json_int_t)mask->cols,
                                "sparsity", s3r_mask_sparsity(mask));
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* The language of the settings, else the one that all utterances have. */
static const char *language_of(const s3r_train_result *result)
{
    const char *language = NULL;
    if (result->config->language[0])
        return result->config->language;
    for (size_t i = 0; i < result->train->count; i++) {
        const char *one = result->train->items[i].utterance->language;
        if (!one || (language && strcmp(one, language) != 0))
            return "";
        language = one;
    }
    return language ? language : "";
}

static json_t *data_fact(const s3r_train_set *set)
{
    if (!set)
        return json_null();
    return json_pack("{ss, sI, sf}", "hash", set->hash, "utterances",
                     (json_int_t)set->count, "hours", set->seconds / 3600.0);
}

/* Adds what only some methods have. */
static int add_method_facts(json_t *facts, const s3r_train_config *config)
{
    static const char *const kinds[] = {[S3R_ADAPTER_CHOICE_ASR] = "asr",
                                        [S3R_ADAPTER_CHOICE_ST] = "st",
                                        [S3R_ADAPTER_CHOICE_ZERO] = "st"};
    if (config->method == S3R_METHOD_ADAPTER)
        return json_object_set_new(facts, "adapter",
                                   json_pack("{ss, sI}", "kind",
                                             kinds[config->adapter.kind], "width",
                                             (json_int_t)config->adapter.width));
    if (config->method == S3R_METHOD_LORA)
        return json_object_set_new(
            facts, "lora",
            json_pack("{sI, sf, sf}", "rank", (json_int_t)config->lora.rank, "alpha",
                      config->lora.alpha, "scale",
                      (double)(float)(config->lora.alpha / (double)config->lora.rank)));
    return 0;
}

json_t *s3r_train_result_facts(const s3r_train_result *result)
{
    const s3r_train_model *model = result->model;
    bool has_languages = result->config->task == S3R_TASK_CHOICE_LID;
    char *recipe = NULL;
    if (s3r_train_config_recipe(result->config, &recipe, NULL) != S3R_OK)
        return NULL;
    json_t *facts = json_pack(
        "{s{ss, ss, ss}, ss, ss, ss, so, sb, sI, so, ss, so, so, sO*, sI, sI, ss, ss}",
        "backbone", "hash", model->hash, "family", s3r_family_name(model->config.family),
        "name", model->config.architecture, "task",
        s3r_config_choice_name("task", (int)result->config->task), "method",
        s3r_config_choice_name("method", (int)result->config->method), "language",
        language_of(result), has_languages ? "languages" : "vocabulary",
        has_languages ? s3r_language_list_to_json(&model->languages)
                      : s3r_vocabulary_to_json(&model->vocabulary),
        "normalize", (int)model->config.do_normalize, "sample_rate",
        (json_int_t)model->config.sample_rate, "matrices",
        matrices_fact(result->trainable), "recipe", recipe, "data",
        data_fact(result->train), "dev", data_fact(result->dev), "metrics",
        result->metrics, "seed", (json_int_t)result->config->seed, "step",
        (json_int_t)result->step, "license", model->config.license, "created_by",
        "s3r " S3R_VERSION);
    s3r_free(recipe);
    if (facts && add_method_facts(facts, result->config) != 0) {
        json_decref(facts);
        return NULL;
    }
    return facts;
}

/* ---- tensors ---- */

typedef struct result_writer {
    s3r_tensor *tensors;
    size_t count;
    s3r_arena owned; /* names, packed bits, values in stored order */
} result_writer;

static char *join(s3r_arena *arena, const char *prefix, const char *name)
{
    size_t bytes = strlen(prefix) + strlen(name) + 1;
    char *text = s3r_arena_alloc(arena, bytes, 1);
    if (text) {
        memcpy(text, prefix, strlen(prefix));
        memcpy(text + strlen(prefix), name, strlen(name) + 1);
    }
    return text;
}

static bool add_mask(result_writer *writer, const s3r_masked *masked)
{
    size_t bytes = s3r_mask_packed_bytes(masked->mask.rows, masked->mask.cols);
    uint8_t *packed = s3r_arena_alloc(&writer->owned, bytes, 1);
    char *name = join(&writer->owned, "mask/", masked->parameter->entry->name);
    if (!packed || !name)
        return false;
    s3r_mask_to_packed(&masked->mask, packed);
    writer->tensors[writer->count++] = (s3r_tensor){.name = name,
                                                    .dtype = S3R_DTYPE_U8,
                                                    .rank = 1,
                                                    .shape = {bytes},
                                                    .data = packed,
                                                    .size_bytes = bytes};
    return true;
}

/* Matrices are matrices also when they have one row. */
static bool is_vector(const s3r_trained *item)
{
    const char *slash = strrchr(item->name, '/');
    bool is_down = strcmp(slash, "/down") == 0 || strcmp(slash, "/down.weight") == 0;
    return item->rows == 1 && !is_down;
}

/* Parameters in the stored order and shape; other arrays as they are. */
static bool add_array(result_writer *writer, const s3r_trained *item)
{
    s3r_tensor tensor = {.name = item->name,
                         .dtype = S3R_DTYPE_F32,
                         .rank = is_vector(item) ? 1u : 2u,
                         .data = item->values,
                         .size_bytes = item->count * sizeof(float)};
    tensor.shape[0] = is_vector(item) ? item->cols : item->rows;
    tensor.shape[1] = item->cols;
    if (item->parameter) {
        const s3r_weight_entry *entry = item->parameter->entry;
        float *stored = s3r_arena_alloc(&writer->owned, item->count, sizeof *stored);
        if (!stored)
            return false;
        s3r_parameter_to_stored(item->parameter, item->values, stored);
        tensor.data = stored;
        tensor.rank = entry->rank;
        for (unsigned i = 0; i < entry->rank; i++)
            tensor.shape[i] = entry->shape[i];
    }
    writer->tensors[writer->count++] = tensor;
    return true;
}

/* Scores stay in the run folder; the mask is what they were for. */
static bool is_result(const s3r_trained *item)
{
    return strncmp(item->name, "scores/", 7) != 0;
}

static s3r_status write_tensors(result_writer *writer, const s3r_train_result *result,
                                const char *path, s3r_error *err)
{
    const s3r_trainable *trainable = result->trainable;
    bool is_complete = writer->tensors != NULL;
    for (size_t i = 0; is_complete && i < trainable->masked_count; i++)
        is_complete = add_mask(writer, &trainable->masked[i]);
    for (size_t i = 0; is_complete && i < trainable->count; i++)
        if (is_result(&trainable->items[i]))
            is_complete = add_array(writer, &trainable->items[i]);
    json_t *facts = is_complete ? s3r_train_result_facts(result) : NULL;
    if (!facts)
        return s3r_fail_memory(err, path, 0);
    s3r_status status =
        s3r_mask_file_save(path, writer->tensors, writer->count, facts, err);
    json_decref(facts);
    return status;
}

s3r_status s3r_train_result_save(const s3r_train_result *result, const char *path,
                                 s3r_error *err)
{
    const s3r_trainable *trainable = result->trainable;
    result_writer writer = {.tensors =
                                s3r_alloc(trainable->masked_count + trainable->count,
                                          sizeof *writer.tensors)};
    s3r_arena_init(&writer.owned, NAMES_CHUNK);
    s3r_status status = write_tensors(&writer, result, path, err);
    s3r_arena_release(&writer.owned);
    s3r_free(writer.tensors);
    return status;
}
