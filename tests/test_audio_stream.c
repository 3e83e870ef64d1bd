/*
 * Standard input: raw samples, and files recognised by their first bytes.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sndfile.h>
#include <cmocka.h>

#include "audio/audio_magic.h"
#include "support_audio.h"
#include "support_files.h"

static unsigned char bytes[1 << 16];

/* Runs a load of "-" with standard input from the file. */
static s3r_status load_stdin(s3r_audio *audio, const char *path,
                             const s3r_audio_options *options, s3r_error *err)
{
    int kept = dup(STDIN_FILENO), fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    s3r_status status = s3r_audio_load(audio, "-", options, err);
    if (kept >= 0) {
        dup2(kept, STDIN_FILENO);
        close(kept);
    }
    return status;
}

static void test_stdin_raw(void **state)
{
    (void)state;
    const char *path = test_audio_path("raw");
    s3r_audio audio;
    s3r_audio_options options;
    s3r_error err;
    s3r_audio_options_init(&options);
    for (size_t i = 0; i < 20000; i++) {
        int value = (int)(i * 7919 % 65536) - 32768;
        bytes[2 * i] = (unsigned char)(value & 0xff);
        bytes[2 * i + 1] = (unsigned char)(value >> 8 & 0xff);
    }
    test_write_file(path, bytes, 40000);
    assert_int_equal(load_stdin(&audio, path, &options, &err), S3R_OK);
    assert_int_equal(audio.sample_count, 20000);
    for (size_t i = 0; i < 20000; i++) {
        float expected = (float)((int)(i * 7919 % 65536) - 32768) / 32768.0f;
        assert_true(audio.samples[i] == expected);
    }
    s3r_audio_release(&audio);
    options.raw_rate_hz = 8000;
    assert_int_equal(load_stdin(&audio, path, &options, &err), S3R_OK);
    assert_int_equal(audio.sample_count, 40000);
    s3r_audio_release(&audio);
    test_write_file(path, bytes, 39999);
    assert_int_equal(load_stdin(&audio, path, &options, &err), S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "odd number of bytes (19999 samples"));
    test_write_file(path, "", 0);
    assert_int_equal(load_stdin(&audio, path, &options, &err), S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "standard input: contains no samples"));
}

static void test_stdin_formats(void **state)
{
    (void)state;
    static const int formats[] = {
        SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
        SF_FORMAT_OGG | SF_FORMAT_OPUS, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III,
        SF_FORMAT_AIFF | SF_FORMAT_PCM_16};
    for (size_t i = 0; i < S3R_ARRAY_LEN(formats); i++) {
        const char *path = test_write_tone("a.sound", formats[i], 48000, 1, 48000);
        s3r_audio file = test_load_audio(path, NULL), stream;
        s3r_audio_options options;
        s3r_error err;
        s3r_audio_options_init(&options);
        options.memory_limit_bytes = i % 2 ? 1000 : 1 << 20;
        assert_int_equal(load_stdin(&stream, path, &options, &err), S3R_OK);
        test_assert_same_audio(&file, &stream);
        s3r_audio_release(&file);
        s3r_audio_release(&stream);
    }
}

static void test_magic(void **state)
{
    (void)state;
    static const unsigned char quiet[8192] = {0xff, 0xfb, 0x90, 0xff};
    unsigned char mpeg[1024] = {0xff, 0xfb, 0x90, 0x00}; /* 128 kbit/s, 44.1 kHz */
    assert_false(s3r_audio_has_magic(quiet, sizeof quiet));
    assert_false(s3r_audio_has_magic(mpeg, sizeof mpeg));
    memcpy(mpeg + 417, mpeg, 4);
    assert_true(s3r_audio_has_magic(mpeg, sizeof mpeg));
    assert_false(s3r_audio_has_magic(mpeg, 420));
    assert_true(s3r_audio_has_magic((const unsigned char *)"....ftypM4A ", 12));
    assert_false(s3r_audio_has_magic((const unsigned char *)"RIF", 3));
    assert_false(s3r_audio_has_magic(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stdin_raw),
        cmocka_unit_test(test_stdin_formats),
        cmocka_unit_test(test_magic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
