/*
 * CPU levels: which set of kernels runs is chosen at run time, never at build time.
 */
#ifndef S3R_BASE_CPU_LEVEL_H
#define S3R_BASE_CPU_LEVEL_H

#include "base/compiler.h"

typedef enum s3r_cpu_level {
    S3R_CPU_PORTABLE,   /* what the compiler targets by default (x86-64: SSE2) */
    S3R_CPU_AVX2,       /* AVX2, FMA, F16C */
    S3R_CPU_AVX512,     /* AVX-512 F, BW, VL, DQ */
    S3R_CPU_AVX512VNNI, /* the same with dot products of int8 */
    S3R_CPU_AVX512BF16  /* and with those of bf16 */
} s3r_cpu_level;

#define S3R_CPU_LEVEL_COUNT 5

/* The best level of this machine (and of the operating system's saved registers). */
s3r_cpu_level s3r_cpu_detect(void);
/* "portable", "avx2", "avx512", "avx512vnni", "avx512bf16". */
const char *s3r_cpu_level_name(s3r_cpu_level level);
/* False for an unknown name; "auto" gives s3r_cpu_detect(). */
bool s3r_cpu_level_from_name(const char *name, s3r_cpu_level *out);

#endif
