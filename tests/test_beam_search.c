/*
 * Beam search against brute force: every path of small emissions, every reading of every
 * path, scored by the definition of search.h.  With a beam that drops nothing both must
 * find the same texts with the same scores.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decode/beam_search.h"
#include "support_alloc_faults.h"
#include "support_search.h"

/* ---- comparing ---- */

static void decode(const test_search_world *w, const float *rows, size_t frames,
                   size_t most, s3r_decodings *out)
{
    s3r_beam *beam;
    assert_int_equal(s3r_beam_create(&beam, &w->search, NULL), S3R_OK);
    assert_int_equal(s3r_beam_add(beam, rows, frames, 5, NULL), S3R_OK);
    assert_int_equal(s3r_beam_finish(beam, most, out, NULL), S3R_OK);
    s3r_beam_destroy(beam);
}

/* Whether the labels of a word spell it. */
static bool is_spelled(const test_search_world *w, const s3r_decoded *item,
                       const s3r_word_span *word)
{
    char letters[TEST_SEARCH_FRAMES + 1] = "";
    for (size_t i = 0; i < word->span_count; i++)
        letters[i] = test_search_letters[item->spans[word->first_span + i].label][0];
    bool is_known = false;
    for (size_t i = 0; i < TEST_SEARCH_SPELLINGS; i++) {
        bool is_same = strcmp(test_search_spellings[i].spelled, letters) == 0;
        is_known = is_known || is_same;
        if (w->has_lexicon && is_same &&
            strcmp(test_search_spellings[i].word, word->text) == 0)
            return true;
    }
    return (!w->has_lexicon || !is_known) && strcmp(letters, word->text) == 0;
}

/* The words make the text, and every letter is one of a word. */
static void check_words(const test_search_world *w, const s3r_decoded *item)
{
    char text[TEST_SEARCH_TEXT_BYTES] = "";
    size_t letters = 0, at = 0;
    for (size_t i = 0; i < item->words.count; i++) {
        const s3r_word_span *word = &item->words.items[i];
        strcat(strcat(text, i > 0 ? " " : ""), word->text);
        assert_true(word->first_span >= at && word->span_count > 0);
        assert_true(is_spelled(w, item, word));
        at = word->first_span + word->span_count;
        assert_int_equal(word->start_frame, item->spans[word->first_span].start_frame);
        assert_int_equal(word->end_frame, item->spans[at - 1].end_frame);
        letters += word->span_count;
    }
    assert_string_equal(text, item->text);
    for (size_t i = 0; i < item->span_count; i++)
        letters -= item->spans[i].label != w->vocabulary.delimiter_id;
    assert_int_equal(letters, 0);
}

static void compare_one(unsigned features, uint64_t seed, test_search_brute *b)
{
    test_search_world w;
    float rows[TEST_SEARCH_FRAMES * 5];
    size_t frames = 1 + seed % TEST_SEARCH_FRAMES;
    s3r_decodings found;
    test_search_open(&w, features);
    test_search_emissions(rows, frames, seed, 1.5);
    test_search_all(b, &w, rows, frames);
    decode(&w, rows, frames, 20, &found);
    size_t expected = S3R_MIN(b->count, (size_t)20);
    if (found.count != expected)
        fail_msg("features %u, seed %zu: expected %zu texts, found %zu", features,
                 (size_t)seed, expected, found.count);
    for (size_t i = 0; i < found.count; i++) {
        bool is_same =
            strcmp(found.items[i].text, b->texts[i].text) == 0 ||
            (i > 0 && fabs(b->texts[i].score - b->texts[i - 1].score) < 1e-4) ||
            (i + 1 < b->count && fabs(b->texts[i].score - b->texts[i + 1].score) < 1e-4);
        if (!is_same || fabs(found.items[i].score - b->texts[i].score) > 1e-4)
            fail_msg("features %u, seed %zu, text %zu: expected \"%s\" %.6f, found "
                     "\"%s\" %.6f",
                     features, (size_t)seed, i, b->texts[i].text, b->texts[i].score,
                     found.items[i].text, found.items[i].score);
        check_words(&w, &found.items[i]);
    }
    s3r_decodings_release(&found);
    test_search_close(&w);
}

static void test_brute_force(void **state)
{
    (void)state;
    static const unsigned cases[] = {
        0,
        TEST_WITH_HOT,
        TEST_WITH_LM,
        TEST_WITH_LM | TEST_WITH_HOT,
        TEST_WITH_LM | TEST_WITH_CHARACTERS,
        TEST_WITH_LM | TEST_WITH_CHARACTERS | TEST_WITH_HOT,
        TEST_WITHOUT_DELIMITER,
        TEST_WITHOUT_DELIMITER | TEST_WITH_LM | TEST_WITH_CHARACTERS,
        TEST_WITH_LEXICON,
        TEST_WITH_LEXICON | TEST_WITH_HOT,
        TEST_WITH_LEXICON | TEST_WITH_UNKNOWN,
        TEST_WITH_LEXICON | TEST_WITH_LM,
        TEST_WITH_LEXICON | TEST_WITH_LM | TEST_WITH_HOT,
        TEST_WITH_LEXICON | TEST_WITH_LM | TEST_WITH_UNKNOWN,
        TEST_WITH_LEXICON | TEST_WITH_LM | TEST_WITH_UNKNOWN | TEST_WITH_HOT,
        TEST_WITH_LEXICON | TEST_WITH_LM | TEST_WITH_CHARACTERS,
        TEST_WITH_LEXICON | TEST_WITH_LM | TEST_WITH_CHARACTERS | TEST_WITH_HOT,
        TEST_WITH_LEXICON | TEST_WITH_LM | TEST_WITH_CHARACTERS | TEST_WITH_UNKNOWN,
        TEST_WITH_LEXICON | TEST_WITHOUT_DELIMITER,
        TEST_WITH_LEXICON | TEST_WITHOUT_DELIMITER | TEST_WITH_LM,
        TEST_WITH_LEXICON | TEST_WITHOUT_DELIMITER | TEST_WITH_LM | TEST_WITH_HOT,
        TEST_WITH_LEXICON | TEST_WITHOUT_DELIMITER | TEST_WITH_LM | TEST_WITH_CHARACTERS,
    };
    test_search_brute *b = s3r_alloc(1, sizeof *b);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        for (uint64_t seed = 1; seed <= 12; seed++)
            compare_one(cases[i], seed, b);
    s3r_free(b);
}

/* The parts of a score add up; spans are in order and spell the text. */
static void test_parts(void **state)
{
    (void)state;
    enum { LONG = 400 };
    static float rows[LONG * 5];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        test_search_world w;
        s3r_decodings found;
        test_search_open(&w, TEST_WITH_LM | (seed % 2 ? TEST_WITH_LEXICON : 0));
        w.search.options.beam = 1 + seed * 3;
        w.search.options.threshold = 15;
        test_search_emissions(rows, LONG, seed, 3);
        decode(&w, rows, LONG, 5, &found);
        for (size_t i = 0; i < found.count; i++) {
            const s3r_decoded *d = &found.items[i];
            double sum = d->emission + 1.3 * d->lm - 0.7 * (double)d->word_count;
            if (seed % 2) /* no unknown words */
                assert_true(fabs(sum - d->score) < 1e-3);
            size_t end = 0;
            for (size_t j = 0; j < d->span_count; j++) {
                assert_true(d->spans[j].start_frame >= end);
                assert_true(d->spans[j].end_frame > d->spans[j].start_frame);
                assert_true(d->probabilities[j] > 0 && d->probabilities[j] <= 1.0001f);
                end = d->spans[j].end_frame;
            }
            assert_true(end <= LONG);
            assert_true(i == 0 || d->score <= found.items[i - 1].score);
        }
        s3r_decodings_release(&found);
        test_search_close(&w);
    }
}

/* In one call or frame by frame, finished in between or not: the same bits. */
static void test_pieces(void **state)
{
    (void)state;
    enum { LONG = 3000 };
    static float rows[LONG * 5];
    for (unsigned features = 0; features <= TEST_WITH_LM; features += TEST_WITH_LM) {
        test_search_world w;
        s3r_decodings whole, cut;
        s3r_beam *beam;
        test_search_open(&w, features);
        w.search.options.beam = 20;
        w.search.options.threshold = 20;
        test_search_emissions(rows, LONG, 7, 1);
        decode(&w, rows, LONG, 3, &whole);
        assert_int_equal(s3r_beam_create(&beam, &w.search, NULL), S3R_OK);
        for (size_t i = 0; i < LONG; i += 100) {
            assert_int_equal(s3r_beam_add(beam, rows + 5 * i, 100, 5, NULL), S3R_OK);
            assert_int_equal(s3r_beam_finish(beam, 1, &cut, NULL), S3R_OK);
            s3r_decodings_release(&cut);
        }
        assert_int_equal(s3r_beam_finish(beam, 3, &cut, NULL), S3R_OK);
        assert_int_equal(cut.count, whole.count);
        for (size_t i = 0; i < cut.count; i++) {
            assert_string_equal(cut.items[i].text, whole.items[i].text);
            assert_true(cut.items[i].score == whole.items[i].score);
            assert_int_equal(cut.items[i].span_count, whole.items[i].span_count);
            assert_memory_equal(cut.items[i].spans, whole.items[i].spans,
                                cut.items[i].span_count * sizeof(s3r_label_span));
        }
        s3r_decodings_release(&cut);
        s3r_decodings_release(&whole);
        s3r_beam_destroy(beam);
        test_search_close(&w);
    }
}

/* A wider beam never finds less; without a model and lexicon it is the greedy path. */
static void test_greedy(void **state)
{
    (void)state;
    float rows[TEST_SEARCH_FRAMES * 5];
    for (uint64_t seed = 1; seed <= 50; seed++) {
        test_search_world w;
        s3r_decodings found;
        uint32_t best[TEST_SEARCH_FRAMES];
        char *text;
        test_search_open(&w, 0);
        w.search.options.word_score = 0;
        s3r_search_set_weights(&w.search, 1, 0);
        test_search_emissions(rows, TEST_SEARCH_FRAMES, seed, 2);
        for (size_t i = 0; i < TEST_SEARCH_FRAMES; i++) {
            best[i] = 0;
            for (uint32_t j = 1; j < 5; j++)
                best[i] = rows[i * 5 + j] > rows[i * 5 + best[i]] ? j : best[i];
        }
        assert_int_equal(
            s3r_vocabulary_decode(&w.vocabulary, &text, best, TEST_SEARCH_FRAMES, NULL),
            S3R_OK);
        w.search.options.token_beam = 1;
        decode(&w, rows, TEST_SEARCH_FRAMES, 1, &found);
        if (!strstr(text, "  ")) /* the search joins delimiters */
            assert_string_equal(found.items[0].text, text);
        s3r_free(text);
        s3r_decodings_release(&found);
        test_search_close(&w);
    }
}

static void test_empty(void **state)
{
    (void)state;
    test_search_world w;
    s3r_decodings found;
    test_search_open(&w, TEST_WITH_LEXICON | TEST_WITH_LM);
    decode(&w, NULL, 0, 5, &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text, "");
    assert_int_equal(found.items[0].span_count, 0);
    s3r_decodings_release(&found);
    test_search_close(&w);
}

/* Letters that are no word: given up, when nothing else is left in the beam. */
static void test_cut_word(void **state)
{
    (void)state;
    test_search_world w;
    s3r_decodings found;
    /* "a | b" without any doubt, and "b" is no word */
    static const uint32_t ids[] = {2, 1, 3};
    float rows[3 * 5];
    for (size_t i = 0; i < 15; i++)
        rows[i] = i % 5 == ids[i / 5] ? 0 : -50;
    test_search_open(&w, TEST_WITH_LEXICON);
    w.search.options.threshold = 10;
    decode(&w, rows, 3, 5, &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text, "a");
    assert_int_equal(found.items[0].span_count, 2);
    s3r_decodings_release(&found);
    test_search_close(&w);
}

/* Probabilities, not scores, are of the temperature. */
static void test_temperature(void **state)
{
    (void)state;
    test_search_world w;
    s3r_beam *beam;
    s3r_decodings found;
    /* 0.8 and 0.05 four times; their square roots are 4 : 1 */
    float row[5] = {0.05f, 0.05f, 0.8f, 0.05f, 0.05f};
    for (size_t i = 0; i < 5; i++)
        row[i] = logf(row[i]);
    test_search_open(&w, 0);
    for (int temperature = 1; temperature <= 2; temperature++) {
        assert_int_equal(s3r_beam_create(&beam, &w.search, NULL), S3R_OK);
        s3r_beam_set_temperature(beam, temperature);
        assert_int_equal(s3r_beam_add(beam, row, 1, 5, NULL), S3R_OK);
        assert_int_equal(s3r_beam_finish(beam, 1, &found, NULL), S3R_OK);
        assert_string_equal(found.items[0].text, "a");
        assert_float_equal((float)found.items[0].emission, logf(0.8f), 1e-6f);
        assert_float_equal(found.items[0].probabilities[0],
                           temperature == 1 ? 0.8f : 0.5f, 1e-6f);
        s3r_decodings_release(&found);
        s3r_beam_destroy(beam);
    }
    test_search_close(&w);
}

static void test_refused(void **state)
{
    (void)state;
    test_search_world w;
    s3r_beam *beam;
    s3r_error err;
    float row[5] = {0, 0, NAN, 0, 0};
    test_search_open(&w, 0);
    assert_int_equal(s3r_beam_create(&beam, &w.search, NULL), S3R_OK);
    assert_int_equal(s3r_beam_add(beam, row, 1, 5, &err), S3R_ERR_DATA);
    row[2] = -INFINITY;
    assert_int_equal(s3r_beam_add(beam, row, 1, 5, &err), S3R_OK);
    s3r_beam_destroy(beam);
    test_search_close(&w);
    static const struct {
        double lm_weight, word_score, threshold;
        size_t beam;
        const char *said;
    } cases[] = {{-1, 0, 1, 1, "an LM weight of at least 0"},
                 {1, INFINITY, 1, 1, "weights: expected numbers from"},
                 {1e305, 0, 1, 1, "weights: expected numbers from"},
                 {1, 0, 0, 1, "beam threshold: expected more than 0"},
                 {1, 0, (double)NAN, 1, "beam threshold"},
                 {1, 0, 1, 0, "beam: expected 1 to 1000000, found 0"}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_vocabulary v = test_search_vocabulary(true);
        s3r_search s = {.vocabulary = &v};
        s.options = (s3r_search_options){.lm_weight = cases[i].lm_weight,
                                         .word_score = cases[i].word_score,
                                         .threshold = cases[i].threshold,
                                         .beam = cases[i].beam};
        assert_int_equal(s3r_search_prepare(&s, &err), S3R_ERR_USAGE);
        if (!strstr(err.message, cases[i].said))
            fail_msg("expected %s, found %s", cases[i].said, err.message);
    }
}

static s3r_status attempt(void *context, s3r_error *err)
{
    test_search_world *w = context;
    float rows[TEST_SEARCH_FRAMES * 5];
    s3r_beam *beam;
    s3r_decodings found = {0};
    test_search_emissions(rows, TEST_SEARCH_FRAMES, 3, 1);
    S3R_TRY(s3r_search_prepare(&w->search, err));
    s3r_status status = s3r_beam_create(&beam, &w->search, err);
    if (status == S3R_OK) {
        status = s3r_beam_add(beam, rows, TEST_SEARCH_FRAMES, 5, err);
        if (status == S3R_OK)
            status = s3r_beam_finish(beam, 4, &found, err);
        s3r_decodings_release(&found);
        s3r_beam_destroy(beam);
    }
    s3r_search_release(&w->search);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const unsigned cases[] = {TEST_WITH_LM | TEST_WITH_LEXICON | TEST_WITH_UNKNOWN,
                                     TEST_WITH_LM};
    for (size_t i = 0; i < 2; i++) {
        test_search_world w;
        test_search_open(&w, cases[i]);
        s3r_search_release(&w.search);
        w.search.options.beam = 50;
        test_survives_alloc_faults(attempt, &w);
        test_search_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force),   cmocka_unit_test(test_parts),
        cmocka_unit_test(test_pieces),        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_empty),         cmocka_unit_test(test_cut_word),
        cmocka_unit_test(test_temperature),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
