/*
 * Saving and loading where a run stands.
 */
#include "train/train_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "base/folder_writer.h"
#include "checkpoint/sealed_file.h"

#define KIND       "s3r.checkpoint"
#define VERSION    1u
#define PREFIX     "checkpoint-"
#define SUFFIX     ".s3c"
#define NAME_BYTES (S3R_TENSOR_NAME_BYTES + 64)

/* ---- tensors ---- */

/* The arrays of a checkpoint: three an item, two a mask. */
typedef struct tensor_list {
    s3r_tensor *tensors;
    size_t count;
    s3r_arena names;
} tensor_list;

static void list_release(tensor_list *list)
{
    s3r_free(list->tensors);
    s3r_arena_release(&list->names);
}

static bool list_add(tensor_list *list, const char *kind, const char *name,
                     s3r_dtype dtype, const void *data, size_t count)
{
    size_t bytes = strlen(kind) + strlen(name) + 2;
    char *text = s3r_arena_alloc(&list->names, bytes, 1);
    if (!text)
        return false;
    snprintf(text, bytes, "%s/%s", kind, name);
    list->tensors[list->count++] =
        (s3r_tensor){.name = text,
                     .dtype = dtype,
                     .rank = 1,
                     .shape = {count},
                     .data = data,
                     .size_bytes = count * s3r_dtype_size(dtype)};
    return true;
}

static s3r_status list_make(tensor_list *list, const s3r_trainable *trainable,
                            s3r_error *err)
{
    size_t capacity = 3 * trainable->count + 2 * trainable->masked_count;
    *list = (tensor_list){.tensors = s3r_alloc(capacity, sizeof *list->tensors)};
    s3r_arena_init(&list->names, (size_t)1 << 16);
    bool is_complete = list->tensors != NULL;
    for (size_t i = 0; is_complete && i < trainable->count; i++) {
        const s3r_trained *item = &trainable->items[i];
        is_complete = list_add(list, "value", item->name, S3R_DTYPE_F32, item->values,
                               item->count) &&
                      list_add(list, "first", item->name, S3R_DTYPE_F32, item->first,
                               item->count) &&
                      list_add(list, "second", item->name, S3R_DTYPE_F32, item->second,
                               item->count);
    }
    for (size_t i = 0; is_complete && i < trainable->masked_count; i++) {
        const s3r_masked *masked = &trainable->masked[i];
        const char *name = masked->parameter->entry->name;
        size_t words = s3r_mask_words(masked->mask.rows, masked->mask.cols);
        is_complete =
            list_add(list, "initial", name, S3R_DTYPE_U64, masked->initial.bits, words) &&
            list_add(list, "evaluated", name, S3R_DTYPE_U64, masked->evaluated.bits,
                     words);
    }
    if (is_complete)
        return S3R_OK;
    list_release(list);
    return s3r_fail_memory(err, "the checkpoint", capacity * sizeof(s3r_tensor));
}

/* ---- names ---- */

/* The number of "PREFIX%08zuSUFFIX", as files of a run are named; false for others. */
static bool read_name(const char *name, const char *prefix, const char *suffix,
                      size_t *number)
{
    char own[64];
    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return false;
    *number = strtoull(name + strlen(prefix), NULL, 10);
    snprintf(own, sizeof own, "%s%08zu%s", prefix, *number, suffix);
    return strcmp(own, name) == 0;
}

/* Steps of the checkpoints of a folder, in order. */
typedef struct checkpoint_list {
    size_t *steps; /* [count] (s3r_free) */
    size_t count;
} checkpoint_list;

static int compare_steps(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static s3r_status list_checkpoints(checkpoint_list *list, const char *folder,
                                   s3r_error *err)
{
    s3r_folder_list files;
    *list = (checkpoint_list){0};
    S3R_TRY(s3r_folder_list_read(&files, folder, SUFFIX, S3R_ERR_RUNTIME, err));
    list->steps = s3r_alloc(files.count, sizeof *list->steps);
    for (size_t i = 0; list->steps && i < files.count; i++)
        list->count +=
            read_name(files.names[i], PREFIX, SUFFIX, &list->steps[list->count]);
    size_t bytes = files.count * sizeof *list->steps;
    s3r_folder_list_release(&files);
    if (!list->steps)
        return s3r_fail_memory(err, "checkpoints", bytes);
    qsort(list->steps, list->count, sizeof *list->steps, compare_steps);
    return S3R_OK;
}

static void name_checkpoint(char out[64], size_t step)
{
    snprintf(out, 64, PREFIX "%08zu" SUFFIX, step);
}

/* ---- facts ---- */

static json_t *make_best(const s3r_train_state *state)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < state->best_count; i++)
        if (json_array_append_new(list, json_pack("{sI, sf}", "step",
                                                  (json_int_t)state->best[i].step,
                                                  "value", state->best[i].value)) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static json_t *make_facts(const s3r_train_state *state,
                          const s3r_train_identity *identity)
{
    json_t *best = make_best(state);
    if (!best)
        return NULL;
    json_t *facts =
        json_pack("{sI, sI, sI, sI, sI, sI, sI, sI, sf, sf, sI, sI, so}", "step",
                  (json_int_t)state->step, "updates", (json_int_t)state->updates, "epoch",
                  (json_int_t)state->epoch, "batch", (json_int_t)state->batch, "micro",
                  (json_int_t)state->micro, "stale", (json_int_t)state->stale, "skipped",
                  (json_int_t)state->skipped, "collapsed", (json_int_t)state->collapsed,
                  "window_loss", state->window_loss, "window_units", state->window_units,
                  "window_counted", (json_int_t)state->window_counted, "window_of",
                  (json_int_t)state->window_of, "best", best);
    if (facts && !s3r_train_identity_write(identity, facts)) {
        json_decref(facts);
        return NULL;
    }
    return facts;
}

static s3r_status read_number(const json_t *facts, const char *path, const char *key,
                              size_t *out, s3r_error *err)
{
    const json_t *value = json_object_get(facts, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: \"%s\": expected a count", path, key);
    *out = (size_t)json_integer_value(value);
    return S3R_OK;
}

static s3r_status read_state(s3r_train_state *state, const json_t *facts,
                             const char *path, s3r_error *err)
{
    size_t micro = 0;
    *state = (s3r_train_state){0};
    S3R_TRY(read_number(facts, path, "step", &state->step, err));
    S3R_TRY(read_number(facts, path, "updates", &state->updates, err));
    S3R_TRY(read_number(facts, path, "epoch", &state->epoch, err));
    S3R_TRY(read_number(facts, path, "batch", &state->batch, err));
    S3R_TRY(read_number(facts, path, "micro", &micro, err));
    S3R_TRY(read_number(facts, path, "stale", &state->stale, err));
    S3R_TRY(read_number(facts, path, "skipped", &state->skipped, err));
    S3R_TRY(read_number(facts, path, "collapsed", &state->collapsed, err));
    state->micro = micro;
    state->window_loss = json_number_value(json_object_get(facts, "window_loss"));
    state->window_units = json_number_value(json_object_get(facts, "window_units"));
    S3R_TRY(read_number(facts, path, "window_counted", &state->window_counted, err));
    S3R_TRY(read_number(facts, path, "window_of", &state->window_of, err));
    const json_t *best = json_object_get(facts, "best");
    state->best_count = S3R_MIN(json_array_size(best), (size_t)S3R_MAX_BEST);
    for (size_t i = 0; i < state->best_count; i++) {
        const json_t *one = json_array_get(best, i);
        S3R_TRY(read_number(one, path, "step", &state->best[i].step, err));
        state->best[i].value = json_number_value(json_object_get(one, "value"));
    }
    return S3R_OK;
}

/* ---- saving ---- */

static s3r_status write_checkpoint(const s3r_train_state *state,
                                   const s3r_trainable *trainable,
                                   const s3r_train_identity *identity, const char *path,
                                   s3r_error *err)
{
    tensor_list list;
    json_t *facts = make_facts(state, identity);
    if (!facts)
        return s3r_fail_memory(err, path, 0);
    s3r_status status = list_make(&list, trainable, err);
    if (status == S3R_OK) {
        status = s3r_sealed_file_save(path, KIND, VERSION, list.tensors, list.count,
                                      facts, err);
        list_release(&list);
    }
    json_decref(facts);
    return status;
}

/* A result of a step, "step-00000500.s3m" or a folder "step-00000500", that is not among
 * the best. */
static bool is_outdated_result(const s3r_train_state *state, const char *name)
{
    size_t step;
    if (!read_name(name, "step-", ".s3m", &step) && !read_name(name, "step-", "", &step))
        return false;
    for (size_t i = 0; i < state->best_count; i++)
        if (state->best[i].step == step)
            return false;
    return true;
}

static s3r_status remove_result(const char *folder, const char *name, s3r_error *err)
{
    char *path = s3r_path_join(folder, name);
    if (!path)
        return s3r_fail_memory(err, name, 0);
    /* Left-overs do no harm. */
    if (s3r_path_is_folder(path))
        s3r_folder_remove(path);
    else
        (void)remove(path);
    s3r_free(path);
    return S3R_OK;
}

/* Of the checkpoints the newest stay, with those that are newer than the one that was
 * just written: a damaged one that the run did not go on from. */
static s3r_status remove_outdated(const s3r_train_state *state, const char *folder,
                                  size_t keep, s3r_error *err)
{
    char name[64];
    s3r_folder_list all;
    checkpoint_list checkpoints;
    s3r_status status = list_checkpoints(&checkpoints, folder, err);
    size_t written = 0;
    while (written < checkpoints.count && checkpoints.steps[written] <= state->step)
        written++;
    for (size_t i = 0; i + keep < written && status == S3R_OK; i++) {
        name_checkpoint(name, checkpoints.steps[i]);
        status = remove_result(folder, name, err);
    }
    s3r_free(checkpoints.steps);
    if (status == S3R_OK)
        status = s3r_folder_list_read(&all, folder, "", S3R_ERR_RUNTIME, err);
    if (status != S3R_OK)
        return status;
    for (size_t i = 0; i < all.count && status == S3R_OK; i++)
        if (is_outdated_result(state, all.names[i]))
            status = remove_result(folder, all.names[i], err);
    s3r_folder_list_release(&all);
    return status;
}

s3r_status s3r_train_state_save(const s3r_train_state *state,
                                const s3r_trainable *trainable,
                                const s3r_train_identity *identity, const char *folder,
                                size_t keep, s3r_error *err)
{
    char name[64];
    name_checkpoint(name, state->step);
    char *path = s3r_path_join(folder, name);
    if (!path)
        return s3r_fail_memory(err, name, 0);
    s3r_status status = write_checkpoint(state, trainable, identity, path, err);
    s3r_free(path);
    S3R_TRY(status);
    return remove_outdated(state, folder, S3R_MAX(keep, (size_t)1), err);
}

/* ---- loading ---- */

s3r_status s3r_train_state_is_there(bool *is_there, const char *folder, s3r_error *err)
{
    checkpoint_list list;
    s3r_status status = list_checkpoints(&list, folder, err);
    *is_there = list.count > 0;
    s3r_free(list.steps);
    return status;
}

static s3r_status restore(const s3r_trainable *trainable, const s3r_sealed_file *file,
                          const char *path, s3r_error *err)
{
    tensor_list list;
    S3R_TRY(list_make(&list, trainable, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < list.count && status == S3R_OK; i++) {
        const s3r_tensor *wanted = &list.tensors[i];
        const s3r_tensor *found = s3r_sealed_file_find(file, wanted->name);
        if (!found || found->dtype != wanted->dtype ||
            found->size_bytes != wanted->size_bytes) {
            status = s3r_fail(
                err, S3R_ERR_MODEL, "%s: \"%s\": expected %zu bytes of %s, found %zu",
                path, wanted->name, wanted->size_bytes, s3r_dtype_name(wanted->dtype),
                found ? found->size_bytes : (size_t)0);
            break;
        }
        /* The list points at the run's own arrays. */
        memcpy((void *)(uintptr_t)wanted->data, found->data, found->size_bytes);
    }
    list_release(&list);
    return status;
}

static s3r_status load_file(s3r_train_state *state, const s3r_trainable *trainable,
                            const s3r_train_identity *identity, const char *path,
                            json_t **facts, s3r_error *err)
{
    s3r_sealed_file file;
    s3r_train_state loaded;
    S3R_TRY(s3r_sealed_file_open(&file, path, KIND, VERSION, err));
    s3r_status status = s3r_train_identity_check(identity, file.facts, false, path, err);
    if (status == S3R_OK)
        status = read_state(&loaded, file.facts, path, err);
    if (status == S3R_OK)
        status = restore(trainable, &file, path, err);
    if (status == S3R_OK) {
        *state = loaded;
        *facts = json_incref(file.facts);
    }
    s3r_sealed_file_close(&file);
    return status;
}

static s3r_status load_newest(s3r_train_state *state, s3r_trainable *trainable,
                              const s3r_train_identity *identity, const char *folder,
                              const checkpoint_list *list, json_t **facts, char *warning,
                              size_t warning_bytes, s3r_error *err)
{
    char name[64];
    s3r_error why = {S3R_OK, ""};
    for (size_t i = list->count; i-- > 0;) {
        name_checkpoint(name, list->steps[i]);
        char *path = s3r_path_join(folder, name);
        if (!path)
            return s3r_fail_memory(err, name, 0);
        s3r_status status = load_file(state, trainable, identity, path, facts, &why);
        s3r_free(path);
        if (status == S3R_OK)
            return S3R_OK;
        if (status != S3R_ERR_MODEL)
            return s3r_fail(err, status, "%s", why.message);
        if (!warning[0]) /* of the newest */
            snprintf(warning, warning_bytes, "%s", why.message);
    }
    return list->count == 0 ? S3R_OK : s3r_fail(err, S3R_ERR_MODEL, "%s", why.message);
}

s3r_status s3r_train_state_load(s3r_train_state *state, s3r_trainable *trainable,
                                const s3r_train_identity *identity, const char *folder,
                                json_t **facts, char *warning, size_t warning_bytes,
                                s3r_error *err)
{
    checkpoint_list list;
    *facts = NULL;
    warning[0] = '\0';
    s3r_status status = list_checkpoints(&list, folder, err);
    if (status == S3R_OK)
        status = load_newest(state, trainable, identity, folder, &list, facts, warning,
                             warning_bytes, err);
    s3r_free(list.steps);
    return status;
}

bool s3r_train_state_rank(s3r_train_state *state, size_t step, double value, size_t keep)
{
    size_t at = 0;
    keep = S3R_MIN(S3R_MAX(keep, (size_t)1), (size_t)S3R_MAX_BEST);
    while (at < state->best_count && state->best[at].value <= value)
        at++;
    if (at >= keep) {
        state->stale++;
        return false;
    }
    size_t last = S3R_MIN(state->best_count, keep - 1);
    memmove(&state->best[at + 1], &state->best[at], (last - at) * sizeof state->best[0]);
    state->best[at] = (s3r_best){step, value};
    state->best_count = last + 1;
    state->stale = at == 0 ? 0 : state->stale + 1;
    return at == 0;
}
