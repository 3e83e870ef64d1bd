/*
 * Training: adapting a backbone to a language, or to telling languages apart, by learning
 * which connections to keep, the baselines that this is compared with, and pretraining a
 * backbone.  (docs/training.md, docs/identification.md, docs/pretraining.md; spec 1,
 * 2.6-2.10)
 */
#ifndef S3R_TRAIN_H
#define S3R_TRAIN_H

#include <stdint.h>

#include "s3r/context.h"
#include "s3r/train_event.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_train_options {
    size_t struct_size; /* set by _init */
    const char *model;  /* the backbone, as s3r_model_open takes it */
    bool pretrains; /* the method is pretrain, and must be; default false: it must not */
    /* Pretraining: without a model one is made in FOLDER/start, of the run's seed and
     * this shape, as s3r_model_create takes it; [shape_count]. */
    const char *const *shape;
    size_t shape_count;
    const char *vocabulary;  /* folder with a vocabulary; NULL = the backbone's own; with
                                the setting task=lid always NULL */
    const char *train, *dev; /* manifests; dev may be NULL: then the last mask is taken */
    const char *train_labels, *dev_labels; /* pretraining: clusters of frames
                                              (s3r_kmeans); NULL for others */
    const char *folder;                    /* of the run; made when missing */
    const char *config_path;               /* YAML; NULL = none */
    const char *compat;                    /* "original" or NULL */
    const char *preset;                    /* "10m", "1h", "10h", "xlsr" or NULL */
    const char *const *overrides; /* [override_count] "key.sub=value", the last wins */
    size_t override_count;
    bool may_resume;     /* go on from the folder's newest checkpoint; default false */
    size_t memory_limit; /* bytes the run may need, beside what the process holds when it
                            begins; 0 = what is available */
    s3r_train_watch_fn watch; /* NULL = nobody */
    void *watch_context;
} s3r_train_options;

S3R_API void s3r_train_options_init(s3r_train_options *options);

/*
 * Trains to the end; the folder then holds best.s3m and last.s3m, metrics.jsonl,
 * TensorBoard events, checkpoints, report.html and README.md; of pretraining the model
 * folders best, last and start instead of mask files, report and README.  *finished (may
 * be NULL) is false when the watcher stopped the run: a checkpoint was written, and the
 * same call with may_resume goes on.  While data is read there is nothing to save:
 * S3R_ERR_INTERRUPTED then. The result depends on options and data alone, not on threads,
 * interruptions or time.
 *
 * S3R_ERR_USAGE: settings, or a folder that holds another run or files that a run would
 * overwrite; S3R_ERR_MODEL;
 * S3R_ERR_DATA: unreadable audio, characters outside the vocabulary, languages that are
 * missing, unknown or fewer than two; S3R_ERR_RESOURCE: it
 * would not fit; S3R_ERR_DIVERGED: NaN persists; S3R_ERR_RUNTIME: disk full, and the last
 * checkpoint is good.  One call at a time a context.
 */
S3R_API s3r_status s3r_train(s3r_context *context, const s3r_train_options *options,
                             bool *finished, s3r_error *err);

/*
 * What s3r_train would take, by running a few steps that change nothing.  Leaves no file.
 * S3R_ERR_RESOURCE when it would not fit; *forecast then has everything but the times.
 */
S3R_API s3r_status s3r_train_plan(s3r_context *context, const s3r_train_options *options,
                                  s3r_train_forecast *forecast, s3r_error *err);

/*
 * Writes a model with random weights as a Hugging Face folder, for pretraining.
 *
 *   settings  [setting_count] "key=value" of its shape, see s3r_model_shape_setting
 *   folder    new or empty
 *
 * One seed gives the same bits.  S3R_ERR_USAGE, S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_model_create(const char *folder, const char *const *settings,
                                    size_t setting_count, uint64_t seed, s3r_error *err);
/* The index-th key of a shape and what it means; false past the last. */
S3R_API bool s3r_model_shape_setting(size_t index, const char **key, const char **help);

/* The index-th setting, its default and what it means; false past the last. */
S3R_API bool s3r_train_setting(size_t index, const char **key, const char **fallback,
                               const char **help);

#ifdef __cplusplus
}
#endif
#endif
