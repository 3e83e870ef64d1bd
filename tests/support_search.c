/*
 * Brute force follows the definition, not the search.
 */
#include "support_search.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "decode/kneser_ney.h"

char test_search_letters[5][2] = {"_", "|", "a", "b", "c"};
static char *labels[] = {test_search_letters[0], test_search_letters[1],
                         test_search_letters[2], test_search_letters[3],
                         test_search_letters[4]};
static char space[] = " ";
static char *printed[] = {NULL, space, test_search_letters[2], test_search_letters[3],
                          test_search_letters[4]};
static bool special[] = {true, false, false, false, false};
static char path[] = "v";

s3r_vocabulary test_search_vocabulary(bool has_delimiter)
{
    static bool special_too[] = {true, true, false, false, false};
    return (s3r_vocabulary){.path = path,
                            .count = 5,
                            .labels = labels,
                            .printed = printed,
                            .is_special = has_delimiter ? special : special_too,
                            .blank_id = 0,
                            .delimiter_id = has_delimiter ? 1 : S3R_NO_LABEL,
                            .unknown_id = S3R_NO_LABEL,
                            .delimiter_text = space};
}

/* ---- what is searched ---- */

/* "AB" is a second word for the spelling of "ab", and "bc" has two spellings. */
static const char lexicon_text[] = "a\nab\nAB\ta b |\nbc\nbc\tb b\nc\nbca\ncc\n";

static void make_lm(test_search_world *w)
{
    static const char *const words[] = {"a b c ab",    "ab bc a", "c c a bc",
                                        "bca ab AB c", "a a b",   "cc ab c"};
    s3r_kneser_ney options = {
        .order = 3, .has_fallback = true, .fallback = {0.5f, 1, 1.5f}};
    s3r_ngrams ngrams;
    s3r_discounts discounts;
    assert_int_equal(s3r_ngrams_init(&ngrams, options.order, NULL), S3R_OK);
    s3r_lm_text text = {.words = &ngrams.words, .has_characters = w->has_characters};
    ngrams.has_characters = w->has_characters;
    for (size_t i = 0; i < S3R_ARRAY_LEN(words); i++)
        assert_int_equal(s3r_lm_text_add(&text, words[i], NULL), S3R_OK);
    assert_int_equal(s3r_kneser_ney_estimate(&ngrams, &discounts, &text, &options, NULL),
                     S3R_OK);
    assert_int_equal(s3r_lm_from_ngrams(&w->lm, &ngrams, "lm", NULL), S3R_OK);
    s3r_lm_text_release(&text);
    s3r_ngrams_release(&ngrams);
}

static void make_words(s3r_lexicon *lexicon, const char *text, const test_search_world *w)
{
    *lexicon = (s3r_lexicon){0};
    s3r_error err;
    if (s3r_lexicon_parse(lexicon, text, strlen(text), "words", &w->vocabulary, &err) !=
        S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(s3r_lexicon_finish(lexicon, NULL), S3R_OK);
}

/* They overlap, go on from one another and repeat a word. */
static const struct {
    const char *text;
    float boost;
} hot_phrases[] = {{"bc", 2.25f},    {"a c", 1.5f}, {"c", 0.5f},     {"c a", 3},
                   {"a c a", 1.25f}, {"ab ab", 2},  {"c c bc", 4.5f}};

static void make_hot(test_search_world *w)
{
    s3r_lexicon *words = w->has_lexicon ? &w->lexicon : &w->hot_words;
    if (!w->has_lexicon)
        make_words(words, "bc\na\nc\nab\n", w);
    for (size_t i = 0; i < S3R_ARRAY_LEN(hot_phrases); i++) {
        uint32_t ids[4];
        size_t count = 0;
        for (const char *at = hot_phrases[i].text; *at; at += *at == ' ') {
            size_t length = strcspn(at, " ");
            for (uint32_t j = 0; j < words->words.count; j++) {
                const char *word = s3r_word_table_word(&words->words, j);
                if (strlen(word) == length && strncmp(word, at, length) == 0)
                    ids[count++] = j;
            }
            at += length;
        }
        assert_int_equal(s3r_hot_phrases_add(&w->hot, hot_phrases[i].text, ids, count,
                                             hot_phrases[i].boost, NULL),
                         S3R_OK);
    }
    assert_int_equal(s3r_hot_phrases_finish(&w->hot, words, NULL), S3R_OK);
}

void test_search_open(test_search_world *w, unsigned features)
{
    *w = (test_search_world){
        .vocabulary = test_search_vocabulary(!(features & TEST_WITHOUT_DELIMITER)),
        .has_lm = features & TEST_WITH_LM,
        .has_characters = features & TEST_WITH_CHARACTERS,
        .has_lexicon = features & TEST_WITH_LEXICON,
        .has_hot = features & TEST_WITH_HOT};
    const char *words = features & TEST_WITHOUT_DELIMITER
                            ? "a\nab\nAB\ta b\nbc\nbc\tb b\nc\nbca\ncc\n"
                            : lexicon_text;
    s3r_search *s = &w->search;
    s3r_search_options_init(&s->options);
    s->options.beam = 100000;
    s->options.threshold = 1e9;
    s->options.lm_weight = 1.3;
    s->options.word_score = -0.7;
    s->options.allows_unknown = features & TEST_WITH_UNKNOWN;
    s->options.unknown_score = -2.5;
    s->vocabulary = &w->vocabulary;
    if (w->has_lm)
        make_lm(w);
    if (w->has_lexicon)
        make_words(&w->lexicon, words, w);
    if (w->has_hot)
        make_hot(w);
    s->lm = w->has_lm ? &w->lm : NULL;
    s->lexicon = w->has_lexicon ? &w->lexicon : NULL;
    s->hot = w->has_hot ? &w->hot : NULL;
    assert_int_equal(s3r_search_prepare(s, NULL), S3R_OK);
}

void test_search_close(test_search_world *w)
{
    s3r_search_release(&w->search);
    s3r_lexicon_release(&w->lexicon);
    s3r_lexicon_release(&w->hot_words);
    s3r_hot_phrases_release(&w->hot);
    s3r_lm_close(&w->lm);
}

void test_search_emissions(float *rows, size_t frames, uint64_t seed, double sharpness)
{
    s3r_random random;
    s3r_random_init(&random, seed, 0);
    for (size_t i = 0; i < frames; i++) {
        double sum = 0;
        for (size_t j = 0; j < 5; j++) {
            rows[i * 5 + j] = (float)(sharpness * s3r_random_normal(&random));
            sum += exp((double)rows[i * 5 + j]);
        }
        for (size_t j = 0; j < 5; j++)
            rows[i * 5 + j] -= (float)log(sum);
    }
}

/* ---- brute force ---- */

static void note(test_search_brute *b, const char *text, double score)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->texts[i].text, text) == 0) {
            b->texts[i].score = fmax(b->texts[i].score, score);
            return;
        }
    assert_true(b->count < TEST_SEARCH_TEXTS);
    strcpy(b->texts[b->count].text, text);
    b->texts[b->count++].score = score;
}

/* Spelled in letters; all its readings go on. */
typedef struct reading {
    char text[TEST_SEARCH_TEXT_BYTES];    /* words as they are printed */
    char spelled[TEST_SEARCH_TEXT_BYTES]; /* letters and spaces, for a model of characters
                                           */
    double words;                         /* word scores, unknown scores */
    double lm;                            /* of words */
    s3r_lm_state state;
} reading;

static double score_characters(const test_search_world *w, const char *spelled)
{
    s3r_lm_state state = s3r_lm_begin(&w->lm);
    double sum = 0;
    for (; *spelled; spelled++) {
        char c = *spelled == ' ' ? '|' : *spelled;
        sum +=
            (double)s3r_lm_word_score(&w->lm, &state, s3r_lm_find(&w->lm, &c, 1), &state);
    }
    return sum + (double)s3r_lm_word_score(&w->lm, &state, w->lm.end_word, &state);
}

/* Every place where a phrase stands between spaces or the ends. */
static double sum_boosts(const test_search_world *w, const char *text)
{
    double sum = 0;
    for (size_t i = 0; w->has_hot && i < S3R_ARRAY_LEN(hot_phrases); i++) {
        size_t length = strlen(hot_phrases[i].text);
        for (const char *at = text; (at = strstr(at, hot_phrases[i].text)); at++)
            if ((at == text || at[-1] == ' ') &&
                (at[length] == ' ' || at[length] == '\0'))
                sum += (double)hot_phrases[i].boost;
    }
    return sum;
}

static void end_reading(test_search_brute *b, const reading *r)
{
    const test_search_world *w = b->w;
    double lm = 0;
    if (w->has_lm && w->has_characters) {
        lm = score_characters(w, r->spelled);
    } else if (w->has_lm) {
        s3r_lm_state state = r->state;
        lm = r->lm + (double)s3r_lm_word_score(&w->lm, &state, w->lm.end_word, &state);
    }
    note(b, r->text,
         b->emission + w->search.options.lm_weight * lm + r->words +
             sum_boosts(w, r->text));
}

const test_search_spelling test_search_spellings[TEST_SEARCH_SPELLINGS] = {
    {"a", "a"},   {"ab", "ab"}, {"AB", "ab"},   {"bc", "bc"},
    {"bc", "bb"}, {"c", "c"},   {"bca", "bca"}, {"cc", "cc"}};

static void read_words(test_search_brute *b, const reading *r, const char *const *words,
                       size_t count);

/* The reading with one more word, then with the rest. */
static void read_as(test_search_brute *b, const reading *r, const char *word,
                    const char *spelled, bool is_known, const char *const *rest,
                    size_t count)
{
    const test_search_world *w = b->w;
    reading next = *r;
    bool has_space = w->vocabulary.delimiter_id != S3R_NO_LABEL;
    if (next.text[0])
        strcat(next.text, " ");
    if (next.spelled[0] && has_space)
        strcat(next.spelled, " ");
    strcat(next.text, word);
    strcat(next.spelled, spelled);
    uint32_t id = S3R_WORD_UNKNOWN;
    if (w->has_lm && is_known)
        id = s3r_lm_find(&w->lm, word, strlen(word));
    if (w->has_lm && !w->has_characters)
        next.lm += (double)s3r_lm_word_score(&w->lm, &next.state, id, &next.state);
    bool is_unknown = w->has_lexicon
                          ? !is_known
                          : w->has_lm && !w->has_characters && id == S3R_WORD_UNKNOWN;
    next.words +=
        w->search.options.word_score + (is_unknown ? w->search.options.unknown_score : 0);
    read_words(b, &next, rest, count);
}

static void read_words(test_search_brute *b, const reading *r, const char *const *words,
                       size_t count)
{
    bool is_known = false;
    if (count == 0) {
        end_reading(b, r);
        return;
    }
    if (!b->w->has_lexicon) {
        read_as(b, r, words[0], words[0], true, words + 1, count - 1);
        return;
    }
    for (size_t i = 0; i < TEST_SEARCH_SPELLINGS; i++)
        if (strcmp(test_search_spellings[i].spelled, words[0]) == 0) {
            is_known = true;
            read_as(b, r, test_search_spellings[i].word, words[0], true, words + 1,
                    count - 1);
        }
    if (!is_known && b->w->search.options.allows_unknown)
        read_as(b, r, words[0], words[0], false, words + 1, count - 1);
}

/* Without a delimiter: all ways to cut the letters into words. */
static void cut_letters(test_search_brute *b, const reading *r, const char *letters)
{
    if (*letters == '\0') {
        end_reading(b, r);
        return;
    }
    for (size_t i = 0; i < TEST_SEARCH_SPELLINGS; i++) {
        size_t length = strlen(test_search_spellings[i].spelled);
        if (strncmp(letters, test_search_spellings[i].spelled, length) != 0)
            continue;
        reading next = *r;
        const test_search_world *w = b->w;
        if (next.text[0])
            strcat(next.text, " ");
        strcat(next.text, test_search_spellings[i].word);
        strcat(next.spelled, test_search_spellings[i].spelled);
        if (w->has_lm && !w->has_characters) {
            uint32_t id = s3r_lm_find(&w->lm, test_search_spellings[i].word,
                                      strlen(test_search_spellings[i].word));
            next.lm += (double)s3r_lm_word_score(&w->lm, &next.state, id, &next.state);
        }
        next.words += w->search.options.word_score;
        cut_letters(b, &next, letters + length);
    }
}

/* One path: repeats joined, blanks gone, words cut at delimiters. */
static void read_path(test_search_brute *b, const uint32_t *ids, size_t frames)
{
    char letters[2 * TEST_SEARCH_FRAMES + 1];
    const char *words[TEST_SEARCH_FRAMES + 1];
    size_t length = 0, count = 0;
    bool is_inside = false;
    for (size_t i = 0; i < frames; i++) {
        bool is_new = ids[i] != 0 && (i == 0 || ids[i] != ids[i - 1]);
        if (!is_new)
            continue;
        if (ids[i] == b->w->vocabulary.delimiter_id) {
            if (is_inside)
                letters[length++] = '\0';
            is_inside = false;
            continue;
        }
        if (b->w->vocabulary.is_special[ids[i]])
            return;
        if (!is_inside)
            words[count++] = letters + length;
        is_inside = true;
        letters[length++] = test_search_letters[ids[i]][0];
    }
    letters[length] = '\0';
    reading r = {.words = 0};
    if (b->w->has_lm)
        r.state = s3r_lm_begin(&b->w->lm);
    if (b->w->vocabulary.delimiter_id == S3R_NO_LABEL && b->w->has_lexicon)
        cut_letters(b, &r, count > 0 ? words[0] : "");
    else
        read_words(b, &r, words, count);
}

static int compare_found(const void *a, const void *b)
{
    const test_search_text *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

void test_search_all(test_search_brute *b, const test_search_world *w, const float *rows,
                     size_t frames)
{
    uint32_t ids[TEST_SEARCH_FRAMES] = {0};
    size_t total = 1;
    *b = (test_search_brute){.w = w};
    for (size_t i = 0; i < frames; i++)
        total *= 5;
    for (size_t path_number = 0; path_number < total; path_number++) {
        size_t rest = path_number;
        b->emission = 0;
        for (size_t i = 0; i < frames; i++, rest /= 5) {
            ids[i] = (uint32_t)(rest % 5);
            b->emission += (double)rows[i * 5 + ids[i]];
        }
        read_path(b, ids, frames);
    }
    qsort(b->texts, b->count, sizeof *b->texts, compare_found);
}
