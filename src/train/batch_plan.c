/*
 * Shuffling and filling.
 */
#include "train/batch_plan.h"

#include "base/memory.h"
#include "base/random.h"

#define ORDER_STREAM 0x6f72646572u /* "order" */

s3r_status s3r_batch_plan_init(s3r_batch_plan *plan, size_t count, s3r_error *err)
{
    *plan = (s3r_batch_plan){.count = count};
    plan->order = s3r_alloc(count, sizeof *plan->order);
    plan->offset = s3r_alloc(count + 1, sizeof *plan->offset);
    if (plan->order && plan->offset)
        return S3R_OK;
    s3r_batch_plan_release(plan);
    return s3r_fail_memory(err, "the order of the data", count * 2 * sizeof(size_t));
}

void s3r_batch_plan_release(s3r_batch_plan *plan)
{
    s3r_free(plan->order);
    s3r_free(plan->offset);
    *plan = (s3r_batch_plan){0};
}

void s3r_batch_plan_epoch(s3r_batch_plan *plan, const size_t *frames, size_t limit,
                          uint64_t seed, size_t epoch)
{
    s3r_random random;
    s3r_random_init(&random, s3r_random_at(seed, ORDER_STREAM, epoch), 0);
    for (size_t i = 0; i < plan->count; i++)
        plan->order[i] = i;
    s3r_random_shuffle(&random, plan->order, plan->count);
    plan->epoch = epoch;
    plan->batches = 0;
    size_t filled = 0;
    for (size_t i = 0; i < plan->count; i++) {
        size_t more = frames[plan->order[i]];
        if (i == 0 || filled + more > limit) {
            plan->offset[plan->batches++] = i;
            filled = 0;
        }
        filled += more;
    }
    plan->offset[plan->batches] = plan->count;
}
