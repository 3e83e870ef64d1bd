/*
 * Epochs: each utterance once, batches within their limit, another order each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "train/batch_plan.h"

#define COUNT 200u

static void expect_epoch(const s3r_batch_plan *plan, const size_t *frames, size_t limit)
{
    bool is_seen[COUNT] = {false};
    assert_int_equal(plan->offset[0], 0);
    assert_int_equal(plan->offset[plan->batches], plan->count);
    for (size_t b = 0; b < plan->batches; b++) {
        size_t sum = 0, first = plan->offset[b], end = plan->offset[b + 1];
        assert_true(first < end);
        for (size_t i = first; i < end; i++) {
            assert_true(plan->order[i] < plan->count && !is_seen[plan->order[i]]);
            is_seen[plan->order[i]] = true;
            sum += frames[plan->order[i]];
        }
        assert_true(sum <= limit || end == first + 1);
        /* Full: the next utterance would not have fitted. */
        if (end < plan->count)
            assert_true(sum + frames[plan->order[end]] > limit);
    }
}

static void test_epochs(void **state)
{
    (void)state;
    static const size_t limits[] = {1, 50, 499, 1000, 1000000};
    s3r_batch_plan plan, again;
    s3r_error err;
    size_t frames[COUNT], last[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        frames[i] = 1 + i * 7919 % 500;
    assert_int_equal(s3r_batch_plan_init(&plan, COUNT, &err), S3R_OK);
    assert_int_equal(s3r_batch_plan_init(&again, COUNT, &err), S3R_OK);
    for (size_t l = 0; l < S3R_ARRAY_LEN(limits); l++)
        for (size_t epoch = 0; epoch < 4; epoch++) {
            size_t calls = s3r_alloc_count();
            s3r_batch_plan_epoch(&plan, frames, limits[l], 1, epoch);
            assert_int_equal(s3r_alloc_count(), calls);
            assert_int_equal(plan.epoch, epoch);
            expect_epoch(&plan, frames, limits[l]);
            if (epoch > 0)
                assert_memory_not_equal(plan.order, last, sizeof last);
            memcpy(last, plan.order, sizeof last);
            /* The plan of an epoch depends on no other. */
            s3r_batch_plan_epoch(&again, frames, limits[l], 1, epoch);
            assert_memory_equal(again.order, plan.order, sizeof last);
            s3r_batch_plan_epoch(&again, frames, limits[l], 2, epoch);
            assert_memory_not_equal(again.order, plan.order, sizeof last);
        }
    s3r_batch_plan_epoch(&plan, frames, 1, 1, 0);
    assert_int_equal(plan.batches, COUNT);
    s3r_batch_plan_epoch(&plan, frames, SIZE_MAX, 1, 0);
    assert_int_equal(plan.batches, 1);
    s3r_batch_plan_release(&plan);
    s3r_batch_plan_release(&again);
}

static void test_one(void **state)
{
    (void)state;
    s3r_batch_plan plan;
    s3r_error err;
    const size_t frames[] = {30};
    assert_int_equal(s3r_batch_plan_init(&plan, 1, &err), S3R_OK);
    s3r_batch_plan_epoch(&plan, frames, 10, 7, 3);
    expect_epoch(&plan, frames, 10);
    assert_int_equal(plan.batches, 1);
    s3r_batch_plan_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
