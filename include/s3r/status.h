/*
 * Status codes and the error record that every fallible call fills.
 *
 * The numeric values are the exit codes of the `s3r` program, so a status can
 * be returned from main() as it is (docs/cli.md lists them; the program itself ends with
 * 128 and the number of the signal instead of S3R_ERR_INTERRUPTED).
 */
#ifndef S3R_STATUS_H
#define S3R_STATUS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define S3R_API __attribute__((visibility("default")))
#else
#define S3R_API
#endif

typedef enum s3r_status {
    S3R_OK = 0,
    S3R_ERR_RUNTIME = 1,    /* failed while running: disk full, write error, ... */
    S3R_ERR_USAGE = 2,      /* a wrong argument or configuration */
    S3R_ERR_MODEL = 3,      /* model or mask unreadable or not matching */
    S3R_ERR_DATA = 4,       /* data or audio unreadable */
    S3R_ERR_RESOURCE = 5,   /* does not fit: memory, limits */
    S3R_ERR_PARTIAL = 6,    /* some inputs failed, the others are done */
    S3R_ERR_DIVERGED = 7,   /* training diverged */
    S3R_ERR_INTERRUPTED = 8 /* a callback of the caller's ended the work */
} s3r_status;

#define S3R_ERROR_MESSAGE_BYTES 8192

/*
 * What went wrong: the file, the thing, what was expected and what was found.
 * The caller owns it (the stack is fine); it needs no release.  Every function
 * that takes an s3r_error accepts NULL.  Untouched on success.
 */
typedef struct s3r_error {
    s3r_status code;
    char message[S3R_ERROR_MESSAGE_BYTES]; /* UTF-8, NUL-terminated, no newline at end */
} s3r_error;

/* A short English name of the status, for example "model".  Never NULL.  Thread-safe. */
S3R_API const char *s3r_status_name(s3r_status status);

/* The library's version, for example "0.1.0".  Never NULL.  Thread-safe. */
S3R_API const char *s3r_version(void);

#ifdef __cplusplus
}
#endif
#endif
