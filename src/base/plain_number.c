/*
 * The thread's locale is another one for the time of a call.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/plain_number.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_once_t is_made = PTHREAD_ONCE_INIT;
static locale_t plain; /* 0 without memory: then the program's locale is taken */

static void make_plain(void)
{
    plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}

static locale_t enter(void)
{
    pthread_once(&is_made, make_plain);
    return plain ? uselocale(plain) : (locale_t)0;
}

static void leave(locale_t before)
{
    if (before)
        uselocale(before);
}

int s3r_plain_print_args(char *out, size_t size, const char *format, va_list args)
{
    locale_t before = enter();
    int length = vsnprintf(out, size, format, args);
    leave(before);
    return length;
}

int s3r_plain_print(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = s3r_plain_print_args(out, size, format, args);
    va_end(args);
    return length;
}

double s3r_plain_parse(const char *text, char **end)
{
    locale_t before = enter();
    double value = strtod(text, end);
    leave(before);
    return value;
}
