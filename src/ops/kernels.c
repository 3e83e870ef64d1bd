/*
 * Chooses the table of a CPU level.
 */
#include "ops/kernels.h"

#include "ops/kernel_tables.h"

const s3r_kernels *s3r_kernels_get(s3r_cpu_level level)
{
#if defined(__x86_64__)
    switch (level) {
    case S3R_CPU_AVX512BF16:
        return &s3r_kernels_avx512bf16;
    case S3R_CPU_AVX512VNNI:
        return &s3r_kernels_avx512vnni;
    case S3R_CPU_AVX512:
        return &s3r_kernels_avx512;
    case S3R_CPU_AVX2:
        return &s3r_kernels_avx2;
    case S3R_CPU_PORTABLE:
        break;
    }
#else
    (void)level;
#endif
    return &s3r_kernels_portable;
}
