/*
 * Sample rate conversion through the loader: length, delay, gain, phase and aliasing.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "support_audio.h"

static float frames[TEST_AUDIO_MAX_VALUES];

/* Length, delay, gain and phase of a linear sweep from 0 Hz up to top_hz. */
static double sweep_snr_db(unsigned in_hz, unsigned out_hz, double top_hz)
{
    size_t count = (size_t)in_hz * 2 + 123;
    double seconds = (double)count / in_hz, slope = top_hz / seconds;
    assert_true(count <= S3R_ARRAY_LEN(frames));
    for (size_t i = 0; i < count; i++) {
        double t = (double)i / in_hz;
        frames[i] = (float)(0.5 * sin(TEST_PI * slope * t * t));
    }
    const char *path = test_audio_path("sweep.wav");
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, in_hz, 1, frames, count);
    s3r_audio_options options;
    s3r_audio_options_init(&options);
    options.sample_rate_hz = out_hz;
    s3r_audio audio = test_load_audio(path, &options);
    assert_int_equal(audio.sample_count, (size_t)llround(seconds * out_hz));
    double signal = 0, noise = 0;
    size_t skip = out_hz / 20 + 200u * out_hz / in_hz; /* the filter rings there */
    for (size_t i = skip; i + skip < audio.sample_count; i++) {
        double t = (double)i / out_hz, expected = 0.5 * sin(TEST_PI * slope * t * t);
        signal += expected * expected;
        noise += pow((double)audio.samples[i] - expected, 2);
    }
    s3r_audio_release(&audio);
    return 10 * log10(signal / noise);
}

/* Half of the band: 20 bits, less the rounding to float.  Close to its end the filter may
 * fall by 0.01 dB, which alone is a ratio of 59 dB. */
static void test_resampler_keeps_a_sweep(void **state)
{
    (void)state;
    static const unsigned rates_hz[][2] = {
        {8000, 16000},  {44100, 16000}, {48000, 16000},  {96000, 16000}, {11025, 16000},
        {16000, 44100}, {22050, 16000}, {192000, 16000}, {1000, 16000},  {16001, 16000},
    };
    for (size_t r = 0; r < S3R_ARRAY_LEN(rates_hz); r++) {
        unsigned in_hz = rates_hz[r][0], out_hz = rates_hz[r][1];
        unsigned band_hz = S3R_MIN(in_hz, out_hz);
        double half_db = sweep_snr_db(in_hz, out_hz, 0.25 * band_hz);
        double whole_db = sweep_snr_db(in_hz, out_hz, 0.42 * band_hz);
        if (half_db < 100 || whole_db < 65)
            fail_msg("%u to %u Hz: SNR %.1f dB in half the band, %.1f dB in all", in_hz,
                     out_hz, half_db, whole_db);
    }
}

/* What lies above the new band must vanish and not alias. */
static void test_resampler_removes_high_tones(void **state)
{
    (void)state;
    for (size_t i = 0; i < 48000; i++)
        frames[i] = (float)(0.5 * sin(2 * TEST_PI * 9500 * (double)i / 48000));
    const char *path = test_audio_path("high.wav");
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 48000, 1, frames, 48000);
    s3r_audio audio = test_load_audio(path, NULL);
    for (size_t i = 500; i + 500 < audio.sample_count; i++)
        assert_true(fabsf(audio.samples[i]) < 1e-4f);
    s3r_audio_release(&audio);
}

static void test_short_lengths(void **state)
{
    (void)state;
    static const int rates_hz[] = {8000, 16000, 44100, 96000};
    const char *path = test_audio_path("short.wav");
    memset(frames, 0, sizeof frames);
    for (size_t r = 0; r < S3R_ARRAY_LEN(rates_hz); r++) {
        for (size_t count = 6; count <= 200; count += count < 20 ? 1 : 17) {
            test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, rates_hz[r], 2,
                              frames, count);
            s3r_audio audio = test_load_audio(path, NULL);
            double exact = (double)count * 16000 / rates_hz[r];
            assert_int_equal(audio.sample_count, (size_t)llround(exact));
            s3r_audio_release(&audio);
        }
    }
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 96000, 1, frames, 2);
    test_expect_audio_failure(path, NULL, S3R_ERR_DATA, "contains no samples");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resampler_keeps_a_sweep),
        cmocka_unit_test(test_resampler_removes_high_tones),
        cmocka_unit_test(test_short_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
