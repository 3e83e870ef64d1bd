/*
 * Statistics and edges of the spans that are masked. (spec 2.6)
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "train/augment.h"

#define SIZE 1500u

static size_t draw(size_t *places, const s3r_span_plan *plan, size_t size, uint64_t seed)
{
    static size_t scratch[SIZE];
    s3r_random random;
    s3r_random_init(&random, seed, 9);
    size_t count = s3r_draw_spans(places, scratch, plan, size, &random);
    assert_true(count <= size);
    for (size_t i = 0; i < count; i++)
        assert_true(places[i] < size && (i == 0 || places[i - 1] < places[i]));
    return count;
}

/* 0.65 / 10: about 49 % of the frames of long utterances. */
static void test_time_fraction(void **state)
{
    (void)state;
    const s3r_span_plan plan = {0.65, 10, 2};
    static size_t places[SIZE];
    static const size_t sizes[] = {300, 1500};
    for (size_t s = 0; s < S3R_ARRAY_LEN(sizes); s++) {
        double sum = 0, last = 0, first = 0;
        const size_t draws = 2000;
        for (size_t i = 0; i < draws; i++) {
            size_t count = draw(places, &plan, sizes[s], i);
            sum += (double)count / (double)sizes[s];
            first += places[0] == 0;
            last += places[count - 1] == sizes[s] - 1;
        }
        double part = sum / (double)draws;
        if (!(fabs(part - 0.49) < 0.015))
            fail_msg("%zu frames: %g of them masked, expected about 0.49", sizes[s],
                     part);
        /* Starts are uniform over [0, size - length): the first frame is a start in 6.5 %
         * of the draws, and the last is never reached. */
        assert_true(fabs(first / (double)draws - 0.067) < 0.03);
        assert_true(last == 0.0);
    }
}

/* Spans of one draw; they do not touch when they are few in a long line. */
static size_t count_spans(const size_t *places, size_t count, size_t length)
{
    size_t spans = 0;
    for (size_t i = 0; i < count; i++)
        spans += i == 0 || places[i] != places[i - 1] + 1;
    return count == spans * length ? spans : 0;
}

/* 768 * 0.25 / 64 = 3 spans exactly; 768 * 0.3 / 64 = 3.6 is 3 or, in 60 %, 4. */
static void test_span_count(void **state)
{
    (void)state;
    static size_t places[SIZE];
    static const struct {
        double prob, more; /* how often a span more than 3 */
    } cases[] = {{0.25, 0.0}, {0.3, 0.6}};
    for (size_t c = 0; c < S3R_ARRAY_LEN(cases); c++) {
        const s3r_span_plan plan = {cases[c].prob, 64, 0};
        double three = 0, four = 0;
        for (size_t i = 0; i < 4000; i++) {
            size_t count = draw(places, &plan, 768, i);
            size_t spans = count_spans(places, count, 64);
            assert_true(count <= 4 * 64 && count >= 64);
            three += spans == 3;
            four += spans == 4;
        }
        assert_true(three + four > 200);
        if (cases[c].more == 0.0)
            assert_true(four == 0.0);
        else
            assert_true(four > 100);
        assert_true(s3r_span_limit(&plan, 768) >= 3 + (cases[c].more > 0.0));
    }
}

/* One place a span shows the number itself: starts are distinct. */
static void test_distinct_starts(void **state)
{
    (void)state;
    static size_t places[SIZE];
    const s3r_span_plan plan = {0.5, 1, 0};
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(draw(places, &plan, 1000, i), 500);
    const s3r_span_plan part = {0.5005, 1, 0}; /* 500.5: 500 or 501 */
    double more = 0;
    for (size_t i = 0; i < 4000; i++) {
        size_t count = draw(places, &part, 1000, i);
        assert_true(count == 500 || count == 501);
        more += count == 501;
    }
    assert_true(fabs(more / 4000.0 - 0.5) < 0.04); /* five deviations */
}

static void test_short(void **state)
{
    (void)state;
    static size_t places[SIZE];
    const s3r_span_plan plan = {0.65, 10, 2};
    for (size_t size = 0; size <= 40; size++)
        for (uint64_t seed = 0; seed < 50; seed++) {
            size_t count = draw(places, &plan, size, seed);
            /* Something is always left to see. */
            assert_true(size == 0 ? count == 0 : count < size);
            if (size > 24)
                assert_true(count > 10); /* two spans at least, not one */
        }
    const s3r_span_plan off = {0.0, 10, 2};
    assert_int_equal(draw(places, &off, 500, 1), 0);
}

static void test_determinism(void **state)
{
    (void)state;
    static size_t a[SIZE], b[SIZE];
    const s3r_span_plan plan = {0.65, 10, 2};
    size_t count = draw(a, &plan, 700, 5);
    assert_int_equal(draw(b, &plan, 700, 5), count);
    assert_memory_equal(a, b, count * sizeof a[0]);
    size_t other = draw(b, &plan, 700, 6);
    assert_true(other != count || memcmp(a, b, count * sizeof a[0]) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_fraction),   cmocka_unit_test(test_span_count),
        cmocka_unit_test(test_distinct_starts), cmocka_unit_test(test_short),
        cmocka_unit_test(test_determinism),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
