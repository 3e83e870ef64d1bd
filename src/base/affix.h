/*
 * How strings begin and end.
 */
#ifndef S3R_BASE_AFFIX_H
#define S3R_BASE_AFFIX_H

#include <string.h>

#include "base/compiler.h"

static inline bool s3r_begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static inline bool s3r_ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), ending_length = strlen(ending);
    return length >= ending_length && strcmp(text + length - ending_length, ending) == 0;
}

#endif
