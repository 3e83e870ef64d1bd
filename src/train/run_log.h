/*
 * What a training run leaves for people to read while it goes: metrics.jsonl and
 * TensorBoard events.
 */
#ifndef S3R_TRAIN_RUN_LOG_H
#define S3R_TRAIN_RUN_LOG_H

#include <jansson.h>

#include "base/error.h"

typedef struct s3r_run_log s3r_run_log;

/*
 * Opens both logs in an existing run folder.  When the run resumes at `step`, entries of
 * later steps are cut off (from metrics.jsonl; a new event file marks the restart for
 * TensorBoard), so that a resumed run's metrics.jsonl has each step once.
 * S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
s3r_status s3r_run_log_open(s3r_run_log **out, const char *folder, size_t step,
                            s3r_error *err);

/* One line: object (borrowed) has "step" (integer) and numbers, strings or objects of
 * numbers; numbers also become TensorBoard scalars, named by their path with "/".  The
 * line is flushed to the system. */
s3r_status s3r_run_log_write(s3r_run_log *log, const json_t *object, s3r_error *err);

/* Waits until the disk has all lines, so that no checkpoint is ahead of them after a
 * crash of the machine.  S3R_ERR_RUNTIME. */
s3r_status s3r_run_log_sync(s3r_run_log *log, s3r_error *err);

s3r_status s3r_run_log_close(s3r_run_log *log, s3r_error *err); /* NULL is allowed */

/* report.html (self-contained: inline SVG curves of metrics.jsonl, settings, result) and
 * README.md, the model card, from what is in the folder: metrics.jsonl, config.yaml and
 * facts (the mask file's, docs/formats.md). */
s3r_status s3r_run_report_write(const char *folder, const json_t *facts, s3r_error *err);

#endif
