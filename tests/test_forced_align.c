/*
 * Forced alignment: against all paths of small cases, and whatever the block, the same.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "decode/forced_align.h"
#include "support_alloc_faults.h"

#define MAX_FRAMES  64u
#define MAX_TARGETS 24u
#define LABELS      4u

static s3r_error err;

typedef struct small_case {
    float log_probs[MAX_FRAMES * LABELS];
    uint32_t targets[MAX_TARGETS];
    s3r_align_input input;
} small_case;

/* Log-probabilities of a softmax; with is_coarse there are many equal ones. */
static void make_case(small_case *c, uint64_t seed, size_t frames, size_t targets,
                      bool is_coarse)
{
    s3r_random random;
    s3r_random_init(&random, seed, 1);
    for (size_t t = 0; t < frames; t++) {
        double row[LABELS], sum = 0;
        for (size_t j = 0; j < LABELS; j++) {
            row[j] = 4 * s3r_random_uniform(&random);
            row[j] = exp(is_coarse ? floor(row[j] / 2) : row[j]);
            sum += row[j];
        }
        for (size_t j = 0; j < LABELS; j++)
            c->log_probs[t * LABELS + j] = (float)log(row[j] / sum);
    }
    for (size_t i = 0; i < targets; i++)
        c->targets[i] = 1 + (uint32_t)s3r_random_below(&random, LABELS - 1);
    c->input = (s3r_align_input){.log_probs = c->log_probs,
                                 .frames = frames,
                                 .cols = LABELS,
                                 .targets = c->targets,
                                 .target_count = targets,
                                 .blank = 0};
}

/* The sum along the path that the spans describe; checks that it is one. */
static double path_score(const small_case *c, const s3r_align_span *spans)
{
    double sum = 0;
    size_t t = 0;
    for (size_t i = 0; i <= c->input.target_count; i++) {
        bool is_end = i == c->input.target_count;
        size_t start = is_end ? c->input.frames : spans[i].start_frame;
        assert_true(start >= t);
        bool is_equal = i > 0 && !is_end && c->targets[i] == c->targets[i - 1];
        assert_true(!is_equal || start > t); /* a blank between */
        for (; t < start; t++)
            sum += (double)c->log_probs[t * LABELS];
        if (is_end)
            break;
        assert_true(spans[i].end_frame > start && spans[i].end_frame <= c->input.frames);
        for (; t < spans[i].end_frame; t++)
            sum += (double)c->log_probs[t * LABELS + c->targets[i]];
    }
    return sum;
}

/* The best of all paths from frame t on, with `done` targets begun and `last` before. */
static double search(const small_case *c, size_t t, size_t done, uint32_t last)
{
    if (t == c->input.frames)
        return done == c->input.target_count ? 0 : -INFINITY;
    const float *row = c->log_probs + t * LABELS;
    double best = (double)row[0] + search(c, t + 1, done, 0);
    if (last != 0)
        best = fmax(best, (double)row[last] + search(c, t + 1, done, last));
    if (done < c->input.target_count && c->targets[done] != last) {
        uint32_t next = c->targets[done];
        best = fmax(best, (double)row[next] + search(c, t + 1, done + 1, next));
    }
    return best;
}

static void test_all_paths(void **state)
{
    (void)state;
    size_t cases = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        small_case c;
        s3r_align_span spans[MAX_TARGETS];
        double score;
        size_t frames = 1 + seed % 9, targets = seed / 9 % 6;
        make_case(&c, seed, frames, targets, seed % 2 == 0);
        if (s3r_align_least_frames(c.targets, targets) > frames)
            continue;
        double expected = search(&c, 0, 0, 0);
        assert_int_equal(s3r_forced_align(&c.input, 0, spans, &score, &err), S3R_OK);
        if (fabs(score - expected) > 1e-9 ||
            fabs(path_score(&c, spans) - expected) > 1e-9)
            fail_msg("seed %d: expected %.12g, found %.12g, of the path %.12g", (int)seed,
                     expected, score, path_score(&c, spans));
        cases++;
    }
    assert_true(cases > 250);
}

/* The block that bounds the memory changes neither score nor path. */
static void test_blocks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        small_case c;
        s3r_align_span expected[MAX_TARGETS], spans[MAX_TARGETS];
        double expected_score, score;
        size_t targets = seed % MAX_TARGETS;
        make_case(&c, seed, MAX_FRAMES, targets, seed % 2 == 0);
        assert_int_equal(
            s3r_forced_align(&c.input, MAX_FRAMES, expected, &expected_score, &err),
            S3R_OK);
        assert_true(fabs(path_score(&c, expected) - expected_score) < 1e-9);
        for (size_t block = 1; block < MAX_FRAMES; block += block < 9 ? 1 : 7) {
            assert_int_equal(s3r_forced_align(&c.input, block, spans, &score, &err),
                             S3R_OK);
            assert_true(score == expected_score);
            assert_memory_equal(spans, expected, targets * sizeof *spans);
        }
    }
}

/* As many frames as the text needs: there is one path. */
static void test_tight(void **state)
{
    (void)state;
    small_case c;
    s3r_align_span spans[MAX_TARGETS];
    double score;
    static const uint32_t targets[] = {1, 1, 2, 3, 3, 1};
    size_t starts[] = {0, 2, 3, 4, 6, 7};
    assert_int_equal(s3r_align_least_frames(targets, 6), 8);
    assert_int_equal(s3r_align_least_frames(targets, 0), 0);
    make_case(&c, 5, 8, 6, false);
    memcpy(c.targets, targets, sizeof targets);
    for (size_t block = 0; block <= 8; block++) {
        assert_int_equal(s3r_forced_align(&c.input, block, spans, &score, &err), S3R_OK);
        for (size_t i = 0; i < 6; i++) {
            assert_int_equal(spans[i].start_frame, starts[i]);
            assert_int_equal(spans[i].end_frame, starts[i] + 1);
        }
    }
    c.input.frames = 0;
    c.input.target_count = 0;
    assert_int_equal(s3r_forced_align(&c.input, 0, spans, &score, &err), S3R_OK);
    assert_true(score == 0);
}

/* Probabilities of zero are no obstacle where another path exists. */
static void test_impossible_labels(void **state)
{
    (void)state;
    small_case c;
    s3r_align_span spans[MAX_TARGETS];
    double score;
    make_case(&c, 9, 12, 2, false);
    c.targets[0] = 1;
    c.targets[1] = 2;
    for (size_t t = 0; t < 12; t++) {
        if (t != 5)
            c.log_probs[t * LABELS + 1] = -INFINITY;
        if (t != 9)
            c.log_probs[t * LABELS + 2] = -INFINITY;
    }
    assert_int_equal(s3r_forced_align(&c.input, 3, spans, &score, &err), S3R_OK);
    assert_int_equal(spans[0].start_frame, 5);
    assert_int_equal(spans[0].end_frame, 6);
    assert_int_equal(spans[1].start_frame, 9);
    assert_true(isfinite(score));
}

static bool stop(void *context)
{
    (void)context;
    return false;
}

static void test_interruption_and_memory(void **state)
{
    (void)state;
    small_case c;
    s3r_align_span spans[MAX_TARGETS];
    double score;
    make_case(&c, 9, 12, 2, false);
    c.input.goes_on = stop;
    assert_int_equal(s3r_forced_align(&c.input, 3, spans, &score, &err),
                     S3R_ERR_INTERRUPTED);
    assert_string_equal(err.message, "interrupted");
    /* An hour of dense speech: the bound that the header names. */
    assert_true(s3r_align_bytes(180000, 50000) < (size_t)60 << 20);
    assert_true(s3r_align_bytes(SIZE_MAX / 2, SIZE_MAX / 4) > (size_t)1 << 40);
}

static s3r_status attempt(void *context, s3r_error *error)
{
    small_case *c = context;
    s3r_align_span spans[MAX_TARGETS];
    double score;
    return s3r_forced_align(&c->input, 0, spans, &score, error);
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    small_case c;
    make_case(&c, 3, 20, 5, false);
    test_survives_alloc_faults(attempt, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_paths),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_tight),
        cmocka_unit_test(test_impossible_labels),
        cmocka_unit_test(test_interruption_and_memory),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
