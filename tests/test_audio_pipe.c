/*
 * The ffmpeg pipe, with scripts in the place of the program.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sndfile.h>
#include <cmocka.h>

#include "support_audio.h"
#include "support_files.h"

static unsigned char bytes[4096];

/* A folder with an executable `ffmpeg` made of these lines of shell, put first in PATH;
 * NULL: an empty PATH.  Returns the old PATH. */
static char *install_ffmpeg(const char *lines)
{
    char *kept = strdup(getenv("PATH"));
    const char *folder = test_folder();
    char text[2048];
    assert_non_null(kept);
    if (lines) {
        const char *program = test_path(folder, "ffmpeg");
        int length = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", lines);
        test_write_file(program, text, (size_t)length);
        assert_int_equal(chmod(program, 0755), 0);
        snprintf(text, sizeof text, "%s:%s", folder, kept);
    } else {
        snprintf(text, sizeof text, "%s", folder);
    }
    setenv("PATH", text, 1);
    return kept;
}

static void restore_path(char *kept)
{
    setenv("PATH", kept, 1);
    free(kept);
}

static void test_pipe_success(void **state)
{
    (void)state;
    const char *sound =
        test_write_tone("a.au", SF_FORMAT_AU | SF_FORMAT_FLOAT, 44100, 2, 88200);
    const char *folder = test_folder();
    const char *path = test_path(folder, "-film: a.m4a"), *log = test_path(folder, "log");
    char lines[1024];
    test_write_file(path, "not known to libsndfile", 23);
    snprintf(lines, sizeof lines,
             "for a; do echo \"$a\"; done > '%s'\n"
             "i=0; while [ $i -lt 3000 ]; do echo 'a long warning of many words' >&2; "
             "i=$((i+1)); done\nexec cat '%s'",
             log, sound);
    char *kept = install_ffmpeg(lines);
    s3r_audio direct = test_load_audio(sound, NULL), piped = test_load_audio(path, NULL);
    restore_path(kept);
    test_assert_same_audio(&direct, &piped);
    assert_int_equal(piped.source_sample_rate_hz, 44100);
    s3r_audio_release(&direct);
    s3r_audio_release(&piped);
    size_t size = test_read_file(log, bytes, sizeof bytes);
    bytes[size] = '\0';
    char expected[1024];
    snprintf(expected, sizeof expected, "\n-i\nfile:%s\n", path);
    assert_non_null(strstr((char *)bytes, expected));
    assert_non_null(strstr((char *)bytes, "-nostdin\n"));
}

static void test_pipe_failures(void **state)
{
    (void)state;
    const char *sound =
        test_write_tone("a.au", SF_FORMAT_AU | SF_FORMAT_FLOAT, 44100, 1, 44100);
    const char *path = test_audio_path("a.m4a");
    char cat_and_fail[512];
    snprintf(cat_and_fail, sizeof cat_and_fail,
             "cat '%s'; echo 'moov atom lost' >&2; exit 1", sound);
    const struct {
        const char *lines, *said;
    } cases[] = {
        {NULL, "a.m4a: unknown audio format: libsndfile cannot read it, and ffmpeg"},
        {"echo '[mov @ 0x5601] Invalid data found' >&2; echo second >&2; exit 1",
         "a.m4a: ffmpeg cannot decode it: Invalid data found"},
        {cat_and_fail, "moov atom lost"},
        {"exit 0", "it gave no reason"},
        {"echo this is no sound header at all, not one bit", "it gave no reason"},
        {"kill -9 $$", "ffmpeg cannot decode it"},
        {"printf '.snd\\000\\000\\000\\030\\377\\377\\377\\377\\000\\000\\000\\006"
         "\\000\\000\\076\\200\\000\\000\\000\\001'",
         "contains no samples"},
        {"printf '.snd\\000\\000\\000\\030\\377\\377\\377\\377\\000\\000\\000\\006"
         "\\000\\000\\076\\200\\000\\000\\000\\000'; exec sleep 100",
         "channels: expected 1 to 1024, found 0"},
        {"printf '.snd\\000\\000\\000\\030\\377\\377\\377\\377\\000\\000\\000\\006"
         "\\000\\000\\076\\200\\000\\000\\000\\001\\177\\300\\000\\000'",
         "sample 0 (0.0000 s), channel 1: expected a finite value"},
    };
    test_write_file(path, "not known to libsndfile", 23);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char *kept = install_ffmpeg(cases[i].lines);
        test_expect_audio_failure(path, NULL, S3R_ERR_DATA, cases[i].said);
        restore_path(kept);
    }
}

/* A decoder that is stopped early must not leave a process or a signal behind. */
static void test_pipe_stops_early(void **state)
{
    (void)state;
    const char *path = test_audio_path("a.m4a");
    s3r_audio_options options;
    s3r_audio_options_init(&options);
    options.max_sample_count = 1000;
    test_write_file(path, "not known to libsndfile", 23);
    char *kept = install_ffmpeg(
        "printf '.snd\\000\\000\\000\\030\\377\\377\\377\\377\\000\\000\\000\\006"
        "\\000\\000\\076\\200\\000\\000\\000\\001'\nexec cat /dev/zero");
    test_expect_audio_failure(path, &options, S3R_ERR_DATA, "at most 1000 samples");
    restore_path(kept);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipe_success),
        cmocka_unit_test(test_pipe_failures),
        cmocka_unit_test(test_pipe_stops_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
