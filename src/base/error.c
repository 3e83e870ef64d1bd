/*
 * Error records: formatting into a fixed buffer, so that reporting an error can
 * itself never fail.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef S3R_VERSION
#define S3R_VERSION "0.0.0"
#endif

const char *s3r_version(void)
{
    return S3R_VERSION;
}

const char *s3r_status_name(s3r_status status)
{
    static const char *const names[] = {"ok",      "runtime",  "usage",
                                        "model",   "data",     "resource",
                                        "partial", "diverged", "interrupted"};
    size_t index = (size_t)status;
    return index < S3R_ARRAY_LEN(names) ? names[index] : "unknown";
}

/* Cuts at the last whole UTF-8 character that leaves room for "...". */
static void mark_as_cut(char *message)
{
    size_t end = S3R_ERROR_MESSAGE_BYTES - 4;
    while (end > 0 && ((unsigned char)message[end] & 0xC0u) == 0x80u)
        end--;
    memcpy(message + end, "...", 4);
}

s3r_status s3r_fail(s3r_error *err, s3r_status code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (length < 0)
        err->message[0] = '\0';
    else if ((size_t)length >= sizeof err->message)
        mark_as_cut(err->message);
    err->code = code;
    return code;
}

s3r_status s3r_fail_memory(s3r_error *err, const char *what, size_t size_bytes)
{
    return s3r_fail(err, S3R_ERR_RESOURCE, "out of memory: %s needs %zu bytes", what,
                    size_bytes);
}

s3r_status s3r_fail_prefix(s3r_error *err, s3r_status status, const char *prefix)
{
    if (!err || status == S3R_OK)
        return status;
    char head[1024];
    int head_length = snprintf(head, sizeof head, "%s: ", prefix);
    if (head_length < 0)
        return status;
    size_t shift = S3R_MIN((size_t)head_length, sizeof head - 1);
    size_t length = strlen(err->message);
    bool is_cut = shift + length >= sizeof err->message;
    if (is_cut)
        length = sizeof err->message - 1 - shift;
    memmove(err->message + shift, err->message, length);
    memcpy(err->message, head, shift);
    err->message[shift + length] = '\0';
    if (is_cut)
        mark_as_cut(err->message);
    return status;
}
