/*
 * Audio files for tests, and loads that must succeed or fail.
 */
#include "support_audio.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "support_files.h"

void test_write_frames(const char *path, int format, unsigned rate_hz, unsigned channels,
                       const float *frames, size_t count)
{
    SF_INFO info = {
        .samplerate = (int)rate_hz, .channels = (int)channels, .format = format};
    SNDFILE *sound = sf_open(path, SFM_WRITE, &info);
    if (!sound)
        fail_msg("%s: %s", path, sf_strerror(NULL));
    sf_command(sound, SFC_SET_CLIPPING, NULL, SF_TRUE);
    assert_int_equal(sf_writef_float(sound, frames, (sf_count_t)count), count);
    sf_close(sound);
}

const char *test_audio_path(const char *name)
{
    static const char *folder;
    if (!folder)
        folder = test_folder();
    return test_path(folder, name);
}

const char *test_write_tone(const char *name, int format, unsigned rate_hz,
                            unsigned channels, size_t count)
{
    static float frames[TEST_AUDIO_MAX_VALUES];
    const char *path = test_audio_path(name);
    assert_true(count * channels <= TEST_AUDIO_MAX_VALUES);
    for (size_t i = 0; i < count; i++) {
        double tone = 0.5 * sin(2 * TEST_PI * 440 * (double)i / rate_hz);
        for (unsigned c = 0; c < channels; c++)
            frames[i * channels + c] = (float)(tone * 2.0 * (c + 1) / (channels + 1));
    }
    test_write_frames(path, format, rate_hz, channels, frames, count);
    return path;
}

size_t test_read_file(const char *path, unsigned char *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, capacity, file);
    fclose(file);
    assert_true(size < capacity);
    return size;
}

s3r_audio test_load_audio(const char *path, const s3r_audio_options *options)
{
    s3r_audio audio = {0};
    s3r_error err;
    if (s3r_audio_load(&audio, path, options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal((uintptr_t)audio.samples % 64, 0);
    return audio;
}

void test_expect_audio_failure(const char *path, const s3r_audio_options *options,
                               s3r_status code, const char *said)
{
    s3r_audio audio = {.sample_count = 77}, before = audio;
    s3r_error err = {.message = ""};
    s3r_status status = s3r_audio_load(&audio, path, options, &err);
    if (status != code || !strstr(err.message, said))
        fail_msg("%s: expected status %d with \"%s\", found %d with \"%s\"", path, code,
                 said, status, err.message);
    assert_int_equal(err.code, code);
    assert_memory_equal(&audio, &before, sizeof audio);
}

void test_assert_same_audio(const s3r_audio *a, const s3r_audio *b)
{
    assert_int_equal(a->sample_count, b->sample_count);
    assert_memory_equal(a->samples, b->samples, a->sample_count * sizeof(float));
    assert_int_equal(a->source_channels, b->source_channels);
}
