/*
 * Error counts: a table of pairs with the counts that sclite gives, the program itself on
 * hundreds of random pairs when it is installed, units, rates and intervals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_alloc_faults.h"
#include "support_files.h"
#include "tasks/error_rate.h"
#include "tasks/trn_file.h"

typedef struct pair_case {
    const char *reference, *hypothesis;
    s3r_token_unit unit;
    size_t substitutions, deletions, insertions, tokens;
} pair_case;

static void check_case(const pair_case *c)
{
    s3r_error_counts counts = {0};
    assert_int_equal(
        s3r_error_counts_add(&counts, c->reference, c->hypothesis, c->unit, NULL),
        S3R_OK);
    if (counts.substitutions != c->substitutions || counts.deletions != c->deletions ||
        counts.insertions != c->insertions || counts.reference != c->tokens)
        fail_msg("\"%s\" and \"%s\": %zu substitutions, %zu deletions, %zu insertions of "
                 "%zu; expected %zu, %zu, %zu of %zu",
                 c->reference, c->hypothesis, counts.substitutions, counts.deletions,
                 counts.insertions, counts.reference, c->substitutions, c->deletions,
                 c->insertions, c->tokens);
}

/* Words: counts as sclite 2.10 printed them (sctk sclite -s -i rm -o pra). */
static const pair_case word_cases[] = {
    {"", "", S3R_UNIT_WORD, 0, 0, 0, 0},
    {"a b", "", S3R_UNIT_WORD, 0, 2, 0, 2},
    {"", "a b", S3R_UNIT_WORD, 0, 0, 2, 0},
    {"a b c", "a b c", S3R_UNIT_WORD, 0, 0, 0, 3},
    {"a b c", "a x c", S3R_UNIT_WORD, 1, 0, 0, 3},
    {"a b c", "a c", S3R_UNIT_WORD, 0, 1, 0, 3},
    {"a c", "a b c", S3R_UNIT_WORD, 0, 0, 1, 2},
    {"a b", "b a", S3R_UNIT_WORD, 0, 1, 1, 2},
    {"A b", "a b", S3R_UNIT_WORD, 1, 0, 0, 2},
    /* ties between alignments */
    {"b a b c d d", "d d d c a", S3R_UNIT_WORD, 4, 1, 0, 6},
    {"a c d c c a c a c c", "b b b b d", S3R_UNIT_WORD, 5, 5, 0, 10},
    {"e b b d f e c e b a d", "d c a b e b a", S3R_UNIT_WORD, 3, 4, 0, 11},
};

static void test_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(word_cases); i++)
        check_case(&word_cases[i]);
}

static void test_units(void **state)
{
    (void)state;
    static const pair_case cases[] = {
        {"  a\t b\n", "a b", S3R_UNIT_WORD, 0, 0, 0, 2},
        {"a\xc2\xa0"
         "b",
         "a b", S3R_UNIT_WORD, 0, 0, 0, 2}, /* no-break space */
        {"a | b", "a b", S3R_UNIT_WORD, 0, 1, 0, 3},
        {"a | b", "a b", S3R_UNIT_PHONE, 0, 0, 0, 2},
        {"| a ||", "a ||", S3R_UNIT_PHONE, 0, 0, 0, 2},
        {"ab c", "abc", S3R_UNIT_CHARACTER, 0, 1, 0, 4},
        {" ab  c ", "ab c", S3R_UNIT_CHARACTER, 0, 0, 0, 4},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbcs", S3R_UNIT_CHARACTER, 1, 0, 0, 4},
        {"\xff", "\xfe", S3R_UNIT_CHARACTER, 1, 0, 0, 1}, /* not UTF-8 */
        {"\xff", "\xff", S3R_UNIT_CHARACTER, 0, 0, 0, 1},
        {"", "  ", S3R_UNIT_CHARACTER, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        check_case(&cases[i]);
}

/* ---- sclite ---- */

enum { PAIRS = 400, MAX_WORDS = 60, TEXT_BYTES = MAX_WORDS * 4 + 1 };

typedef struct random_pair {
    char reference[TEXT_BYTES], hypothesis[TEXT_BYTES];
} random_pair;

/* Words that sclite could misread are among them. */
static const char *const words[] = {"a", "b",  "c",   "d",  "e",  "{",
                                    "@", ";;", "a;b", "**", "(a)"};

static void put_word(char *text, size_t word)
{
    strcat(text, words[word]);
    strcat(text, " ");
}

/* Half of the hypotheses are unrelated, half are the reference with changes. */
static void make_pair(random_pair *pair, s3r_random *random)
{
    size_t known = 2 + s3r_random_below(random, S3R_ARRAY_LEN(words) - 1);
    size_t count = s3r_random_below(random, MAX_WORDS / 2);
    bool is_related = s3r_random_below(random, 2) == 0;
    *pair = (random_pair){.reference = ""};
    for (size_t i = 0; i < count; i++) {
        size_t word = s3r_random_below(random, known);
        uint64_t change = s3r_random_below(random, 8);
        put_word(pair->reference, word);
        if (!is_related || change == 0)
            continue;
        if (change == 1)
            word = s3r_random_below(random, known);
        put_word(pair->hypothesis, word);
        if (change == 2)
            put_word(pair->hypothesis, s3r_random_below(random, known));
    }
    count = is_related ? 0 : s3r_random_below(random, MAX_WORDS / 2);
    for (size_t i = 0; i < count; i++)
        put_word(pair->hypothesis, s3r_random_below(random, known));
}

static void write_trn(const random_pair *pairs, size_t side, const char *path,
                      s3r_token_unit unit)
{
    s3r_file_writer *writer;
    char id[16];
    assert_int_equal(s3r_file_writer_open(&writer, path, NULL), S3R_OK);
    for (size_t i = 0; i < PAIRS; i++) {
        const char *text = side == 0 ? pairs[i].reference : pairs[i].hypothesis;
        snprintf(id, sizeof id, "u_%zu", i);
        assert_int_equal(s3r_trn_write_line(writer, text, id, unit, NULL), S3R_OK);
    }
    assert_int_equal(s3r_file_writer_commit(writer, NULL), S3R_OK);
}

/* Compares what `sctk sclite` printed about each pair. */
static void check_report(const random_pair *pairs, FILE *report, s3r_token_unit unit)
{
    char line[4096];
    size_t current = PAIRS, seen = 0;
    while (fgets(line, sizeof line, report)) {
        size_t correct, substitutions, deletions, insertions;
        (void)sscanf(line, "id: (u_%zu)", &current);
        if (sscanf(line, "Scores: (#C #S #D #I) %zu %zu %zu %zu", &correct,
                   &substitutions, &deletions, &insertions) != 4)
            continue;
        assert_true(current < PAIRS);
        const pair_case expected = {pairs[current].reference,
                                    pairs[current].hypothesis,
                                    unit,
                                    substitutions,
                                    deletions,
                                    insertions,
                                    correct + substitutions + deletions};
        check_case(&expected);
        seen++;
    }
    assert_int_equal(seen, PAIRS);
}

static void test_sclite(void **state)
{
    (void)state;
    static random_pair pairs[PAIRS];
    const char *folder = test_folder();
    s3r_random random;
    char command[1024];
    if (system("command -v sctk >/dev/null 2>&1") != 0)
        skip();
    s3r_random_init(&random, 20240607, 0);
    for (size_t i = 0; i < PAIRS; i++)
        make_pair(&pairs[i], &random);
    for (s3r_token_unit unit = S3R_UNIT_WORD; unit <= S3R_UNIT_PHONE; unit++) {
        write_trn(pairs, 0, test_path(folder, "ref"), unit);
        write_trn(pairs, 1, test_path(folder, "hyp"), unit);
        snprintf(command, sizeof command,
                 "cd '%s' && sctk sclite -s -i rm -r ref trn -h hyp trn -o pra stdout "
                 ">report 2>/dev/null",
                 folder);
        assert_int_equal(system(command), 0);
        FILE *report = fopen(test_path(folder, "report"), "r");
        assert_non_null(report);
        check_report(pairs, report, unit);
        fclose(report);
    }
}

/* ---- rates ---- */

static void test_rate(void **state)
{
    (void)state;
    const s3r_error_counts empty = {0}, inserted = {0, 0, 3, 0}, some = {1, 2, 3, 12};
    assert_true(s3r_error_rate(&empty) == 0);
    assert_true(s3r_error_rate(&inserted) == 3);
    assert_true(s3r_error_rate(&some) == 0.5);
}

/* Errors of Bernoulli utterances: the interval is that of the normal approximation. */
static void test_interval(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static s3r_error_counts items[COUNT];
    s3r_error_counts total = {0};
    s3r_interval interval, again, other;
    s3r_random random;
    s3r_random_init(&random, 5, 0);
    for (size_t i = 0; i < COUNT; i++) {
        items[i] = (s3r_error_counts){s3r_random_below(&random, 5) == 0, 0, 0, 1};
        s3r_error_counts_sum(&total, &items[i]);
    }
    double rate = s3r_error_rate(&total);
    double half = 1.96 * sqrt(rate * (1 - rate) / COUNT);
    assert_int_equal(s3r_error_interval(&interval, items, COUNT, 4000, 1, NULL), S3R_OK);
    /* 4000 resamples: the ends have a standard error of about 4 % of the half width;
     * rates are multiples of 1 / 500 */
    assert_true(fabs(rate - interval.low - half) < 0.15 * half + 1.0 / COUNT);
    assert_true(fabs(interval.high - rate - half) < 0.15 * half + 1.0 / COUNT);
    assert_int_equal(s3r_error_interval(&again, items, COUNT, 4000, 1, NULL), S3R_OK);
    assert_memory_equal(&again, &interval, sizeof again);
    assert_int_equal(s3r_error_interval(&other, items, COUNT, 100, 2, NULL), S3R_OK);
    assert_true(other.low != interval.low || other.high != interval.high);

    assert_int_equal(s3r_error_interval(&other, items, COUNT, 0, 1, NULL), S3R_OK);
    assert_true(other.low == rate && other.high == rate);
    assert_int_equal(s3r_error_interval(&other, items, 0, 10, 1, NULL), S3R_OK);
    assert_true(other.low == 0 && other.high == 0);
    assert_int_equal(s3r_error_interval(&other, items, 1, 10, 1, NULL), S3R_OK);
    assert_true(other.low == other.high);
}

/* Long texts: memory grows with the sum of the lengths. */
static void test_long(void **state)
{
    (void)state;
    enum { WORDS = 5000 };
    static char reference[2 * WORDS + 1], hypothesis[2 * WORDS + 1];
    for (size_t i = 0; i < WORDS; i++) {
        memcpy(reference + 2 * i, i % 2 ? "b " : "a ", 2);
        memcpy(hypothesis + 2 * i, i % 3 == 2 ? "c " : i % 3 ? "b " : "a ", 2);
    }
    const pair_case expected = {reference, hypothesis, S3R_UNIT_WORD, 833,
                                833,       833,        5000};
    check_case(&expected); /* as sclite says */
}

static s3r_status attempt(void *context, s3r_error *err)
{
    const s3r_token_unit *unit = context;
    s3r_error_counts counts = {0};
    s3r_interval interval;
    s3r_status status = s3r_error_counts_add(&counts, "a b c", "a c d", *unit, err);
    if (status != S3R_OK) {
        assert_int_equal(counts.reference, 0);
        return status;
    }
    return s3r_error_interval(&interval, &counts, 1, 10, 1, err);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (s3r_token_unit unit = S3R_UNIT_WORD; unit <= S3R_UNIT_PHONE; unit++)
        test_survives_alloc_faults(attempt, &unit);
}

static void test_right_words(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *hypothesis, *expected;
    } cases[] = {
        {"a b c", "a b c", "111"}, {"a b c", "a x c", "101"},
        {"a b c", "b c", "11"},    {"b c", "a b c", "011"},
        {"", "a b", "00"},         {"a", "b", "0"},
        {"a a b", "a b", "11"},    {"x a y", "a z a y", "0011"},
        {"a b", "b a", "10"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        bool is_right[8];
        s3r_error_counts counts = {0};
        assert_int_equal(s3r_error_right_words(is_right, cases[i].reference,
                                               cases[i].hypothesis, NULL),
                         S3R_OK);
        assert_int_equal(s3r_error_counts_add(&counts, cases[i].reference,
                                              cases[i].hypothesis, S3R_UNIT_WORD, NULL),
                         S3R_OK);
        size_t right = 0;
        for (size_t k = 0; cases[i].expected[k]; k++) {
            if (is_right[k] != (cases[i].expected[k] == '1'))
                fail_msg("\"%s\", \"%s\": word %zu", cases[i].reference,
                         cases[i].hypothesis, k);
            right += is_right[k];
        }
        assert_int_equal(right,
                         counts.reference - counts.substitutions - counts.deletions);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_words), cmocka_unit_test(test_words),
        cmocka_unit_test(test_units),       cmocka_unit_test(test_sclite),
        cmocka_unit_test(test_rate),        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_long),        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
