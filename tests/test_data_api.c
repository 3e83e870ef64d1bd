/*
 * The public calls on data: options that are not initialised, callbacks that stop the
 * work, results that do not depend on threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sndfile.h>

#include "s3r/data.h"
#include "support_api.h"
#include "support_audio.h"
#include "support_files.h"

static s3r_context *open_context(size_t threads)
{
    s3r_context *context;
    s3r_context_options options;
    s3r_context_options_init(&options);
    options.thread_count = threads;
    assert_int_equal(s3r_context_create(&context, &options, NULL), S3R_OK);
    return context;
}

static const char *make_corpus(void)
{
    const char *folder = test_folder();
    static const char table[] = "path,text\na.wav,one\nb.wav,two three\nc.wav,four\n";
    test_write_speech(folder, "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1);
    test_write_speech(folder, "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 2);
    test_write_speech(folder, "c.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 24000, 3);
    test_write_file(test_path(folder, "train.csv"), table, strlen(table));
    return folder;
}

static bool stop(void *context, size_t done, size_t total)
{
    size_t *calls = context;
    (void)done, (void)total;
    (*calls)++;
    return false;
}

static void count_row(void *context, const s3r_data_row *row)
{
    size_t *clips = context;
    assert_string_equal(row->split, "train");
    *clips += row->clips;
}

static s3r_prepare_data_options prepare_options(const char *source, const char *folder)
{
    s3r_prepare_data_options options;
    s3r_prepare_data_options_init(&options);
    options.layouts = "huggingface";
    options.source = source;
    options.folder = folder;
    return options;
}

static void test_prepare(void **state)
{
    (void)state;
    const char *source = make_corpus(), *out = test_folder();
    unsigned char first[2048] = {0}, second[2048] = {0};
    for (size_t threads = 1; threads <= 2; threads++) {
        s3r_context *context = open_context(threads);
        size_t clips = 0;
        s3r_prepare_data_options options = prepare_options(source, out);
        s3r_prepare_data_result result = {.row = count_row, .context = &clips};
        assert_int_equal(s3r_data_prepare(context, &options, &result, NULL), S3R_OK);
        assert_int_equal(clips, 3);
        test_read_file(test_path(out, "train.jsonl"), threads == 1 ? first : second,
                       sizeof first - 1);
        s3r_context_destroy(context);
    }
    assert_string_equal((char *)first, (char *)second);
    assert_non_null(strstr((char *)first, "\"duration\":0.5,"));
}

static void test_stops(void **state)
{
    (void)state;
    const char *source = make_corpus(), *out = test_folder();
    s3r_context *context = open_context(1);
    size_t calls = 0;
    s3r_error err = {.message = ""};
    s3r_prepare_data_options options = prepare_options(source, out);
    options.progress = stop;
    options.progress_context = &calls;
    s3r_status status = s3r_data_prepare(context, &options, NULL, &err);
    test_expect_failure(status, &err, S3R_ERR_INTERRUPTED, "interrupted");
    assert_int_equal(calls, 1);
    assert_int_equal(test_folder_entries(out), 0);
    s3r_context_destroy(context);
}

static s3r_status refuse(void *context, const s3r_data_problem *problem)
{
    (void)context;
    assert_string_equal(problem->reason, "no-text");
    return S3R_ERR_RUNTIME;
}

static void test_refuses(void **state)
{
    (void)state;
    s3r_context *context = open_context(1);
    const char *folder = make_corpus(), *path = test_path(folder, "m.jsonl");
    static const char line[] = "{\"audio_filepath\":\"a.wav\"}\n";
    size_t clips, failed;
    double seconds;
    s3r_error err = {.message = ""};
    test_write_file(path, line, strlen(line));

    s3r_prepare_data_options prepare = {0};
    test_expect_failure(s3r_data_prepare(context, &prepare, NULL, &err), &err,
                        S3R_ERR_USAGE, "not initialised?");
    s3r_prepare_data_options_init(&prepare);
    test_expect_failure(s3r_data_prepare(context, &prepare, NULL, &err), &err,
                        S3R_ERR_USAGE, "expected a layout and a folder");
    prepare = prepare_options(folder, folder);
    test_expect_failure(s3r_data_prepare(context, &prepare, NULL, &err), &err,
                        S3R_ERR_USAGE, "expected another folder to write");

    s3r_check_data_options check = {0};
    test_expect_failure(
        s3r_data_check(context, &path, 1, &check, refuse, NULL, &clips, &failed, &err),
        &err, S3R_ERR_USAGE, "not initialised?");
    s3r_check_data_options_init(&check);
    test_expect_failure(
        s3r_data_check(context, &path, 1, &check, refuse, NULL, &clips, &failed, &err),
        &err, S3R_ERR_RUNTIME, "the problem was not taken");

    s3r_split_data_options split = {0};
    test_expect_failure(s3r_data_split(context, path, &split, &clips, &seconds, &err),
                        &err, S3R_ERR_USAGE, "not initialised?");
    s3r_split_data_options_init(&split);
    test_expect_failure(s3r_data_split(context, path, &split, &clips, &seconds, &err),
                        &err, S3R_ERR_USAGE, "expected minutes above 0");
    split.minutes = 0.001;
    split.out = test_path(folder, "out.jsonl");
    assert_int_equal(s3r_data_split(context, path, &split, &clips, &seconds, &err),
                     S3R_OK);
    assert_true(clips == 1 && seconds == 0.5); /* measured */
    remove(test_path(folder, "a.wav"));
    test_expect_failure(s3r_data_split(context, path, &split, &clips, &seconds, &err),
                        &err, S3R_ERR_DATA, "expected audio of known duration");
    s3r_context_destroy(context);
}

static void test_stats_without_audio(void **state)
{
    (void)state;
    s3r_context *context = open_context(1);
    const char *path = test_path(test_folder(), "m.jsonl");
    static const char line[] = "{\"audio_filepath\":\"gone.wav\",\"text\":\"a\"}\n";
    s3r_data_stats stats;
    test_write_file(path, line, strlen(line));
    assert_int_equal(s3r_data_stats_make(context, path, &stats, NULL), S3R_OK);
    assert_int_equal(stats.clips, 1);
    assert_int_equal(stats.clips_unreadable, 1);
    assert_int_equal(stats.character_count, 1);
    assert_true(stats.character[0] == 'a' && stats.uses[0] == 1);
    s3r_data_stats_release(&stats);
    s3r_context_destroy(context);
}

/* Options that are needed are asked for; where all have defaults none are. */
static void test_no_options(void **state)
{
    (void)state;
    s3r_error err;
    size_t clips, failed;
    test_api api;
    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln", 1, NULL);
    test_expect_failure(s3r_data_prepare(api.context, NULL, NULL, &err), &err,
                        S3R_ERR_USAGE, "found 0 (not initialised?)");
    test_expect_failure(s3r_data_split(api.context, "m", NULL, &clips, NULL, &err), &err,
                        S3R_ERR_USAGE, "found 0 (not initialised?)");
    const char *missing = "/nowhere.jsonl";
    assert_int_equal(
        s3r_data_check(api.context, &missing, 1, NULL, NULL, NULL, &clips, &failed, &err),
        S3R_ERR_DATA);
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_options),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_stats_without_audio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
