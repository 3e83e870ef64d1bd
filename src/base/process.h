/*
 * Running another program without a shell: bytes in, bytes out.
 */
#ifndef S3R_BASE_PROCESS_H
#define S3R_BASE_PROCESS_H

#include "base/error.h"

typedef struct s3r_process {
    const char *const *arguments; /* NULL-terminated; the first is looked up in PATH */
    const char *input;            /* given to its standard input; NULL = nothing */
    size_t input_bytes;
    size_t max_output_bytes; /* more is S3R_ERR_RESOURCE */
} s3r_process;

/*
 * Runs it to its end and collects what it writes to standard output in a new string
 * (s3r_free; a NUL follows).  Its input is fed while its output is read, so neither can
 * block the other.
 *
 * S3R_ERR_RUNTIME with the first line of what it said on standard error: it ended with a
 * failure, or could not be started; *is_missing (may be NULL) tells that there is no such
 * program.  S3R_ERR_RESOURCE.  Thread-safe.
 */
s3r_status s3r_process_run(const s3r_process *process, char **output,
                           size_t *output_bytes, bool *is_missing, s3r_error *err);

#endif
