/*
 * Queries against the definition on the list of an ARPA file; the three formats against
 * each other and against KenLM's own sum; files that are damaged.
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
#include "decode/language_model.h"
#include "decode/lm_image.h"
#include "support_alloc_faults.h"
#include "support_files.h"

#define LM_DATA S3R_TEST_DATA "/lm/"

/* ---- the definition ---- */

static const float *look_up(const s3r_ngrams *n, const uint32_t *words, size_t order,
                            const float *values)
{
    const s3r_ngram_list *list = &n->lists[order - 1];
    for (size_t i = 0; i < list->count; i++)
        if (memcmp(list->words + i * order, words, order * sizeof *words) == 0)
            return values + i;
    return NULL;
}

/* log10 p of the last of `count` words after the others. */
static double define_prob(const s3r_ngrams *n, const uint32_t *words, size_t count)
{
    size_t order = S3R_MIN(count, n->order);
    words += count - order;
    const float *prob = look_up(n, words, order, n->lists[order - 1].prob);
    if (prob)
        return (double)*prob;
    const float *backoff = look_up(n, words, order - 1, n->lists[order - 2].backoff);
    return (backoff ? (double)*backoff : 0) + define_prob(n, words + 1, order - 1);
}

/* Random walks, often along n-grams of the list, so that long ones match. */
static void compare_walks(const s3r_ngrams *n, const s3r_lm *lm, uint64_t seed)
{
    s3r_random random;
    s3r_random_init(&random, seed, 0);
    for (size_t walk = 0; walk < 40; walk++) {
        uint32_t words[32] = {S3R_WORD_BEGIN};
        size_t count = 1;
        s3r_lm_state state = s3r_lm_begin(lm);
        while (count < 24) {
            const s3r_ngram_list *list = &n->lists[n->order - 1];
            size_t pick = s3r_random_below(&random, list->count);
            bool is_random = s3r_random_below(&random, 3) == 0;
            for (size_t j = 0; j < n->order && count < 24; j++) {
                uint32_t word = list->words[pick * n->order + j];
                if (is_random)
                    word = (uint32_t)s3r_random_below(&random, n->words.count);
                if (word == S3R_WORD_BEGIN)
                    continue;
                words[count++] = word;
                const char *text = s3r_word_table_word(&n->words, word);
                uint32_t id = s3r_lm_find(lm, text, strlen(text));
                double found = (double)s3r_lm_word_score(lm, &state, id, &state);
                double expected = define_prob(n, words, count);
                if (fabs(found - expected) > 1e-5) /* sums of five floats */
                    fail_msg("seed %zu, word %zu: expected %.7f, found %.7f",
                             (size_t)seed, count, expected, found);
            }
        }
    }
}

static void test_definition(void **state)
{
    (void)state;
    static const char *const paths[] = {LM_DATA "plain3.arpa.gz", LM_DATA "pruned4.arpa"};
    for (size_t i = 0; i < 2; i++) {
        s3r_ngrams n;
        s3r_lm lm;
        assert_int_equal(s3r_arpa_open(&n, paths[i], NULL), S3R_OK);
        assert_int_equal(s3r_lm_open(&lm, paths[i], NULL), S3R_OK);
        assert_int_equal(lm.format, S3R_LM_ARPA);
        compare_walks(&n, &lm, i + 1);
        s3r_lm_close(&lm);
        s3r_ngrams_release(&n);
    }
}

/* Where pruning left holes: ends and beginnings of n-grams that are no n-grams. */
static void test_holes(void **state)
{
    (void)state;
    static const char arpa[] =
        "\\data\\\nngram 1=6\nngram 2=2\nngram 3=2\nngram 4=2\n\\1-grams:\n"
        "-1.1 <unk> -0.01\n-9 <s> -0.2\n-1.2 </s>\n-1.3 a -0.3\n-1.4 b -0.4\n-1.5 c "
        "-0.5\n\\2-grams:\n-0.6 <s> a -0.07\n-0.7 b a -0.08\n\\3-grams:\n-0.9 b c a "
        "-0.11\n-0.8 a b a\n\\4-grams:\n-0.31 c c b b\n-0.32 a b c a\n\\end\\\n";
    s3r_ngrams n;
    s3r_lm lm;
    assert_int_equal(s3r_arpa_parse(&n, arpa, strlen(arpa), "holes", NULL), S3R_OK);
    s3r_ngrams copy;
    assert_int_equal(s3r_arpa_parse(&copy, arpa, strlen(arpa), "holes", NULL), S3R_OK);
    assert_int_equal(s3r_lm_from_ngrams(&lm, &copy, "holes", NULL), S3R_OK);
    for (uint64_t seed = 1; seed <= 50; seed++)
        compare_walks(&n, &lm, seed);
    s3r_lm_close(&lm);
    s3r_ngrams_release(&copy);
    s3r_ngrams_release(&n);
}

/* A state is no longer than what can still match. */
static void test_states(void **state)
{
    (void)state;
    s3r_lm lm;
    s3r_lm_state s;
    assert_int_equal(s3r_lm_open(&lm, LM_DATA "pruned4.arpa", NULL), S3R_OK);
    s = s3r_lm_begin(&lm);
    assert_int_equal(s.length, 1);
    (void)s3r_lm_word_score(&lm, &s, S3R_WORD_UNKNOWN, &s);
    assert_int_equal(s.length, 0);
    uint32_t the = s3r_lm_find(&lm, "the", 3);
    assert_string_equal(s3r_lm_word(&lm, the), "the");
    assert_int_equal(s3r_lm_find(&lm, "no-such-word", 12), S3R_WORD_UNKNOWN);
    assert_null(s3r_lm_word(&lm, lm.word_count));
    (void)s3r_lm_word_score(&lm, &s, the, &s);
    assert_int_equal(s.length, 1);
    s3r_lm_close(&lm);
}

/* ---- formats ---- */

/* The sum over text.txt, as `query` of KenLM gives it for pruned4.arpa: a perplexity of
 * 17.554892071316218 with 2309 tokens. */
static double score_text(const s3r_lm *lm, size_t *tokens)
{
    s3r_line_stream lines;
    bool has_line = true;
    double sum = 0;
    *tokens = 0;
    assert_int_equal(s3r_line_stream_open(&lines, LM_DATA "text.txt", NULL), S3R_OK);
    for (;;) {
        assert_int_equal(s3r_line_stream_next(&lines, &has_line, NULL), S3R_OK);
        if (!has_line)
            break;
        s3r_lm_state state = s3r_lm_begin(lm);
        size_t length;
        for (char *at = lines.text, *word; (word = s3r_next_word(&at, &length));
             (*tokens)++) {
            uint32_t id = s3r_lm_find(lm, word, length);
            sum += (double)s3r_lm_word_score(lm, &state, id, &state);
        }
        sum += (double)s3r_lm_word_score(lm, &state, lm->end_word, &state);
        (*tokens)++;
    }
    s3r_line_stream_close(&lines);
    return sum;
}

static void expect_kenlm_sum(const char *path, s3r_lm_format format)
{
    s3r_lm lm;
    size_t tokens;
    s3r_error err;
    if (s3r_lm_open(&lm, path, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(lm.format, format);
    assert_false(lm.has_characters);
    assert_int_equal(s3r_lm_check(&lm, NULL), S3R_OK);
    double sum = score_text(&lm, &tokens);
    assert_int_equal(tokens, 2309);
    double perplexity = pow(10, -sum / (double)tokens);
    if (fabs(perplexity - 17.554892071) > 1e-5)
        fail_msg("%s: expected 17.554892071, found %.9f", path, perplexity);
    s3r_lm_close(&lm);
}

static void test_formats(void **state)
{
    (void)state;
    const char *own = test_path(test_folder(), "own.s3l");
    const char *from_kenlm = test_path(test_folder(), "kenlm.s3l");
    s3r_lm lm;
    expect_kenlm_sum(LM_DATA "pruned4.arpa", S3R_LM_ARPA);
    expect_kenlm_sum(LM_DATA "kenlm.bin", S3R_LM_KENLM);
    assert_int_equal(s3r_lm_open(&lm, LM_DATA "pruned4.arpa", NULL), S3R_OK);
    assert_int_equal(s3r_lm_save(&lm, own, NULL), S3R_OK);
    s3r_lm_close(&lm);
    expect_kenlm_sum(own, S3R_LM_OWN);
    assert_int_equal(s3r_lm_open(&lm, LM_DATA "kenlm.bin", NULL), S3R_OK);
    assert_int_equal(s3r_lm_save(&lm, from_kenlm, NULL), S3R_OK);
    s3r_lm_close(&lm);
    expect_kenlm_sum(from_kenlm, S3R_LM_OWN);
}

static void test_duplicates(void **state)
{
    (void)state;
    static const char arpa[] = "\\data\\\nngram 1=3\nngram 2=2\n\\1-grams:\n-1 <s>\n-1 "
                               "</s>\n-1 a\n\\2-grams:\n-1 a a\n-2 a a\n\\end\\\n";
    const char *path = test_path(test_folder(), "twice.arpa");
    s3r_lm lm;
    s3r_error err;
    test_write_file(path, arpa, strlen(arpa));
    assert_int_equal(s3r_lm_open(&lm, path, &err), S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "twice.arpa: the 2-gram \"a a\" is there twice"));
}

/* ---- damage ---- */

typedef struct bytes {
    unsigned char *data;
    size_t size;
} bytes;

static bytes load(const char *path)
{
    s3r_file_map map;
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, NULL), S3R_OK);
    bytes copy = {s3r_alloc_raw(map.size, 1), map.size};
    memcpy(copy.data, map.data, map.size);
    s3r_file_map_close(&map);
    return copy;
}

static bytes load_own(void)
{
    const char *path = test_path(test_folder(), "own.s3l");
    s3r_lm lm;
    assert_int_equal(s3r_lm_open(&lm, LM_DATA "pruned4.arpa", NULL), S3R_OK);
    assert_int_equal(s3r_lm_save(&lm, path, NULL), S3R_OK);
    s3r_lm_close(&lm);
    return load(path);
}

static void expect_refused(const bytes *b, size_t size, const char *said)
{
    s3r_lm lm;
    s3r_error err;
    assert_int_equal(s3r_lm_from_bytes(&lm, b->data, size, "x", &err), S3R_ERR_DATA);
    if (!strstr(err.message, said))
        fail_msg("size %zu: expected %s, found %s", size, said, err.message);
}

static void test_cut(void **state)
{
    (void)state;
    bytes own = load_own(), kenlm = load(LM_DATA "kenlm.bin");
    for (size_t size = 0; size < own.size; size += size < 1000 ? 1 : 997)
        expect_refused(&own, size, "x: ");
    expect_refused(&own, own.size - 1, "bytes, found");
    for (size_t size = 40; size < kenlm.size; size += size < 200 ? 1 : 997)
        expect_refused(&kenlm, size, "x: ");
    expect_refused(&kenlm, kenlm.size - 1, "words at the end");
    s3r_free(own.data);
    s3r_free(kenlm.data);
}

static void test_header(void **state)
{
    (void)state;
    bytes own = load_own();
    for (size_t i = 0; i < sizeof(s3r_lm_header); i++) {
        own.data[i] ^= 1;
        expect_refused(&own, own.size, "x: ");
        own.data[i] ^= 1;
    }
    own.data[offsetof(s3r_lm_header, version)] = 9;
    expect_refused(&own, own.size,
                   "expected version 1 of the language model file, found 9");
    s3r_free(own.data);
}

/* Whatever stands in the sections, only s3r_lm_check minds; queries end. */
static void test_sections(void **state)
{
    (void)state;
    bytes own = load_own();
    s3r_lm_header header;
    s3r_lm lm;
    s3r_error err;
    memcpy(&header, own.data, sizeof header);
    static const struct {
        size_t section;
        const char *said;
    } cases[] = {{S3R_LM_SECTION_BYTES, "the words are damaged"},
                 {S3R_LM_SECTION_OFFSETS, "the word offsets are damaged"},
                 {S3R_LM_SECTION_VOCABULARY, "the vocabulary is damaged"},
                 {S3R_LM_SECTION_UNIGRAMS, "the 1-grams are damaged"},
                 {S3R_LM_SECTION_NGRAMS, "the 2-grams are damaged"},
                 {S3R_LM_SECTION_NGRAMS + 2, "the 4-grams are damaged"}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const s3r_lm_section *section = &header.sections[cases[i].section];
        unsigned char *at = own.data + section->offset;
        unsigned char *kept = s3r_alloc_raw(section->size_bytes, 1);
        memcpy(kept, at, section->size_bytes);
        memset(at, 0xff, section->size_bytes - 1);
        assert_int_equal(s3r_lm_from_bytes(&lm, own.data, own.size, "x", NULL), S3R_OK);
        lm.map = (s3r_file_map){own.data, own.size};
        assert_int_equal(s3r_lm_check(&lm, &err), S3R_ERR_DATA);
        lm.map = (s3r_file_map){0};
        if (!strstr(err.message, cases[i].said))
            fail_msg("expected %s, found %s", cases[i].said, err.message);
        size_t tokens;
        assert_true(isfinite(score_text(&lm, &tokens)));
        s3r_lm_close(&lm);
        memcpy(at, kept, section->size_bytes);
        s3r_free(kept);
    }
    s3r_free(own.data);
}

static void test_kenlm_refused(void **state)
{
    (void)state;
    bytes kenlm = load(LM_DATA "kenlm.bin");
    static const struct {
        size_t at;
        unsigned char value;
        const char *said;
    } cases[] = {
        {49, '4', "expected version 5 of KenLM's binary format"},
        {60, 7, "made on a machine of another kind"},
        {88, 1, "expected orders 2 to 8"},
        {88, 9, "expected orders 2 to 8"},
        {95, 0xff, "a multiplier of 1 or more"},
        {96, 2, "expected a KenLM model of the type probing, found trie"},
        {96, 9, "found an unknown one"},
        {110, 0xff, "shorter than its header says"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        unsigned char kept = kenlm.data[cases[i].at];
        kenlm.data[cases[i].at] = cases[i].value;
        expect_refused(&kenlm, kenlm.size, cases[i].said);
        kenlm.data[cases[i].at] = kept;
    }
    s3r_free(kenlm.data);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    const char *const *paths = context;
    s3r_lm lm;
    S3R_TRY(s3r_lm_open(&lm, paths[0], err));
    s3r_status status = s3r_lm_save(&lm, paths[1], err);
    s3r_lm_close(&lm);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char arpa[] = "\\data\\\nngram 1=4\nngram 2=1\nngram "
                               "3=1\n\\1-grams:\n-1 <s>\n-1 </s>\n-1 a\n-1 "
                               "b\n\\2-grams:\n-1 a a\n\\3-grams:\n-1 b a b\n\\end\\\n";
    const char *folder = test_folder();
    const char *paths[] = {test_path(folder, "x.arpa"), test_path(folder, "x.s3l")};
    test_write_file(paths[0], arpa, strlen(arpa));
    test_survives_alloc_faults(attempt, paths);
    paths[0] = LM_DATA "kenlm.bin";
    test_survives_alloc_faults(attempt, paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),    cmocka_unit_test(test_holes),
        cmocka_unit_test(test_states),        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_duplicates),    cmocka_unit_test(test_cut),
        cmocka_unit_test(test_header),        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_kenlm_refused), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
