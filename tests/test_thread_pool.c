/*
 * The thread pool: every task of every run exactly once, with the fields of its own run,
 * also when runs are short, workers come late and several callers share the pool; and a
 * worker begins with its own share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "base/thread_pool.h"

#define MAX_TASKS 40

typedef struct pool_run {
    atomic_uint done[MAX_TASKS];
    size_t task_count;
    atomic_bool is_wrong;
} pool_run;

static void mark_task(void *context, size_t task, size_t worker)
{
    pool_run *run = context;
    (void)worker;
    if (task >= run->task_count)
        atomic_store(&run->is_wrong, true);
    else
        atomic_fetch_add(&run->done[task], 1);
}

static void run_once(s3r_pool *pool, size_t task_count)
{
    pool_run run = {.task_count = task_count};
    s3r_pool_run(pool, task_count, mark_task, &run);
    assert_false(atomic_load(&run.is_wrong));
    for (size_t i = 0; i < MAX_TASKS; i++)
        assert_int_equal(atomic_load(&run.done[i]), i < task_count);
}

static void test_every_task_runs_once(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 5; threads++) {
        s3r_pool *pool;
        assert_int_equal(s3r_pool_create(&pool, threads, NULL), S3R_OK);
        assert_int_equal(s3r_pool_threads(pool), threads);
        for (size_t i = 0; i < 3000; i++)
            run_once(pool, i * 7 % MAX_TASKS);
        s3r_pool_destroy(pool);
    }
}

#define SHARE 10

typedef struct share_run {
    atomic_size_t begun;    /* workers that have a task */
    atomic_size_t taken[3]; /* tasks of each */
    size_t first[3];        /* the first of each */
} share_run;

/* A worker's first task waits for all workers, so that nobody takes others' before. */
static void note_share(void *context, size_t task, size_t worker)
{
    share_run *run = context;
    if (atomic_fetch_add(&run->taken[worker], 1) > 0)
        return;
    run->first[worker] = task;
    atomic_fetch_add(&run->begun, 1);
    while (atomic_load(&run->begun) < 3)
        sched_yield();
}

static void test_workers_begin_with_their_share(void **state)
{
    (void)state;
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 3, NULL), S3R_OK);
    for (size_t i = 0; i < 200; i++) {
        share_run run = {0};
        s3r_pool_run(pool, 3 * SHARE, note_share, &run);
        for (size_t w = 0; w < 3; w++)
            assert_int_equal(run.first[w], w * SHARE);
        assert_int_equal(run.taken[0] + run.taken[1] + run.taken[2], 3 * SHARE);
    }
    s3r_pool_destroy(pool);
}

static void *call_often(void *pool)
{
    for (size_t i = 0; i < 500; i++)
        run_once(pool, i * 11 % MAX_TASKS);
    return NULL;
}

static void test_callers_take_turns(void **state)
{
    (void)state;
    s3r_pool *pool;
    pthread_t callers[3];
    assert_int_equal(s3r_pool_create(&pool, 3, NULL), S3R_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, call_often, pool), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(callers[i], NULL);
    s3r_pool_destroy(pool);
}

static void test_pools_start_and_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        s3r_pool *pool;
        assert_int_equal(s3r_pool_create(&pool, 1 + i % 4, NULL), S3R_OK);
        if (i % 3)
            run_once(pool, i % MAX_TASKS);
        s3r_pool_destroy(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_workers_begin_with_their_share),
        cmocka_unit_test(test_callers_take_turns),
        cmocka_unit_test(test_pools_start_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
