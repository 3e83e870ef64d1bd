/*
 * A context: the threads and the CPU kernels that do the work.
 */
#ifndef S3R_CONTEXT_H
#define S3R_CONTEXT_H

#include <stddef.h>

#include "s3r/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_context s3r_context;

typedef struct s3r_context_options {
    size_t struct_size;    /* sizeof(s3r_context_options), set by _init */
    size_t thread_count;   /* threads that compute, the caller included; 0 = one a
                              processor. Results do not depend on it. */
    const char *cpu_level; /* "auto", "portable", "avx2", "avx512", "avx512vnni",
                              "avx512bf16"; NULL = the environment's S3R_CPU, else auto. A
                              level forces older kernels, for tests. */
} s3r_context_options;

/* Sets the defaults above. */
S3R_API void s3r_context_options_init(s3r_context_options *options);

/*
 * Starts the threads.  options may be NULL.  S3R_ERR_USAGE: an unknown CPU level, or one
 * that this machine does not have; S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_context_create(s3r_context **out,
                                      const s3r_context_options *options, s3r_error *err);

/* Ends the threads.  No call with this context may be running.  NULL is allowed. */
S3R_API void s3r_context_destroy(s3r_context *context);

S3R_API size_t s3r_context_threads(const s3r_context *context);
/* The CPU level in use.  Never NULL. */
S3R_API const char *s3r_context_cpu_level(const s3r_context *context);

#ifdef __cplusplus
}
#endif
#endif
