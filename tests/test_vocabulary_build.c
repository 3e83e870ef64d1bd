/*
 * Vocabularies from manifests: units of several scripts, what is written, phones when
 * espeak-ng is there, refusals, failing allocations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/process.h"
#include "data/phones.h"
#include "data/vocabulary_build.h"
#include "support_alloc_faults.h"
#include "support_files.h"
#include "text/vocabulary_encode.h"

/* A manifest NAME of these texts; "-" stands for a line without text. */
static s3r_manifest make_manifest(const char *name, const char *const *texts,
                                  const char *language)
{
    char lines[8192];
    size_t used = 0;
    s3r_manifest manifest;
    s3r_error err = {0};
    const char *folder = test_folder(), *path = test_path(folder, name);
    for (size_t i = 0; texts[i]; i++) {
        char audio[32];
        snprintf(audio, sizeof audio, "%zu.wav", i);
        test_write_file(test_path(folder, audio), "", 0); /* is not opened */
        used += (size_t)snprintf(lines + used, sizeof lines - used,
                                 "{\"audio_filepath\": \"%zu.wav\", \"duration\": 1", i);
        if (strcmp(texts[i], "-") != 0)
            used += (size_t)snprintf(lines + used, sizeof lines - used,
                                     ", \"text\": \"%s\"", texts[i]);
        if (language)
            used += (size_t)snprintf(lines + used, sizeof lines - used,
                                     ", \"lang\": \"%s\"", language);
        used += (size_t)snprintf(lines + used, sizeof lines - used, "}\n");
    }
    test_write_file(path, lines, used);
    if (s3r_manifest_open(&manifest, path, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return manifest;
}

/* The labels behind the five special ones, with spaces between. */
static void join_units(char *out, size_t size, const s3r_vocabulary *vocabulary)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 5; i < vocabulary->count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 5 ? " " : "",
                                 vocabulary->labels[i]);
}

/* Builds, opens what was written and checks what does not depend on the texts. */
static s3r_vocabulary build(const char *folder, const s3r_manifest *manifest,
                            const s3r_vocabulary_request *request,
                            s3r_vocabulary_report *report)
{
    static const char *const special[] = {"<pad>", "<s>", "</s>", "<unk>", "|"};
    s3r_vocabulary vocabulary;
    s3r_error err = {0};
    if (s3r_vocabulary_build(report, folder, manifest, 1, request, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(s3r_vocabulary_open(&vocabulary, folder, NULL, NULL, &err), S3R_OK);
    assert_int_equal(vocabulary.count, report->label_count);
    for (size_t i = 0; i < S3R_ARRAY_LEN(special); i++)
        assert_string_equal(vocabulary.labels[i], special[i]);
    assert_int_equal(vocabulary.blank_id, 0);
    assert_int_equal(vocabulary.unknown_id, 3);
    assert_int_equal(vocabulary.delimiter_id, 4);
    assert_int_equal(vocabulary.is_phonemes, request->unit == S3R_UNIT_OF_PHONES);
    return vocabulary;
}

static void test_units_of_scripts(void **state)
{
    (void)state;
    static const struct {
        s3r_vocabulary_unit unit;
        s3r_text_case text_case;
        bool keeps_punctuation;
        const char *texts[4];
        const char *units;
    } cases[] = {
        {S3R_UNIT_OF_CHARACTERS,
         S3R_CASE_LOWER,
         false,
         {"Bad cab!", "A-b, c'a"},
         "' - a b c d"},
        {S3R_UNIT_OF_CHARACTERS, S3R_CASE_UPPER, false, {"Bad cab"}, "A B C D"},
        {S3R_UNIT_OF_CHARACTERS, S3R_CASE_KEEP, false, {"Bad cab"}, "B a b c d"},
        {S3R_UNIT_OF_CHARACTERS, S3R_CASE_LOWER, true, {"Ab, c!"}, "! , a b c"},
        {S3R_UNIT_OF_CHARACTERS, S3R_CASE_LOWER, false, {"a|b"}, "a b"},
        {S3R_UNIT_OF_CHARACTERS,
         S3R_CASE_LOWER,
         false,
         {"e\u0301t\u00e9 Œuf"},
         "f t u é œ"},
        {S3R_UNIT_OF_CHARACTERS, S3R_CASE_LOWER, false, {"Ёж и уж"}, "ж и у ё"},
        {S3R_UNIT_OF_CHARACTERS, S3R_CASE_LOWER, false, {"नमस्ते"}, "त न म स े ्"},
        {S3R_UNIT_OF_GRAPHEMES, S3R_CASE_LOWER, false, {"नमस्ते"}, "ते न म स्"},
        {S3R_UNIT_OF_GRAPHEMES,
         S3R_CASE_LOWER,
         false,
         {"a\u0323\u0300 x\u0323"},
         "x\u0323 ạ\u0300"},
        {S3R_UNIT_OF_GRAPHEMES, S3R_CASE_LOWER, false, {"한국 어"}, "국 어 한"},
        {S3R_UNIT_OF_CHARACTERS, S3R_CASE_LOWER, false, {"你好。世界"}, "世 你 好 界"},
        {S3R_UNIT_OF_CHARACTERS, S3R_CASE_LOWER, false, {"بله، نه"}, "ب ل ن ه"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char found[1024];
        s3r_vocabulary_report report;
        s3r_vocabulary_request request = {.unit = cases[i].unit,
                                          .text_case = cases[i].text_case,
                                          .keeps_punctuation =
                                              cases[i].keeps_punctuation};
        s3r_manifest manifest = make_manifest("t.jsonl", cases[i].texts, NULL);
        s3r_vocabulary vocabulary = build(test_folder(), &manifest, &request, &report);
        join_units(found, sizeof found, &vocabulary);
        assert_string_equal(found, cases[i].units);
        s3r_vocabulary_close(&vocabulary);
        s3r_manifest_close(&manifest);
    }
}

/* Every text of the manifest at folder/name has labels. */
static void assert_encodes(const s3r_vocabulary *vocabulary, const char *folder,
                           const char *name, size_t count)
{
    s3r_manifest manifest;
    s3r_arena arena;
    s3r_error err = {0};
    s3r_arena_init(&arena, 1 << 14);
    if (s3r_manifest_open(&manifest, test_path(folder, name), &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(manifest.count, count);
    for (size_t i = 0; i < manifest.count; i++) {
        uint32_t *labels;
        size_t label_count;
        if (s3r_vocabulary_encode(vocabulary, manifest.items[i].text, &arena, &labels,
                                  &label_count, &err) != S3R_OK)
            fail_msg("%s", err.message);
        assert_true(label_count > 0);
        assert_non_null(strstr(manifest.items[i].audio_path, ".wav"));
    }
    s3r_manifest_close(&manifest);
    s3r_arena_release(&arena);
}

static void test_written_manifests_and_report(void **state)
{
    (void)state;
    static const char *const texts[] = {"Room 7, please.", "-", "!?", "yes",
                                        "no 2 3",          NULL};
    static const char *const plain[] = {"yes", "no", NULL};
    s3r_vocabulary_request request = {.text_case = S3R_CASE_LOWER};
    s3r_vocabulary_report report;
    s3r_error err = {0};
    const char *folder = test_folder();
    s3r_manifest manifest = make_manifest("dev.jsonl", texts, "en-GB");
    s3r_vocabulary vocabulary = build(folder, &manifest, &request, &report);
    assert_int_equal(report.utterance_count, 3);
    assert_int_equal(report.without_text, 2);
    assert_int_equal(report.with_digits, 2);
    assert_string_equal(report.digit_example, "room 7 please");
    assert_encodes(&vocabulary, folder, "dev.text.jsonl", 3);
    s3r_vocabulary_close(&vocabulary);

    /* A second vocabulary replaces the first only when that is asked for. */
    assert_int_equal(s3r_vocabulary_build(&report, folder, &manifest, 1, &request, &err),
                     S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "found vocab.json"));
    request.is_forced = true;
    request.language = "en";
    vocabulary = build(folder, &manifest, &request, &report);
    s3r_vocabulary_close(&vocabulary);
    request.language = "fr";
    assert_int_equal(s3r_vocabulary_build(&report, folder, &manifest, 1, &request, &err),
                     S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "found none of the language fr"));
    s3r_manifest same[] = {manifest, manifest};
    assert_int_equal(s3r_vocabulary_build(&report, folder, same, 2, &request, &err),
                     S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "different names"));
    s3r_manifest_close(&manifest);

    /* Written also when no text changed, so that it is what one trains on. */
    manifest = make_manifest("train.jsonl", plain, NULL);
    folder = test_folder();
    vocabulary = build(folder, &manifest, &request, &report);
    assert_int_equal(report.with_digits, 0);
    assert_true(s3r_path_exists(test_path(folder, "train.text.jsonl")));
    s3r_vocabulary_close(&vocabulary);
    s3r_manifest_close(&manifest);
}

static bool has_espeak(void)
{
    const char *const arguments[] = {"espeak-ng", "--version", NULL};
    const s3r_process process = {.arguments = arguments, .max_output_bytes = 4096};
    char *output = NULL;
    size_t size;
    bool is_there = s3r_process_run(&process, &output, &size, NULL, NULL) == S3R_OK;
    s3r_free(output);
    return is_there;
}

/* Phones change with the version of espeak-ng; what is asserted here should not. */
static void test_phones(void **state)
{
    (void)state;
    static const char *const texts[] = {"the chair", "please", "x", "machine", NULL};
    if (!has_espeak())
        skip();
    s3r_vocabulary_request request = {.unit = S3R_UNIT_OF_PHONES, .language = "en"};
    s3r_vocabulary_report report;
    const char *folder = test_folder();
    s3r_manifest manifest = make_manifest("a.b.jsonl", texts, NULL);
    s3r_vocabulary vocabulary = build(folder, &manifest, &request, &report);
    assert_encodes(&vocabulary, folder, "a.b.phones.jsonl", 4);
    assert_true(s3r_vocabulary_find(&vocabulary, "tʃ") != S3R_NO_LABEL);
    assert_true(s3r_vocabulary_find(&vocabulary, "iː") != S3R_NO_LABEL);
    for (size_t i = 5; i < vocabulary.count; i++) {
        assert_null(strstr(vocabulary.labels[i], "ˈ"));
        assert_null(strstr(vocabulary.labels[i], " "));
    }
    s3r_vocabulary_close(&vocabulary);
    s3r_manifest_close(&manifest);

    s3r_error err;
    manifest = make_manifest("a.jsonl", texts, "tlh-x");
    request.language = NULL;
    assert_int_equal(
        s3r_vocabulary_build(&report, test_folder(), &manifest, 1, &request, &err),
        S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "espeak-ng has no voice \"tlh-x\""));
    s3r_manifest_close(&manifest);
    manifest = make_manifest("a.jsonl", texts, NULL);
    assert_int_equal(
        s3r_vocabulary_build(&report, test_folder(), &manifest, 1, &request, &err),
        S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "phones need a language"));
    s3r_manifest_close(&manifest);
}

/* Many texts together, some swallowed and some long, must be what each is alone. */
static void test_phones_of_batches(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    static char texts[COUNT][700];
    const char *pointers[COUNT], *together[COUNT], *alone;
    s3r_error err = {0};
    if (!has_espeak())
        skip();
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "%s %s", i % 2 ? "les amis" : "une baleine",
                 i % 3 ? "bleue" : "rouge");
        for (size_t k = 0; i % 16 == 5 && k < 30; k++)
            strcat(texts[i], " et une autre baleine");
        pointers[i] = i % 11 == 3 ? "+" : texts[i];
    }
    s3r_arena arena;
    s3r_arena_init(&arena, 1 << 16);
    if (s3r_phones_make(together, &arena, pointers, COUNT, "fr", &err) != S3R_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < COUNT; i += 3) {
        assert_int_equal(s3r_phones_make(&alone, &arena, &pointers[i], 1, "fr", &err),
                         S3R_OK);
        assert_string_equal(together[i], alone);
    }
    assert_true(strlen(together[5]) > strlen(together[1]) * 20);
    s3r_arena_release(&arena);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    s3r_vocabulary_report report;
    s3r_vocabulary_request request = {.text_case = S3R_CASE_LOWER, .is_forced = true};
    static const char *folder;
    if (!folder)
        folder = test_folder();
    return s3r_vocabulary_build(&report, folder, context, 1, &request, err);
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    static const char *const texts[] = {"Été", "ok", NULL};
    s3r_manifest manifest = make_manifest("t.jsonl", texts, NULL);
    test_survives_alloc_faults(attempt, &manifest);
    s3r_manifest_close(&manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units_of_scripts),
        cmocka_unit_test(test_written_manifests_and_report),
        cmocka_unit_test(test_phones),
        cmocka_unit_test(test_phones_of_batches),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
