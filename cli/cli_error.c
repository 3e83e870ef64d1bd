/*
 * Filling an s3r_error from the program.
 */
#include "cli_error.h"

#include <stdarg.h>
#include <stdio.h>

s3r_status s3r_cli_fail(s3r_error *err, s3r_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    err->code = code;
    return code;
}
