/*
 * Filling an s3r_error from the program; the library has its own way.
 */
#ifndef S3R_CLI_ERROR_H
#define S3R_CLI_ERROR_H

#include <s3r/status.h>

#if defined(__GNUC__)
#define S3R_CLI_PRINTF(format_index, first_index)                                        \
    __attribute__((format(printf, format_index, first_index)))
#else
#define S3R_CLI_PRINTF(format_index, first_index)
#endif

/* Fills err and returns code. */
s3r_status s3r_cli_fail(s3r_error *err, s3r_status code, const char *format, ...)
    S3R_CLI_PRINTF(3, 4);

#endif
