/*
 * Test support: small beam searches with every combination of features, and all their
 * texts by brute force: every path of the emissions, every reading of every path, scored
 * by the definition of decode/search.h.
 */
#ifndef S3R_TESTS_SUPPORT_SEARCH_H
#define S3R_TESTS_SUPPORT_SEARCH_H

#include "decode/beam_search.h"

#define TEST_SEARCH_FRAMES     6u
#define TEST_SEARCH_TEXTS      4096u
#define TEST_SEARCH_TEXT_BYTES 32u

/* blank, delimiter, a, b, c; and the same without a delimiter */
extern char test_search_letters[5][2];
s3r_vocabulary test_search_vocabulary(bool has_delimiter);

/* Words of the lexicon and their letters. */
typedef struct test_search_spelling {
    const char *word, *spelled;
} test_search_spelling;
#define TEST_SEARCH_SPELLINGS 8u
extern const test_search_spelling test_search_spellings[TEST_SEARCH_SPELLINGS];

enum {
    TEST_WITHOUT_DELIMITER = 1,
    TEST_WITH_LEXICON = 2,
    TEST_WITH_LM = 4,
    TEST_WITH_CHARACTERS = 8,
    TEST_WITH_UNKNOWN = 16,
    TEST_WITH_HOT = 32
};

/* What is searched. */
typedef struct test_search_world {
    s3r_vocabulary vocabulary;
    s3r_lm lm;
    bool has_lm, has_characters;
    s3r_lexicon lexicon, hot_words;
    bool has_lexicon;
    s3r_hot_phrases hot;
    bool has_hot;
    s3r_search search;
} test_search_world;

/* features: a set of the above. */
void test_search_open(test_search_world *w, unsigned features);
void test_search_close(test_search_world *w);

/* Log-probabilities [frames, 5]. */
void test_search_emissions(float *rows, size_t frames, uint64_t seed, double sharpness);

typedef struct test_search_text {
    char text[TEST_SEARCH_TEXT_BYTES];
    double score;
} test_search_text;

/* Different texts with their best scores; sorted by score. */
typedef struct test_search_brute {
    const test_search_world *w;
    test_search_text texts[TEST_SEARCH_TEXTS];
    size_t count;
    double emission;
} test_search_brute;

void test_search_all(test_search_brute *b, const test_search_world *w, const float *rows,
                     size_t frames);

#endif
