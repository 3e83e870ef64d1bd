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

#include "base/random.h"
#include "decode/beam_search.h"
#include "decode/kneser_ney.h"
#include "support_alloc_faults.h"

#define FRAMES     6u
#define MAX_TEXTS  4096u
#define TEXT_BYTES 32u

/* blank, delimiter, a, b, c; and the same without a delimiter */
static char label_texts[5][2] = {"_", "|", "a", "b", "c"};
static char *labels[] = {label_texts[0], label_texts[1], label_texts[2], label_texts[3],
                         label_texts[4]};
static char space[] = " ";
static char *printed[] = {NULL, space, label_texts[2], label_texts[3], label_texts[4]};
static bool special[] = {true, false, false, false, false};
static char path[] = "v";

static s3r_vocabulary make_vocabulary(bool has_delimiter)
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

typedef struct world {
    s3r_vocabulary vocabulary;
    s3r_lm lm;
    bool has_lm, has_characters;
    s3r_lexicon lexicon, hot_words;
    bool has_lexicon;
    s3r_hot_phrases hot;
    bool has_hot;
    s3r_search search;
} world;

/* "AB" is a second word for the spelling of "ab", and "bc" has two spellings. */
static const char lexicon_text[] = "a\nab\nAB\ta b |\nbc\nbc\tb b\nc\nbca\ncc\n";

static void make_lm(world *w)
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

static void make_words(s3r_lexicon *lexicon, const char *text, const world *w)
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

static void make_hot(world *w)
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

enum {
    WITHOUT_DELIMITER = 1,
    WITH_LEXICON = 2,
    WITH_LM = 4,
    WITH_CHARACTERS = 8,
    WITH_UNKNOWN = 16,
    WITH_HOT = 32
};

static void open_world(world *w, unsigned features)
{
    *w = (world){.vocabulary = make_vocabulary(!(features & WITHOUT_DELIMITER)),
                 .has_lm = features & WITH_LM,
                 .has_characters = features & WITH_CHARACTERS,
                 .has_lexicon = features & WITH_LEXICON,
                 .has_hot = features & WITH_HOT};
    const char *words = features & WITHOUT_DELIMITER
                            ? "a\nab\nAB\ta b\nbc\nbc\tb b\nc\nbca\ncc\n"
                            : lexicon_text;
    s3r_search *s = &w->search;
    s3r_search_options_init(&s->options);
    s->options.beam = 100000;
    s->options.threshold = 1e9;
    s->options.lm_weight = 1.3;
    s->options.word_score = -0.7;
    s->options.allows_unknown = features & WITH_UNKNOWN;
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

static void close_world(world *w)
{
    s3r_search_release(&w->search);
    s3r_lexicon_release(&w->lexicon);
    s3r_lexicon_release(&w->hot_words);
    s3r_hot_phrases_release(&w->hot);
    s3r_lm_close(&w->lm);
}

static void make_emissions(float *rows, size_t frames, uint64_t seed, double sharpness)
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

typedef struct found_text {
    char text[TEXT_BYTES];
    double score;
} found_text;

typedef struct brute {
    const world *w;
    found_text texts[MAX_TEXTS];
    size_t count;
    double emission;
} brute;

static void note(brute *b, const char *text, double score)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->texts[i].text, text) == 0) {
            b->texts[i].score = fmax(b->texts[i].score, score);
            return;
        }
    assert_true(b->count < MAX_TEXTS);
    strcpy(b->texts[b->count].text, text);
    b->texts[b->count++].score = score;
}

/* Spelled in letters; all its readings go on. */
typedef struct reading {
    char text[TEXT_BYTES];    /* words as they are printed */
    char spelled[TEXT_BYTES]; /* letters and spaces, for a model of characters */
    double words;             /* word scores, unknown scores */
    double lm;                /* of words */
    s3r_lm_state state;
} reading;

static double score_characters(const world *w, const char *spelled)
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
static double sum_boosts(const world *w, const char *text)
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

static void end_reading(brute *b, const reading *r)
{
    const world *w = b->w;
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

static void read_words(brute *b, const reading *r, const char *const *words,
                       size_t count);

/* The reading with one more word, then with the rest. */
static void read_as(brute *b, const reading *r, const char *word, const char *spelled,
                    bool is_known, const char *const *rest, size_t count)
{
    const world *w = b->w;
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

static const struct {
    const char *word, *spelled;
} spellings[] = {{"a", "a"},   {"ab", "ab"}, {"AB", "ab"},   {"bc", "bc"},
                 {"bc", "bb"}, {"c", "c"},   {"bca", "bca"}, {"cc", "cc"}};

static void read_words(brute *b, const reading *r, const char *const *words, size_t count)
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
    for (size_t i = 0; i < S3R_ARRAY_LEN(spellings); i++)
        if (strcmp(spellings[i].spelled, words[0]) == 0) {
            is_known = true;
            read_as(b, r, spellings[i].word, words[0], true, words + 1, count - 1);
        }
    if (!is_known && b->w->search.options.allows_unknown)
        read_as(b, r, words[0], words[0], false, words + 1, count - 1);
}

/* Without a delimiter: all ways to cut the letters into words. */
static void cut_letters(brute *b, const reading *r, const char *letters)
{
    if (*letters == '\0') {
        end_reading(b, r);
        return;
    }
    for (size_t i = 0; i < S3R_ARRAY_LEN(spellings); i++) {
        size_t length = strlen(spellings[i].spelled);
        if (strncmp(letters, spellings[i].spelled, length) != 0)
            continue;
        reading next = *r;
        const world *w = b->w;
        if (next.text[0])
            strcat(next.text, " ");
        strcat(next.text, spellings[i].word);
        strcat(next.spelled, spellings[i].spelled);
        if (w->has_lm && !w->has_characters) {
            uint32_t id =
                s3r_lm_find(&w->lm, spellings[i].word, strlen(spellings[i].word));
            next.lm += (double)s3r_lm_word_score(&w->lm, &next.state, id, &next.state);
        }
        next.words += w->search.options.word_score;
        cut_letters(b, &next, letters + length);
    }
}

/* One path: repeats joined, blanks gone, words cut at delimiters. */
static void read_path(brute *b, const uint32_t *ids, size_t frames)
{
    char letters[2 * FRAMES + 1];
    const char *words[FRAMES + 1];
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
        letters[length++] = label_texts[ids[i]][0];
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
    const found_text *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static void search_all(brute *b, const world *w, const float *rows, size_t frames)
{
    uint32_t ids[FRAMES] = {0};
    size_t total = 1;
    *b = (brute){.w = w};
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

/* ---- comparing ---- */

static void decode(const world *w, const float *rows, size_t frames, size_t most,
                   s3r_decodings *out)
{
    s3r_beam *beam;
    assert_int_equal(s3r_beam_create(&beam, &w->search, NULL), S3R_OK);
    assert_int_equal(s3r_beam_add(beam, rows, frames, 5, NULL), S3R_OK);
    assert_int_equal(s3r_beam_finish(beam, most, out, NULL), S3R_OK);
    s3r_beam_destroy(beam);
}

/* Whether the labels of a word spell it. */
static bool is_spelled(const world *w, const s3r_decoded *item, const s3r_word_span *word)
{
    char letters[FRAMES + 1] = "";
    for (size_t i = 0; i < word->span_count; i++)
        letters[i] = label_texts[item->spans[word->first_span + i].label][0];
    bool is_known = false;
    for (size_t i = 0; i < S3R_ARRAY_LEN(spellings); i++) {
        bool is_same = strcmp(spellings[i].spelled, letters) == 0;
        is_known = is_known || is_same;
        if (w->has_lexicon && is_same && strcmp(spellings[i].word, word->text) == 0)
            return true;
    }
    return (!w->has_lexicon || !is_known) && strcmp(letters, word->text) == 0;
}

/* The words make the text, and every letter is one of a word. */
static void check_words(const world *w, const s3r_decoded *item)
{
    char text[TEXT_BYTES] = "";
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

static void compare_one(unsigned features, uint64_t seed, brute *b)
{
    world w;
    float rows[FRAMES * 5];
    size_t frames = 1 + seed % FRAMES;
    s3r_decodings found;
    open_world(&w, features);
    make_emissions(rows, frames, seed, 1.5);
    search_all(b, &w, rows, frames);
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
    close_world(&w);
}

static void test_brute_force(void **state)
{
    (void)state;
    static const unsigned cases[] = {
        0,
        WITH_HOT,
        WITH_LM,
        WITH_LM | WITH_HOT,
        WITH_LM | WITH_CHARACTERS,
        WITH_LM | WITH_CHARACTERS | WITH_HOT,
        WITHOUT_DELIMITER,
        WITHOUT_DELIMITER | WITH_LM | WITH_CHARACTERS,
        WITH_LEXICON,
        WITH_LEXICON | WITH_HOT,
        WITH_LEXICON | WITH_UNKNOWN,
        WITH_LEXICON | WITH_LM,
        WITH_LEXICON | WITH_LM | WITH_HOT,
        WITH_LEXICON | WITH_LM | WITH_UNKNOWN,
        WITH_LEXICON | WITH_LM | WITH_UNKNOWN | WITH_HOT,
        WITH_LEXICON | WITH_LM | WITH_CHARACTERS,
        WITH_LEXICON | WITH_LM | WITH_CHARACTERS | WITH_HOT,
        WITH_LEXICON | WITH_LM | WITH_CHARACTERS | WITH_UNKNOWN,
        WITH_LEXICON | WITHOUT_DELIMITER,
        WITH_LEXICON | WITHOUT_DELIMITER | WITH_LM,
        WITH_LEXICON | WITHOUT_DELIMITER | WITH_LM | WITH_HOT,
        WITH_LEXICON | WITHOUT_DELIMITER | WITH_LM | WITH_CHARACTERS,
    };
    brute *b = s3r_alloc(1, sizeof *b);
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
        world w;
        s3r_decodings found;
        open_world(&w, WITH_LM | (seed % 2 ? WITH_LEXICON : 0));
        w.search.options.beam = 1 + seed * 3;
        w.search.options.threshold = 15;
        make_emissions(rows, LONG, seed, 3);
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
        close_world(&w);
    }
}

/* In one call or frame by frame, finished in between or not: the same bits. */
static void test_pieces(void **state)
{
    (void)state;
    enum { LONG = 3000 };
    static float rows[LONG * 5];
    for (unsigned features = 0; features <= WITH_LM; features += WITH_LM) {
        world w;
        s3r_decodings whole, cut;
        s3r_beam *beam;
        open_world(&w, features);
        w.search.options.beam = 20;
        w.search.options.threshold = 20;
        make_emissions(rows, LONG, 7, 1);
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
        close_world(&w);
    }
}

/* A wider beam never finds less; without a model and lexicon it is the greedy path. */
static void test_greedy(void **state)
{
    (void)state;
    float rows[FRAMES * 5];
    for (uint64_t seed = 1; seed <= 50; seed++) {
        world w;
        s3r_decodings found;
        uint32_t best[FRAMES];
        char *text;
        open_world(&w, 0);
        w.search.options.word_score = 0;
        s3r_search_set_weights(&w.search, 1, 0);
        make_emissions(rows, FRAMES, seed, 2);
        for (size_t i = 0; i < FRAMES; i++) {
            best[i] = 0;
            for (uint32_t j = 1; j < 5; j++)
                best[i] = rows[i * 5 + j] > rows[i * 5 + best[i]] ? j : best[i];
        }
        assert_int_equal(s3r_vocabulary_decode(&w.vocabulary, &text, best, FRAMES, NULL),
                         S3R_OK);
        w.search.options.token_beam = 1;
        decode(&w, rows, FRAMES, 1, &found);
        if (!strstr(text, "  ")) /* the search joins delimiters */
            assert_string_equal(found.items[0].text, text);
        s3r_free(text);
        s3r_decodings_release(&found);
        close_world(&w);
    }
}

static void test_empty(void **state)
{
    (void)state;
    world w;
    s3r_decodings found;
    open_world(&w, WITH_LEXICON | WITH_LM);
    decode(&w, NULL, 0, 5, &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text, "");
    assert_int_equal(found.items[0].span_count, 0);
    s3r_decodings_release(&found);
    close_world(&w);
}

/* Letters that are no word: given up, when nothing else is left in the beam. */
static void test_cut_word(void **state)
{
    (void)state;
    world w;
    s3r_decodings found;
    /* "a | b" without any doubt, and "b" is no word */
    static const uint32_t ids[] = {2, 1, 3};
    float rows[3 * 5];
    for (size_t i = 0; i < 15; i++)
        rows[i] = i % 5 == ids[i / 5] ? 0 : -50;
    open_world(&w, WITH_LEXICON);
    w.search.options.threshold = 10;
    decode(&w, rows, 3, 5, &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text, "a");
    assert_int_equal(found.items[0].span_count, 2);
    s3r_decodings_release(&found);
    close_world(&w);
}

/* Probabilities, not scores, are of the temperature. */
static void test_temperature(void **state)
{
    (void)state;
    world w;
    s3r_beam *beam;
    s3r_decodings found;
    /* 0.8 and 0.05 four times; their square roots are 4 : 1 */
    float row[5] = {0.05f, 0.05f, 0.8f, 0.05f, 0.05f};
    for (size_t i = 0; i < 5; i++)
        row[i] = logf(row[i]);
    open_world(&w, 0);
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
    close_world(&w);
}

static void test_refused(void **state)
{
    (void)state;
    world w;
    s3r_beam *beam;
    s3r_error err;
    float row[5] = {0, 0, NAN, 0, 0};
    open_world(&w, 0);
    assert_int_equal(s3r_beam_create(&beam, &w.search, NULL), S3R_OK);
    assert_int_equal(s3r_beam_add(beam, row, 1, 5, &err), S3R_ERR_DATA);
    row[2] = -INFINITY;
    assert_int_equal(s3r_beam_add(beam, row, 1, 5, &err), S3R_OK);
    s3r_beam_destroy(beam);
    close_world(&w);
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
        s3r_vocabulary v = make_vocabulary(true);
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
    world *w = context;
    float rows[FRAMES * 5];
    s3r_beam *beam;
    s3r_decodings found = {0};
    make_emissions(rows, FRAMES, 3, 1);
    S3R_TRY(s3r_search_prepare(&w->search, err));
    s3r_status status = s3r_beam_create(&beam, &w->search, err);
    if (status == S3R_OK) {
        status = s3r_beam_add(beam, rows, FRAMES, 5, err);
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
    static const unsigned cases[] = {WITH_LM | WITH_LEXICON | WITH_UNKNOWN, WITH_LM};
    for (size_t i = 0; i < 2; i++) {
        world w;
        open_world(&w, cases[i]);
        s3r_search_release(&w.search);
        w.search.options.beam = 50;
        test_survives_alloc_faults(attempt, &w);
        close_world(&w);
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
