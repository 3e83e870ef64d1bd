/*
 * Manifests: what is read, every way in which a line can be wrong, what is written, and
 * the samples of a part of a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "data/line_reader.h"
#include "data/manifest.h"
#include "data/manifest_place.h"
#include "support_audio.h"
#include "support_files.h"

static s3r_status parse(s3r_manifest *manifest, const char *text, s3r_error *err)
{
    return s3r_manifest_parse(manifest, text, strlen(text), "set/m.jsonl", err);
}

static void test_reads_keys(void **state)
{
    (void)state;
    s3r_manifest manifest = {0};
    s3r_error err = {.message = ""};
    const char *text =
        "\xEF\xBB\xBF{\"audio_filepath\":\"a/b.wav\",\"text\":\"  caf\\u0065\\u0301 \","
        "\"duration\":2,\"lang\":\"fr\",\"speaker\":\"s1\",\"more\":[1]}\r\n"
        "\n"
        "  \t\r\n"
        "{\"audio_filepath\":\"/x/c.wav\",\"offset\":1.5,\"text\":null,\"id\":null}\n"
        "{\"audio_filepath\":\"/x/c.wav\",\"id\":\"third\",\"text\":\"\",\"offset\":0}";
    assert_int_equal(parse(&manifest, text, &err), S3R_OK);
    assert_int_equal(manifest.count, 3);
    const s3r_utterance *item = manifest.items;
    assert_string_equal(item[0].id, "a/b.wav");
    assert_string_equal(item[0].audio_path, "set/a/b.wav");
    assert_string_equal(item[0].text, "caf\xC3\xA9"); /* composed */
    assert_string_equal(item[0].language, "fr");
    assert_string_equal(item[0].speaker, "s1");
    assert_true(item[0].duration_s == 2 && item[0].offset_s == 0);
    assert_int_equal(item[0].line, 1);
    assert_string_equal(item[1].id, "/x/c.wav@1.5");
    assert_string_equal(item[1].audio_path, "/x/c.wav");
    assert_null(item[1].text);
    assert_null(item[1].language);
    assert_true(item[1].duration_s < 0 && item[1].offset_s == 1.5);
    assert_int_equal(item[1].line, 4);
    assert_string_equal(item[2].id, "third");
    assert_string_equal(item[2].text, "");
    s3r_manifest_close(&manifest);
}

/* "-" in a manifest is a file of that name, not standard input. */
static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *label, *written, *read;
    } cases[] = {
        {"m.jsonl", "a.wav", "a.wav"},   {"m.jsonl", "-", "./-"},
        {"/m.jsonl", "a.wav", "/a.wav"}, {"x/y/m.jsonl", "../a.wav", "x/y/../a.wav"},
        {"x/m.jsonl", "-", "x/-"},       {"x/m.jsonl", "/a b.wav", "/a b.wav"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_manifest manifest;
        char line[128];
        snprintf(line, sizeof line, "{\"audio_filepath\":\"%s\"}", cases[i].written);
        assert_int_equal(
            s3r_manifest_parse(&manifest, line, strlen(line), cases[i].label, NULL),
            S3R_OK);
        assert_string_equal(manifest.items[0].audio_path, cases[i].read);
        s3r_manifest_close(&manifest);
    }
}

#define A "{\"audio_filepath\":\"a.wav\""

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "set/m.jsonl: expected utterances, found none"},
        {"\n \r\n", "expected utterances, found none"},
        {"\xFF\xFE{\0", "expected UTF-8, found UTF-16"},
        {"\xFE\xFF", "expected UTF-8, found UTF-16"},
        {A "}\n" A ",\"text\":\"caf\xE9\"}",
         "line 2: byte 38: expected UTF-8, found the byte 0xe9 (Latin-1?)"},
        {"{", "line 1: byte 1: expected a JSON object: "},
        {A "} {}", "line 1: byte "},
        {A ",\"text\":\"a\",\"text\":\"b\"}", "duplicate"},
        {A ",\"text\":\"a\\u0000b\"}", "\\u0000"},
        {"[1]", "line 1: expected a JSON object, found an array"},
        {"{}", "line 1: \"audio_filepath\": expected a path, found no such key"},
        {"{\"path\":\"a.wav\"}", "\"audio_filepath\": expected a path, found path"},
        {"{\"audio_filepath\":\"\"}", "expected a path, found an empty string"},
        {"{\"audio_filepath\":\"a\",\"id\":\"\"}",
         "\"id\": expected a name, found an empty string"},
        {"{\"audio_filepath\":7}",
         "\"audio_filepath\": expected a string, found a number"},
        {A ",\"text\":[]}", "\"text\": expected a string, found an array"},
        {A ",\"lang\":true}", "\"lang\": expected a string, found true"},
        {A ",\"speaker\":{}}", "\"speaker\": expected a string, found an object"},
        {A ",\"duration\":\"3\"}", "\"duration\": expected seconds, found a string"},
        {A ",\"duration\":-1}",
         "\"duration\": expected 1e-06 to 86400 seconds, found -1"},
        {A ",\"duration\":0}", "\"duration\": expected 1e-06 to 86400 seconds, found 0"},
        {A ",\"duration\":1e9}", "to 86400 seconds, found 1e+09"},
        {A ",\"offset\":-0.5}", "\"offset\": expected 0 to 1e+07 seconds, found -0.5"},
        {A "}\n\n" A "}",
         "line 3: \"id\": expected a new one, found \"a.wav\" of line 1"},
        {A ",\"id\":\"x\"}\n" A ",\"id\":\"x\"}", "found \"x\" of line 1 again"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_manifest manifest = {0};
        s3r_error err = {.message = ""};
        if (parse(&manifest, cases[i].text, &err) != S3R_ERR_DATA)
            fail_msg("case %zu was not refused: %s", i, cases[i].text);
        if (!strstr(err.message, cases[i].said))
            fail_msg("case %zu: expected \"%s\" in \"%s\"", i, cases[i].said,
                     err.message);
    }
}

/* A zero byte inside: the text of a UTF-16 file without its mark. */
static void test_refuses_zero_bytes(void **state)
{
    (void)state;
    s3r_manifest manifest = {0};
    s3r_error err = {.message = ""};
    assert_int_equal(s3r_manifest_parse(&manifest, "{\0\"\0a\0", 6, "m", &err),
                     S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "m: line 1: byte 2: expected UTF-8"));
    assert_non_null(strstr(err.message, "UTF-16"));
}

static void test_refuses_endless_line(void **state)
{
    (void)state;
    size_t size = (size_t)100 << 20;
    char *bytes = malloc(size);
    s3r_manifest manifest = {0};
    s3r_error err = {.message = ""};
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    assert_int_equal(s3r_manifest_parse(&manifest, bytes, size, "m", &err), S3R_ERR_DATA);
    assert_string_equal(err.message,
                        "m: line 1: expected at most 1048576 bytes, found more");
    free(bytes);
}

static void test_missing_file(void **state)
{
    (void)state;
    s3r_manifest manifest = {0};
    s3r_error err = {.message = ""};
    assert_int_equal(s3r_manifest_open(&manifest, "no/such.jsonl", &err), S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "no/such.jsonl: cannot open"));
}

/* Values of the first version: they seed random draws and must stay for ever. */
static void test_keys_are_stable(void **state)
{
    (void)state;
    static const struct {
        const char *id, *text;
        uint64_t key;
    } cases[] = {
        {"a", "b", 0xd3461d6c74be059bu},
        {"a", NULL, 0xc0aa3b4404bb8bdbu},
        {"", "", 0xf7e91ea809786c86u},
        {"ab", "", 0xd167b5ba05a052eau},
        {"dev/1.wav", "caf\xC3\xA9", 0xfe63a9c4cf9df4e1u},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        assert_true(s3r_utterance_key(cases[i].id, cases[i].text) == cases[i].key);
}

/* ---- writing ---- */

static void test_save_and_open(void **state)
{
    (void)state;
    const char *path = test_path(test_folder(), "m.jsonl");
    const s3r_utterance items[] = {
        {.id = "one",
         .audio_path = "/a.wav",
         .duration_s = 1.23456789,
         .text = "a \"b\""},
        {.id = "two",
         .audio_path = "b\tc.wav",
         .offset_s = 0.1,
         .duration_s = -1,
         .language = "cs",
         .speaker = "x"},
    };
    s3r_manifest manifest;
    s3r_error err = {.message = ""};
    assert_int_equal(s3r_manifest_save(path, items, 2, &err), S3R_OK);
    assert_int_equal(s3r_manifest_open(&manifest, path, &err), S3R_OK);
    assert_int_equal(manifest.count, 2);
    assert_string_equal(manifest.items[0].id, "one");
    assert_string_equal(manifest.items[0].audio_path, "/a.wav");
    assert_true(manifest.items[0].duration_s == 1.234568); /* microseconds */
    assert_string_equal(manifest.items[0].text, "a \"b\"");
    assert_null(manifest.items[0].language);
    assert_true(manifest.items[1].offset_s == 0.1);
    assert_true(manifest.items[1].duration_s < 0);
    assert_null(manifest.items[1].text);
    assert_string_equal(manifest.items[1].language, "cs");
    assert_string_equal(manifest.items[1].speaker, "x");
    assert_true(manifest.items[0].key == s3r_utterance_key("one", "a \"b\""));
    s3r_manifest_close(&manifest);
}

static void test_save_refuses_latin1(void **state)
{
    (void)state;
    const char *path = test_path(test_folder(), "m.jsonl");
    const s3r_utterance item = {
        .id = "one", .audio_path = "caf\xE9.wav", .duration_s = -1};
    s3r_error err = {.message = ""};
    assert_int_equal(s3r_manifest_save(path, &item, 1, &err), S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "a manifest is UTF-8"));
    assert_false(s3r_path_exists(path));
}

/* Audio below the manifest's folder is named relative to it; ids become unique. */
static void test_place(void **state)
{
    (void)state;
    const char *folder = test_folder(), *other = test_folder();
    const char *inside = test_path(folder, "in.wav"), *out = test_path(other, "out.wav");
    const char *path = test_path(folder, "m.jsonl");
    const s3r_utterance items[] = {
        {.id = "x", .audio_path = inside, .duration_s = 1},
        {.id = "x", .audio_path = out, .duration_s = 2},
        {.id = "x#2", .audio_path = out, .offset_s = 1, .duration_s = 2},
        {.id = "x", .audio_path = out, .offset_s = 2, .duration_s = 2},
    };
    static const char *const ids[] = {"x", "x#2", "x#2#2", "x#3"};
    s3r_manifest manifest;
    s3r_error err = {.message = ""};
    test_write_file(inside, "", 0);
    test_write_file(out, "", 0);
    assert_int_equal(s3r_manifest_place(path, items, 4, &err), S3R_OK);
    assert_int_equal(s3r_manifest_open(&manifest, path, &err), S3R_OK);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(manifest.items[i].id, ids[i]);
    assert_true(s3r_path_is_same(manifest.items[0].audio_path, inside));
    assert_true(s3r_path_is_same(manifest.items[1].audio_path, out));
    s3r_manifest_close(&manifest);
    unsigned char bytes[2048] = {0};
    assert_true(test_read_file(path, bytes, sizeof bytes - 1) > 0);
    assert_non_null(strstr((char *)bytes, "\"audio_filepath\":\"in.wav\""));
    assert_null(strstr((char *)bytes, "\"audio_filepath\":\"out.wav\""));
}

/* ---- samples ---- */

static void test_load_part(void **state)
{
    (void)state;
    static const struct {
        double offset_s, duration_s;
        size_t first, count; /* count 0: an error */
    } cases[] = {
        {0, -1, 0, 8000},
        {0, 0.5, 0, 8000},
        {0, 0.25, 0, 4000},
        {0.25, -1, 4000, 4000},
        {0.1, 0.0000625, 1600, 1},
        {0.25, 0.29, 4000, 4000},
        {0, 0.549, 0, 8000},
        {0, 0.6, 0, 0},
        {0.5, -1, 0, 0},
        {0.25, 0.31, 0, 0},
        {7, 1, 0, 0},
        {0.1, 0.000001, 0, 0},
    };
    const char *path =
        test_write_tone("part.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, 8000);
    s3r_audio whole = test_load_audio(path, NULL);
    s3r_audio_cache cache = {0};
    for (size_t i = 0; i < 2 * S3R_ARRAY_LEN(cases); i++) {
        s3r_utterance item = {.id = "x",
                              .audio_path = path,
                              .offset_s = cases[i / 2].offset_s,
                              .duration_s = cases[i / 2].duration_s};
        s3r_audio part;
        s3r_error err = {.message = ""};
        bool is_cached = i % 2 == 1;
        s3r_status status =
            is_cached ? s3r_utterance_load_cached(&part, &cache, &item, NULL, &err)
                      : s3r_utterance_load(&part, &item, NULL, &err);
        if (cases[i / 2].count == 0) {
            assert_int_equal(status, S3R_ERR_DATA);
            assert_non_null(strstr(err.message, "utterance \"x\""));
            continue;
        }
        assert_int_equal(status, S3R_OK);
        assert_int_equal(part.sample_count, cases[i / 2].count);
        assert_memory_equal(part.samples, whole.samples + cases[i / 2].first,
                            cases[i / 2].count * sizeof(float));
        assert_int_equal((uintptr_t)part.samples % 64, 0);
        s3r_audio_release(&part);
    }
    s3r_audio_cache_release(&cache);
    s3r_audio_release(&whole);
}

/* What a cache holds is not read again: the file may have gone.  Another file takes its
 * place; a whole file does not. */
static void test_cached_recordings(void **state)
{
    (void)state;
    const char *first =
        test_write_tone("first.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 2, 44100);
    const char *second =
        test_write_tone("second.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 8000);
    s3r_utterance part = {
        .id = "x", .audio_path = first, .offset_s = 0.37, .duration_s = 0.2};
    s3r_utterance start = {.id = "y", .audio_path = second, .duration_s = 0.2};
    s3r_audio_cache cache = {0};
    s3r_audio cut, cached;
    s3r_error err;
    assert_int_equal(s3r_utterance_load(&cut, &part, NULL, &err), S3R_OK);
    assert_int_equal(s3r_utterance_load_cached(&cached, &cache, &part, NULL, &err),
                     S3R_OK);
    assert_int_equal(cached.sample_count, cut.sample_count);
    assert_int_equal(cached.source_sample_rate_hz, 44100);
    assert_memory_equal(cached.samples, cut.samples, cut.sample_count * sizeof(float));
    s3r_audio_release(&cached);
    assert_int_equal(remove(first), 0);
    assert_int_equal(s3r_utterance_load_cached(&cached, &cache, &start, NULL, &err),
                     S3R_OK);
    s3r_audio_release(&cached);
    assert_int_equal(s3r_utterance_load_cached(&cached, &cache, &part, NULL, &err),
                     S3R_OK);
    assert_memory_equal(cached.samples, cut.samples, cut.sample_count * sizeof(float));
    s3r_audio_release(&cached);
    s3r_audio_release(&cut);
    start.offset_s = 0.1;
    assert_int_equal(s3r_utterance_load_cached(&cached, &cache, &start, NULL, &err),
                     S3R_OK);
    s3r_audio_release(&cached);
    assert_int_equal(s3r_utterance_load_cached(&cached, &cache, &part, NULL, &err),
                     S3R_ERR_DATA);
    assert_null(cache.path);
    s3r_audio_cache_release(&cache);
}

/* ---- memory ---- */

static s3r_status attempt(const char *path, s3r_error *err)
{
    s3r_manifest manifest;
    S3R_TRY(parse(&manifest, A ",\"text\":\"caf\\u0065\\u0301\",\"lang\":\"fr\"}", err));
    s3r_status status = s3r_manifest_place(path, manifest.items, manifest.count, err);
    s3r_manifest_close(&manifest);
    return status;
}

/* Without jansson's own allocations: its scanner writes beyond its buffer when one fails
 * in the middle of a string of 16 bytes or more (seen in 2.14). */
static void test_alloc_faults(void **state)
{
    (void)state;
    const char *folder = test_folder(), *path = test_path(folder, "m.jsonl");
    s3r_status status = S3R_ERR_RESOURCE;
    size_t n = 0;
    while (status == S3R_ERR_RESOURCE) {
        s3r_error err = {.message = ""};
        s3r_alloc_fail_at(++n);
        status = attempt(path, &err);
        s3r_alloc_fail_at(0);
        /* The audio is not there: what comes after all allocations of reading. */
        assert_true(status == S3R_ERR_RESOURCE || status == S3R_ERR_DATA);
        assert_true(err.message[0] != '\0');
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_keys),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_refuses_zero_bytes),
        cmocka_unit_test(test_refuses_endless_line),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_keys_are_stable),
        cmocka_unit_test(test_save_and_open),
        cmocka_unit_test(test_save_refuses_latin1),
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_load_part),
        cmocka_unit_test(test_cached_recordings),
        cmocka_unit_test(test_alloc_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
