/*
 * One measurement in a process of its own, so that its peak memory is its own too.
 */
#ifndef S3R_CLI_BENCH_CHILD_H
#define S3R_CLI_BENCH_CHILD_H

#include "session.h"

typedef struct s3r_bench_case {
    s3r_session_options session;
    double seconds; /* of noise */
    size_t rounds;
} s3r_bench_case;

typedef struct s3r_bench_times {
    double open_s; /* context and model */
    double median_s, min_s;
    size_t frame_count;
    bool is_packed;    /* weights were, when time was taken */
    size_t peak_bytes; /* resident; 0 where the system does not tell */
} s3r_bench_times;

/* Fills out from a child process.  The caller must not have started threads.  Errors of
 * the child come back as they are; S3R_ERR_RESOURCE when a signal ended it. */
s3r_status s3r_bench_measure(s3r_bench_times *out, const s3r_command *command,
                             const s3r_bench_case *what, s3r_error *err);

#endif
