/*
 * A mask file as the result of a run, and the report on it.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/trainer_parts.h"

static s3r_train_result result_of(const s3r_trainer *trainer, const json_t *metrics)
{
    return (s3r_train_result){.model = &trainer->model,
                              .trainable = &trainer->trainable,
                              .config = &trainer->config,
                              .train = &trainer->train,
                              .dev = trainer->has_dev ? &trainer->dev : NULL,
                              .step = trainer->state.step,
                              .metrics = metrics};
}

s3r_status s3r_trainer_save_mask(s3r_trainer *trainer, const char *name,
                                 const json_t *metrics, s3r_error *err)
{
    char file[80];
    const s3r_train_result result = result_of(trainer, metrics);
    snprintf(file, sizeof file, "%s.s3m", name);
    char *path = s3r_path_join(trainer->folder, file);
    if (!path)
        return s3r_fail_memory(err, name, 0);
    s3r_status status = s3r_train_result_save(&result, path, err);
    if (status == S3R_OK)
        s3r_trainer_tell(trainer,
                         &(s3r_train_event){.kind = S3R_TRAIN_SAVED, .text = path});
    s3r_free(path);
    return status;
}

s3r_status s3r_trainer_report_mask(s3r_trainer *trainer, s3r_error *err)
{
    const s3r_train_result result = result_of(trainer, NULL);
    json_t *facts = s3r_train_result_facts(&result);
    if (!facts)
        return s3r_fail_memory(err, "the report", 0);
    s3r_status status = s3r_run_report_write(trainer->folder, facts, err);
    json_decref(facts);
    return status;
}
