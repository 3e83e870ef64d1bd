/*
 * Hot phrases: boosts of every sequence of words against a count of what stands in it,
 * and credits that grow with the letters and go when a phrase breaks off.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "decode/hot_phrases.h"
#include "support_alloc_faults.h"

enum { A, B, C, AB, WORDS };

/* Words of the letters 1, 2, 3; "ab" has a second spelling. */
static s3r_status make_words(s3r_lexicon *words, s3r_error *err)
{
    static const uint32_t a[] = {1}, b[] = {2}, c[] = {3, 3}, ab[] = {1, 2},
                          other[] = {2, 1, 3};
    *words = (s3r_lexicon){0};
    S3R_TRY(s3r_lexicon_add_spelling(words, "a", 1, a, 1, err));
    S3R_TRY(s3r_lexicon_add_spelling(words, "b", 1, b, 1, err));
    S3R_TRY(s3r_lexicon_add_spelling(words, "c", 1, c, 2, err));
    S3R_TRY(s3r_lexicon_add_spelling(words, "ab", 2, ab, 2, err));
    S3R_TRY(s3r_lexicon_add_spelling(words, "ab", 2, other, 3, err));
    return s3r_lexicon_finish(words, err);
}

typedef struct phrase {
    const char *text;
    uint32_t words[4];
    size_t count;
    float boost;
} phrase;

static const phrase phrases[] = {
    {"a", {A}, 1, 1},        {"a b", {A, B}, 2, 99}, /* again below */
    {"b a", {B, A}, 2, 3},   {"a b a c", {A, B, A, C}, 4, 8}, {"b a b", {B, A, B}, 3, 6},
    {"c ab", {C, AB}, 2, 4}, {"a b", {A, B}, 2, 2},           {"c c", {C, C}, 2, 0},
};

static s3r_status make_hot(s3r_hot_phrases *hot, const s3r_lexicon *words, s3r_error *err)
{
    *hot = (s3r_hot_phrases){0};
    for (size_t i = 0; i < S3R_ARRAY_LEN(phrases); i++)
        S3R_TRY(s3r_hot_phrases_add(hot, phrases[i].text, phrases[i].words,
                                    phrases[i].count, phrases[i].boost, err));
    return s3r_hot_phrases_finish(hot, words, err);
}

/* The boosts of phrases that end with the last of the words. */
static float count_boosts(const uint32_t *words, size_t count)
{
    float sum = 0;
    for (size_t i = 0; i < S3R_ARRAY_LEN(phrases); i++) {
        const phrase *p = &phrases[i];
        if (p->boost < 99 && p->count <= count &&
            memcmp(words + count - p->count, p->words, p->count * sizeof *words) == 0)
            sum += p->boost;
    }
    return sum;
}

static void test_boosts(void **state)
{
    (void)state;
    s3r_lexicon words;
    s3r_hot_phrases hot;
    assert_int_equal(make_words(&words, NULL), S3R_OK);
    assert_int_equal(make_hot(&hot, &words, NULL), S3R_OK);
    assert_int_equal(hot.phrases.words.count, 7);
    /* all sequences of six words */
    for (size_t number = 0; number < WORDS * WORDS * WORDS * WORDS * WORDS * WORDS;
         number++) {
        uint32_t said[6], at = 0;
        size_t rest = number;
        for (size_t i = 0; i < 6; i++, rest /= WORDS) {
            said[i] = (uint32_t)(rest % WORDS);
            at = s3r_hot_phrases_next(&hot, at, said[i]);
            assert_true(hot.states[at].gain == count_boosts(said, i + 1));
        }
    }
    assert_int_equal(s3r_hot_phrases_next(&hot, 1, S3R_NO_WORD), 0);
    assert_true(hot.most == 8 + 8); /* "a b a c", and "b a b" with "a b" */
    s3r_hot_phrases_release(&hot);
    s3r_lexicon_release(&words);
}

static uint32_t node_of(const s3r_lexicon *words, const char *letters)
{
    uint32_t node = 0;
    for (; *letters; letters++) {
        node = s3r_trie_child(words, node, (uint32_t)(*letters - '0'));
        assert_true(node > 0);
    }
    return node;
}

static void test_credits(void **state)
{
    (void)state;
    static const struct {
        uint32_t said[3];
        size_t count;
        const char *letters;
        double credit;
    } cases[] = {
        /* the best phrase that the letters can begin: "a b a c" has 2 a word */
        {{0}, 0, "", 0},         {{0}, 0, "1", 2},       {{0}, 0, "2", 2}, /* "b a b" */
        {{0}, 0, "12", 0},                         /* "ab" begins none */
        {{0}, 0, "3", 1},                          /* half of the first word of "c ab" */
        {{0}, 0, "33", 2},       {{A}, 1, "", 2},  /* of "a b a c" */
        {{A}, 1, "2", 4},        {{A}, 1, "3", 1}, /* broken off, but "c ab" may begin */
        {{A, B}, 2, "", 4},      {{A, B}, 2, "1", 6},    {{A, B, A}, 3, "3", 7},
        {{A, B, A}, 3, "33", 8}, {{A, B, A}, 3, "2", 6}, /* "b a b" and "a b a c" agree */
        {{C}, 1, "", 2},         {{C}, 1, "1", 3}, /* "ab" by its first spelling, half */
        {{C}, 1, "213", 4},      {{C, AB}, 2, "", 0}, /* the boost itself has come */
        {{C, B}, 2, "1", 4},     {{B, B}, 2, "", 2},
    };
    s3r_lexicon words;
    s3r_hot_phrases hot;
    assert_int_equal(make_words(&words, NULL), S3R_OK);
    assert_int_equal(make_hot(&hot, &words, NULL), S3R_OK);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        uint32_t at = 0;
        for (size_t j = 0; j < cases[i].count; j++)
            at = s3r_hot_phrases_next(&hot, at, cases[i].said[j]);
        double credit =
            s3r_hot_phrases_credit(&hot, at, node_of(&words, cases[i].letters));
        if (fabs(credit - cases[i].credit) > 1e-6)
            fail_msg("case %zu: expected %g, found %g", i, cases[i].credit, credit);
    }
    s3r_hot_phrases_release(&hot);
    s3r_lexicon_release(&words);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    (void)context;
    s3r_lexicon words;
    s3r_hot_phrases hot = {0};
    s3r_status status = make_words(&words, err);
    if (status == S3R_OK)
        status = make_hot(&hot, &words, err);
    s3r_hot_phrases_release(&hot);
    s3r_lexicon_release(&words);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    test_survives_alloc_faults(attempt, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boosts),
        cmocka_unit_test(test_credits),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
