/*
 * Words of labels that a decoder found, and what they are worth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/result_words.h"
#include "base/compiler.h"
#include "support_alloc_faults.h"
#include "support_files.h"

static const char vocabulary_json[] = "{\"<pad>\": 0, \"|\": 1, \"a\": 2, \"b\": 3}";
/* "ab | b | |" with gaps, as a beam search might give it. */
static const s3r_label labels[] = {
    {"a", 2, 0, 2, 0.9f},  {"b", 3, 5, 6, 0.5f}, {"|", 1, 8, 9, 0.1f},
    {"b", 3, 9, 12, 0.8f}, {"|", 1, 12, 13, 1},  {"|", 1, 14, 15, 1},
};

static void open_letters(s3r_vocabulary *vocabulary)
{
    const char *folder = test_folder();
    s3r_error err;
    test_write_file(test_path(folder, "vocab.json"), vocabulary_json,
                    strlen(vocabulary_json));
    assert_int_equal(s3r_vocabulary_open(vocabulary, folder, NULL, NULL, &err), S3R_OK);
}

static void test_words_of_labels(void **state)
{
    (void)state;
    s3r_vocabulary vocabulary;
    s3r_words words;
    s3r_error err;
    open_letters(&vocabulary);
    assert_int_equal(
        s3r_words_make(&words, &vocabulary, labels, S3R_ARRAY_LEN(labels), &err), S3R_OK);
    assert_int_equal(words.count, 2);
    assert_string_equal(words.items[0].text, "ab");
    assert_int_equal(words.items[0].first_label, 0);
    assert_int_equal(words.items[0].label_count, 2);
    assert_int_equal(words.items[0].start_frame, 0);
    assert_int_equal(words.items[0].end_frame, 6);
    assert_true(words.items[0].confidence == 0.5f); /* the delimiter's counts not */
    assert_string_equal(words.items[1].text, "b");
    assert_int_equal(words.items[1].first_label, 3);
    assert_int_equal(words.items[1].start_frame, 9);
    assert_int_equal(words.items[1].end_frame, 12);
    assert_true(words.items[1].confidence == 0.8f);
    s3r_words_release(&words);
    assert_int_equal(s3r_words_make(&words, &vocabulary, labels, 0, &err), S3R_OK);
    assert_int_equal(words.count, 0);
    s3r_words_release(&words);
    assert_true(s3r_word_confidence(NULL, 0) == 1);
    s3r_vocabulary_close(&vocabulary);
}

static s3r_status make_words(void *context, s3r_error *err)
{
    s3r_words words;
    s3r_status status =
        s3r_words_make(&words, context, labels, S3R_ARRAY_LEN(labels), err);
    s3r_words_release(&words);
    return status;
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    s3r_vocabulary vocabulary;
    open_letters(&vocabulary);
    test_survives_alloc_faults(make_words, &vocabulary);
    s3r_vocabulary_close(&vocabulary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_of_labels),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
