/*
 * What both ways of scoring share: utterances are counted, reported and written as they
 * come; the summary is made at the end.
 */
#ifndef S3R_API_EVAL_TALLY_H
#define S3R_API_EVAL_TALLY_H

#include "base/file.h"
#include "s3r/eval.h"
#include "tasks/error_rate.h"

typedef struct s3r_eval_tally {
    const s3r_eval_options *options;
    s3r_eval_fn result; /* may be NULL */
    void *result_context;
    s3r_eval_summary *summary;
    s3r_error_counts *counts[S3R_METRIC_COUNT]; /* [capacity] of what was scored */
    size_t frames, blank_frames;
    s3r_file_writer *trn[S3R_METRIC_COUNT][2]; /* reference, hypothesis */
    s3r_file_writer *table;
    bool has_letters; /* of a model whose labels are letters: per counts characters */
    s3r_status first_failure; /* of an utterance */
    char first_message[512];
} s3r_eval_tally;

/* S3R_ERR_USAGE for a struct that was not initialised and values out of range. */
s3r_status s3r_eval_options_check(const s3r_eval_options *options, s3r_error *err);

/* Opens the outputs for at most `capacity` utterances; release it also after a failure.
 * options, result, result_context and summary are set by the caller. */
s3r_status s3r_eval_tally_open(s3r_eval_tally *tally, size_t capacity, s3r_error *err);

/* One utterance, scored or failed. */
s3r_status s3r_eval_tally_add(s3r_eval_tally *tally, const s3r_eval_utterance *utterance,
                              s3r_error *err);

/* Completes the summary and the files.  S3R_ERR_PARTIAL, or when nothing could be scored
 * the first failure, when utterances failed. */
s3r_status s3r_eval_tally_finish(s3r_eval_tally *tally, s3r_error *err);
void s3r_eval_tally_release(s3r_eval_tally *tally);

#endif
