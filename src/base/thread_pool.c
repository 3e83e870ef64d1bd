/*
 * Workers take task numbers from one atomic counter.
 *
 * A network layer is a row of parallel regions of some hundred microseconds, so a worker
 * that has run out of work spins a little for the next region before it sleeps: waking a
 * sleeping thread would cost a tenth of a short region.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

#define SPIN_NANOSECONDS 200000
#define SPINS_PER_CLOCK  64

typedef struct pool_worker {
    s3r_pool *pool;
    size_t index;
    pthread_t thread;
} pool_worker;

struct s3r_pool {
    size_t thread_count;
    size_t started; /* threads to join, the caller not counted */
    pool_worker *workers;
    unsigned char *scratch;
    pthread_mutex_t run_mutex; /* one run at a time */
    pthread_mutex_t mutex;     /* sleeping and waking */
    pthread_cond_t wake;
    pthread_cond_t finished;
    atomic_uint generation; /* changes when a run starts or the pool ends */
    atomic_size_t next_task;
    atomic_size_t busy; /* workers that have not left the current run */
    size_t task_count;
    s3r_task_fn run;
    void *context;
    atomic_bool is_ending;
};

size_t s3r_processor_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        int count = CPU_COUNT(&set);
        if (count > 0)
            return (size_t)count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

static void pause_briefly(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_ia32_pause();
#endif
}

static int64_t now_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void work(s3r_pool *pool, size_t worker)
{
    for (;;) {
        size_t task = atomic_fetch_add(&pool->next_task, 1);
        if (task >= pool->task_count)
            return;
        pool->run(pool->context, task, worker);
    }
}

/* True when the generation has moved on from `seen` within the time to spin. */
static bool spin_for_run(s3r_pool *pool, unsigned seen)
{
    int64_t deadline = now_nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (atomic_load_explicit(&pool->generation, memory_order_acquire) != seen)
                return true;
            pause_briefly();
        }
    } while (now_nanoseconds() < deadline);
    return false;
}

static void *worker_main(void *argument)
{
    pool_worker *worker = argument;
    s3r_pool *pool = worker->pool;
    unsigned seen = 0;
    for (;;) {
        if (!spin_for_run(pool, seen)) {
            pthread_mutex_lock(&pool->mutex);
            while (atomic_load(&pool->generation) == seen)
                pthread_cond_wait(&pool->wake, &pool->mutex);
            pthread_mutex_unlock(&pool->mutex);
        }
        seen = atomic_load(&pool->generation);
        if (atomic_load(&pool->is_ending))
            return NULL;
        work(pool, worker->index);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

static void start_generation(s3r_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

/* Waits for the workers; they usually end within microseconds of the caller. */
static void wait_for_workers(s3r_pool *pool)
{
    int64_t deadline = now_nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (atomic_load_explicit(&pool->busy, memory_order_acquire) == 0)
                return;
            pause_briefly();
        }
    } while (now_nanoseconds() < deadline);
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->busy) != 0)
        pthread_cond_wait(&pool->finished, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

void s3r_pool_run(s3r_pool *pool, size_t task_count, s3r_task_fn run, void *context)
{
    if (task_count == 0)
        return;
    pthread_mutex_lock(&pool->run_mutex);
    pool->task_count = task_count;
    pool->run = run;
    pool->context = context;
    atomic_store(&pool->next_task, 0);
    bool is_shared = task_count > 1 && pool->started > 0;
    if (is_shared) {
        atomic_store(&pool->busy, pool->started);
        start_generation(pool);
    }
    work(pool, 0);
    if (is_shared)
        wait_for_workers(pool);
    pthread_mutex_unlock(&pool->run_mutex);
}

size_t s3r_pool_threads(const s3r_pool *pool)
{
    return pool->thread_count;
}

void *s3r_pool_scratch(s3r_pool *pool, size_t worker)
{
    return pool->scratch + worker * S3R_POOL_SCRATCH_BYTES;
}

void s3r_pool_destroy(s3r_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->is_ending, true);
    start_generation(pool);
    for (size_t i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_mutex_destroy(&pool->run_mutex);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->finished);
    s3r_free(pool->workers);
    s3r_free(pool->scratch);
    s3r_free(pool);
}

s3r_status s3r_pool_create(s3r_pool **out, size_t thread_count, s3r_error *err)
{
    if (thread_count == 0)
        thread_count = s3r_processor_count();
    s3r_pool *pool = s3r_alloc(1, sizeof *pool);
    if (!pool)
        return s3r_fail_memory(err, "a thread pool", sizeof *pool);
    pool->thread_count = thread_count;
    pthread_mutex_init(&pool->run_mutex, NULL);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->workers = s3r_alloc(thread_count, sizeof *pool->workers);
    pool->scratch = s3r_alloc_raw(thread_count, S3R_POOL_SCRATCH_BYTES);
    if (!pool->workers || !pool->scratch) {
        s3r_pool_destroy(pool);
        return s3r_fail_memory(err, "a thread pool",
                               thread_count * S3R_POOL_SCRATCH_BYTES);
    }
    for (size_t i = 0; i + 1 < thread_count; i++) {
        pool->workers[i] = (pool_worker){.pool = pool, .index = i + 1};
        if (pthread_create(&pool->workers[i].thread, NULL, worker_main,
                           &pool->workers[i]) != 0) {
            s3r_pool_destroy(pool);
            return s3r_fail(err, S3R_ERR_RESOURCE, "cannot start thread %zu of %zu",
                            i + 2, thread_count);
        }
        pool->started = i + 1;
    }
    *out = pool;
    return S3R_OK;
}
