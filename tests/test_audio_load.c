/*
 * Audio in any container, rate and channel count; every way in which a file can be wrong;
 * the bound on memory.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sndfile.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_audio.h"
#include "support_files.h"

static float frames[2 * 88200];
static unsigned char bytes[1 << 20];

/* ---- formats ---- */

/* Signal to error ratio in dB against the tone, without `skip` samples at both ends where
 * filters and lossy codecs ring. */
static double tone_snr_db(const s3r_audio *audio, double tone_hz, size_t skip)
{
    double signal = 0, noise = 0;
    for (size_t i = skip; i + skip < audio->sample_count; i++) {
        double expected =
            0.5 * sin(2 * TEST_PI * tone_hz * (double)i / audio->sample_rate_hz);
        signal += expected * expected;
        noise += pow((double)audio->samples[i] - expected, 2);
    }
    return 10 * log10(signal / (noise + 1e-30));
}

/* The bounds are the coding noise of each format: 8 bits, 16 bits, or its bit rate. */
static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int format;
        unsigned rate_hz, channels;
        double least_snr_db;
        size_t length_slack;
    } cases[] = {
        {"u8.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 16000, 1, 35, 0},
        {"s16.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 85, 0},
        {"s16-8k.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 85, 0},
        {"s24-8ch.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 44100, 8, 100, 0},
        {"s32-96k.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 96000, 2, 100, 0},
        {"f32.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 48000, 2, 100, 0},
        {"f64.wav", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 22050, 1, 100, 0},
        {"ulaw.wav", SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, 1, 30, 0},
        {"gsm.wav", SF_FORMAT_WAV | SF_FORMAT_GSM610, 8000, 1, 25, 700},
        {"raw.gsm", SF_FORMAT_RAW | SF_FORMAT_GSM610, 8000, 1, 25, 700},
        {"s16.rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 44100, 1, 85, 0},
        {"s16.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 44100, 2, 85, 0},
        {"s16.w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16, 11025, 1, 85, 0},
        {"s16.caf", SF_FORMAT_CAF | SF_FORMAT_PCM_16, 32000, 1, 85, 0},
        {"s16.au", SF_FORMAT_AU | SF_FORMAT_PCM_16, 12000, 1, 85, 0},
        {"s16.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2, 85, 0},
        {"vorbis.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, 20, 0},
        {"opus.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, 1, 20, 1},
        {"layer3.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 1, 20, 1152},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        unsigned rate_hz = cases[i].rate_hz;
        size_t count = rate_hz - 7;
        const char *path = test_write_tone(cases[i].name, cases[i].format, rate_hz,
                                           cases[i].channels, count);
        s3r_audio audio = test_load_audio(path, NULL);
        double exact = (double)count * 16000.0 / rate_hz;
        double off = fabs((double)audio.sample_count - exact);
        double snr_db = tone_snr_db(&audio, 440, 1000);
        if (snr_db < cases[i].least_snr_db || off > 0.5 + (double)cases[i].length_slack)
            fail_msg("%s: SNR %.1f dB, expected %.1f; length off by %.2f", cases[i].name,
                     snr_db, cases[i].least_snr_db, off);
        assert_int_equal(audio.sample_rate_hz, 16000);
        assert_int_equal(audio.source_sample_rate_hz, rate_hz);
        assert_int_equal(audio.source_channels, cases[i].channels);
        double seconds = s3r_audio_probe_seconds(path);
        assert_true(fabs(seconds - exact / 16000) < 0.05);
        s3r_audio_release(&audio);
        assert_null(audio.samples);
    }
}

static void test_same_rate_is_exact(void **state)
{
    (void)state;
    const char *path = test_audio_path("a.wav");
    for (size_t i = 0; i < 100; i++)
        frames[i] = (float)i / 7.0f - 3.0f;
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, frames, 100);
    s3r_audio audio = test_load_audio(path, NULL);
    assert_int_equal(audio.sample_count, 100);
    assert_memory_equal(audio.samples, frames, 100 * sizeof(float));
    assert_false(audio.is_mapped);
    s3r_audio_release(&audio);
}

static void test_g722(void **state)
{
    (void)state;
    const char *path = S3R_TEST_DATA "/audio/vm-pls-try-again.g722";
    s3r_audio audio = test_load_audio(path, NULL);
    assert_int_equal(audio.sample_count, 26026);
    assert_int_equal(audio.source_sample_rate_hz, 16000);
    assert_true(fabs(s3r_audio_probe_seconds(path) - 26026 / 16000.0) < 1e-9);
    double energy = 0;
    for (size_t i = 0; i < audio.sample_count; i++)
        energy += (double)audio.samples[i] * (double)audio.samples[i];
    double rms = sqrt(energy / (double)audio.sample_count);
    assert_true(rms > 0.01 && rms < 0.5);
    s3r_audio_release(&audio);
}

static void test_silence(void **state)
{
    (void)state;
    memset(frames, 0, sizeof frames);
    const char *path = test_audio_path("silence.flac");
    test_write_frames(path, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2, frames, 44100);
    s3r_audio audio = test_load_audio(path, NULL);
    assert_int_equal(audio.sample_count, 16000);
    for (size_t i = 0; i < audio.sample_count; i++)
        assert_true(audio.samples[i] == 0.0f);
    s3r_audio_release(&audio);
}

/* ---- wrong input ---- */

static void test_not_finite(void **state)
{
    (void)state;
    static const struct {
        float value;
        const char *said;
    } cases[] = {
        {NAN, "sample 20000 (0.4167 s), channel 2: expected a finite value, found "},
        {INFINITY, "sample 20000 (0.4167 s), channel 2"},
        {-INFINITY, "found -inf"},
        {3e38f, "found 3e+38"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *path = test_audio_path("a.wav");
        memset(frames, 0, sizeof frames);
        frames[2 * 20000 + 1] = cases[i].value;
        frames[2 * 30000] = NAN;
        test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 48000, 2, frames, 48000);
        test_expect_audio_failure(path, NULL, S3R_ERR_DATA, cases[i].said);
    }
}

static void test_truncated(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int format;
    } cases[] = {
        {"a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
        {"a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT},
        {"a.rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_24},
        {"a.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_24},
        {"a.w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16},
        {"a.au", SF_FORMAT_AU | SF_FORMAT_PCM_16},
        {"a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
        {"a.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        uint32_t seed = 5;
        for (size_t k = 0; k < 88200; k++) {
            seed = seed * 1664525u + 1013904223u;
            frames[k] = (float)(seed >> 8) / 33554432.0f - 0.25f;
        }
        const char *path = test_audio_path(cases[i].name);
        test_write_frames(path, cases[i].format, 44100, 1, frames, 88200);
        size_t size = test_read_file(path, bytes, sizeof bytes);
        test_write_file(path, bytes, size * 6 / 10);
        test_expect_audio_failure(path, NULL, S3R_ERR_DATA,
                                  "truncated: the header promises 88200 frames, found ");
    }
    const char *path = test_audio_path("a.ogg");
    test_write_frames(path, SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, frames, 88200);
    size_t size = test_read_file(path, bytes, sizeof bytes);
    test_write_file(path, bytes, size * 6 / 10);
    test_expect_audio_failure(path, NULL, S3R_ERR_DATA,
                              "truncated: the last Ogg page promises");
}

/* A size that a writer to a pipe could not know is no promise. */
static void test_streamed_wav_is_whole(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0xffffffffu, 0x7fffffffu, 0x80000000u, 0x7ffff000u};
    const char *path =
        test_write_tone("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 500);
    size_t size = test_read_file(path, bytes, sizeof bytes);
    assert_memory_equal(bytes + 36, "data", 4);
    for (size_t i = 0; i < S3R_ARRAY_LEN(sizes); i++) {
        for (unsigned b = 0; b < 4; b++)
            bytes[40 + b] = (unsigned char)(sizes[i] >> 8 * b);
        test_write_file(path, bytes, size);
        s3r_audio audio = test_load_audio(path, NULL);
        assert_int_equal(audio.sample_count, 500);
        s3r_audio_release(&audio);
    }
}

static void test_wrong_files(void **state)
{
    (void)state;
    const char *folder = test_folder();
    const char *text = test_path(folder, "text.wav"), *empty = test_path(folder, "e.wav");
    const char *quiet = test_path(folder, "zero.wav"),
               *g722 = test_path(folder, "e.g722");
    s3r_audio_options options;
    s3r_audio_options_init(&options);
    options.allow_ffmpeg = false;
    test_write_file(text, "This is no sound at all.\n", 25);
    test_write_file(empty, "", 0);
    test_write_file(g722, "", 0);
    test_write_frames(quiet, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, frames, 0);
    test_expect_audio_failure(test_path(folder, "missing.wav"), &options, S3R_ERR_DATA,
                              "missing.wav: cannot open: No such file");
    test_expect_audio_failure(folder, &options, S3R_ERR_DATA, "found a folder");
    test_expect_audio_failure(text, &options, S3R_ERR_DATA, "text.wav: not audio");
    test_expect_audio_failure(empty, &options, S3R_ERR_DATA, "e.wav: is empty");
    test_expect_audio_failure(quiet, &options, S3R_ERR_DATA,
                              "zero.wav: contains no samples");
    test_expect_audio_failure(g722, &options, S3R_ERR_DATA,
                              "e.g722: contains no samples");
    options.sample_rate_hz = 10;
    test_expect_audio_failure(quiet, &options, S3R_ERR_USAGE, "wanted sample rate");
    assert_true(s3r_audio_probe_seconds(text) < 0);
    assert_true(s3r_audio_probe_seconds(folder) < 0);
    assert_true(s3r_audio_probe_seconds("-") < 0);
    assert_true(s3r_audio_probe_seconds(test_path(folder, "missing.wav")) < 0);
    if (geteuid() == 0)
        return;
    assert_int_equal(chmod(text, 0), 0);
    test_expect_audio_failure(text, &options, S3R_ERR_DATA, "Permission denied");
}

static void test_rate_out_of_range(void **state)
{
    (void)state;
    const char *path = test_audio_path("a.wav");
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 900, 1, frames, 100);
    test_expect_audio_failure(path, NULL, S3R_ERR_DATA,
                              "expected 1000 to 768000 Hz, found 900");
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1000000, 1, frames, 100);
    test_expect_audio_failure(path, NULL, S3R_ERR_DATA, "found 1000000");
}

static void test_sample_cap(void **state)
{
    (void)state;
    s3r_audio_options options;
    s3r_audio_options_init(&options);
    options.max_sample_count = 500;
    const char *path =
        test_write_tone("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 501);
    test_expect_audio_failure(path, &options, S3R_ERR_DATA, "at most 500 samples");
    options.max_sample_count = 501;
    s3r_audio audio = test_load_audio(path, &options);
    assert_int_equal(audio.sample_count, 501);
    s3r_audio_release(&audio);
}

/* ---- memory ---- */

static void test_memory_equals_file(void **state)
{
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16,
                                  SF_FORMAT_FLAC | SF_FORMAT_PCM_24,
                                  SF_FORMAT_OGG | SF_FORMAT_VORBIS};
    for (size_t i = 0; i < S3R_ARRAY_LEN(formats); i++) {
        const char *path = test_write_tone("a.sound", formats[i], 44100, 2, 44100);
        s3r_audio file = test_load_audio(path, NULL), memory = {0};
        size_t size = test_read_file(path, bytes, sizeof bytes);
        s3r_error err;
        assert_int_equal(s3r_audio_load_memory(&memory, bytes, size, "m", NULL, &err),
                         S3R_OK);
        test_assert_same_audio(&file, &memory);
        s3r_audio_release(&file);
        s3r_audio_release(&memory);
    }
    s3r_audio audio;
    s3r_error err;
    assert_int_equal(s3r_audio_load_memory(&audio, "xyz", 3, "name", NULL, &err),
                     S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "name: not audio"));
    assert_int_equal(s3r_audio_load_memory(&audio, NULL, 0, "name", NULL, &err),
                     S3R_ERR_DATA);
}

static void test_spool_is_identical(void **state)
{
    (void)state;
    static const size_t limits[] = {0, 1, 60000, 70000, 100000, 140000, 191999, 192000};
    const char *path =
        test_write_tone("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 32000, 2, 96000);
    s3r_audio heap = test_load_audio(path, NULL);
    assert_false(heap.is_mapped);
    assert_int_equal(heap.sample_count * sizeof(float), 192000);
    for (size_t i = 0; i < S3R_ARRAY_LEN(limits); i++) {
        s3r_audio_options options;
        s3r_audio_options_init(&options);
        options.memory_limit_bytes = limits[i];
        s3r_audio spooled = test_load_audio(path, &options);
        assert_int_equal(spooled.is_mapped, limits[i] < 192000);
        test_assert_same_audio(&heap, &spooled);
        s3r_audio_release(&spooled);
    }
    s3r_audio_release(&heap);
}

/* A stream without an end is left when it is longer than the audio that is wanted. */
static void test_endless_stream(void **state)
{
    (void)state;
    s3r_audio_options options;
    s3r_audio_options_init(&options);
    options.max_sample_count = 2 * options.sample_rate_hz;
    test_expect_audio_failure("/dev/zero", &options, S3R_ERR_DATA,
                              "/dev/zero: too long: found more than 384000 bytes, "
                              "expected at most 2 s of audio");
}

static void test_spool_without_folder(void **state)
{
    (void)state;
    const char *path =
        test_write_tone("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 500);
    const char *kept = getenv("TMPDIR");
    char *restored = kept ? strdup(kept) : NULL;
    s3r_audio_options options;
    s3r_audio_options_init(&options);
    options.memory_limit_bytes = 100;
    setenv("TMPDIR", "/nonexistent/folder", 1);
    test_expect_audio_failure(path, &options, S3R_ERR_RESOURCE,
                              "/nonexistent/folder: cannot create");
    if (restored)
        setenv("TMPDIR", restored, 1);
    else
        unsetenv("TMPDIR");
    free(restored);
}

static void fail_every_allocation(const char *path, const s3r_audio_options *options)
{
    s3r_status status = S3R_ERR_RESOURCE;
    size_t n = 0;
    while (status != S3R_OK) {
        s3r_audio audio;
        s3r_error err;
        s3r_alloc_fail_at(++n);
        status = s3r_audio_load(&audio, path, options, &err);
        if (status == S3R_OK)
            s3r_audio_release(&audio);
        else if (status != S3R_ERR_RESOURCE)
            fail_msg("allocation %zu: status %d: %s", n, status, err.message);
        assert_true(n < 1000);
    }
    s3r_alloc_fail_at(0);
    assert_true(n > 3);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    s3r_audio_options options;
    s3r_audio_options_init(&options);
    fail_every_allocation(
        test_write_tone("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 2, 88200),
        &options);
    options.memory_limit_bytes = 70000;
    fail_every_allocation(
        test_write_tone("a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, 88200),
        &options);
    fail_every_allocation(S3R_TEST_DATA "/audio/vm-pls-try-again.g722", &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_same_rate_is_exact),
        cmocka_unit_test(test_g722),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_streamed_wav_is_whole),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_rate_out_of_range),
        cmocka_unit_test(test_sample_cap),
        cmocka_unit_test(test_memory_equals_file),
        cmocka_unit_test(test_spool_is_identical),
        cmocka_unit_test(test_endless_stream),
        cmocka_unit_test(test_spool_without_folder),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
