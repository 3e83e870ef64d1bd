/*
 * The files that prepare writes: one manifest a split, and what was left out.
 */
#ifndef S3R_DATA_PREPARE_WRITE_H
#define S3R_DATA_PREPARE_WRITE_H

#include "base/file.h"
#include "data/prepare.h"

/* FOLDER/dropped.tsv: reason, id, audio, detail.  A run that drops nothing removes
 * nothing and writes the header alone. */
typedef s3r_file_writer s3r_dropped_log;
s3r_status s3r_dropped_log_open(s3r_dropped_log **out, const char *folder,
                                s3r_error *err);
s3r_status s3r_dropped_log_add(s3r_dropped_log *log, const char *reason,
                               const s3r_utterance *utterance, const char *detail,
                               s3r_error *err);
s3r_status s3r_dropped_log_commit(s3r_dropped_log *log, s3r_error *err);
void s3r_dropped_log_abort(s3r_dropped_log *log); /* NULL is allowed */

/* Writes SPLIT.jsonl, or LANGUAGE/SPLIT.jsonl, of the report's corpus and fills its rows.
 * S3R_ERR_DATA: a language that is no name of a folder. */
s3r_status s3r_prepare_write(s3r_prepare_report *report,
                             const s3r_prepare_options *options, s3r_error *err);

#endif
