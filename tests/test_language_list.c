/*
 * Lists of languages: sorted, found, as JSON, and those of a manifest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "data/manifest_languages.h"
#include "support_alloc_faults.h"
#include "support_api.h"

static void test_sorted(void **state)
{
    (void)state;
    static const char *const names[] = {"nl", "de", "pt-BR", "de", "pt", "nl", "ar"};
    static const char *const sorted[] = {"ar", "de", "nl", "pt", "pt-BR"};
    s3r_language_list list = {0};
    char text[64];
    size_t index = 99;
    for (size_t i = 0; i < S3R_ARRAY_LEN(names); i++)
        assert_int_equal(s3r_language_list_insert(&list, names[i], NULL), S3R_OK);
    assert_int_equal(list.count, S3R_ARRAY_LEN(sorted));
    for (size_t i = 0; i < list.count; i++) {
        assert_string_equal(list.names[i], sorted[i]);
        assert_true(s3r_language_list_find(&list, sorted[i], &index) && index == i);
    }
    assert_false(s3r_language_list_find(&list, "d", &index));
    s3r_language_list_text(&list, text, sizeof text);
    assert_string_equal(text, "ar, de, nl, pt, pt-BR");
    for (size_t bytes = 1; bytes <= 22; bytes++) {
        s3r_language_list_text(&list, text, bytes);
        assert_true(strlen(text) < bytes);
    }
    s3r_language_list_text(&list, text, 16);
    assert_string_equal(text, "ar, de, nl, ...");
    s3r_language_list_release(&list);
}

static void test_json(void **state)
{
    (void)state;
    static const struct {
        const char *json, *said;
    } cases[] = {
        {"null", "expected 2 to 8192 different texts, found null"},
        {"{}", "found {}"},
        {"[\"de\"]", "found [\"de\"]"},
        {"[\"de\",\"de\"]", "different texts, found [\"de\",\"de\"]"},
        {"[\"de\",\"\"]", "found [\"de\",\"\"]"},
        {"[\"de\",3]", "found [\"de\",3]"},
    };
    s3r_language_list list;
    s3r_error err;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        json_t *json = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        assert_non_null(json);
        test_expect_failure(s3r_language_list_from_json(&list, json, "a.s3m", &err), &err,
                            S3R_ERR_MODEL, cases[i].said);
        assert_non_null(strstr(err.message, "a.s3m: facts: \"languages\""));
        assert_int_equal(list.count, 0);
        json_decref(json);
    }
    /* The order is that of the head, sorted or not. */
    json_t *json = json_loads("[\"nl\",\"de\"]", 0, NULL);
    assert_int_equal(s3r_language_list_from_json(&list, json, "a.s3m", &err), S3R_OK);
    json_t *back = s3r_language_list_to_json(&list);
    assert_true(json_equal(json, back));
    json_decref(back);
    json_decref(json);
    s3r_language_list_release(&list);
}

/* ---- manifests ---- */

static s3r_status collect(const char *lines, s3r_language_list *list, s3r_error *err)
{
    s3r_manifest manifest;
    S3R_TRY(s3r_manifest_parse(&manifest, lines, strlen(lines), "m.jsonl", err));
    s3r_status status = s3r_manifest_languages(list, &manifest, err);
    s3r_manifest_close(&manifest);
    return status;
}

#define LINE(name, more) "{\"audio_filepath\": \"" name "\"" more "}\n"

static void test_manifest(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *said;
    } cases[] = {
        {LINE("a", ", \"lang\": \"nl\"") LINE("b", ""), "m.jsonl:2: \"lang\": expected"},
        {LINE("a", ", \"lang\": \"\"") LINE("b", ", \"lang\": \"nl\""), "m.jsonl:1: "},
        {LINE("a", ", \"lang\": \"nl\"") LINE("b", ", \"lang\": \"nl\""),
         "m.jsonl: \"lang\": expected two languages or more to tell apart, found \"nl\""},
    };
    s3r_language_list list;
    s3r_error err;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_expect_failure(collect(cases[i].lines, &list, &err), &err, S3R_ERR_DATA,
                            cases[i].said);
        assert_int_equal(list.count, 0);
    }
    assert_int_equal(collect(LINE("a", ", \"lang\": \"nl\"")
                                 LINE("b", ", \"lang\": \"de\"")
                                     LINE("c", ", \"lang\": \"nl\""),
                             &list, &err),
                     S3R_OK);
    assert_int_equal(list.count, 2);
    s3r_utterance utterance = {.line = 7, .language = "nl"};
    size_t index = 99;
    assert_int_equal(s3r_utterance_language(&index, &utterance, "d", &list, &err),
                     S3R_OK);
    assert_int_equal(index, 1);
    utterance.language = "en";
    test_expect_failure(s3r_utterance_language(&index, &utterance, "d", &list, &err),
                        &err, S3R_ERR_DATA,
                        "d:7: \"lang\": expected one of the languages that are told "
                        "apart (de, nl), found \"en\"");
    utterance.language = NULL;
    test_expect_failure(s3r_utterance_language(&index, &utterance, "d", &list, &err),
                        &err, S3R_ERR_DATA, "d:7: \"lang\": expected");
    s3r_language_list_release(&list);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    s3r_language_list list;
    s3r_status status = s3r_manifest_languages(&list, context, err);
    if (status == S3R_OK)
        s3r_language_list_release(&list);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    static char names[40][8];
    static s3r_utterance items[40];
    s3r_manifest manifest = {.path = names[0], .items = items, .count = 40};
    for (size_t i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "l%zu", i * 7 % 40);
        items[i].language = names[i];
    }
    test_survives_alloc_faults(attempt, &manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorted),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
