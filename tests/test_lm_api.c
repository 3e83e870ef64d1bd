/*
 * The public calls on an open language model: known values, sentences that are their
 * words, totals of texts, and many threads.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/thread_pool.h"
#include "s3r/lm.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"

#define LM_DATA S3R_TEST_DATA "/lm/"

static s3r_error err;

static s3r_language_model *open_lm(const char *path)
{
    s3r_language_model *lm;
    if (s3r_language_model_open(&lm, path, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return lm;
}

static const char *write_text(const char *name, const char *text)
{
    const char *path = test_path(test_folder(), name);
    test_write_file(path, text, strlen(text));
    return path;
}

static void expect_near(double found, double expected)
{
    if (fabs(found - expected) > 1e-6)
        fail_msg("expected %.7f, found %.7f", expected, found);
}

/* By hand from the file: the longest n-gram, and the back-offs of longer contexts. */
static void test_known_values(void **state)
{
    (void)state;
    const char *path = write_text(
        "known.arpa",
        "\\data\\\nngram 1=5\nngram 2=2\nngram 3=1\n\\1-grams:\n-1.1 <unk> -0.01\n-9 <s> "
        "-0.2\n-1.2 </s>\n-1.3 a -0.3\n-1.4 bb -0.4\n\\2-grams:\n-0.6 <s> a -0.07\n-0.7 "
        "a bb -0.08\n\\3-grams:\n-0.5 <s> a bb\n\\end\\\n");
    s3r_language_model *lm = open_lm(path);
    s3r_lm_info info;
    s3r_language_model_get_info(lm, &info);
    assert_int_equal(info.order, 3);
    assert_int_equal(info.unit, S3R_LM_WORDS);
    assert_int_equal(info.ngrams[0], 5);
    assert_string_equal(info.format, "arpa");
    s3r_lm_context begin, a, next, nothing = {{0}};
    bool is_unknown = true;
    s3r_lm_context_begin(lm, &begin);
    expect_near(s3r_lm_word_log10(lm, &begin, "a", &a, &is_unknown), -0.6);
    assert_false(is_unknown);
    expect_near(s3r_lm_word_log10(lm, &a, "bb", &next, NULL), -0.5);
    expect_near(s3r_lm_word_log10(lm, &next, NULL, NULL, NULL), -0.08 - 0.4 - 1.2);
    expect_near(s3r_lm_word_log10(lm, &a, NULL, NULL, NULL), -0.07 - 0.3 - 1.2);
    expect_near(s3r_lm_word_log10(lm, &begin, "xyzzy", &next, &is_unknown), -0.2 - 1.1);
    assert_true(is_unknown);
    expect_near(s3r_lm_word_log10(lm, &next, "a", &next, &is_unknown), -0.01 - 1.3);
    assert_false(is_unknown);
    expect_near(s3r_lm_word_log10(lm, &next, "bb", &next, NULL), -0.7);
    expect_near(s3r_lm_word_log10(lm, &nothing, "a", NULL, NULL), -1.3);
    s3r_language_model_close(lm);
    s3r_language_model_close(NULL);
}

/* A sentence word by word; in a model of characters letter by letter. */
static double say(const s3r_language_model *lm, const char *const *units, size_t count,
                  size_t *unknown)
{
    s3r_lm_context context;
    double sum = 0;
    s3r_lm_context_begin(lm, &context);
    *unknown = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_unknown;
        sum += s3r_lm_word_log10(lm, &context, units[i], &context, &is_unknown);
        *unknown += is_unknown;
    }
    return sum + s3r_lm_word_log10(lm, &context, NULL, &context, NULL);
}

static void test_sentences_are_their_words(void **state)
{
    (void)state;
    static const char *const words[] = {"the", "model", "xyzzy"};
    static const char *const letters[] = {"t", "h", "e", "|", "\xc3\xa9", "t", "e"};
    s3r_lm_score score;
    size_t unknown;
    s3r_language_model *lm = open_lm(LM_DATA "kenlm.bin");
    assert_int_equal(s3r_lm_score_sentence(lm, " the\tmodel xyzzy ", &score, &err),
                     S3R_OK);
    expect_near(say(lm, words, 3, &unknown), score.log10_prob);
    assert_int_equal(score.words, 3);
    assert_int_equal(score.unknown_words, unknown);
    assert_int_equal(unknown, 1);
    expect_near(score.perplexity, pow(10, -score.log10_prob / 4));
    test_expect_failure(s3r_lm_score_sentence(lm, "a\xff", &score, &err), &err,
                        S3R_ERR_DATA, "expected UTF-8");
    s3r_language_model_close(lm);

    const char *path = test_path(test_folder(), "letters.s3l");
    const char *const text = LM_DATA "text.txt";
    s3r_lm_build_options options;
    s3r_lm_build_options_init(&options);
    options.unit = S3R_LM_CHARACTERS;
    assert_int_equal(s3r_lm_build(&text, 1, path, &options, NULL, &err), S3R_OK);
    lm = open_lm(path);
    assert_int_equal(s3r_lm_score_sentence(lm, "the \xc3\xa9te", &score, &err), S3R_OK);
    expect_near(say(lm, letters, 7, &unknown), score.log10_prob);
    assert_int_equal(score.unknown_words, 1);
    assert_int_equal(unknown, 1);
    s3r_language_model_close(lm);
}

/* ---- texts and threads ---- */

typedef struct worker_scores {
    const s3r_language_model *lm;
    double sums[8]; /* by task */
} worker_scores;

/* Every sentence of the text, one by one. */
static void score_alone(void *context, size_t task, size_t worker)
{
    worker_scores *all = context;
    char line[4096];
    (void)worker;
    FILE *file = fopen(LM_DATA "text.txt", "r");
    while (file && fgets(line, sizeof line, file)) {
        s3r_lm_score score;
        if (s3r_lm_score_sentence(all->lm, line, &score, NULL) == S3R_OK)
            all->sums[task] += score.log10_prob;
    }
    if (file)
        fclose(file);
}

/* `query` of KenLM gives a perplexity of 17.554892071316218 with 2309 tokens. */
static void test_texts_in_many_threads(void **state)
{
    (void)state;
    static const char *const paths[] = {LM_DATA "pruned4.arpa", LM_DATA "kenlm.bin"};
    const char *const text = LM_DATA "text.txt";
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 4, &err), S3R_OK);
    for (size_t i = 0; i < 2; i++) {
        s3r_language_model *lm = open_lm(paths[i]);
        worker_scores all = {.lm = lm};
        s3r_lm_score total;
        assert_int_equal(s3r_lm_score_texts(lm, &text, 1, NULL, NULL, NULL, &total, &err),
                         S3R_OK);
        assert_int_equal(total.sentences, 150);
        assert_int_equal(total.words, 2159);
        assert_true(fabs(total.perplexity - 17.554892071) < 1e-5);
        s3r_pool_run(pool, 8, score_alone, &all);
        for (size_t j = 0; j < 8; j++)
            assert_true(all.sums[j] == total.log10_prob);
        const char *const empty = write_text("empty.txt", "");
        test_expect_failure(
            s3r_lm_score_texts(lm, &empty, 1, NULL, NULL, NULL, &total, &err), &err,
            S3R_ERR_DATA, "expected text to score, found none");
        s3r_language_model_close(lm);
    }
    s3r_pool_destroy(pool);
}

static s3r_status attempt(void *context, s3r_error *error)
{
    s3r_language_model *lm;
    S3R_TRY(s3r_language_model_open(&lm, context, error));
    s3r_language_model_close(lm);
    return S3R_OK;
}

static void test_what_cannot_be_opened(void **state)
{
    (void)state;
    s3r_language_model *lm;
    test_expect_failure(s3r_language_model_open(&lm, "none.s3l", &err), &err,
                        S3R_ERR_DATA, "none.s3l");
    test_expect_failure(s3r_language_model_open(&lm, LM_DATA "text.txt", &err), &err,
                        S3R_ERR_DATA, "text.txt");
    static char arpa[] = LM_DATA "pruned4.arpa", kenlm[] = LM_DATA "kenlm.bin";
    test_survives_alloc_faults(attempt, arpa);
    test_survives_alloc_faults(attempt, kenlm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_sentences_are_their_words),
        cmocka_unit_test(test_texts_in_many_threads),
        cmocka_unit_test(test_what_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
