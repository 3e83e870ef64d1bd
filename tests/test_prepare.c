/*
 * From a layout to manifests and what is left out; problems of manifests; counts; draws.
 * Audio is written by the test: silence-like tones of known length.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "base/file.h"
#include "data/manifest_check.h"
#include "data/manifest_draw.h"
#include "data/manifest_stats.h"
#include "data/prepare.h"
#include "data/text_split.h"
#include "support_audio.h"
#include "support_files.h"

#define RATE_HZ 8000u

static float frames[4 * RATE_HZ];

/* A WAV of so many seconds; equal tones give equal bytes. */
static const char *write_wav(const char *folder, const char *name, double seconds,
                             double tone)
{
    const char *path = test_path(folder, name);
    size_t count = (size_t)(seconds * RATE_HZ);
    for (size_t i = 0; i < count; i++)
        frames[i] = (float)(0.1 * sin(tone * (double)i));
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, RATE_HZ, 1, frames, count);
    return path;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    test_write_file(test_path(folder, name), text, strlen(text));
}

static s3r_pool *pool_of(size_t threads)
{
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, threads, NULL), S3R_OK);
    return pool;
}

/* ---- prepare ---- */

static const char table[] = "path,text,lang,split\n"
                            "a.wav,one two,en,\n"
                            "same.wav,three,en,\n"
                            "short.wav,a,en,\n"
                            "fast.wav,much too much text for a second of it,en,\n"
                            "missing.wav,four,en,\n"
                            "text.wav,five,en,\n"
                            "empty.wav, ,en,\n"
                            "long.wav,six,en,\n"
                            "b.wav,sieben,de,\n";

static const char *make_corpus(void)
{
    const char *folder = test_folder();
    write_wav(folder, "a.wav", 1, 0.1);
    write_wav(folder, "same.wav", 1, 0.1);
    write_wav(folder, "short.wav", 0.3, 0.2);
    write_wav(folder, "fast.wav", 1, 0.3);
    write_wav(folder, "empty.wav", 1, 0.4);
    write_wav(folder, "long.wav", 3, 0.5);
    write_wav(folder, "b.wav", 2, 0.6);
    write_text(folder, "text.wav", "this is no audio");
    write_text(folder, "metadata.csv", table);
    return folder;
}

static s3r_prepare_options prepare_options(const char *source, const char *out)
{
    return (s3r_prepare_options){.layouts = "huggingface",
                                 .source = source,
                                 .folder = out,
                                 .max_rate = 26,
                                 .min_seconds = 0.4};
}

static size_t dropped(const s3r_prepare_report *report, const char *reason)
{
    for (const s3r_drop_count *drop = report->corpus.dropped_reasons; drop;
         drop = drop->next)
        if (strcmp(drop->reason, reason) == 0)
            return drop->count;
    return 0;
}

static s3r_manifest open_manifest(const char *folder, const char *name)
{
    s3r_manifest manifest;
    s3r_error err = {.message = ""};
    if (s3r_manifest_open(&manifest, test_path(folder, name), &err) != S3R_OK)
        fail_msg("%s", err.message);
    return manifest;
}

static void test_prepare_layout(void **state)
{
    (void)state;
    const char *source = make_corpus(), *out = test_path(test_folder(), "new/folder");
    s3r_prepare_options options = prepare_options(source, out);
    s3r_prepare_report report;
    s3r_pool *pool = pool_of(2);
    s3r_error err = {.message = ""};
    assert_int_equal(s3r_prepare(&report, pool, &options, &err), S3R_OK);
    assert_int_equal(report.row_count, 2);
    assert_string_equal(report.rows[0].language, "de");
    assert_string_equal(report.rows[1].split, "all");
    /* Uncleaned: repeated, short and fast clips stay. */
    assert_int_equal(report.rows[1].clips, 5);
    assert_int_equal(report.rows[1].words, 2 + 1 + 1 + 9 + 1);
    assert_true(fabs(report.rows[1].seconds - 6.3) < 1e-9);
    assert_int_equal(report.corpus.dropped, 3);
    assert_int_equal(dropped(&report, "unreadable audio"), 2);
    assert_int_equal(dropped(&report, "empty text"), 1);
    s3r_prepare_report_release(&report);
    s3r_pool_destroy(pool);

    s3r_manifest manifest = open_manifest(out, "all.jsonl");
    assert_int_equal(manifest.count, 6);
    assert_string_equal(manifest.items[0].id, "a.wav");
    assert_true(manifest.items[0].duration_s == 1);
    assert_true(
        s3r_path_is_same(manifest.items[0].audio_path, test_path(source, "a.wav")));
    s3r_manifest_close(&manifest);

    unsigned char bytes[4096] = {0};
    test_read_file(test_path(out, "dropped.tsv"), bytes, sizeof bytes - 1);
    assert_non_null(strstr((char *)bytes, "reason\tid\taudio\tdetail\n"));
    assert_non_null(strstr((char *)bytes, "\nunreadable audio\ttext.wav\t"));
    assert_non_null(strstr((char *)bytes, "missing.wav\tcannot open: "));
}

static void test_prepare_text(void **state)
{
    (void)state;
    const char *source = make_corpus(), *out = test_folder();
    s3r_prepare_options options = prepare_options(source, out);
    s3r_prepare_report report;
    s3r_pool *pool = pool_of(1);
    s3r_error err = {.message = ""};
    options.split = S3R_SPLIT_TEXT;
    options.language = "en";
    options.max_seconds = 2.5;
    options.is_by_language = true;
    assert_int_equal(s3r_prepare(&report, pool, &options, &err), S3R_OK);
    assert_int_equal(dropped(&report, "another language"), 1);
    assert_int_equal(dropped(&report, "audio that is there already"), 1);
    assert_int_equal(dropped(&report, "shorter than the least duration"), 1);
    assert_int_equal(dropped(&report, "longer than the greatest duration"), 1);
    assert_int_equal(dropped(&report, "too short for its text"), 1);
    assert_int_equal(report.row_count, 1);
    assert_int_equal(report.rows[0].clips, 1);
    assert_string_equal(report.rows[0].split, s3r_text_split("en", "one two"));
    char name[64];
    snprintf(name, sizeof name, "en/%s.jsonl", report.rows[0].split);
    s3r_manifest manifest = open_manifest(out, name);
    assert_int_equal(manifest.count, 1);
    s3r_manifest_close(&manifest);
    s3r_prepare_report_release(&report);
    s3r_pool_destroy(pool);
}

static void test_prepare_refuses(void **state)
{
    (void)state;
    const char *source = make_corpus(), *out = test_folder();
    static const struct {
        const char *layouts, *source, *language;
        s3r_status status;
        const char *said;
    } cases[] = {
        {"huggingfac", "", NULL, S3R_ERR_USAGE, "layout: expected one of librispeech, "},
        {"huggingfac", "", NULL, S3R_ERR_USAGE, "(did you mean \"huggingface\"?)"},
        {"kaldi", NULL, NULL, S3R_ERR_USAGE, "layout kaldi: expected the folder"},
        {"kaldi", "no/such", NULL, S3R_ERR_DATA, "no/such: expected data in the layout"},
        {"huggingface", "", "fr", S3R_ERR_DATA,
         "found none that stays: another language (9)"},
        {"huggingface,kaldi", "", NULL, S3R_ERR_DATA, "expected wav.scp"},
    };
    s3r_pool *pool = pool_of(1);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *from =
            cases[i].source && !*cases[i].source ? source : cases[i].source;
        s3r_prepare_options options = prepare_options(from, out);
        s3r_prepare_report report;
        s3r_error err = {.message = ""};
        options.layouts = cases[i].layouts;
        options.language = cases[i].language;
        s3r_status status = s3r_prepare(&report, pool, &options, &err);
        s3r_prepare_report_release(&report);
        if (status != cases[i].status || !strstr(err.message, cases[i].said))
            fail_msg("case %zu: status %d, %s", i, (int)status, err.message);
    }
    s3r_pool_destroy(pool);
}

/* Parts of one recording: those beyond its end go, equal parts are one. */
static void test_prepare_segments(void **state)
{
    (void)state;
    const char *source = test_folder(), *out = test_folder();
    char scp[600];
    s3r_prepare_options options = prepare_options(source, out);
    s3r_prepare_report report;
    s3r_pool *pool = pool_of(1);
    s3r_error err = {.message = ""};
    snprintf(scp, sizeof scp, "r %s\n", write_wav(source, "r.wav", 3, 0.1));
    write_text(source, "wav.scp", scp);
    write_text(source, "segments",
               "a r 0 1\nb r 1 2\nc r 1 2\nd r 2 3.04\ne r 2 3.5\nf r 1.5 -1\n");
    write_text(source, "text", "a one\nb two\nc two\nd three\ne four\nf five\n");
    options.layouts = "kaldi";
    options.is_cleaned = true;
    assert_int_equal(s3r_prepare(&report, pool, &options, &err), S3R_OK);
    assert_int_equal(report.corpus.count, 4);
    assert_int_equal(dropped(&report, "beyond the end of its file"), 1);
    assert_int_equal(dropped(&report, "audio that is there already"), 1);
    assert_true(report.corpus.items[2].utterance.duration_s == 1); /* cut to the end */
    assert_true(report.corpus.items[3].utterance.duration_s == 1.5);
    s3r_prepare_report_release(&report);
    s3r_pool_destroy(pool);
}

/* MD5 of "LANGUAGE|TEXT" modulo 10; the values are Python's hashlib. */
static void test_text_split(void **state)
{
    (void)state;
    static const struct {
        const char *language, *text, *split;
    } cases[] = {
        {"en", "one two", "train"},    {"cs", "ano", "train"},   {NULL, "ano", "train"},
        {"fr", "caf\xC3\xA9", "test"}, {"en", "hello", "train"}, {"en", "t", "dev"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        assert_string_equal(s3r_text_split(cases[i].language, cases[i].text),
                            cases[i].split);
}

/* ---- check ---- */

typedef struct problem_log {
    char text[4096];
    size_t used;
} problem_log;

static s3r_status log_problem(void *context, size_t manifest,
                              const s3r_utterance *utterance, s3r_problem problem,
                              const char *message)
{
    problem_log *log = context;
    log->used += (size_t)snprintf(log->text + log->used, sizeof log->text - log->used,
                                  "%zu:%zu %s: %s\n", manifest, utterance->line,
                                  s3r_problem_name(problem), message);
    return S3R_OK;
}

static void parse_below(s3r_manifest *manifest, const char *folder, const char *name,
                        const char *text)
{
    s3r_error err = {.message = ""};
    const char *path = test_path(folder, name);
    if (s3r_manifest_parse(manifest, text, strlen(text), path, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

#define WAV(name) "{\"audio_filepath\":\"" name "\","

static void test_check(void **state)
{
    (void)state;
    const char *folder = make_corpus();
    s3r_manifest manifests[2];
    s3r_check_options options = {.frame_s = 0.02, .max_rate = 26, .min_rate = 4};
    problem_log log = {.used = 0};
    size_t failed = 0;
    s3r_error err = {.message = ""};
    s3r_pool *pool = pool_of(2);
    parse_below(&manifests[0], folder, "train.jsonl",
                WAV("a.wav") "\"text\":\"one two\"}\n"            /* */
                WAV("missing.wav") "\"text\":\"x\"}\n"            /* */
                WAV("text.wav") "\"text\":\"y\"}\n"               /* */
                WAV("b.wav") "\"duration\":2.5,\"text\":\"z\"}\n" /* */
                WAV("empty.wav") "\"text\":\" \"}\n"              /* */
                WAV("long.wav") "\"id\":\"none\"}\n"              /* */
                WAV("long.wav") "\"text\":\"six\",\"id\":\"six\",\"duration\":2.9}\n");
    parse_below(
        &manifests[1], folder, "test.jsonl",
        WAV("fast.wav") "\"text\":\"much too much text for a second of it\"}\n" WAV(
            "same.wav") "\"duration\":1,\"text\":\"three\"}\n" /* */
        WAV("short.wav") "\"text\":\"one two\"}\n" /* another language is another text */
        WAV("b.wav") "\"text\":\"one two\",\"lang\":\"it\"}\n");
    assert_int_equal(s3r_manifest_check(manifests, 2, pool, &options, log_problem, &log,
                                        &failed, &err),
                     S3R_OK);
    char expected[4096];
    snprintf(expected, sizeof expected,
             "0:2 unreadable: %s/missing.wav: cannot open: No such file or directory\n"
             "0:3 unreadable: %s\n"
             "0:4 beyond-end: expected audio from 0.000 to 2.500 s, found 2.000 s\n"
             "0:5 no-text: the text is empty\n"
             "0:6 no-text: there is no key \"text\"\n"
             "0:7 too-long: 2.90 s for 3 characters: expected at least 4 a second\n"
             "1:1 too-short: 1.00 s for 37 characters: expected at most 26 a second\n"
             "1:2 same-audio: also in %s/train.jsonl, line 1\n"
             "1:3 same-text: also in %s/train.jsonl, line 1\n",
             folder, "REASON", folder, folder);
    /* What libsndfile and ffmpeg say of no audio is theirs. */
    char *reason = strstr(log.text, "0:3 unreadable: ");
    assert_non_null(reason);
    char *end = strchr(reason, '\n');
    memmove(reason + 16 + 6, end, strlen(end) + 1);
    memcpy(reason + 16, "REASON", 6);
    assert_string_equal(log.text, expected);
    assert_int_equal(failed, 9);

    log = (problem_log){.used = 0};
    memset(options.is_ignored, 1, sizeof options.is_ignored);
    assert_int_equal(s3r_manifest_check(manifests, 2, pool, &options, log_problem, &log,
                                        &failed, &err),
                     S3R_OK);
    assert_int_equal(failed, 0);
    assert_string_equal(log.text, "");
    s3r_manifest_close(&manifests[0]);
    s3r_manifest_close(&manifests[1]);
    s3r_pool_destroy(pool);
}

static void test_check_vocabulary(void **state)
{
    (void)state;
    const char *folder = make_corpus();
    static const char labels[] =
        "{\"<pad>\":0,\"<unk>\":1,\"|\":2,\"a\":3,\"b\":4,\"c\":5}";
    s3r_vocabulary vocabulary;
    s3r_manifest manifest;
    s3r_check_options options = {.frame_s = 0.2, .vocabulary = &vocabulary};
    problem_log log = {.used = 0};
    size_t failed = 0;
    s3r_error err = {.message = ""};
    s3r_pool *pool = pool_of(1);
    write_text(folder, "vocab.json", labels);
    if (s3r_vocabulary_open(&vocabulary, folder, NULL, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
    parse_below(&manifest, folder, "m.jsonl",
                WAV("a.wav") "\"text\":\"abc\"}\n"     /* 3 labels, 5 frames */
                WAV("fast.wav") "\"text\":\"aaab\"}\n" /* 4 labels, 2 repeats, 5 frames */
                WAV("empty.wav") "\"text\":\"axb\"}\n");
    assert_int_equal(s3r_manifest_check(&manifest, 1, pool, &options, log_problem, &log,
                                        &failed, &err),
                     S3R_OK);
    assert_int_equal(failed, 2);
    assert_non_null(strstr(log.text, "0:2 too-short: 1.00 s are 5 frames: expected at "
                                     "least 6 for the labels\n0:3 vocabulary: "));
    s3r_manifest_close(&manifest);
    s3r_vocabulary_close(&vocabulary);
    s3r_pool_destroy(pool);
}

/* ---- stats ---- */

static void test_stats(void **state)
{
    (void)state;
    s3r_manifest manifest;
    s3r_manifest_stats stats;
    const double durations[] = {1, 4, 2, -1};
    parse_below(&manifest, "x", "m.jsonl",
                WAV("a") "\"text\":\"ab a\",\"speaker\":\"s\"}\n"         /* */
                WAV("b") "\"text\":\"\xC3\xA9  ab\",\"speaker\":\"s\"}\n" /* */
                WAV("c") "\"speaker\":\"t\"}\n"                           /* */
                WAV("d") "\"text\":\"a\"}\n");
    assert_int_equal(s3r_manifest_stats_make(&stats, &manifest, durations, NULL), S3R_OK);
    assert_int_equal(stats.clips, 4);
    assert_int_equal(stats.clips_with_text, 3);
    assert_int_equal(stats.unmeasured, 1);
    assert_true(stats.seconds == 7);
    assert_true(stats.least_s == 1 && stats.median_s == 2 && stats.greatest_s == 4);
    assert_int_equal(stats.speakers, 2);
    assert_int_equal(stats.clips_with_speaker, 3);
    assert_int_equal(stats.words, 5);
    assert_int_equal(stats.distinct_words, 3);
    assert_int_equal(stats.characters, 10);
    assert_true(stats.rate_least == 1.25 && stats.rate_greatest == 4);
    assert_true(stats.rate_median == 2.625);
    assert_int_equal(stats.bins[2], 1); /* 1 to 2 s */
    assert_int_equal(stats.bins[3], 1);
    assert_int_equal(stats.bins[4], 1);
    static const s3r_character_count expected[] = {
        {' ', 3}, {'a', 4}, {'b', 2}, {0xE9, 1}};
    assert_int_equal(stats.inventory_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(stats.inventory[i].character, expected[i].character);
        assert_int_equal(stats.inventory[i].count, expected[i].count);
    }
    s3r_manifest_stats_release(&stats);
    s3r_manifest_close(&manifest);
}

/* ---- draws ---- */

#define DRAWN 200u

/* A manifest of DRAWN lines, forwards or backwards. */
static void make_lines(s3r_manifest *manifest, double *durations, bool is_backwards)
{
    static char text[DRAWN * 80];
    size_t used = 0;
    for (size_t i = 0; i < DRAWN; i++) {
        size_t number = is_backwards ? DRAWN - 1 - i : i;
        durations[i] = 1 + (double)(number % 7);
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 WAV("%zu.wav") "\"text\":\"t%zu\"}\n", number, number);
    }
    parse_below(manifest, "x", "m.jsonl", text);
}

static void test_draw(void **state)
{
    (void)state;
    s3r_manifest forwards, backwards;
    double durations[DRAWN], reversed[DRAWN], drawn_s = 0, more_s = 0;
    bool chosen[DRAWN], more[DRAWN], other[DRAWN];
    s3r_error err = {.message = ""};
    make_lines(&forwards, durations, false);
    make_lines(&backwards, reversed, true);
    assert_int_equal(
        s3r_manifest_draw(&forwards, durations, 60, 7, chosen, &drawn_s, &err), S3R_OK);
    assert_true(drawn_s >= 60 && drawn_s < 67);
    double sum = 0;
    for (size_t i = 0; i < DRAWN; i++)
        sum += chosen[i] ? durations[i] : 0;
    assert_true(sum == drawn_s);
    /* More with the same seed has all of it; the order of lines does not matter. */
    assert_int_equal(s3r_manifest_draw(&forwards, durations, 300, 7, more, &more_s, &err),
                     S3R_OK);
    assert_int_equal(s3r_manifest_draw(&backwards, reversed, 60, 7, other, &more_s, &err),
                     S3R_OK);
    for (size_t i = 0; i < DRAWN; i++) {
        assert_true(!chosen[i] || more[i]);
        assert_int_equal(chosen[i], other[DRAWN - 1 - i]);
    }
    /* Another seed draws others. */
    assert_int_equal(s3r_manifest_draw(&forwards, durations, 60, 8, other, &more_s, &err),
                     S3R_OK);
    assert_int_not_equal(memcmp(chosen, other, sizeof chosen), 0);
    assert_int_equal(
        s3r_manifest_draw(&forwards, durations, 6000, 7, chosen, &drawn_s, &err),
        S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "m.jsonl: expected 100.00 minutes, found 13."));
    s3r_manifest_close(&forwards);
    s3r_manifest_close(&backwards);
}

/* ---- memory ---- */

static void test_alloc_faults(void **state)
{
    (void)state;
    const char *source = test_folder(), *out = test_folder();
    s3r_prepare_options options = prepare_options(source, out);
    s3r_pool *pool = pool_of(1);
    s3r_status status = S3R_ERR_RESOURCE;
    write_wav(source, "a.wav", 1, 0.1);
    write_wav(source, "b.wav", 1, 0.2);
    write_text(source, "train.csv", "path,text\na.wav,caf\xC3\xA9\nb.wav,x\n");
    options.split = S3R_SPLIT_TEXT;
    for (size_t n = 1; status != S3R_OK; n++) {
        s3r_prepare_report report;
        s3r_error err = {.message = ""};
        s3r_alloc_fail_at(n);
        status = s3r_prepare(&report, pool, &options, &err);
        s3r_alloc_fail_at(0);
        s3r_prepare_report_release(&report);
        if (status != S3R_OK && status != S3R_ERR_RESOURCE)
            fail_msg("allocation %zu: %s", n, err.message);
    }
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prepare_layout),
        cmocka_unit_test(test_prepare_text),
        cmocka_unit_test(test_prepare_refuses),
        cmocka_unit_test(test_prepare_segments),
        cmocka_unit_test(test_text_split),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_vocabulary),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_alloc_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
