/*
 * Masks as sets: combining, voting, drawing and the measures of likeness, against plain
 * loops and numbers worked out by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "route/mask_sets.h"

#define ROWS  7u
#define COLS  70u /* two words a row, the second with spare bits */
#define WORDS (ROWS * 2u)
#define COUNT 5u

static s3r_mask make_mask(uint64_t *bits)
{
    return (s3r_mask){ROWS, COLS, s3r_mask_stride(COLS), bits};
}

static bool kept(const s3r_mask *mask, size_t row, size_t col)
{
    return mask->bits[row * mask->stride + col / 64] >> col % 64 & 1;
}

/* Kept with probability part. */
static void fill_random(s3r_mask *mask, double part, uint64_t seed)
{
    s3r_random random;
    s3r_random_init(&random, seed, 0);
    s3r_mask_fill(mask);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t col = 0; col < COLS; col++)
            if (s3r_random_uniform(&random) >= part)
                mask->bits[row * mask->stride + col / 64] &= ~((uint64_t)1 << col % 64);
}

static void expect_clean(const s3r_mask *mask)
{
    for (size_t row = 0; row < ROWS; row++)
        assert_int_equal(mask->bits[row * 2 + 1] >> (COLS - 64), 0);
}

static bool expected_bit(s3r_mask_operation operation, bool a, bool b)
{
    switch (operation) {
    case S3R_MASK_AND:
        return a && b;
    case S3R_MASK_OR:
        return a || b;
    case S3R_MASK_XOR:
        return a != b;
    default:
        return a && !b;
    }
}

static void test_combine(void **state)
{
    (void)state;
    for (int operation = S3R_MASK_AND; operation <= S3R_MASK_MINUS; operation++) {
        uint64_t bits[3][WORDS];
        s3r_mask a = make_mask(bits[0]), b = make_mask(bits[1]), out = make_mask(bits[2]);
        fill_random(&a, 0.6, 1);
        fill_random(&b, 0.7, 2);
        memcpy(out.bits, a.bits, sizeof bits[0]);
        s3r_mask_bits_combine(&out, (s3r_mask_operation)operation, &b);
        for (size_t row = 0; row < ROWS; row++)
            for (size_t col = 0; col < COLS; col++)
                assert_int_equal(kept(&out, row, col),
                                 expected_bit((s3r_mask_operation)operation,
                                              kept(&a, row, col), kept(&b, row, col)));
        expect_clean(&out);
    }
}

static void test_vote(void **state)
{
    (void)state;
    uint64_t bits[COUNT][WORDS], out_bits[WORDS];
    s3r_mask masks[COUNT], out = make_mask(out_bits);
    const s3r_mask *voters[S3R_MASK_MAX_VOTES];
    for (size_t i = 0; i < COUNT; i++) {
        masks[i] = make_mask(bits[i]);
        fill_random(&masks[i], 0.5, i);
    }
    static const size_t counts[] = {1, 2, 3, COUNT, 64, S3R_MASK_MAX_VOTES};
    for (size_t c = 0; c < S3R_ARRAY_LEN(counts); c++) {
        size_t count = counts[c];
        for (size_t i = 0; i < count; i++)
            voters[i] = &masks[i % COUNT];
        for (size_t at_least = 1; at_least <= count; at_least++) {
            s3r_mask_bits_vote(&out, voters, count, at_least);
            expect_clean(&out);
            for (size_t row = 0; row < ROWS; row++) {
                for (size_t col = 0; col < COLS; col++) {
                    size_t votes = 0;
                    for (size_t i = 0; i < count; i++)
                        votes += kept(voters[i], row, col);
                    assert_int_equal(kept(&out, row, col), votes >= at_least);
                }
            }
        }
    }
}

/* Exactly so many, any place as often as another, one seed one mask. */
static void test_draw(void **state)
{
    (void)state;
    static const size_t removed[] = {0, 1, 49, ROWS * COLS - 1, ROWS * COLS};
    uint64_t bits[2][WORDS];
    s3r_mask a = make_mask(bits[0]), b = make_mask(bits[1]);
    s3r_random random;
    for (size_t i = 0; i < S3R_ARRAY_LEN(removed); i++) {
        s3r_random_init(&random, 3, 0);
        s3r_mask_bits_draw(&a, removed[i], &random);
        assert_int_equal(s3r_mask_kept_count(&a), ROWS * COLS - removed[i]);
        expect_clean(&a);
        s3r_random_init(&random, 3, 0);
        s3r_mask_bits_draw(&b, removed[i], &random);
        assert_memory_equal(a.bits, b.bits, sizeof bits[0]);
    }
    unsigned hits[ROWS * COLS] = {0};
    for (unsigned round = 0; round < 2000; round++) {
        s3r_mask_bits_draw(&a, 49, &random); /* a tenth */
        for (size_t i = 0; i < ROWS * COLS; i++)
            hits[i] += !kept(&a, i / COLS, i % COLS);
    }
    /* 200 each with a deviation of 13.4; 490 places stay within 5 of them. */
    for (size_t i = 0; i < ROWS * COLS; i++)
        if (hits[i] < 133 || hits[i] > 267)
            fail_msg("place %zu was removed %u of 2000 times, expected 200", i, hits[i]);
}

static void test_overlap(void **state)
{
    (void)state;
    uint64_t bits[2][WORDS];
    s3r_mask a = make_mask(bits[0]), b = make_mask(bits[1]);
    size_t removed_a = 0, removed_b = 0, both = 0;
    s3r_mask_overlap overlap = {1000, 100, 200, 30};
    fill_random(&a, 0.8, 5);
    fill_random(&b, 0.7, 6);
    for (size_t i = 0; i < ROWS * COLS; i++) {
        bool x = !kept(&a, i / COLS, i % COLS), y = !kept(&b, i / COLS, i % COLS);
        removed_a += x;
        removed_b += y;
        both += x && y;
    }
    s3r_mask_overlap_add(&overlap, &a, &b);
    assert_int_equal(overlap.elements, 1000 + ROWS * COLS);
    assert_int_equal(overlap.removed_a, 100 + removed_a);
    assert_int_equal(overlap.removed_b, 200 + removed_b);
    assert_int_equal(overlap.removed_both, 30 + both);
}

static void expect_near(double found, double expected)
{
    if (!(fabs(found - expected) < 1e-12))
        fail_msg("expected %.15g, found %.15g", expected, found);
}

static void test_measures(void **state)
{
    (void)state;
    /* 1000 connections, 100 and 200 removed, 30 of them common: kept 900, 800, 730. */
    const s3r_mask_overlap o = {1000, 100, 200, 30};
    expect_near(s3r_overlap_cosine(&o), 730.0 / sqrt(900.0 * 800.0));
    expect_near(s3r_overlap_cosine_expected(&o), sqrt(0.9 * 0.8));
    expect_near(s3r_overlap_jaccard(&o), 30.0 / 270.0);
    expect_near(s3r_overlap_jaccard_expected(&o), 0.02 / 0.28);
    expect_near(s3r_overlap_phi(&o), (1000.0 * 30 - 100.0 * 200) / (300.0 * 400.0));
    /* The paper's numbers: sparsity 0.1, cosine .9191: phi = (cos - (1 - s)) / s = .191,
     * a common part of 27 %.  (spec 6.1) */
    const s3r_mask_overlap paper = {1000000, 100000, 100000, 27190};
    expect_near(s3r_overlap_cosine(&paper), 0.9191);
    expect_near(s3r_overlap_phi(&paper), (0.9191 - 0.9) / 0.1);
    /* Equal masks; nothing removed; everything removed. */
    const s3r_mask_overlap same = {10, 3, 3, 3}, none = {10, 0, 0, 0},
                           all = {10, 10, 10, 10};
    expect_near(s3r_overlap_cosine(&same), 1);
    expect_near(s3r_overlap_jaccard(&same), 1);
    expect_near(s3r_overlap_phi(&same), 1);
    expect_near(s3r_overlap_cosine(&none), 1);
    assert_true(isnan(s3r_overlap_jaccard(&none)) && isnan(s3r_overlap_phi(&none)) &&
                isnan(s3r_overlap_jaccard_expected(&none)));
    assert_true(isnan(s3r_overlap_cosine(&all)) && isnan(s3r_overlap_phi(&all)) &&
                isnan(s3r_overlap_cosine_expected(&all)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_combine),  cmocka_unit_test(test_vote),
        cmocka_unit_test(test_draw),     cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_measures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
