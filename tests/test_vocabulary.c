/*
 * Vocabularies: every source of labels, every refusal, greedy decoding, injected faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_files.h"
#include "text/vocabulary.h"

/* The files of one checkpoint folder; NULL where a file is absent. */
typedef struct folder_files {
    const char *vocab, *added, *tokenizer, *special; /* Hugging Face */
    const char *dict_ltr, *dict_phn, *dict_other;    /* fairseq */
    const char *config;                              /* given to open, not written */
} folder_files;

static void write_text(const char *folder, const char *name, const char *text)
{
    if (text)
        test_write_file(test_path(folder, name), text, strlen(text));
}

static const char *make_folder(const folder_files *files)
{
    const char *folder = test_folder();
    write_text(folder, "vocab.json", files->vocab);
    write_text(folder, "added_tokens.json", files->added);
    write_text(folder, "tokenizer_config.json", files->tokenizer);
    write_text(folder, "special_tokens_map.json", files->special);
    write_text(folder, "dict.ltr.txt", files->dict_ltr);
    write_text(folder, "dict.phn.txt", files->dict_phn);
    write_text(folder, "dict.km.txt", files->dict_other);
    return folder;
}

static s3r_status open_files(s3r_vocabulary *out, const folder_files *files,
                             const char *language, s3r_error *err)
{
    json_t *config = files->config ? json_loads(files->config, 0, NULL) : NULL;
    s3r_status status =
        s3r_vocabulary_open(out, make_folder(files), config, language, err);
    json_decref(config);
    return status;
}

static void assert_decodes(const s3r_vocabulary *vocabulary, const uint32_t *ids,
                           size_t frame_count, const char *expected)
{
    char *text = NULL;
    s3r_error err = {0};
    assert_int_equal(s3r_vocabulary_decode(vocabulary, &text, ids, frame_count, &err),
                     S3R_OK);
    assert_string_equal(text, expected);
    s3r_free(text);
}

#define DECODES(vocabulary, expected, ...)                                               \
    assert_decodes(vocabulary, (const uint32_t[]){__VA_ARGS__},                          \
                   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), expected)

#define LETTERS "\"|\": 4, \"E\": 5, \"T\": 6, \"A\": 7"
#define STANDARD                                                                         \
    "{\"<pad>\": 0, \"<s>\": 1, \"</s>\": 2, \"<unk>\": 3, " LETTERS ", \"'\": 8}"

static void test_standard_vocabulary(void **state)
{
    (void)state;
    s3r_vocabulary v;
    s3r_error err;
    folder_files files = {.vocab = STANDARD, .config = "{\"pad_token_id\": 0}"};
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_OK);
    assert_int_equal(v.count, 9);
    assert_int_equal(v.blank_id, 0);
    assert_int_equal(v.delimiter_id, 4);
    assert_int_equal(v.unknown_id, 3);
    assert_false(v.is_phonemes);
    assert_string_equal(v.labels[8], "'");
    assert_int_equal(s3r_vocabulary_find(&v, "T"), 6);
    assert_int_equal(s3r_vocabulary_find(&v, "t"), S3R_NO_LABEL);
    DECODES(&v, "TEA AT TEE", 4, 0, 6, 6, 5, 7, 4, 4, 7, 6, 0, 4, 6, 5, 0, 5, 4, 0);
    DECODES(&v, "TA", 1, 6, 3, 2, 7, 0, 2); /* special labels are not printed */
    DECODES(&v, "TT", 6, 3, 6);             /* but separate repeats, as blanks do */
    DECODES(&v, "A  E", 7, 4, 0, 4, 5);     /* two delimiters stay two */
    DECODES(&v, "", 0, 0, 0);
    DECODES(&v, "", 4, 4, 0, 4);
    DECODES(&v, "A", 99, 7, 99); /* an id of no label */
    assert_decodes(&v, NULL, 0, "");
    s3r_vocabulary_close(&v);
}

static void test_spans(void **state)
{
    (void)state;
    s3r_vocabulary v;
    s3r_error err;
    folder_files files = {.vocab = STANDARD};
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_OK);
    const uint32_t ids[] = {0, 6, 6, 6, 0, 6, 4, 3, 5, 5};
    const s3r_label_span expected[] = {{6, 1, 4}, {6, 5, 6}, {4, 6, 7}, {5, 8, 10}};
    s3r_label_span spans[S3R_ARRAY_LEN(ids)];
    size_t count = s3r_vocabulary_collapse(&v, spans, ids, S3R_ARRAY_LEN(ids));
    assert_int_equal(count, S3R_ARRAY_LEN(expected));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(spans[i].label, expected[i].label);
        assert_int_equal(spans[i].start_frame, expected[i].start_frame);
        assert_int_equal(spans[i].end_frame, expected[i].end_frame);
    }
    char *text;
    assert_int_equal(s3r_vocabulary_text(&v, &text, spans, count, &err), S3R_OK);
    assert_string_equal(text, "TT E");
    s3r_free(text);
    s3r_vocabulary_close(&v);
}

/* "TEXT first+count start-end|..." of the words of ids. */
static void assert_words(const s3r_vocabulary *v, const uint32_t *ids, size_t frame_count,
                         const char *expected)
{
    s3r_label_span spans[32];
    s3r_word_list words;
    s3r_error err;
    char found[512] = "";
    size_t count = s3r_vocabulary_collapse(v, spans, ids, frame_count), used = 0;
    assert_int_equal(s3r_vocabulary_words(v, &words, spans, count, &err), S3R_OK);
    for (size_t i = 0; i < words.count; i++) {
        const s3r_word_span *word = &words.items[i];
        used +=
            (size_t)snprintf(found + used, sizeof found - used, "%s%s %zu+%zu %zu-%zu",
                             i > 0 ? "|" : "", word->text, word->first_span,
                             word->span_count, word->start_frame, word->end_frame);
    }
    assert_string_equal(found, expected);
    s3r_word_list_release(&words);
}

#define WORDS(vocabulary, expected, ...)                                                 \
    assert_words(vocabulary, (const uint32_t[]){__VA_ARGS__},                            \
                 sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), expected)

static void test_words(void **state)
{
    (void)state;
    s3r_vocabulary v;
    s3r_error err;
    folder_files files = {.vocab = STANDARD};
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_OK);
    WORDS(&v, "TEA 1+3 1-6|AT 5+2 8-10", 4, 6, 6, 0, 5, 7, 0, 4, 7, 6, 0, 4);
    WORDS(&v, "A 0+1 0-1|E 3+1 4-5", 7, 4, 0, 4, 5); /* two delimiters part once */
    WORDS(&v, "TT 0+2 0-3", 6, 0, 6);
    WORDS(&v, "", 4, 0, 4);
    assert_words(&v, NULL, 0, "");
    s3r_vocabulary_close(&v);

    /* Without a delimiter all is one word, but a label of white space parts too. */
    files = (folder_files){.vocab = "{\"<pad>\": 0, \"你\": 1, \"好\": 2, "
                                    "\"\\u2002\": 3, \"\\u3000\": 4}"};
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_OK);
    assert_int_equal(v.delimiter_id, S3R_NO_LABEL);
    WORDS(&v, "你好你 0+3 0-4", 1, 2, 0, 1);
    WORDS(&v, "你 0+1 0-1|好 2+1 2-3|你 4+1 4-5", 1, 3, 2, 4, 1);
    s3r_vocabulary_close(&v);

    files = (folder_files){.dict_phn = "tʃ 1\na 1\n"};
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_OK);
    assert_true(v.is_phonemes);
    WORDS(&v, "tʃ a tʃ 0+3 0-4", 4, 5, 0, 4);
    s3r_vocabulary_close(&v);
}

/* A user's fine-tune: blank last, <s> and </s> added after it, tokenizer options. */
static void test_user_made_vocabulary(void **state)
{
    (void)state;
    s3r_vocabulary v;
    s3r_error err;
    folder_files files = {
        .vocab = "{\"É\": 0, \"B\": 1, \"#\": 2, \"[UNK]\": 3, \"[PAD]\": 4}",
        .added = "{\"<s>\": 5, \"</s>\": 6}",
        .tokenizer = "{\"word_delimiter_token\": \"#\", \"pad_token\": \"[PAD]\", "
                     "\"do_lower_case\": true, \"replace_word_delimiter_char\": \"_\", "
                     "\"added_tokens_decoder\": {\"5\": {\"content\": \"<s>\", "
                     "\"special\": true}, \"7\": {\"content\": \"<x>\", "
                     "\"special\": true}}}",
        .special = "{\"unk_token\": {\"content\": \"[UNK]\"}, \"bos_token\": \"<s>\"}"};
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_OK);
    assert_int_equal(v.count, 8);
    assert_int_equal(v.blank_id, 4);
    assert_int_equal(v.delimiter_id, 2);
    assert_int_equal(v.unknown_id, 3);
    assert_string_equal(v.labels[6], "</s>");
    assert_true(v.is_lower_case_output);
    DECODES(&v, "éb_b", 0, 0, 4, 1, 2, 1, 3, 7);
    /* The added labels have no row in the head, and need none. */
    assert_int_equal(s3r_vocabulary_check_head(&v, 8, &err), S3R_OK);
    assert_int_equal(s3r_vocabulary_check_head(&v, 5, &err), S3R_OK);
    assert_int_equal(s3r_vocabulary_check_head(&v, 4, &err), S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "the blank has id 4"));
    assert_int_equal(s3r_vocabulary_check_head(&v, 1, &err), S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "label \"B\" has id 1"));
    assert_int_equal(s3r_vocabulary_check_head(&v, 9, &err), S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "expected 9 labels"));
    s3r_vocabulary_close(&v);
}

static void test_blank_of_config_wins(void **state)
{
    (void)state;
    static const struct {
        const char *vocab, *config, *tokenizer;
        uint32_t blank;
    } cases[] = {
        {"{\"A\": 0, \"[PAD]\": 1, \"<pad>\": 2}", "{\"pad_token_id\": 2}", NULL, 2},
        {"{\"A\": 0, \"[PAD]\": 1, \"<pad>\": 2}", "{\"pad_token_id\": null}", NULL, 1},
        {"{\"A\": 0, \"[PAD]\": 1, \"<pad>\": 2}", "{}", "{\"pad_token\": \"<pad>\"}", 2},
        {"{\"A\": 0, \"_\": 1}", NULL, "{\"pad_token\": {\"content\": \"_\"}}", 1},
        {"{\"A\": 0, \"<pad>\": 1}", NULL, NULL, 1},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_vocabulary v;
        folder_files files = {.vocab = cases[i].vocab,
                              .config = cases[i].config,
                              .tokenizer = cases[i].tokenizer};
        assert_int_equal(open_files(&v, &files, NULL, NULL), S3R_OK);
        assert_int_equal(v.blank_id, cases[i].blank);
        assert_null(v.printed[v.blank_id]);
        assert_int_equal(v.delimiter_id, S3R_NO_LABEL);
        s3r_vocabulary_close(&v);
    }
}

static void test_languages(void **state)
{
    (void)state;
    s3r_vocabulary v;
    s3r_error err;
    folder_files files = {.vocab = "{\"eng\": {\"<pad>\": 0, \"a\": 1, \"|\": 2}, "
                                   "\"fra\": {\"<pad>\": 0, \"é\": 1}}",
                          .config = "{\"pad_token_id\": 0}"};
    assert_int_equal(open_files(&v, &files, "fra", &err), S3R_OK);
    assert_int_equal(v.count, 2);
    DECODES(&v, "é", 1);
    s3r_vocabulary_close(&v);
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "choose a target language of: eng, fra"));
    assert_int_equal(open_files(&v, &files, "deu", &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "no language \"deu\"; it has: eng, fra"));
    files.vocab = STANDARD;
    assert_int_equal(open_files(&v, &files, "fra", &err), S3R_ERR_USAGE);
    files = (folder_files){.dict_ltr = "A 1\n"};
    assert_int_equal(open_files(&v, &files, "fra", &err), S3R_ERR_USAGE);
}

static void test_fairseq_letters(void **state)
{
    (void)state;
    s3r_vocabulary v;
    s3r_error err;
    folder_files files = {.dict_ltr = "| 94802\nE 51860\r\n' 7\n\nÀ -1",
                          .dict_phn = "broken",
                          .dict_other = "broken",
                          .config = "{\"pad_token_id\": 6}"};
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_OK);
    assert_int_equal(v.count, 8);
    assert_int_equal(v.blank_id, 0);
    assert_int_equal(v.delimiter_id, 4);
    assert_int_equal(v.unknown_id, 3);
    assert_string_equal(v.labels[1], "<pad>");
    DECODES(&v, "EÀ 'E", 5, 7, 4, 0, 6, 0, 5, 1, 4);
    s3r_vocabulary_close(&v);
    files = (folder_files){.dict_other = "a 1\na 2 #fairseq:overwrite\n"};
    assert_int_equal(open_files(&v, &files, NULL, &err), S3R_OK);
    assert_int_equal(v.count, 6);
    DECODES(&v, "aa", 4, 4, 5);
    s3r_vocabulary_close(&v);
}

static void test_phonemes(void **state)
{
    (void)state;
    static const struct {
        folder_files files;
        const char *expected; /* of ids 4 5 5 4 */
    } cases[] = {
        {{.dict_phn = "tʃ 5\naː 4\n"}, "tʃ aː tʃ"},
        {{.dict_phn = "t 5\na 4\n"}, "t a t"},
        {{.dict_other = "t 5\na 4\n"}, "tat"},
        {{.dict_other = "tʃ 5\na 4\n"}, "tʃ a tʃ"},
        {{.dict_other = "e\xCC\x81 5\na 4\n"},
         "e\xCC\x81"
         "ae\xCC\x81"}, /* one accented letter */
        {{.dict_phn = "| 5\ntʃ 4\n"}, "tʃ"},
        {{.vocab = "{\"<pad>\":0,\"<s>\":1,\"</s>\":2,\"<unk>\":3,\"t\":4,\"a\":5}",
          .tokenizer = "{\"tokenizer_class\": \"Wav2Vec2PhonemeCTCTokenizer\"}"},
         "t a t"},
        {{.vocab = "{\"<pad>\":0,\"<s>\":1,\"</s>\":2,\"<unk>\":3,\"t\":4,\"|\":5}",
          .tokenizer = "{\"word_delimiter_token\": null}"},
         "t|t"},
        {{.vocab = "{\"<pad>\":0,\"<s>\":1,\"</s>\":2,\"<unk>\":3,\"t\":4,\" \":5}"},
         "t t"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_vocabulary v;
        s3r_error err = {0};
        if (open_files(&v, &cases[i].files, NULL, &err) != S3R_OK)
            fail_msg("case %zu: %s", i, err.message);
        DECODES(&v, cases[i].expected, 4, 5, 5, 4);
        s3r_vocabulary_close(&v);
    }
}

static void test_byte_order_mark(void **state)
{
    (void)state;
    s3r_vocabulary v;
    s3r_error err = {0};
    folder_files files = {.vocab = "\xef\xbb\xbf" STANDARD,
                          .tokenizer = "\xef\xbb\xbf{\"pad_token\": \"A\"}"};
    if (open_files(&v, &files, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(v.count, 9);
    assert_int_equal(v.blank_id, 7);
    s3r_vocabulary_close(&v);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        folder_files files;
        const char *message;
    } cases[] = {
        {{0}, "no vocabulary: expected vocab.json or dict.*.txt"},
        {{.vocab = ""}, "line 1"},
        {{.vocab = "\xef\xbb\xbf"}, "line 1"},
        {{.vocab = "[]"}, "expected a JSON object"},
        {{.vocab = "{\"A\": 0,"}, "line 1"},
        {{.vocab = "{\"A\": 0, \"A\": 1}"}, "duplicate"},
        {{.vocab = "{}"}, "expected labels, found none"},
        {{.vocab = "{\"\xFF\": 0}"}, "line 1"},
        {{.vocab = "{\"A\": \"0\"}"}, "\"A\": expected a whole number"},
        {{.vocab = "{\"A\": 0.0}"}, "\"A\": expected a whole number"},
        {{.vocab = "{\"A\": -1}"}, "\"A\": expected an id of at least 0, found -1"},
        {{.vocab = "{\"A\": 0, \"B\": 0}"}, "\"A\" and \"B\" have the same id 0"},
        {{.vocab = "{\"A\": 0, \"B\": 2}"}, "no label has id 1"},
        {{.vocab = "{\"A\": 0, \"B\": 9223372036854775807}"}, "no label has id 1"},
        {{.vocab = "{\"A\": 0, \"B\": {\"A\": 0}}"}, "found a mixture"},
        {{.vocab = "{\"A\": 0, \"B\": 1}"}, "no blank"},
        {{.vocab = "{\"|\": 0}", .config = "{\"pad_token_id\": 0}"}, "is both the blank"},
        {{.vocab = STANDARD, .config = "{\"pad_token_id\": 9}"}, "below 9, found 9"},
        {{.vocab = STANDARD, .config = "{\"pad_token_id\": -1}"}, "below 9, found -1"},
        {{.vocab = STANDARD, .config = "{\"pad_token_id\": \"0\"}"}, "a whole number"},
        {{.vocab = STANDARD, .added = "{\"A\": 9}"}, "has id 9 here and id 7"},
        {{.vocab = STANDARD, .added = "{\"B\": 7}"}, "have the same id 7"},
        {{.vocab = STANDARD, .added = "{"}, "added_tokens.json: line 1"},
        {{.vocab = STANDARD, .tokenizer = "{\"added_tokens_decoder\": {\"x\": {}}}"},
         "added_tokens_decoder: \"x\""},
        {{.dict_ltr = ""}, "expected labels, found none"},
        {{.dict_ltr = "A 1\nB\n"}, "line 2: expected \"LABEL COUNT\""},
        {{.dict_ltr = "A 1\nB x\n"}, "line 2: expected \"LABEL COUNT\""},
        {{.dict_ltr = "A 1\nB 2\nA 3\n"}, "line 3: label \"A\" is there already"},
        {{.dict_ltr = "<s> 1\n"}, "line 1: label \"<s>\" is there already"},
        {{.dict_ltr = "\xC3 1\n"}, "line 1: expected UTF-8"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_vocabulary v;
        s3r_error err = {0};
        s3r_status status = open_files(&v, &cases[i].files, NULL, &err);
        if (status != S3R_ERR_MODEL || !strstr(err.message, cases[i].message))
            fail_msg("case %zu: status %d, expected \"%s\", found \"%s\"", i, (int)status,
                     cases[i].message, err.message);
        assert_int_equal(v.count, 0);
        assert_null(v.labels);
    }
}

static void test_several_dictionaries(void **state)
{
    (void)state;
    s3r_vocabulary v;
    s3r_error err;
    const char *folder = make_folder(&(folder_files){.dict_other = "a 1\n"});
    write_text(folder, "dict.abc.txt", "b 1\n");
    assert_int_equal(s3r_vocabulary_open(&v, folder, NULL, NULL, &err), S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "dict.abc.txt and dict.km.txt"));
    assert_int_equal(s3r_vocabulary_open(&v, "/nonexistent", NULL, NULL, &err),
                     S3R_ERR_MODEL);
}

/* Both conventions of the same model: rows 0 and 1 only swap names. */
static void test_golden_folders_agree(void **state)
{
    (void)state;
    s3r_vocabulary hf, fairseq;
    s3r_error err;
    const char *root = "tests/golden/w2v2_group_postln";
    assert_int_equal(s3r_vocabulary_open(&hf, root, NULL, NULL, &err), S3R_OK);
    assert_int_equal(s3r_vocabulary_open(&fairseq,
                                         "tests/golden/w2v2_group_postln_fairseq", NULL,
                                         NULL, &err),
                     S3R_OK);
    assert_int_equal(hf.count, 12);
    assert_int_equal(fairseq.count, 12);
    assert_int_equal(hf.blank_id, fairseq.blank_id);
    for (size_t i = 4; i < hf.count; i++)
        assert_string_equal(hf.labels[i], fairseq.labels[i]);
    s3r_vocabulary_close(&hf);
    s3r_vocabulary_close(&fairseq);
}

static s3r_status open_and_decode(const char *folder, s3r_error *err)
{
    static const uint32_t ids[] = {6, 4, 5};
    s3r_vocabulary v;
    char *text = NULL;
    s3r_status status = s3r_vocabulary_open(&v, folder, NULL, NULL, err);
    if (status == S3R_OK)
        status = s3r_vocabulary_decode(&v, &text, ids, S3R_ARRAY_LEN(ids), err);
    s3r_vocabulary_close(&v);
    s3r_free(text);
    return status;
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    const folder_files cases[] = {
        {.vocab = STANDARD, .tokenizer = "{\"do_lower_case\": true}"},
        {.dict_ltr = "| 3\nA 2\nB 1\n"},
        {.dict_other = "| 3\nA 2\nB 1\n"}};
    for (size_t c = 0; c < S3R_ARRAY_LEN(cases); c++) {
        const char *folder = make_folder(&cases[c]);
        s3r_error err;
        s3r_status status = S3R_ERR_RESOURCE;
        size_t n = 1;
        for (; status != S3R_OK; n++) {
            s3r_alloc_fail_at(n);
            status = open_and_decode(folder, &err);
            s3r_alloc_fail_at(0);
            if (status != S3R_OK)
                assert_int_equal(status, S3R_ERR_RESOURCE);
            assert_true(n < 1000);
        }
        assert_true(n > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard_vocabulary),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_user_made_vocabulary),
        cmocka_unit_test(test_blank_of_config_wins),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_fairseq_letters),
        cmocka_unit_test(test_phonemes),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_several_dictionaries),
        cmocka_unit_test(test_golden_folders_agree),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
