/*
 * ARPA files: what is read, what is refused and with which words, what is written.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "decode/arpa_file.h"
#include "support_alloc_faults.h"
#include "support_files.h"

static s3r_status parse(s3r_ngrams *out, const char *text, s3r_error *err)
{
    return s3r_arpa_parse(out, text, strlen(text), "t.arpa", err);
}

/* Tabs and spaces, CRLF, comments, exponents, no <unk>, no back-off at some places. */
static void test_read(void **state)
{
    (void)state;
    s3r_ngrams n;
    assert_int_equal(
        parse(&n,
              "made by hand\r\n\n\\data\\\r\nngram 1=4\r\nngram 2 = 2\r\n\r\n"
              "\\1-grams:\r\n-1.5\t</s>\r\n-99 <s> -0.25\r\n-1e-1\tb\t+.5\r\n"
              "-2.\t\xc3\xbc \t0\r\n\r\n\\2-grams:\r\n-0.125 <s> b\r\n"
              "2e-5\tb\t</s>\r\n\r\n\\end\\\r\nanything\n",
              NULL),
        S3R_OK);
    assert_int_equal(n.order, 2);
    assert_int_equal(n.words.count, 5);
    assert_int_equal(n.lists[0].count, 5);
    assert_int_equal(n.lists[1].count, 2);
    uint32_t b = s3r_word_table_find(&n.words, "b", 1);
    assert_int_equal(b, 3);
    assert_true(n.lists[0].prob[0] == -100);
    assert_true(n.lists[0].prob[1] == -99 && n.lists[0].backoff[1] == -0.25f);
    assert_true(n.lists[0].prob[2] == -1.5f && n.lists[0].backoff[2] == 0);
    assert_true(n.lists[0].prob[b] == -0.1f && n.lists[0].backoff[b] == 0.5f);
    assert_true(n.lists[1].prob[0] == -0.125f && n.lists[1].prob[1] == 0);
    assert_int_equal(n.lists[1].words[0], 1);
    assert_int_equal(n.lists[1].words[1], b);
    s3r_ngrams_release(&n);
}

#define HEAD "\\data\\\nngram 1=3\n"
#define ONE  "\\1-grams:\n-1 <s> 0\n-1 </s>\n-1 a\n"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "t.arpa: expected \\data\\, found the end of the file"},
        {"hello\nngram 1=2\n", "expected \\data\\, found the end"},
        {"\\data\\\n\\1-grams:\n", "line 2: expected \"ngram 1=COUNT\", found"},
        {"\\data\\\nngram x\n",
         "line 2: expected \"ngram ORDER=COUNT\", found \"ngram x"},
        {"\\data\\\nngram 2=3\n", "expected the count of order 1, found that of order 2"},
        {"\\data\\\nngram 1=3\nngram 1=3\n", "expected the count of order 2"},
        {"\\data\\\nngram 1=3\n", "expected \\1-grams:, found the end of the file"},
        {HEAD "\\2-grams:\n", "line 3: expected \\1-grams:, found \"\\2-grams:\""},
        {HEAD ONE "\\2-grams:\n", "expected \\end\\, found \"\\2-grams:\""},
        {HEAD ONE, "expected \\end\\, found the end of the file"},
        {HEAD ONE "-1 b\n\\end\\\n",
         "line 7: expected 3 1-grams as \\data\\ says, found more"},
        {"\\data\\\nngram 1=4\n" ONE "\\end\\\n",
         "expected 4 1-grams as \\data\\ says, found 3"},
        {"\\data\\\nngram 1=999999999999999999\n" ONE "\\end\\\n",
         "found 3 (is the file cut?)"},
        {HEAD "\\1-grams:\nnan <s>\n",
         "line 4: expected a finite number as the log-probability, found \"nan\""},
        {HEAD "\\1-grams:\n-inf <s>\n", "expected a finite number as the log-prob"},
        {HEAD "\\1-grams:\n-1e99 <s>\n", "expected a finite number"},
        {HEAD "\\1-grams:\n-1e <s>\n", "expected a finite number"},
        {HEAD "\\1-grams:\n0x1 <s>\n", "expected a finite number"},
        {HEAD "\\1-grams:\n-1,5 <s>\n", "expected a finite number"},
        {HEAD "\\1-grams:\n-1 <s> NaN\n", "expected a finite number as the back-off"},
        {HEAD "\\1-grams:\n0.5 <s>\n",
         "expected a log-probability of at most 0, found 0.5"},
        {HEAD "\\1-grams:\n-1 <s> -1 -1\n",
         "expected 1 words and a back-off, found more"},
        {HEAD "\\1-grams:\n-1\n", "expected 1 words, found 0"},
        {HEAD "\\1-grams:\n-1 \xff\n", "expected a word in UTF-8"},
        {HEAD "\\1-grams:\n-1 a\n-1 a\n",
         "line 5: the word \"a\" is there a second time"},
        {HEAD "\\1-grams:\n-1 <unk>\n-1 <UNK>\n", "\"<UNK>\" is there a second time"},
        {HEAD "\\1-grams:\n-1 a\n-1 b\n-1 <s>\n\\end\\\n",
         "expected the word </s> among the 1-grams"},
        {"\\data\\\nngram 1=3\nngram 2=1\n" ONE "\\2-grams:\n-1 a c\n\\end\\\n",
         "the word \"c\" is not among the 1-grams"},
        {"\\data\\\nngram 1=3\nngram 2=1\n" ONE "\\2-grams:\n-1 a\n\\end\\\n",
         "expected 2 words, found 1"},
        {"\\data\\\nngram 1=1\nngram 2=1\nngram 3=1\nngram 4=1\nngram 5=1\nngram "
         "6=1\nngram 7=1\nngram 8=1\nngram 9=1\n",
         "expected orders of at most 8, found 9"},
    };
    s3r_ngrams n;
    s3r_error err;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        assert_int_equal(parse(&n, cases[i].text, &err), S3R_ERR_DATA);
        if (!strstr(err.message, cases[i].said))
            fail_msg("case %zu: expected %s, found %s", i, cases[i].said, err.message);
        assert_int_equal(n.words.count, 0);
    }
    assert_int_equal(s3r_arpa_open(&n, "/no/such", &err), S3R_ERR_DATA);
}

static void expect_same(const s3r_ngrams *a, const s3r_ngrams *b)
{
    assert_int_equal(a->order, b->order);
    for (size_t order = 1; order <= a->order; order++) {
        const s3r_ngram_list *x = &a->lists[order - 1], *y = &b->lists[order - 1];
        assert_int_equal(x->count, y->count);
        assert_memory_equal(x->words, y->words, x->count * order * sizeof *x->words);
        for (size_t i = 0; i < x->count; i++)
            if (fabsf(x->prob[i] - y->prob[i]) > 1e-7f * 8 ||
                fabsf(x->backoff[i] - y->backoff[i]) > 1e-7f * 8)
                fail_msg("order %zu, n-gram %zu: %.9g %.9g, %.9g %.9g", order, i,
                         (double)x->prob[i], (double)y->prob[i], (double)x->backoff[i],
                         (double)y->backoff[i]);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"x.arpa", "x.arpa.gz"};
    s3r_ngrams first, second;
    assert_int_equal(s3r_arpa_open(&first, S3R_TEST_DATA "/lm/pruned4.arpa", NULL),
                     S3R_OK);
    for (size_t i = 0; i < 2; i++) {
        const char *path = test_path(test_folder(), names[i]);
        assert_int_equal(s3r_arpa_save(&first, path, NULL), S3R_OK);
        assert_int_equal(s3r_arpa_open(&second, path, NULL), S3R_OK);
        expect_same(&first, &second);
        s3r_ngrams_release(&second);
    }
    s3r_ngrams_release(&first);
}

/* Numbers as they are written. */
static void test_numbers(void **state)
{
    (void)state;
    const char *path = test_path(test_folder(), "n.arpa");
    s3r_ngrams n;
    s3r_file_map map;
    assert_int_equal(
        parse(&n, HEAD "\\1-grams:\n-1.25 <s>\n-0.0000001 </s>\n-99 a\n\\end\\\n", NULL),
        S3R_OK);
    n.lists[0].prob[0] = 0;
    assert_int_equal(s3r_arpa_save(&n, path, NULL), S3R_OK);
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, NULL), S3R_OK);
    static const char expected[] =
        "\\data\\\nngram 1=4\n\n\\1-grams:\n0\t<unk>\n-1.25\t<s>\n"
        "-0.0000001\t</s>\n-99\ta\n\n\\end\\\n";
    assert_int_equal(map.size, sizeof expected - 1);
    assert_memory_equal(map.data, expected, map.size);
    s3r_file_map_close(&map);
    s3r_ngrams_release(&n);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    s3r_ngrams n;
    S3R_TRY(parse(&n, HEAD ONE "\\end\\\n", err));
    s3r_status status = s3r_arpa_save(&n, context, err);
    s3r_ngrams_release(&n);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    const char *folder = test_folder();
    char *path = (char *)(uintptr_t)test_path(folder, "x.arpa");
    test_survives_alloc_faults(attempt, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
