/*
 * Filling an s3r_error from inside the library.
 *
 *   return s3r_fail(err, S3R_ERR_MODEL, "%s: \"%s\": expected %s, found %s", ...);
 *   S3R_TRY(s3r_other_call(..., err));
 */
#ifndef S3R_BASE_ERROR_H
#define S3R_BASE_ERROR_H

#include "s3r/status.h"
#include "base/compiler.h"

/* Forwards a failure of `expr` to the caller. */
#define S3R_TRY(expr)                                                                    \
    do {                                                                                 \
        s3r_status s3r_try_status = (expr);                                              \
        if (s3r_try_status != S3R_OK)                                                    \
            return s3r_try_status;                                                       \
    } while (0)

/* Fills err (which may be NULL) and returns code.  A too long message is cut at a UTF-8
 * boundary and ends in "...". */
s3r_status s3r_fail(s3r_error *err, s3r_status code, const char *format, ...)
    S3R_PRINTF(3, 4);

/* The failure of an allocation of size_bytes for the named thing: S3R_ERR_RESOURCE. */
s3r_status s3r_fail_memory(s3r_error *err, const char *what, size_t size_bytes);

/* Puts "prefix: " before the message of err when err is not NULL and status is a failure;
 * returns status unchanged, so that a caller can name the file around a failure. */
s3r_status s3r_fail_prefix(s3r_error *err, s3r_status status, const char *prefix);

#endif
