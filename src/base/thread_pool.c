/*
 * Each worker has a queue of neighbouring tasks, the same share of every run, so that
 * what it reads lies mostly where it wrote it: between cores a cache line takes longer
 * than from memory. Who has run out of tasks takes those of others. Task numbers come
 * from an atomic ticket a queue, which also carries the number of the run: a worker that
 * comes late can take a task only of the run that is on, and nobody waits for a worker
 * that the system has put aside between tasks.
 *
 * A network layer is a row of parallel regions of some hundred microseconds, so a worker
 * that has run out of work spins a little for the next region before it sleeps: waking a
 * sleeping thread would cost a tenth of a short region.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/thread_pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

#define SPIN_NANOSECONDS 200000
#define SPINS_PER_CLOCK  64

/* Tasks of one worker, in a cache line of its own. */
typedef struct task_queue {
    _Alignas(64) atomic_uint_fast64_t ticket; /* run << 32 | next task */
    atomic_size_t end;  /* of its tasks; written before the ticket */
    atomic_size_t left; /* tasks that have not ended */
} task_queue;

typedef struct pool_worker {
    s3r_pool *pool;
    size_t index;
    pthread_t thread;
} pool_worker;

struct s3r_pool {
    size_t thread_count;
    size_t started; /* threads to join, the caller not counted */
    pool_worker *workers;
    task_queue *queues; /* one a thread */
    unsigned char *scratch;
    pthread_mutex_t run_mutex; /* one run at a time */
    pthread_mutex_t mutex;     /* sleeping and waking */
    pthread_cond_t wake;
    pthread_cond_t finished;
    _Alignas(64) atomic_uint run_number; /* written behind the tickets */
    /* Of the current run; written before its tickets. */
    _Atomic(s3r_task_fn) run;
    _Atomic(void *) context;
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

/*
 * Takes and runs tasks of a queue until none of this run is left; who is late comes back
 * for the next one and begins with its own queue.  The fields are read before the ticket
 * is drawn: drawing succeeds only while the ticket is what it was, so that the run it
 * names is not over and the fields are its own.
 */
static void work_off(s3r_pool *pool, task_queue *queue, unsigned number, size_t worker)
{
    for (;;) {
        uint_fast64_t ticket = atomic_load(&queue->ticket);
        size_t task = (size_t)(ticket & UINT32_MAX);
        s3r_task_fn run = atomic_load(&pool->run);
        void *context = atomic_load(&pool->context);
        if (task >= atomic_load(&queue->end) || (unsigned)(ticket >> 32) != number)
            return;
        if (!atomic_compare_exchange_weak(&queue->ticket, &ticket, ticket + 1))
            continue;
        run(context, task, worker);
        if (atomic_fetch_sub(&queue->left, 1) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

/* A worker's own tasks of a run, then those that are left of others. */
static void work(s3r_pool *pool, unsigned number, size_t worker)
{
    for (size_t i = 0; i < pool->thread_count; i++)
        work_off(pool, &pool->queues[(worker + i) % pool->thread_count], number, worker);
}

/* True when another run than `seen` is on within the time to spin. */
static bool spin_for_run(s3r_pool *pool, unsigned seen)
{
    int64_t deadline = now_nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (atomic_load(&pool->run_number) != seen)
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
            while (atomic_load(&pool->run_number) == seen)
                pthread_cond_wait(&pool->wake, &pool->mutex);
            pthread_mutex_unlock(&pool->mutex);
        }
        seen = atomic_load(&pool->run_number);
        if (atomic_load(&pool->is_ending))
            return NULL;
        work(pool, seen, worker->index);
    }
}

/* Nobody draws while the fields change. */
static void close_queues(s3r_pool *pool)
{
    for (size_t i = 0; i < pool->thread_count; i++)
        atomic_fetch_or(&pool->queues[i].ticket, UINT32_MAX);
}

/* Publishes the next run, whose fields are set. */
static void start_run(s3r_pool *pool, size_t task_count)
{
    unsigned number = atomic_load(&pool->run_number) + 1;
    for (size_t i = 0; i < pool->thread_count; i++) {
        task_queue *queue = &pool->queues[i];
        size_t first = task_count * i / pool->thread_count;
        size_t end = task_count * (i + 1) / pool->thread_count;
        atomic_store(&queue->end, end);
        atomic_store(&queue->left, end - first);
        atomic_store(&queue->ticket, (uint_fast64_t)number << 32 | first);
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->run_number, number);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static bool is_finished(s3r_pool *pool)
{
    for (size_t i = 0; i < pool->thread_count; i++)
        if (atomic_load(&pool->queues[i].left) > 0)
            return false;
    return true;
}

/* Waits for tasks that others have taken; they usually end within microseconds. */
static void wait_for_tasks(s3r_pool *pool)
{
    int64_t deadline = now_nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (is_finished(pool))
                return;
            pause_briefly();
        }
    } while (now_nanoseconds() < deadline);
    pthread_mutex_lock(&pool->mutex);
    while (!is_finished(pool))
        pthread_cond_wait(&pool->finished, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

void s3r_pool_run(s3r_pool *pool, size_t task_count, s3r_task_fn run, void *context)
{
    if (task_count == 0)
        return;
    assert(task_count < UINT32_MAX);
    pthread_mutex_lock(&pool->run_mutex);
    if (task_count == 1 || pool->started == 0) {
        for (size_t task = 0; task < task_count; task++)
            run(context, task, 0);
    } else {
        close_queues(pool);
        atomic_store(&pool->run, run);
        atomic_store(&pool->context, context);
        start_run(pool, task_count);
        work(pool, atomic_load(&pool->run_number), 0);
        wait_for_tasks(pool);
    }
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
    if (pool->started > 0)
        start_run(pool, 0);
    for (size_t i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_mutex_destroy(&pool->run_mutex);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->finished);
    s3r_free(pool->workers);
    s3r_free(pool->queues);
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
    pool->queues = s3r_alloc(thread_count, sizeof *pool->queues);
    pool->scratch = s3r_alloc_raw(thread_count, S3R_POOL_SCRATCH_BYTES);
    if (!pool->workers || !pool->queues || !pool->scratch) {
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
