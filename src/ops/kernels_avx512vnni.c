/*
 * Kernels of the avx512vnni level: the AVX-512 templates compiled with this level's
 * flags.
 */
#if defined(__x86_64__)
#define S3R_HAS_VNNI
#include "ops/gemm_avx512_tmpl.h"
#include "ops/int8_avx512_tmpl.h"
#include "ops/elementwise_tmpl.h"
#include "ops/kernel_tables.h"

#define S3R_TABLE       s3r_kernels_avx512vnni
#define S3R_TABLE_LEVEL S3R_CPU_AVX512VNNI
#define S3R_TABLE_ROWS  TILE_ROWS
#include "ops/kernel_table_tmpl.h"
#else
typedef int s3r_no_avx512vnni;
#endif
