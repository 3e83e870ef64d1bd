/*
 * Lexicons: what is read, how it becomes a trie, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "decode/lexicon.h"
#include "support_alloc_faults.h"

static char path[] = "vocab.json";
static char texts[6][4] = {"_", "|", "A", "B", "\xc3\x9c", "AB"};
static char *labels[] = {texts[0], texts[1], texts[2], texts[3], texts[4], texts[5]};
static bool special[] = {true, false, false, false, false, false};
static const s3r_vocabulary vocabulary = {.path = path,
                                          .count = 6,
                                          .labels = labels,
                                          .printed = labels,
                                          .is_special = special,
                                          .delimiter_id = 1,
                                          .unknown_id = S3R_NO_LABEL,
                                          .delimiter_text = texts[1]};

static s3r_status parse(s3r_lexicon *lexicon, const char *text, s3r_error *err)
{
    *lexicon = (s3r_lexicon){0};
    return s3r_lexicon_parse(lexicon, text, strlen(text), "words.txt", &vocabulary, err);
}

/* The words at the end of the labels, joined. */
static void expect_words(const s3r_lexicon *l, const char *spelled, const char *expected)
{
    char found[64] = "";
    uint32_t node = 0;
    for (; *spelled; spelled++) {
        node = s3r_trie_child(l, node, (uint32_t)(*spelled - '0'));
        assert_true(node > 0);
    }
    for (uint32_t i = 0; i < s3r_trie_word_count(&l->nodes[node]); i++) {
        strcat(found, i ? " " : "");
        strcat(found, s3r_word_table_word(&l->words,
                                          l->node_words[l->nodes[node].first_word + i]));
    }
    assert_string_equal(found, expected);
}

static void test_trie(void **state)
{
    (void)state;
    s3r_lexicon l;
    assert_int_equal(
        parse(&l, "BA\r\nx\tA B |\ny\tA B\n\nx\tA B\nB\n\xc3\x9c\nAB\n", NULL), S3R_OK);
    assert_int_equal(s3r_lexicon_finish(&l, NULL), S3R_OK);
    assert_int_equal(l.words.count, 6);
    assert_int_equal(s3r_trie_child_count(&l.nodes[0]), 4);
    expect_words(&l, "23", "x y");
    expect_words(&l, "2", "");
    expect_words(&l, "3", "B");
    expect_words(&l, "32", "BA");
    expect_words(&l, "4", "\xc3\x9c");
    expect_words(&l, "5", "AB"); /* the longest label that matches */
    assert_int_equal(s3r_trie_child(&l, 0, 1), 0);
    assert_int_equal(s3r_trie_child(&l, 0, 9), 0);
    s3r_lexicon_release(&l);
}

static void test_add(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        bool is_spelled;
    } cases[] = {
        {"BA", true}, {"ba", false}, {"BAC", false}, {"", false}, {"A B", false}};
    s3r_lexicon l = {0};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        bool is_spelled;
        assert_int_equal(
            s3r_lexicon_add(&l, cases[i].word, &vocabulary, &is_spelled, NULL), S3R_OK);
        assert_int_equal(is_spelled, cases[i].is_spelled);
    }
    assert_int_equal(l.words.count, 1);
    s3r_lexicon_release(&l);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "words.txt: expected words, found none"},
        {"\n\n", "expected words, found none"},
        {"AB\nab\n", "line 2: expected a word in the labels of vocab.json, found \"ab\""},
        {"x\tA C |\n",
         "line 1: expected labels of the vocabulary vocab.json, found \"C\""},
        {"x\tA _\n", "found \"_\""},
        {"x\tA | B\n", "expected the delimiter only at the end"},
        {"x\t|\n", "expected labels, found none"},
        {"\xff\n", "line 1: expected UTF-8"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_lexicon l;
        s3r_error err;
        assert_int_equal(parse(&l, cases[i].text, &err), S3R_ERR_DATA);
        if (!strstr(err.message, cases[i].said))
            fail_msg("expected %s, found %s", cases[i].said, err.message);
        s3r_lexicon_release(&l);
    }
}

static s3r_status attempt(void *context, s3r_error *err)
{
    s3r_lexicon l;
    s3r_status status = parse(&l, context, err);
    if (status == S3R_OK)
        status = s3r_lexicon_finish(&l, err);
    s3r_lexicon_release(&l);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char text[] = "x\tA B |\nBA\n";
    test_survives_alloc_faults(attempt, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trie),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
