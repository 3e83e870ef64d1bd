/*
 * CPU detection through the compiler's own tables, which also ask the operating system
 * whether it saves the wide registers.
 */
#include "base/cpu_level.h"

#include <string.h>

static const char *const level_names[S3R_CPU_LEVEL_COUNT] = {"portable", "avx2", "avx512",
                                                             "avx512vnni", "avx512bf16"};

s3r_cpu_level s3r_cpu_detect(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return S3R_CPU_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return S3R_CPU_AVX2;
    if (!__builtin_cpu_supports("avx512vnni"))
        return S3R_CPU_AVX512;
    if (!__builtin_cpu_supports("avx512bf16"))
        return S3R_CPU_AVX512VNNI;
    return S3R_CPU_AVX512BF16;
#else
    return S3R_CPU_PORTABLE;
#endif
}

const char *s3r_cpu_level_name(s3r_cpu_level level)
{
    return level_names[level];
}

bool s3r_cpu_level_from_name(const char *name, s3r_cpu_level *out)
{
    if (strcmp(name, "auto") == 0) {
        *out = s3r_cpu_detect();
        return true;
    }
    for (size_t i = 0; i < S3R_CPU_LEVEL_COUNT; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (s3r_cpu_level)i;
            return true;
        }
    }
    return false;
}
