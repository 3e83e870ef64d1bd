/*
 * The curves of a run, read from metrics.jsonl.
 */
#ifndef S3R_TRAIN_RUN_CURVES_H
#define S3R_TRAIN_RUN_CURVES_H

#include "base/error.h"

typedef enum s3r_curve_kind {
    S3R_CURVE_TRAIN_LOSS,
    S3R_CURVE_DEV_LOSS,
    S3R_CURVE_LR,
    S3R_CURVE_WER,
    S3R_CURVE_CER,
    S3R_CURVE_PER,
    S3R_CURVE_ERROR, /* task lid: utterances whose language is named wrong */
    S3R_CURVE_TRAIN_BLANKS,
    S3R_CURVE_DEV_BLANKS,
    S3R_CURVE_CHANGED_SINCE_START,
    S3R_CURVE_CHANGED_SINCE_EVALUATION,
    S3R_CURVE_FRAMES_PER_SECOND,
    S3R_CURVE_COUNT
} s3r_curve_kind;

typedef struct s3r_point {
    double step, value;
} s3r_point;

typedef struct s3r_curve {
    s3r_point *points; /* in the order of the file */
    size_t count, capacity;
} s3r_curve;

typedef struct s3r_run_curves {
    s3r_curve items[S3R_CURVE_COUNT];
} s3r_run_curves;

/* Reads folder/metrics.jsonl; without one all curves are empty, and what is no line of a
 * log is passed over.  S3R_ERR_RESOURCE, S3R_ERR_RUNTIME. */
s3r_status s3r_run_curves_load(s3r_run_curves *out, const char *folder, s3r_error *err);
void s3r_run_curves_release(s3r_run_curves *curves);

/* The index of the first smallest value; count when there is none. */
size_t s3r_curve_best(const s3r_curve *curve);

#endif
