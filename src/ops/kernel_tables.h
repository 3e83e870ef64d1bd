/*
 * The tables of the CPU levels that this build contains (x86-64 has all of them).
 */
#ifndef S3R_OPS_KERNEL_TABLES_H
#define S3R_OPS_KERNEL_TABLES_H

#include "ops/kernels.h"

extern const s3r_kernels s3r_kernels_portable;
#if defined(__x86_64__)
extern const s3r_kernels s3r_kernels_avx2;
extern const s3r_kernels s3r_kernels_avx512;
extern const s3r_kernels s3r_kernels_avx512vnni;
extern const s3r_kernels s3r_kernels_avx512bf16;
#endif

#endif
