/*
 * Text to labels in several scripts, what has no label, and vocabularies as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support_alloc_faults.h"
#include "text/unicode_text.h"
#include "text/vocabulary_encode.h"

#define FIRST "[\"<pad>\", \"<s>\", \"</s>\", \"<unk>\", \"|\""

/* labels: a JSON array that begins with FIRST */
static s3r_vocabulary make_vocabulary(const char *labels, const char *delimiter,
                                      bool is_phonemes)
{
    char text[2048];
    s3r_vocabulary vocabulary;
    s3r_error err = {0};
    snprintf(text, sizeof text,
             "{\"labels\": %s, \"special\": [0, 1, 2, 3], \"blank\": 0, \"delimiter\": "
             "%s, \"unknown\": 3, \"delimiter_text\": \" \", \"lower_case_output\": "
             "false, \"phonemes\": %s}",
             labels, delimiter, is_phonemes ? "true" : "false");
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    if (s3r_vocabulary_from_json(&vocabulary, object, "test.s3m", &err) != S3R_OK)
        fail_msg("%s: %s", labels, err.message);
    json_decref(object);
    return vocabulary;
}

/* Labels with spaces between. */
static void print_labels(char *out, size_t size, const s3r_vocabulary *vocabulary,
                         const uint32_t *labels, size_t count)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? " " : "",
                                 vocabulary->labels[labels[i]]);
}

typedef struct encode_case {
    const char *labels; /* behind FIRST; NULL = those of the case before */
    const char *text, *expected;
} encode_case;

static void check_cases(const encode_case *cases, size_t count, const char *delimiter,
                        bool is_phonemes)
{
    s3r_arena arena;
    const char *labels = NULL;
    s3r_arena_init(&arena, 1 << 14);
    for (size_t i = 0; i < count; i++) {
        char all[2048], found[1024];
        s3r_error err = {0};
        uint32_t *ids = NULL;
        size_t id_count = 0;
        labels = cases[i].labels ? cases[i].labels : labels;
        snprintf(all, sizeof all, FIRST ", %s]", labels);
        s3r_vocabulary vocabulary = make_vocabulary(all, delimiter, is_phonemes);
        s3r_status status = s3r_vocabulary_encode(&vocabulary, cases[i].text, &arena,
                                                  &ids, &id_count, &err);
        if (status != S3R_OK)
            fail_msg("\"%s\": %s", cases[i].text, err.message);
        print_labels(found, sizeof found, &vocabulary, ids, id_count);
        assert_string_equal(found, cases[i].expected);
        s3r_vocabulary_close(&vocabulary);
    }
    s3r_arena_release(&arena);
}

static void test_scripts(void **state)
{
    (void)state;
    static const encode_case cases[] = {
        {"\"A\", \"E\", \"H\", \"T\", \"'\"", "the tea", "T H E | T E A"},
        {NULL, "THE 'tEA'", "T H E | ' T E A '"},
        {NULL, " \t the \n\u00a0 tea\u2003", "T H E | T E A"},
        {NULL, "", ""},
        {NULL, " \n ", ""},
        {NULL, "A", "A"},
        /* Both cases are there: nothing is folded. */
        {"\"a\", \"A\"", "aA Aa", "a A | A a"},
        /* The longest label wins, and only whole characters match. */
        {"\"c\", \"h\", \"ch\", \"chh\"", "chchhcch", "ch chh c ch"},
        {NULL, "CHCHHCCH", "ch chh c ch"},
        /* French: é in one code point and in two. */
        {"\"e\", \"é\", \"t\"", "\u00c9te\u0301 \u00e9", "é t é | é"},
        {"\"e\u0301\", \"t\"", "\u00e9t", "e\u0301 t"},
        {"\"я\", \"б\", \"о\", \"й\"", "Бой Я", "б о й | я"},
        {"\"α\", \"ά\", \"σ\", \"ς\", \"ο\"", "ΆΟΣ ος", "ά ο σ | ο ς"},
        {"\"ß\", \"s\", \"a\"", "SASS aß", "s a s s | a ß"},
        {"\"न\", \"म\", \"स\", \"्\", \"त\", \"े\"", "नमस्ते", "न म स ् त े"},
        /* Grapheme clusters as labels. */
        {"\"न\", \"म\", \"स्ते\"", "नमस्ते", "न म स्ते"},
        {"\"你\", \"好\"", "你好 好", "你 好 | 好"},
        {"\"م\", \"ر\", \"ح\", \"ب\", \"ا\"", "مرحبا", "م ر ح ب ا"},
        {"\"한\", \"국\"", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "한 국"},
        {"\"i\", \"ı\"", "iı İ", "i ı | i"},
    };
    check_cases(cases, S3R_ARRAY_LEN(cases), "4", false);
}

static void test_without_delimiter(void **state)
{
    (void)state;
    static const encode_case cases[] = {
        {"\"你\", \"好\"", " 你 好 ", "你 好"},
        {NULL, "你好", "你 好"},
    };
    check_cases(cases, S3R_ARRAY_LEN(cases), "null", false);
}

/* "WORD:labels|..." of a text, a star as "*". */
static void check_words(const s3r_vocabulary *vocabulary, const char *text,
                        s3r_missing_policy policy, const char *expected)
{
    s3r_arena arena;
    s3r_encoded_text found;
    s3r_error err;
    char line[512] = "";
    size_t used = 0;
    s3r_arena_init(&arena, 1 << 12);
    if (s3r_vocabulary_encode_words(vocabulary, text, policy, &arena, &found, &err) !=
        S3R_OK)
        fail_msg("%s: %s", text, err.message);
    for (size_t i = 0; i < found.word_count; i++) {
        const s3r_encoded_word *word = &found.words[i];
        used += (size_t)snprintf(line + used, sizeof line - used,
                                 "%s%s@%zu:", i > 0 ? "|" : "", word->text,
                                 word->first_label);
        for (size_t k = 0; k < word->label_count; k++) {
            uint32_t label = found.labels[word->first_label + k];
            used += (size_t)snprintf(line + used, sizeof line - used, "%s",
                                     label == S3R_STAR_LABEL ? "*"
                                                             : vocabulary->labels[label]);
        }
    }
    snprintf(line + used, sizeof line - used, "|%zu|%s", found.count, found.missing);
    assert_string_equal(line, expected);
    s3r_arena_release(&arena);
}

static void test_words(void **state)
{
    (void)state;
    s3r_vocabulary v = make_vocabulary(FIRST ", \"A\", \"B\"]", "4", false);
    check_words(&v, " ab  Ba\n", S3R_MISSING_REFUSE, "ab@0:AB|Ba@3:BA|5|");
    check_words(&v, "", S3R_MISSING_REFUSE, "|0|");
    /* What has no label keeps its word; a word without labels has no delimiter. */
    check_words(&v, "a, b! 12 b", S3R_MISSING_SKIP,
                "a,@0:A|b!@2:B|12@3:|b@4:B|5|\"1\" (U+0031), \"2\" (U+0032)");
    /* Punctuation that nobody says is passed over, and is no word by itself. */
    check_words(&v,
                "\xc2\xbf"
                "A? \xe2\x80\x94 (b) ... \xe2\x80\x9c"
                "a-b\xe2\x80\x9d \xc2\xad",
                S3R_MISSING_REFUSE,
                "\xc2\xbf"
                "A?@0:A|(b)@2:B|\xe2\x80\x9c"
                "a-b\xe2\x80\x9d@4:AB|6|");
    check_words(&v, "a! - b%", S3R_MISSING_STAR, "a!@0:A|b%@2:B*|4|\"%\" (U+0025)");
    check_words(&v, " - ... ", S3R_MISSING_REFUSE, "|0|");
    check_words(&v, "xxaxx 12", S3R_MISSING_STAR,
                "xxaxx@0:*A*|12@4:*|5|\"X\" (U+0058), \"1\" (U+0031), \"2\" (U+0032)");
    check_words(&v, "12 a", S3R_MISSING_SKIP,
                "12@0:|a@0:A|1|\"1\" (U+0031), \"2\" (U+0032)");
    s3r_vocabulary_close(&v);
    /* Unless it has a label. */
    v = make_vocabulary(FIRST ", \"A\", \"-\", \"...\"]", "4", false);
    s3r_vocabulary_close(&v);
    /* NFC makes U+0387 the dot that is a label. */
    v = make_vocabulary(FIRST ", \"A\", \"\xc2\xb7\"]", "4", false);
    check_words(&v, "a \xce\x87 a", S3R_MISSING_REFUSE,
                "a@0:A|\xce\x87@2:\xc2\xb7|a@4:A|5|");
    s3r_vocabulary_close(&v);
    v = make_vocabulary(FIRST ", \"A\", \"-\", \"...\"]", "4", false);
    check_words(&v, "a - ... a.", S3R_MISSING_REFUSE, "a@0:A|-@2:-|...@4:...|a.@6:A|7|");
    s3r_vocabulary_close(&v);

    v = make_vocabulary(FIRST ", \"a\", \"t\xca\x83\"]", "null", true);
    check_words(&v, "a  t\xca\x83 | a |", S3R_MISSING_REFUSE,
                "a t\xca\x83@0:at\xca\x83|a@3:a|5|");
    check_words(&v, "a t\xca\x83 a", S3R_MISSING_REFUSE,
                "a t\xca\x83 a@0:at\xca\x83"
                "a|3|");
    check_words(&v, "a . a", S3R_MISSING_STAR, "a . a@0:a*a|3|\".\"");
    check_words(&v, "a x y a", S3R_MISSING_STAR, "a x y a@0:a*a|3|\"x\", \"y\"");
    s3r_vocabulary_close(&v);
}

static s3r_status encode_words(void *context, s3r_error *err)
{
    s3r_arena arena;
    s3r_encoded_text found;
    s3r_arena_init(&arena, 16);
    s3r_status status = s3r_vocabulary_encode_words(
        context, "a \xc3\xa9 b", S3R_MISSING_STAR, &arena, &found, err);
    s3r_arena_release(&arena);
    return status;
}

static void test_words_survive_memory_faults(void **state)
{
    (void)state;
    s3r_vocabulary v = make_vocabulary(FIRST ", \"A\", \"B\"]", "4", false);
    test_survives_alloc_faults(encode_words, &v);
    s3r_vocabulary_close(&v);
}

static void test_phonemes(void **state)
{
    (void)state;
    static const encode_case cases[] = {
        {"\"tʃ\", \"t\", \"ʃ\", \"aː\"", "tʃ aː  t ʃ ", "tʃ aː t ʃ"},
        {NULL, "t | t", "t | t"},
        {"\"E\", \"e\", \"t\"", "E t e", "E t e"},
    };
    check_cases(cases, S3R_ARRAY_LEN(cases), "4", true);
    /* Labels of another make: no "|" among them. */
    s3r_vocabulary v = make_vocabulary("[\"<s>\", \"<pad>\", \"</s>\", \"<unk>\", "
                                       "\"E\"]",
                                       "null", true);
    s3r_arena arena;
    s3r_error err;
    uint32_t *ids;
    size_t count;
    s3r_arena_init(&arena, 1 << 14);
    assert_int_equal(s3r_vocabulary_encode(&v, "E | E", &arena, &ids, &count, &err),
                     S3R_OK);
    assert_int_equal(count, 2);
    assert_int_equal(s3r_vocabulary_encode(&v, "e |", &arena, &ids, &count, &err),
                     S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "1 phones without a label in test.s3m: \"e\";"));
    assert_non_null(strstr(err.message, "DIR/NAME.phones.jsonl"));
    s3r_arena_release(&arena);
    s3r_vocabulary_close(&v);
}

static void test_missing_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"cab", "1 characters without a label in test.s3m: \"C\" (U+0043)"},
        {"caé c é5", "\"C\" (U+0043), \"É\" (U+00C9), \"5\" (U+0035)"},
        {"a\x1b[2J", "U+001B, \"[\" (U+005B), \"2\" (U+0032), \"J\" (U+004A)"},
        {"a\u0327", "U+0327"},
        {"a.", "s3r vocab build writes texts that fit its labels: DIR/NAME.text.jsonl"},
        {"a|b", "\"|\" (U+007C)"},
        {"<s>", "\"<\" (U+003C), \"S\" (U+0053), \">\" (U+003E)"},
        {"ab\xff", "byte 2 of a text: expected UTF-8, found 0xff"},
        {"\xc3", "byte 0 of a text: expected UTF-8, found 0xc3"},
    };
    s3r_vocabulary v = make_vocabulary(FIRST ", \"A\", \"B\"]", "4", false);
    s3r_arena arena;
    s3r_arena_init(&arena, 1 << 14);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_error err = {0};
        uint32_t *ids;
        size_t count;
        s3r_status status =
            s3r_vocabulary_encode(&v, cases[i].text, &arena, &ids, &count, &err);
        if (status != S3R_ERR_DATA || !strstr(err.message, cases[i].message))
            fail_msg("\"%s\": status %d, expected \"%s\", found \"%s\"", cases[i].text,
                     (int)status, cases[i].message, err.message);
    }
    /* A text of nothing but strange characters: the message stays bounded. */
    char text[8192] = "";
    for (size_t i = 0, used = 0; i < 2000; i++)
        used += s3r_character_write(text + used, (int32_t)(0x4e00 + i % 1000));
    s3r_error err = {0};
    uint32_t *ids;
    size_t count;
    assert_int_equal(s3r_vocabulary_encode(&v, text, &arena, &ids, &count, &err),
                     S3R_ERR_DATA);
    const char *said = strstr(err.message, "more than ");
    assert_non_null(said);
    size_t listed = strtoul(said + strlen("more than "), NULL, 10), shown = 0;
    for (const char *at = err.message; (at = strstr(at, "(U+")); at++)
        shown++;
    assert_int_equal(listed, shown);
    assert_null(strstr(err.message, "...")); /* not cut by the record */
    s3r_arena_release(&arena);
    s3r_vocabulary_close(&v);
}

static void assert_same(const s3r_vocabulary *a, const s3r_vocabulary *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->labels[i], b->labels[i]);
        assert_int_equal(a->is_special[i], b->is_special[i]);
        if (a->printed[i])
            assert_string_equal(a->printed[i], b->printed[i]);
        else
            assert_null(b->printed[i]);
    }
    assert_int_equal(a->blank_id, b->blank_id);
    assert_int_equal(a->delimiter_id, b->delimiter_id);
    assert_int_equal(a->unknown_id, b->unknown_id);
    assert_string_equal(a->delimiter_text, b->delimiter_text);
    assert_int_equal(a->is_lower_case_output, b->is_lower_case_output);
    assert_int_equal(a->is_phonemes, b->is_phonemes);
}

static s3r_status round_trip(void *context, s3r_error *err)
{
    const s3r_vocabulary *vocabulary = context;
    s3r_vocabulary back = {0};
    json_t *object = s3r_vocabulary_to_json(vocabulary);
    if (!object)
        return s3r_fail_memory(err, "a vocabulary", 0);
    s3r_status status = s3r_vocabulary_from_json(&back, object, "m.s3m", err);
    if (status == S3R_OK) {
        assert_same(vocabulary, &back);
        assert_string_equal(back.path, "m.s3m");
    }
    json_decref(object);
    s3r_vocabulary_close(&back);
    return status;
}

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const folders[] = {"tests/golden/w2v2_group_postln",
                                          "tests/golden/w2v2_group_postln_fairseq"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(folders); i++) {
        s3r_vocabulary v;
        s3r_error err = {0};
        assert_int_equal(s3r_vocabulary_open(&v, folders[i], NULL, NULL, &err), S3R_OK);
        v.is_lower_case_output = i == 1;
        for (size_t id = 0; i == 1 && id < v.count; id++)
            s3r_free(v.printed[id]);
        if (i == 1) { /* what labels print follows */
            s3r_free(v.printed);
            json_t *object;
            v.printed = NULL;
            object = s3r_vocabulary_to_json(&v);
            s3r_vocabulary_close(&v);
            assert_int_equal(s3r_vocabulary_from_json(&v, object, "x", &err), S3R_OK);
            json_decref(object);
            assert_true(v.is_lower_case_output);
        }
        assert_int_equal(round_trip(&v, &err), S3R_OK);
        test_survives_alloc_faults(round_trip, &v);
        s3r_vocabulary_close(&v);
    }
    s3r_vocabulary v = make_vocabulary(FIRST ", \"tʃ\", \"a\"]", "null", true);
    assert_int_equal(round_trip(&v, NULL), S3R_OK);
    s3r_vocabulary_close(&v);
}

static void test_refused_json(void **state)
{
    (void)state;
    static const char valid[] =
        "{\"labels\": [\"_\", \"<s>\", \"a\", \"|\"], \"special\": [1], \"blank\": 0, "
        "\"delimiter\": 3, \"unknown\": null, \"delimiter_text\": \" \", "
        "\"lower_case_output\": false, \"phonemes\": false}";
    static const struct {
        const char *key, *value; /* replaces; value NULL removes the key */
        const char *message;
    } cases[] = {
        {"labels", NULL, "\"labels\": expected an array of strings, found nothing"},
        {"labels", "{}", "found an object"},
        {"labels", "[]", "expected 1 to 1048576 labels, found 0"},
        {"labels", "[\"a\", 1, \"b\", \"c\"]", "expected a string, found a whole number"},
        {"labels", "[\"a\", null, \"b\", \"c\"]", "expected a string, found null"},
        {"labels", "[\"a\", \"\\u0000x\", \"b\", \"c\"]", "found a NUL character"},
        {"labels", "[\"a\", \"b\"]", "\"delimiter\": expected an id below 2, found 3"},
        {"special", NULL, "\"special\": expected an array of ids, found nothing"},
        {"special", "[4]", "\"special\": expected an id below 4, found 4"},
        {"special", "[-1]", "found -1"},
        {"special", "[1.0]", "expected an id, found a number"},
        {"special", "[1, 1]", "expected ascending ids, found 1 out of order"},
        {"special", "[2, 1]", "expected ascending ids, found 1 out of order"},
        {"special", "[3]", "\"delimiter\": expected a label of its own"},
        {"blank", NULL, "\"blank\": expected an id, found nothing"},
        {"blank", "null", "\"blank\": expected an id, found null"},
        {"blank", "4294967295", "below 4, found 4294967295"},
        {"blank", "3", "\"delimiter\": expected a label of its own"},
        {"delimiter", NULL, "\"delimiter\": expected an id, found nothing"},
        {"delimiter", "\"|\"", "\"delimiter\": expected an id, found a string"},
        {"unknown", "9223372036854775807", "\"unknown\": expected an id below 4"},
        {"delimiter_text", NULL, "\"delimiter_text\": expected a string"},
        {"delimiter_text", "\"\\u0000\"", "\"delimiter_text\": expected text, found"},
        {"lower_case_output", "0", "expected true or false, found a whole number"},
        {"phonemes", NULL, "\"phonemes\": expected true or false, found nothing"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_vocabulary v;
        s3r_error err = {0};
        json_t *object = json_loads(valid, 0, NULL);
        json_object_del(object, cases[i].key);
        if (cases[i].value)
            json_object_set_new(
                object, cases[i].key,
                json_loads(cases[i].value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
        s3r_status status = s3r_vocabulary_from_json(&v, object, "m.s3m", &err);
        if (status != S3R_ERR_MODEL || !strstr(err.message, cases[i].message) ||
            strncmp(err.message, "m.s3m: vocabulary: ", 19) != 0)
            fail_msg("case %zu: status %d, expected \"%s\", found \"%s\"", i, (int)status,
                     cases[i].message, err.message);
        assert_null(v.labels);
        json_decref(object);
    }
    s3r_vocabulary v;
    json_t *array = json_array();
    assert_int_equal(s3r_vocabulary_from_json(&v, array, "m.s3m", NULL), S3R_ERR_MODEL);
    assert_int_equal(s3r_vocabulary_from_json(&v, NULL, "m.s3m", NULL), S3R_ERR_MODEL);
    json_decref(array);
}

static s3r_status encode_once(void *context, s3r_error *err)
{
    s3r_arena arena;
    uint32_t *ids;
    size_t count;
    s3r_arena_init(&arena, 64);
    s3r_status status =
        s3r_vocabulary_encode(context, "e\u0301ab E\u0301", &arena, &ids, &count, err);
    if (status == S3R_OK)
        assert_int_equal(count, 5);
    s3r_arena_release(&arena);
    return status;
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    s3r_vocabulary v = make_vocabulary(FIRST ", \"A\", \"B\", \"É\"]", "4", false);
    test_survives_alloc_faults(encode_once, &v);
    s3r_vocabulary_close(&v);
}

/* What normalisation and the classes of characters are, by examples. */
static void test_unicode_text(void **state)
{
    (void)state;
    static const struct {
        s3r_text_case text_case;
        const char *text, *expected;
    } cases[] = {
        {S3R_CASE_KEEP, "e\u0301", "é"},
        {S3R_CASE_LOWER, "ÀÉ Straße ΑΣ ДЖ ǅ", "àé straße ασ дж ǆ"},
        {S3R_CASE_UPPER, "àé ï ψ й ա", "ÀÉ Ï Ψ Й Ա"},
        {S3R_CASE_LOWER, "", ""},
        {S3R_CASE_UPPER, "日本語", "日本語"},
        {S3R_CASE_LOWER, "I\u0307", "i\u0307"},
        {S3R_CASE_KEEP, "\u212b", "\u00c5"}, /* the sign of the unit */
    };
    s3r_arena arena;
    s3r_arena_init(&arena, 256);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char *found;
        assert_int_equal(
            s3r_text_normalize(&found, &arena, cases[i].text, cases[i].text_case, NULL),
            S3R_OK);
        assert_string_equal(found, cases[i].expected);
    }
    s3r_arena_release(&arena);
    assert_true(s3r_character_is_space(' ') && s3r_character_is_space(0x3000) &&
                s3r_character_is_space(0x00a0) && !s3r_character_is_space('a'));
    assert_true(s3r_character_is_digit('7') && s3r_character_is_digit(0x0967) &&
                !s3r_character_is_digit(0x4e00));
    assert_true(s3r_character_is_letter(0x0301) && s3r_character_is_letter(0x4e00) &&
                !s3r_character_is_letter('-'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_without_delimiter),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_words_survive_memory_faults),
        cmocka_unit_test(test_phonemes),
        cmocka_unit_test(test_missing_characters),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_refused_json),
        cmocka_unit_test(test_memory_faults_are_survived),
        cmocka_unit_test(test_unicode_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
