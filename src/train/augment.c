/*
 * Drawing spans, as fairseq does for one row.
 */
#include "train/augment.h"

size_t s3r_span_limit(const s3r_span_plan *plan, size_t size)
{
    if (plan->prob <= 0.0 || plan->length == 0 || size == 0)
        return 0;
    size_t most = (size_t)(plan->prob * (double)size / (double)plan->length) + 1;
    return S3R_MAX(most, plan->min_spans);
}

/* Floyd's choice of `count` of `bound` numbers, marked in taken [bound]. */
static void choose_distinct(size_t *taken, size_t count, size_t bound, s3r_random *random)
{
    for (size_t i = 0; i < bound; i++)
        taken[i] = 0;
    for (size_t i = bound - count; i < bound; i++) {
        size_t pick = (size_t)s3r_random_below(random, i + 1);
        taken[taken[pick] ? i : pick] = 1;
    }
}

size_t s3r_draw_spans(size_t *places, size_t *scratch, const s3r_span_plan *plan,
                      size_t size, s3r_random *random)
{
    if (s3r_span_limit(plan, size) == 0 || size < 2)
        return 0;
    double wanted =
        plan->prob * (double)size / (double)plan->length + s3r_random_uniform(random);
    size_t count = S3R_MAX(plan->min_spans, (size_t)wanted), length = plan->length;
    if (count == 0)
        return 0;
    /* Too short a line for so many starts: shorter spans, then fewer. */
    if (size < length + count + 1)
        length = size > count + 1 ? size - count - 1 : 1;
    count = S3R_MIN(count, size - length);
    choose_distinct(scratch, count, size - length, random);
    size_t found = 0, covered = 0; /* places before `covered` are masked by this span */
    for (size_t at = 0; at < size; at++) {
        if (at < size - length && scratch[at])
            covered = at + length;
        if (at < covered)
            places[found++] = at;
    }
    return found;
}
