/*
 * What this build and this machine are, for diagnosis.
 */
#ifndef S3R_MACHINE_H
#define S3R_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "s3r/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The best CPU level of this machine: "portable", "avx2", "avx512", "avx512vnni" or
 * "avx512bf16". Thread-safe. */
S3R_API const char *s3r_machine_cpu_level(void);

/* Processors that this process may use; at least 1.  Thread-safe. */
S3R_API size_t s3r_machine_processor_count(void);

/* A library that this one calls. */
typedef struct s3r_dependency {
    const char *name;    /* "libsndfile" */
    const char *version; /* of the library in use: "1.2.0" */
} s3r_dependency;

/* The index-th dependency; false past the last, out is then untouched.  Thread-safe. */
S3R_API bool s3r_machine_dependency(size_t index, s3r_dependency *out);

#ifdef __cplusplus
}
#endif
#endif
