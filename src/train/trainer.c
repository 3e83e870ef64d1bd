/*
 * Opening and closing a run.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/folder_list.h"
#include "base/folder_writer.h"
#include "base/memory.h"
#include "base/process_memory.h"
#include "base/temporary_file.h"
#include "model/model_folder.h"
#include "train/trainer_parts.h"

#define LOCK_NAME "run.lock"

void s3r_trainer_tell(s3r_trainer *trainer, const s3r_train_event *event)
{
    if (trainer->options.watch &&
        !trainer->options.watch(trainer->options.watch_context, event))
        trainer->is_stopped = true;
}

static bool tell_preparation(void *context, const char *text, size_t done, size_t total)
{
    s3r_trainer *trainer = context;
    s3r_train_event event = {.kind = text ? S3R_TRAIN_WARNING : S3R_TRAIN_PREPARING,
                             .text = text,
                             .done = done,
                             .total = total};
    s3r_trainer_tell(trainer, &event);
    return !trainer->is_stopped;
}

/* ---- the folder ---- */

static s3r_status has_entry(bool *has_one, const char *folder, const char *name,
                            s3r_error *err)
{
    char *path = s3r_path_join(folder, name);
    if (!path)
        return s3r_fail_memory(err, folder, 0);
    *has_one = s3r_path_exists(path);
    s3r_free(path);
    return S3R_OK;
}

/* Whether there are settings of a run (that came to no checkpoint). */
static s3r_status has_own_settings(bool *is_own, const char *folder, s3r_error *err)
{
    s3r_file_map map;
    char *path = s3r_path_join(folder, "config.yaml");
    size_t length = strlen(S3R_TRAIN_CONFIG_HEAD);
    if (!path)
        return s3r_fail_memory(err, folder, 0);
    *is_own = false;
    if (s3r_path_exists(path) &&
        s3r_file_map_open(&map, path, S3R_ERR_RUNTIME, NULL) == S3R_OK) {
        *is_own =
            map.size >= length && memcmp(map.data, S3R_TRAIN_CONFIG_HEAD, length) == 0;
        s3r_file_map_close(&map);
    }
    s3r_free(path);
    return S3R_OK;
}

/* What a run would replace, in a folder without settings of a run. */
static s3r_status refuse_foreign(const char *folder, s3r_error *err)
{
    static const char *const names[] = {
        "config.yaml", "README.md",        "metrics.jsonl", "report.html",
        "last.s3m",    "last/config.json", "best.s3m",      "best/config.json"};
    bool is_own = false, has_one = false;
    S3R_TRY(has_own_settings(&is_own, folder, err));
    for (size_t i = 0; !is_own && i < S3R_ARRAY_LEN(names); i++) {
        S3R_TRY(has_entry(&has_one, folder, names[i], err));
        if (has_one)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "%s: holds a %s that is no run's, which a run would replace: "
                            "name another folder",
                            folder, names[i]);
    }
    return S3R_OK;
}

/* A new run overwrites no other, and nobody's own files. */
static s3r_status check_folder(const s3r_trainer_options *options, s3r_error *err)
{
    const char *folder = options->folder;
    bool has_checkpoint = false, has_mask = false, has_model = false;
    if (options->is_plan || !s3r_path_is_folder(folder))
        return S3R_OK;
    S3R_TRY(s3r_train_state_is_there(&has_checkpoint, folder, err));
    S3R_TRY(has_entry(&has_mask, folder, "best.s3m", err));
    S3R_TRY(has_entry(&has_model, folder, "best/config.json", err));
    bool has_run = has_checkpoint || has_mask || has_model;
    if (has_run && !options->may_resume)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: holds a run already (%s): go on with --resume auto, or name "
                        "another folder",
                        folder, has_checkpoint ? "checkpoints" : "a result");
    return has_checkpoint ? S3R_OK : refuse_foreign(folder, err);
}

/* Two runs in one folder would mix. */
static s3r_status lock_folder(s3r_trainer *trainer, s3r_error *err)
{
    S3R_TRY(s3r_folder_create(trainer->folder, err));
    char *path = s3r_path_join(trainer->folder, LOCK_NAME);
    if (!path)
        return s3r_fail_memory(err, trainer->folder, 0);
    s3r_status status = s3r_file_lock_take(&trainer->lock, path, err);
    s3r_free(path);
    S3R_TRY(status);
    if (!trainer->lock)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: another run is writing into this folder: wait for its end, "
                        "or name another folder",
                        trainer->folder);
    return check_folder(&trainer->options, err); /* again: one may just have ended */
}

static s3r_status write_settings(const s3r_trainer *trainer, s3r_error *err)
{
    char *text = NULL, *path = s3r_path_join(trainer->folder, "config.yaml");
    s3r_status status = path ? s3r_train_config_text(&trainer->config, &text, err)
                             : s3r_fail_memory(err, trainer->folder, 0);
    if (status == S3R_OK)
        status = s3r_file_write_all(path, text, strlen(text), err);
    s3r_free(text);
    s3r_free(path);
    return status;
}

/* ---- data ---- */

static s3r_train_set_options set_options(s3r_trainer *trainer, bool is_evaluation)
{
    s3r_cache_choice choice = trainer->config.cache.features;
    bool is_bf16 = trainer->config.precision == S3R_PRECISION_BF16;
    bool is_unlabelled = trainer->task->target == S3R_TARGET_NONE;
    bool trains_extractor = is_unlabelled || trainer->config.also.extractor;
    /* Dev is scored from its own audio, not from 16 bits of it: as s3r eval does. */
    bool keeps_samples = trains_extractor && (is_unlabelled || !is_evaluation);
    s3r_dtype dtype = choice == S3R_CACHE_BF16 || (choice == S3R_CACHE_AUTO && is_bf16)
                          ? S3R_DTYPE_BF16
                          : S3R_DTYPE_F32;
    return (s3r_train_set_options){
        .path = is_evaluation ? trainer->options.dev : trainer->options.train,
        .is_evaluation = is_evaluation,
        .target = trainer->task->target,
        .keeps_samples = keeps_samples,
        .has_cache = keeps_samples || (choice != S3R_CACHE_NONE && !trains_extractor),
        .cache_dtype = keeps_samples ? S3R_DTYPE_I16 : dtype,
        .cache_bytes = trainer->config.cache.memory_mb << 20,
        /* A forecast leaves nothing in the run folder. */
        .cache_folder =
            trainer->options.is_plan ? s3r_temporary_folder() : trainer->folder,
        .tell = tell_preparation,
        .tell_context = trainer};
}

/* All texts first: they are quick, and audio is not. */
static s3r_status open_data(s3r_trainer *trainer, s3r_error *err)
{
    s3r_train_set_options train = set_options(trainer, false);
    s3r_train_set_options dev = set_options(trainer, true);
    trainer->has_dev = trainer->options.dev != NULL;
    S3R_TRY(s3r_train_set_open(&trainer->train, &trainer->model, &train, err));
    if (trainer->has_dev)
        S3R_TRY(s3r_train_set_open(&trainer->dev, &trainer->model, &dev, err));
    S3R_TRY(s3r_train_set_load(&trainer->train, &trainer->model, &trainer->tape,
                               &trainer->config, &train, err));
    if (trainer->has_dev) {
        const s3r_feature_cache *cache = trainer->train.cache;
        size_t used = cache ? s3r_feature_cache_memory_bytes(cache) : 0;
        dev.cache_bytes -= S3R_MIN(dev.cache_bytes, used);
        S3R_TRY(s3r_train_set_load(&trainer->dev, &trainer->model, &trainer->tape,
                                   &trainer->config, &dev, err));
    }
    const s3r_model_config *config = &trainer->model.config;
    trainer->batch_frames =
        (size_t)(trainer->config.batch.seconds * (double)config->sample_rate /
                 (double)s3r_config_stride(config));
    return s3r_batch_plan_init(&trainer->batches, trainer->train.count, err);
}

void s3r_trainer_plan_epoch(s3r_trainer *trainer)
{
    s3r_batch_plan_epoch(&trainer->batches, trainer->train.frames, trainer->batch_frames,
                         trainer->config.seed, trainer->state.epoch);
}

/* ---- resuming ---- */

/* Whether the first bytes of a name are what a run writes under another name first. */
static bool is_result(const char *name, size_t bytes)
{
    static const char *const whole[] = {"best",          "best.s3m",    "last",
                                        "last.s3m",      "start",       "config.yaml",
                                        "metrics.jsonl", "report.html", "README.md"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(whole); i++)
        if (strlen(whole[i]) == bytes && memcmp(name, whole[i], bytes) == 0)
            return true;
    return strncmp(name, "checkpoint-", 11) == 0 || strncmp(name, "step-", 5) == 0;
}

static bool is_leftover(const char *name)
{
    size_t new_bytes = s3r_temporary_base_bytes(name, S3R_TEMPORARY_NEW);
    size_t old_bytes = s3r_temporary_base_bytes(name, S3R_TEMPORARY_OLD);
    size_t bytes = S3R_MAX(new_bytes, old_bytes);
    return bytes > 0 && is_result(name, bytes);
}

/* What a run that was killed within a write left there (base/file.h,
 * base/folder_writer.h): as large as a checkpoint, and nobody's any more, since we hold
 * the lock. */
static s3r_status remove_leftovers(const char *folder, s3r_error *err)
{
    s3r_folder_list list;
    s3r_status status = S3R_OK;
    S3R_TRY(s3r_folder_list_read(&list, folder, "", S3R_ERR_RUNTIME, err));
    for (size_t i = 0; i < list.count && status == S3R_OK; i++) {
        if (!is_leftover(list.names[i]))
            continue;
        char *path = s3r_path_join(folder, list.names[i]);
        if (!path)
            status = s3r_fail_memory(err, folder, 0);
        else if (s3r_path_is_folder(path))
            status = s3r_folder_writer_recover(path, s3r_model_folder_owns, err);
        else
            (void)remove(path); /* they do no harm */
        s3r_free(path);
    }
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status identify(s3r_trainer *trainer, s3r_error *err)
{
    S3R_TRY(s3r_train_identity_make(&trainer->identity, &trainer->config, &trainer->model,
                                    &trainer->trainable, err));
    if (trainer->task->identify)
        trainer->task->identify(trainer, &trainer->identity);
    return S3R_OK;
}

/* Before the data is read: a checkpoint of something else is refused at once. */
static s3r_status resume(s3r_trainer *trainer, s3r_error *err)
{
    char warning[512];
    S3R_TRY(s3r_train_state_load(&trainer->state, &trainer->trainable, &trainer->identity,
                                 trainer->folder, &trainer->resumed, warning,
                                 sizeof warning, err));
    if (warning[0])
        s3r_trainer_warn(trainer, warning);
    if (trainer->resumed)
        s3r_trainable_select(&trainer->trainable, trainer->pool);
    return S3R_OK;
}

static s3r_status identify_data(s3r_trainer *trainer, s3r_error *err)
{
    s3r_train_identity_set(&trainer->identity, S3R_IDENTITY_TRAIN, trainer->train.hash);
    if (trainer->has_dev)
        s3r_train_identity_set(&trainer->identity, S3R_IDENTITY_DEV, trainer->dev.hash);
    if (!trainer->resumed)
        return S3R_OK;
    return s3r_train_identity_check(&trainer->identity, trainer->resumed, true,
                                    trainer->folder, err);
}

/* ---- the model ---- */

/* A fresh one is written while nobody else can write it. */
static s3r_status find_model(s3r_trainer *trainer, char **path, s3r_error *err)
{
    const s3r_trainer_options *options = &trainer->options;
    if (!options->fresh) {
        *path = s3r_strdup(options->model);
        return *path ? S3R_OK : s3r_fail_memory(err, options->model, 0);
    }
    s3r_fresh_start fresh = *options->fresh;
    fresh.seed = trainer->config.seed;
    if (options->is_plan)
        return s3r_fresh_start_lend(path, &fresh, s3r_temporary_folder(), err);
    S3R_TRY(lock_folder(trainer, err));
    bool is_begun = false;
    if (options->may_resume)
        S3R_TRY(s3r_train_state_is_there(&is_begun, trainer->folder, err));
    return s3r_fresh_start_make(path, &fresh, trainer->folder, is_begun, err);
}

static s3r_status open_model(s3r_trainer *trainer, s3r_error *err)
{
    char *path = NULL;
    s3r_status status = find_model(trainer, &path, err);
    if (status == S3R_OK) {
        const s3r_train_model_source source = {.path = path,
                                               .vocabulary_folder =
                                                   trainer->options.vocabulary,
                                               .pool = trainer->options.pool,
                                               .kernels = trainer->options.kernels};
        status = s3r_train_model_open(&trainer->model, &source, &trainer->config, err);
    }
    if (path && trainer->options.fresh && trainer->options.is_plan)
        s3r_folder_remove(path); /* it is mapped */
    s3r_free(path);
    return status;
}

/* ---- all ---- */

static s3r_status open_parts(s3r_trainer *trainer, s3r_error *err)
{
    const s3r_trainer_options *options = &trainer->options;
    S3R_TRY(check_folder(options, err));
    trainer->folder = s3r_strdup(options->folder);
    if (!trainer->folder)
        return s3r_fail_memory(err, options->folder, 0);
    size_t limit =
        options->memory_limit ? options->memory_limit : s3r_machine_available_bytes();
    trainer->options.memory_limit = limit;
    s3r_tape_init(&trainer->tape, options->pool, options->kernels);
    trainer->has_tape = true;
    trainer->tape.is_bf16 = trainer->config.precision == S3R_PRECISION_BF16;
    S3R_TRY(open_model(trainer, err));
    if (trainer->task->open)
        S3R_TRY(trainer->task->open(trainer, err));
    S3R_TRY(s3r_trainable_make(&trainer->trainable, &trainer->model, options->pool,
                               &trainer->config, limit, err));
    if (!options->is_plan && !trainer->lock)
        S3R_TRY(lock_folder(trainer, err));
    if (!options->is_plan)
        S3R_TRY(remove_leftovers(trainer->folder, err));
    S3R_TRY(identify(trainer, err));
    if (options->may_resume && !options->is_plan)
        S3R_TRY(resume(trainer, err));
    S3R_TRY(open_data(trainer, err));
    if (trainer->task->match_data)
        S3R_TRY(trainer->task->match_data(trainer, err));
    S3R_TRY(identify_data(trainer, err));
    trainer->is_selected = true;
    s3r_trainer_plan_epoch(trainer);
    return options->is_plan ? S3R_OK : write_settings(trainer, err);
}

static const s3r_trainer_task *task_of(const s3r_train_config *config)
{
    if (config->method == S3R_METHOD_PRETRAIN)
        return &s3r_trainer_pretrain;
    return config->task == S3R_TASK_CHOICE_LID ? &s3r_trainer_lid : &s3r_trainer_ctc;
}

s3r_status s3r_trainer_open(s3r_trainer **out, const s3r_trainer_options *options,
                            s3r_error *err)
{
    s3r_trainer *trainer = s3r_alloc(1, sizeof *trainer);
    if (!trainer)
        return s3r_fail_memory(err, "a training run", sizeof *trainer);
    trainer->task = task_of(&options->config);
    trainer->options = *options;
    trainer->config = options->config;
    trainer->pool = options->pool;
    trainer->resident_before = s3r_process_resident_bytes();
    trainer->peak_before = s3r_process_peak_bytes();
    double start = s3r_clock_seconds();
    s3r_status status = open_parts(trainer, err);
    trainer->prepare_s = s3r_clock_seconds() - start;
    if (status == S3R_OK)
        *out = trainer;
    else
        s3r_trainer_close(trainer);
    return status;
}

void s3r_trainer_close(s3r_trainer *trainer)
{
    if (!trainer)
        return;
    if (trainer->task->close)
        trainer->task->close(trainer);
    s3r_batch_plan_release(&trainer->batches);
    s3r_train_set_close(&trainer->dev);
    s3r_train_set_close(&trainer->train);
    s3r_trainable_release(&trainer->trainable);
    s3r_train_model_close(&trainer->model);
    if (trainer->has_tape)
        s3r_tape_release(&trainer->tape);
    s3r_train_identity_release(&trainer->identity);
    json_decref(trainer->resumed);
    s3r_file_lock_release(trainer->lock);
    s3r_free(trainer->folder);
    s3r_free(trainer);
}
