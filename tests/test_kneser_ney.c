/*
 * Estimation against KenLM's lmplz (tests/data/lm: text.txt, and what lmplz made of it at
 * revision 4cb443e: -o 3, and -o 4 --prune 0 0 1 --discount_fallback), and against the
 * definition: distributions that sum to 1.
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
#include "decode/arpa_file.h"
#include "decode/kneser_ney.h"
#include "decode/language_model.h"
#include "support_alloc_faults.h"

#define LM_DATA S3R_TEST_DATA "/lm/"
/* lmplz adds up in single precision and writes six to eight digits. */
#define TOLERANCE 1e-6

static const s3r_kneser_ney plain3 = {.order = 3};
static const s3r_kneser_ney pruned4 = {.order = 4,
                                       .prune = {0, 0, 1, 1, 1},
                                       .has_fallback = true,
                                       .fallback = {0.5f, 1, 1.5f}};

static s3r_status add_file(s3r_lm_text *text, const char *path, s3r_error *err)
{
    s3r_line_stream lines;
    bool has_line = true;
    S3R_TRY(s3r_line_stream_open(&lines, path, err));
    s3r_status status = s3r_line_stream_next(&lines, &has_line, err);
    while (status == S3R_OK && has_line) {
        status = s3r_lm_text_add(text, lines.text, err);
        if (status == S3R_OK)
            status = s3r_line_stream_next(&lines, &has_line, err);
    }
    s3r_line_stream_close(&lines);
    return status;
}

static void estimate_file(s3r_ngrams *ngrams, const s3r_kneser_ney *options)
{
    s3r_discounts discounts;
    assert_int_equal(s3r_ngrams_init(ngrams, options->order, NULL), S3R_OK);
    s3r_lm_text text = {.words = &ngrams->words};
    assert_int_equal(add_file(&text, LM_DATA "text.txt", NULL), S3R_OK);
    assert_int_equal(s3r_kneser_ney_estimate(ngrams, &discounts, &text, options, NULL),
                     S3R_OK);
    s3r_lm_text_release(&text);
}

/* lmplz numbers words and sorts n-grams as we do, so lists are compared in order. */
static void expect_equal(const s3r_ngrams *found, const s3r_ngrams *expected)
{
    double worst = 0;
    assert_int_equal(found->order, expected->order);
    for (size_t order = 1; order <= found->order; order++) {
        const s3r_ngram_list *a = &found->lists[order - 1];
        const s3r_ngram_list *b = &expected->lists[order - 1];
        assert_int_equal(a->count, b->count);
        for (size_t i = 0; i < a->count; i++) {
            for (size_t j = 0; j < order; j++)
                assert_string_equal(
                    s3r_word_table_word(&found->words, a->words[i * order + j]),
                    s3r_word_table_word(&expected->words, b->words[i * order + j]));
            worst = fmax(worst, fabs((double)a->prob[i] - (double)b->prob[i]));
            worst = fmax(worst, fabs((double)a->backoff[i] - (double)b->backoff[i]));
        }
    }
    if (worst > TOLERANCE)
        fail_msg("order %zu: worst difference %g", found->order, worst);
}

static void compare_with(const char *arpa, const s3r_kneser_ney *options)
{
    s3r_ngrams found, expected;
    estimate_file(&found, options);
    assert_int_equal(s3r_arpa_open(&expected, arpa, NULL), S3R_OK);
    expect_equal(&found, &expected);
    s3r_ngrams_release(&found);
    s3r_ngrams_release(&expected);
}

static void test_lmplz(void **state)
{
    (void)state;
    compare_with(LM_DATA "plain3.arpa.gz", &plain3);
    compare_with(LM_DATA "pruned4.arpa", &pruned4);
}

static void add_random_text(s3r_lm_text *text, uint64_t seed)
{
    s3r_random random;
    char line[128];
    s3r_random_init(&random, seed, 0);
    for (size_t sentences = 1 + s3r_random_below(&random, 30); sentences > 0;
         sentences--) {
        size_t words = s3r_random_below(&random, 8), used = 0;
        for (size_t i = 0; i < words; i++) {
            line[used++] = (char)('a' + s3r_random_below(&random, 5));
            line[used++] = ' ';
        }
        line[used] = '\0';
        assert_int_equal(s3r_lm_text_add(text, line, NULL), S3R_OK);
    }
}

/* After any context the probabilities of all words but <s> sum to 1. */
static void expect_sums(const s3r_lm *lm, s3r_lm_state state, size_t depth)
{
    double sum = 0;
    for (uint32_t id = 0; id < lm->word_count; id++) {
        s3r_lm_state next;
        double log10_prob = (double)s3r_lm_word_score(lm, &state, id, &next);
        if (id == lm->begin_word)
            continue;
        sum += pow(10, log10_prob);
        if (depth > 0 && id != lm->end_word)
            expect_sums(lm, next, depth - 1);
    }
    if (fabs(sum - 1) > 1e-5) /* single precision, ten words */
        fail_msg("depth %zu: probabilities sum to %.8f", depth, sum);
}

static void test_sums(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        s3r_kneser_ney options = {
            .order = 1 + seed % 5, .has_fallback = true, .fallback = {0.5f, 1, 1.5f}};
        s3r_ngrams ngrams;
        s3r_discounts discounts;
        s3r_lm lm;
        for (size_t i = 1; i < options.order; i++)
            options.prune[i] = seed % 3 ? 0 : i - 1;
        assert_int_equal(s3r_ngrams_init(&ngrams, options.order, NULL), S3R_OK);
        s3r_lm_text text = {.words = &ngrams.words};
        add_random_text(&text, seed);
        assert_int_equal(
            s3r_kneser_ney_estimate(&ngrams, &discounts, &text, &options, NULL), S3R_OK);
        assert_int_equal(s3r_lm_from_ngrams(&lm, &ngrams, "random", NULL), S3R_OK);
        expect_sums(&lm, s3r_lm_begin(&lm), 3);
        s3r_lm_close(&lm);
        s3r_lm_text_release(&text);
        s3r_ngrams_release(&ngrams);
    }
}

static void test_characters(void **state)
{
    (void)state;
    static const char *const expected[] = {"<s>", "\xc3\xbc", "b", "|", "b", "</s>"};
    s3r_ngrams ngrams;
    assert_int_equal(s3r_ngrams_init(&ngrams, 2, NULL), S3R_OK);
    s3r_lm_text text = {.words = &ngrams.words, .has_characters = true};
    assert_int_equal(s3r_lm_text_add(&text,
                                     " \xc3\xbc"
                                     "b\tb ",
                                     NULL),
                     S3R_OK);
    assert_int_equal(text.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(s3r_word_table_word(&ngrams.words, text.tokens[i]),
                            expected[i]);
    s3r_lm_text_release(&text);
    s3r_ngrams_release(&ngrams);
}

static s3r_status estimate_lines(const char *const *lines, s3r_error *err)
{
    s3r_ngrams ngrams;
    s3r_discounts discounts;
    S3R_TRY(s3r_ngrams_init(&ngrams, 3, err));
    s3r_lm_text text = {.words = &ngrams.words};
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && lines[i]; i++)
        status = s3r_lm_text_add(&text, lines[i], err);
    if (status == S3R_OK)
        status = s3r_kneser_ney_estimate(&ngrams, &discounts, &text, &plain3, err);
    s3r_lm_text_release(&text);
    s3r_ngrams_release(&ngrams);
    return status;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *lines[3], *said;
    } cases[] = {
        {{NULL}, "expected text, found none"},
        {{"a b", "c", NULL}, "too small or too regular"},
        {{"a </s> b", NULL}, "the word \"</s>\" is reserved"},
        {{"a <unk>", NULL}, "the word \"<unk>\" is reserved"},
        {{"a \xff", NULL}, "expected UTF-8, found byte ff at 2"},
    };
    s3r_error err;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        assert_int_equal(estimate_lines(cases[i].lines, &err), S3R_ERR_DATA);
        if (!strstr(err.message, cases[i].said))
            fail_msg("expected %s, found %s", cases[i].said, err.message);
    }
}

static s3r_status attempt(void *context, s3r_error *err)
{
    const s3r_kneser_ney *options = context;
    s3r_ngrams ngrams;
    s3r_discounts discounts;
    S3R_TRY(s3r_ngrams_init(&ngrams, options->order, err));
    s3r_lm_text text = {.words = &ngrams.words};
    s3r_status status = s3r_lm_text_add(&text, "a b a c", err);
    if (status == S3R_OK)
        status = s3r_kneser_ney_estimate(&ngrams, &discounts, &text, options, err);
    s3r_lm_text_release(&text);
    s3r_ngrams_release(&ngrams);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    s3r_kneser_ney options = pruned4;
    test_survives_alloc_faults(attempt, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lmplz),         cmocka_unit_test(test_sums),
        cmocka_unit_test(test_characters),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
