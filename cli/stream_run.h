/*
 * s3r transcribe --stream: raw samples from standard input, words as they come.
 */
#ifndef S3R_CLI_STREAM_RUN_H
#define S3R_CLI_STREAM_RUN_H

#include <stdio.h>

#include <s3r/stream.h>

#include "session.h"

typedef struct s3r_stream_run_options {
    s3r_stream_options library;
    bool is_json;
    double pause_s; /* a line of text ends there */
} s3r_stream_run_options;

/*
 * Reads 16-bit little-endian mono samples until they end (or Ctrl-C, after which what is
 * known is written: S3R_ERR_INTERRUPTED).  S3R_ERR_USAGE: a rate out of range,
 * a file with a header; S3R_ERR_DATA: half a sample at the end.
 */
s3r_status s3r_stream_run(const s3r_session *session,
                          const s3r_stream_run_options *options, s3r_error *err);

#endif
