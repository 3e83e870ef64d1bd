/*
 * The few compiler extensions that we use, in one place.
 */
#ifndef S3R_BASE_COMPILER_H
#define S3R_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#if defined(__GNUC__)
#define S3R_PRINTF(format_index, first_index)                                            \
    __attribute__((format(printf, format_index, first_index)))
#define S3R_ALWAYS_INLINE static inline __attribute__((always_inline, unused))
#define S3R_LIKELY(x)     __builtin_expect(!!(x), 1)
#define S3R_UNUSED        __attribute__((unused))
#define S3R_PREFETCH(p)   __builtin_prefetch(p)
#else
#define S3R_PRINTF(format_index, first_index)
#define S3R_ALWAYS_INLINE static inline
#define S3R_LIKELY(x)     (x)
#define S3R_UNUSED
#define S3R_PREFETCH(p) ((void)(p))
#endif

#define S3R_ARRAY_LEN(a)   (sizeof(a) / sizeof((a)[0]))
#define S3R_MIN(a, b)      ((a) < (b) ? (a) : (b))
#define S3R_MAX(a, b)      ((a) > (b) ? (a) : (b))
#define S3R_CEIL_DIV(a, b) (((a) + (b)-1) / (b))

#endif
