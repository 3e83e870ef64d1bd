/*
 * What a run's folder and facts say, for the two texts that people read: report.html and
 * the model card.
 */
#ifndef S3R_TRAIN_RUN_SUMMARY_H
#define S3R_TRAIN_RUN_SUMMARY_H

#include <jansson.h>

#include "base/text_buffer.h"
#include "train/run_curves.h"
#include "train/train_config.h"

typedef struct s3r_run_summary {
    const json_t *facts; /* any part of it may be absent; NULL = all */
    s3r_run_curves curves;
    bool has_config;
    s3r_train_config config;
    const s3r_curve *metric; /* the curve that chose the best */
    const char *metric_name; /* "WER"; task lid: "error rate" */
    bool has_best;
    s3r_point best;
    double hours, dev_hours;  /* 0 = not known */
    double removed, elements; /* connections of all masked matrices */
    size_t matrices;
} s3r_run_summary;

/* A text of the facts, "backbone" "hash"; key NULL: of the group itself.  fallback when
 * it is absent or empty. */
const char *s3r_run_summary_text(const s3r_run_summary *summary, const char *group,
                                 const char *key, const char *fallback);

/* Both write into out; the file is the caller's. */
void s3r_report_html(s3r_text_buffer *out, const s3r_run_summary *summary);
void s3r_model_card(s3r_text_buffer *out, const s3r_run_summary *summary);

/* A number of facts.metrics by its index and its path ("dev wer"); false past the last.
 * Error rates are parts of 1. */
bool s3r_run_summary_metric(const s3r_run_summary *summary, size_t index,
                            const char **name, double *value);
/* A length of audio in the unit that suits it: "9.6 seconds", "10 minutes". */
void s3r_buffer_add_hours(s3r_text_buffer *out, double hours);
/* Whether a metric is an error rate, which is shown in percent. */
bool s3r_metric_is_rate(const char *name);

#endif
