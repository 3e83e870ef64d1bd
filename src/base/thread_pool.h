/*
 * A pool of worker threads that run numbered tasks.
 *
 * A worker only decides who computes a task, not how: either the tasks are cut by shape,
 * or any cut gives the same bits.  So a result does not depend on how many workers there
 * are.
 */
#ifndef S3R_BASE_THREAD_POOL_H
#define S3R_BASE_THREAD_POOL_H

#include "base/error.h"

typedef struct s3r_pool s3r_pool;

/* task in [0, task_count), worker in [0, s3r_pool_threads). */
typedef void (*s3r_task_fn)(void *context, size_t task, size_t worker);

/* thread_count counts the caller; 0 = one a processor that this process may use. */
s3r_status s3r_pool_create(s3r_pool **out, size_t thread_count, s3r_error *err);
void s3r_pool_destroy(s3r_pool *pool); /* NULL is allowed */
size_t s3r_pool_threads(const s3r_pool *pool);

/* Runs all tasks and returns when the last has ended.  The caller works too, as worker 0.
 * One run at a time a pool: callers of one pool take turns. */
void s3r_pool_run(s3r_pool *pool, size_t task_count, s3r_task_fn run, void *context);

/* Fixed private memory of a worker, S3R_POOL_SCRATCH_BYTES long, 64-byte aligned; its
 * content is lost between tasks. */
#define S3R_POOL_SCRATCH_BYTES ((size_t)1 << 20)
void *s3r_pool_scratch(s3r_pool *pool, size_t worker);

/* Processors that this process may use (affinity and cgroup-free); at least 1. */
size_t s3r_processor_count(void);

#endif
