/*
 * Random numbers: the published vectors of Philox, moments, resuming, and that a number
 * depends on its place alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"

enum { DRAWS = 100000 };

/* Known answers that the authors of Philox publish with Random123. */
static void test_philox_vectors(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u},
         {~0u, ~0u},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        uint32_t out[4];
        s3r_philox(out, cases[i].counter, cases[i].key);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

/* Stored runs must repeat on every later version. */
static void test_streams_are_stable(void **state)
{
    (void)state;
    s3r_random random;
    s3r_random_init(&random, 0, 0);
    assert_true(s3r_random_bits(&random) == 0xe169c58d6627e8d5u);
    assert_true(s3r_random_bits(&random) == 0x9b00dbd8bc57ac4cu);
    assert_true(s3r_random_at(0x299f31d0a4093822u, 0x85a308d3243f6a88u,
                              0x0370734413198a2eu) == 0x94fdccebd16cfe09u);
    size_t items[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const size_t expected[8] = {7, 0, 3, 5, 2, 4, 6, 1};
    s3r_random_init(&random, 7, 3);
    s3r_random_shuffle(&random, items, 8);
    assert_memory_equal(items, expected, sizeof items);
    assert_int_equal(s3r_hash_lane(0x01234567u, 0x89abcdefu, 42), 0x5c5853bfu);
}

static void test_stream_resumes(void **state)
{
    (void)state;
    s3r_random random, other;
    s3r_random_init(&random, 42, 1);
    for (int i = 0; i < 1001; i++)
        (void)s3r_random_normal(&random);
    s3r_random resumed = random;
    s3r_random_init(&other, 42, 2);
    size_t equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t bits = s3r_random_bits(&random);
        assert_true(bits == s3r_random_bits(&resumed));
        equal += bits == s3r_random_bits(&other);
    }
    assert_int_equal(equal, 0);
    s3r_random back = {42, 1, 5}, from_start = {42, 1, 0};
    for (int i = 0; i < 5; i++)
        (void)s3r_random_bits(&from_start);
    assert_true(s3r_random_bits(&back) == s3r_random_bits(&from_start));
}

/* Moments within five standard errors. */
static void test_moments(void **state)
{
    (void)state;
    s3r_random random;
    s3r_random_init(&random, 2024, 0);
    double sum = 0, squares = 0, fourth = 0, uniform = 0, uniform_squares = 0;
    for (size_t i = 0; i < DRAWS; i++) {
        double x = s3r_random_normal(&random), u = s3r_random_uniform(&random);
        assert_true(u >= 0 && u < 1);
        sum += x, squares += x * x, fourth += x * x * x * x;
        uniform += u, uniform_squares += u * u;
    }
    double root = sqrt((double)DRAWS);
    assert_true(fabs(sum / DRAWS) < 5 / root);
    assert_true(fabs(squares / DRAWS - 1) < 5 * sqrt(2) / root);
    assert_true(fabs(fourth / DRAWS - 3) < 5 * sqrt(96) / root);
    assert_true(fabs(uniform / DRAWS - 0.5) < 5 * sqrt(1.0 / 12) / root);
    assert_true(fabs(uniform_squares / DRAWS - 1.0 / 3) < 5 * sqrt(4.0 / 45) / root);
}

static void test_bounded_numbers(void **state)
{
    (void)state;
    s3r_random random;
    s3r_random_init(&random, 5, 0);
    size_t seen[7] = {0};
    for (size_t i = 0; i < DRAWS; i++)
        seen[s3r_random_below(&random, 7)]++;
    double expected = DRAWS / 7.0, chi_square = 0;
    for (size_t i = 0; i < 7; i++)
        chi_square += pow((double)seen[i] - expected, 2) / expected;
    assert_true(chi_square < 28); /* six degrees of freedom: p = 1e-4 */
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(s3r_random_below(&random, 1), 0);
        assert_true(s3r_random_below(&random, UINT64_C(1) << 63) < UINT64_C(1) << 63);
    }
}

/* Every order of four items, equally often. */
static void test_shuffle_is_fair(void **state)
{
    (void)state;
    enum { ROUNDS = 24000 };
    s3r_random random;
    s3r_random_init(&random, 6, 0);
    size_t seen[256] = {0}, orders = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t items[4] = {0, 1, 2, 3};
        s3r_random_shuffle(&random, items, 4);
        assert_int_equal(1 << items[0] | 1 << items[1] | 1 << items[2] | 1 << items[3],
                         15);
        seen[items[0] << 6 | items[1] << 4 | items[2] << 2 | items[3]]++;
    }
    double chi_square = 0;
    for (size_t i = 0; i < 256; i++) {
        if (seen[i]) {
            orders++;
            chi_square += pow((double)seen[i] - ROUNDS / 24.0, 2) / (ROUNDS / 24.0);
        }
    }
    assert_int_equal(orders, 24);
    assert_true(chi_square < 60); /* 23 degrees of freedom: p < 1e-4 */
    s3r_random_shuffle(&random, NULL, 0);
}

/* Each bit of the lane hash is fair, and neighbours (lanes, keys) are uncorrelated. */
static void test_lane_hash(void **state)
{
    (void)state;
    enum { KEYS = 64, LANES = 768 };
    size_t ones[32] = {0}, same_lane[32] = {0}, same_key[32] = {0};
    for (uint64_t k = 0; k < KEYS; k++) {
        uint64_t key = s3r_random_at(11, k, 0), next = s3r_random_at(11, k + 1, 0);
        for (uint32_t i = 0; i < LANES; i++) {
            uint32_t bits = s3r_hash_lane((uint32_t)key, (uint32_t)(key >> 32), i);
            uint32_t lane = s3r_hash_lane((uint32_t)key, (uint32_t)(key >> 32), i + 1);
            uint32_t row = s3r_hash_lane((uint32_t)next, (uint32_t)(next >> 32), i);
            for (unsigned b = 0; b < 32; b++) {
                ones[b] += bits >> b & 1;
                same_lane[b] += ~(bits ^ lane) >> b & 1;
                same_key[b] += ~(bits ^ row) >> b & 1;
            }
        }
    }
    double draws = KEYS * LANES, allowed = 5 * 0.5 * sqrt(draws);
    for (unsigned b = 0; b < 32; b++) {
        assert_true(fabs((double)ones[b] - draws / 2) < allowed);
        assert_true(fabs((double)same_lane[b] - draws / 2) < allowed);
        assert_true(fabs((double)same_key[b] - draws / 2) < allowed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_vectors),  cmocka_unit_test(test_streams_are_stable),
        cmocka_unit_test(test_stream_resumes),  cmocka_unit_test(test_moments),
        cmocka_unit_test(test_bounded_numbers), cmocka_unit_test(test_shuffle_is_fair),
        cmocka_unit_test(test_lane_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
