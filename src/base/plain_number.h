/*
 * Numbers in files: with a point, whatever the locale of the program that uses the
 * library.
 */
#ifndef S3R_BASE_PLAIN_NUMBER_H
#define S3R_BASE_PLAIN_NUMBER_H

#include <stdarg.h>

#include "base/compiler.h"

/* As snprintf and vsnprintf.  Thread-safe. */
int s3r_plain_print(char *out, size_t size, const char *format, ...) S3R_PRINTF(3, 4);
int s3r_plain_print_args(char *out, size_t size, const char *format, va_list args)
    S3R_PRINTF(3, 0);
/* As strtod.  Thread-safe. */
double s3r_plain_parse(const char *text, char **end);

#endif
