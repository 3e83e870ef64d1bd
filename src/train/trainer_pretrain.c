/*
 * The task of pretraining: an objective on unlabelled speech, scored by how often masked
 * frames of the dev set are named wrong, with a Hugging Face folder as result.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/model_save_trained.h"
#include "train/pretrain_step.h"
#include "train/trainer_parts.h"

/* Frame labels of train (0) and dev (1), matched with the sets. */
struct s3r_pretrain_data {
    s3r_frame_labels files[2];
    s3r_pretrain_labels labels[2];
};

static bool uses_clusters(const s3r_trainer *trainer)
{
    return trainer->config.pretrain.objective == S3R_OBJECTIVE_HUBERT;
}

/* ---- labels ---- */

static s3r_status open_labels(s3r_trainer *trainer, size_t which, const char *path,
                              const char *option, s3r_error *err)
{
    const s3r_model_config *config = &trainer->model.config;
    s3r_frame_labels *file = &trainer->pretrain->files[which];
    if (!path)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "the objective hubert needs the clusters of frames: name the file "
            "that s3r kmeans wrote with %s",
            option);
    S3R_TRY(s3r_frame_labels_open(file, path, err));
    trainer->pretrain->labels[which].file = file;
    if (file->frame_stride == s3r_config_stride(config) &&
        file->sample_rate_hz == config->sample_rate)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "%s: expected a label every %zu samples at %zu Hz as %s has frames, "
                    "found every %zu at %u Hz",
                    path, s3r_config_stride(config), config->sample_rate,
                    trainer->model.path, file->frame_stride, file->sample_rate_hz);
}

static s3r_status open_task(s3r_trainer *trainer, s3r_error *err)
{
    trainer->pretrain = s3r_alloc(1, sizeof *trainer->pretrain);
    if (!trainer->pretrain)
        return s3r_fail_memory(err, "the frame labels", sizeof *trainer->pretrain);
    if (!uses_clusters(trainer))
        return S3R_OK;
    S3R_TRY(open_labels(trainer, 0, trainer->options.train_labels, "--labels", err));
    trainer->model.cluster_count = trainer->pretrain->files[0].clusters;
    if (!trainer->options.dev)
        return S3R_OK;
    S3R_TRY(open_labels(trainer, 1, trainer->options.dev_labels, "--dev-labels", err));
    const s3r_frame_labels *train = &trainer->pretrain->files[0];
    const s3r_frame_labels *dev = &trainer->pretrain->files[1];
    if (dev->clusters != train->clusters)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: expected %zu clusters as %s has, found %zu",
                        trainer->options.dev_labels, train->clusters,
                        trainer->options.train_labels, dev->clusters);
    if (dev->centroids_hash && train->centroids_hash &&
        strcmp(dev->centroids_hash, train->centroids_hash) != 0)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "%s: expected labels of the centroids that made %s, found those of "
            "others: label both in one run of s3r kmeans, or the second with "
            "--centroids",
            trainer->options.dev_labels, trainer->options.train_labels);
    return S3R_OK;
}

/* The seal of the labels' files. */
static void identify(const s3r_trainer *trainer, s3r_train_identity *identity)
{
    static const s3r_identity_part parts[] = {S3R_IDENTITY_LABELS,
                                              S3R_IDENTITY_DEV_LABELS};
    for (size_t i = 0; i < 2; i++) {
        const json_t *metadata = trainer->pretrain->files[i].sealed.container.metadata;
        const char *seal = json_string_value(json_object_get(metadata, "s3r.sha256"));
        if (seal)
            s3r_train_identity_set(identity, parts[i], seal);
    }
}

static s3r_status match_set(s3r_trainer *trainer, size_t which, const s3r_train_set *set,
                            s3r_error *err)
{
    s3r_pretrain_labels *labels = &trainer->pretrain->labels[which];
    labels->utterance = s3r_alloc(set->count, sizeof *labels->utterance);
    if (!labels->utterance)
        return s3r_fail_memory(err, "the frame labels", set->count * sizeof(size_t));
    for (size_t i = 0; i < set->count; i++) {
        const s3r_train_item *item = &set->items[i];
        size_t frames = s3r_config_frames(&trainer->model.config, item->samples), found;
        if (!s3r_frame_labels_find(labels->file, item->utterance->id,
                                   &labels->utterance[i]))
            return s3r_fail(err, S3R_ERR_DATA, "%s: the labels lack utterance %s",
                            set->manifest.path, item->utterance->id);
        found = s3r_frame_labels_frames(labels->file, labels->utterance[i]);
        if (found != frames)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: %s: expected %zu frame labels, found %zu",
                            set->manifest.path, item->utterance->id, frames, found);
    }
    return S3R_OK;
}

static s3r_status match_data(s3r_trainer *trainer, s3r_error *err)
{
    if (!uses_clusters(trainer))
        return S3R_OK;
    S3R_TRY(match_set(trainer, 0, &trainer->train, err));
    return trainer->has_dev ? match_set(trainer, 1, &trainer->dev, err) : S3R_OK;
}

static void close_task(s3r_trainer *trainer)
{
    struct s3r_pretrain_data *data = trainer->pretrain;
    if (!data)
        return;
    for (size_t i = 0; i < 2; i++) {
        s3r_frame_labels_close(&data->files[i]);
        s3r_free(data->labels[i].utterance);
    }
    s3r_free(data);
    trainer->pretrain = NULL;
}

/* ---- steps ---- */

static s3r_status run_batch(s3r_trainer *trainer, s3r_step_result *result,
                            const s3r_micro_batch *batch, s3r_error *err)
{
    return s3r_pretrain_step_run(result, &trainer->model, &trainer->train,
                                 &trainer->pretrain->labels[0], &trainer->tape,
                                 &trainer->config, batch, trainer->state.step, true, err);
}

static s3r_status run_dev(s3r_trainer *trainer, size_t *order, s3r_step_result *result,
                          s3r_error *err)
{
    for (size_t i = 0; i < trainer->dev.count; i++)
        order[i] = i;
    for (size_t first = 0; first < trainer->dev.count;) {
        size_t end = s3r_train_set_batch_end(&trainer->dev, first, trainer->batch_frames);
        /* Always the same masks: scores of different steps can be compared. */
        const s3r_micro_batch batch = {.indices = order + first, .count = end - first};
        S3R_TRY(s3r_pretrain_step_run(
            result, &trainer->model, &trainer->dev, &trainer->pretrain->labels[1],
            &trainer->tape, &trainer->config, &batch, trainer->state.step, false, err));
        first = end;
        s3r_trainer_tell(trainer, &(s3r_train_event){.kind = S3R_TRAIN_EVALUATING,
                                                     .done = end,
                                                     .total = trainer->dev.count});
    }
    return S3R_OK;
}

static s3r_status evaluate(s3r_trainer *trainer, s3r_run_score *out, s3r_error *err)
{
    s3r_step_result result = {0};
    size_t *order = s3r_alloc(trainer->dev.count, sizeof *order);
    if (!order)
        return s3r_fail_memory(err, "the evaluation", trainer->dev.count * sizeof *order);
    s3r_status status = run_dev(trainer, order, &result, err);
    s3r_free(order);
    S3R_TRY(status);
    double masked = (double)S3R_MAX(result.counted_of, (size_t)1);
    double accuracy = (double)result.counted / masked;
    double loss = result.bad > 0 ? NAN : result.loss / S3R_MAX(result.units, 1.0);
    *out =
        (s3r_run_score){.value = 1.0 - accuracy,
                        .metric_name = "masked error",
                        .loss = loss,
                        .ratio = accuracy,
                        .metrics = json_pack("{sf, so}", "masked_error", 1.0 - accuracy,
                                             "loss", s3r_trainer_json_loss(loss))};
    return out->metrics ? S3R_OK : s3r_fail_memory(err, "the metrics", 0);
}

/* ---- the result ---- */

/* The objective's own arrays; their names are behind "pretrain/". */
static size_t list_objective(const s3r_trainer *trainer, s3r_tensor *tensors)
{
    static const char prefix[] = "pretrain/";
    size_t count = 0;
    for (size_t i = 0; i < trainer->trainable.count; i++) {
        const s3r_trained *item = &trainer->trainable.items[i];
        if (strncmp(item->name, prefix, sizeof prefix - 1) != 0)
            continue;
        s3r_tensor *tensor = &tensors[count++];
        *tensor = (s3r_tensor){.name = item->name + sizeof prefix - 1,
                               .dtype = S3R_DTYPE_F32,
                               .rank = item->rows == 1 ? 1u : 2u,
                               .shape = {item->rows, item->cols},
                               .data = item->values,
                               .size_bytes = item->count * sizeof(float)};
        if (item->rows == 1)
            tensor->shape[0] = item->cols;
    }
    return count;
}

static json_t *metadata_of(const s3r_trainer *trainer, const json_t *metrics)
{
    char step[32];
    snprintf(step, sizeof step, "%zu", trainer->state.step);
    char *scores = metrics ? json_dumps(metrics, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_t *object = json_pack("{ss, ss, ss, ss}", "s3r.step", step, "s3r.data",
                               trainer->train.hash, "s3r.start", trainer->model.hash,
                               "s3r.metrics", scores ? scores : "{}");
    free(scores);
    return object;
}

static s3r_status save(s3r_trainer *trainer, const char *name, const json_t *metrics,
                       s3r_error *err)
{
    s3r_tensor tensors[16];
    char *folder = s3r_path_join(trainer->folder, name);
    json_t *metadata = metadata_of(trainer, metrics);
    const s3r_save_trained_options options = {.dtype = S3R_DTYPE_F32,
                                              .is_forced = true,
                                              .extra = tensors,
                                              .extra_count =
                                                  list_objective(trainer, tensors),
                                              .metadata = metadata};
    s3r_status status = folder && metadata ? S3R_OK : s3r_fail_memory(err, name, 0);
    if (status == S3R_OK)
        status =
            s3r_model_save_trained(trainer->model.checkpoint, &trainer->model.config,
                                   &trainer->model.parameters, folder, &options, err);
    if (status == S3R_OK)
        s3r_trainer_tell(trainer,
                         &(s3r_train_event){.kind = S3R_TRAIN_SAVED, .text = folder});
    json_decref(metadata);
    s3r_free(folder);
    return status;
}

static s3r_status finish(s3r_trainer *trainer, s3r_error *err)
{
    (void)trainer;
    (void)err;
    return S3R_OK; /* "last" is the model; what it is worth shows when it is adapted */
}

const s3r_trainer_task s3r_trainer_pretrain = {
    .target = S3R_TARGET_NONE,
    .counted_name = "accuracy",
    .collapse_advice = "",
    .open = open_task,
    .identify = identify,
    .match_data = match_data,
    .close = close_task,
    .run_batch = run_batch,
    .evaluate = evaluate,
    .save = save,
    .finish = finish,
};
