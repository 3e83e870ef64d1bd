/*
 * Voice activity: recordings of words are speech, whatever is before and behind them;
 * silence, noise, tones and synthetic music are not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "audio/audio_load.h"
#include "audio/voice_activity.h"
#include "base/memory.h"
#include "base/random.h"
#include "support_alloc_faults.h"

#define RATE    16000u
#define SECONDS 5u
#define PI      3.14159265358979323846

static s3r_error err;

/* ---- sounds ---- */

typedef struct noise_source {
    s3r_random random;
    double brown;
} noise_source;

typedef double (*sound_fn)(noise_source *noise, double t);

static double white(noise_source *noise)
{
    return 2 * s3r_random_uniform(&noise->random) - 1;
}

static double silence(noise_source *noise, double t)
{
    (void)noise;
    (void)t;
    return 0;
}

static double dither(noise_source *noise, double t)
{
    (void)t;
    return white(noise) / 32768;
}

static double hiss(noise_source *noise, double t)
{
    (void)t;
    return 0.2 * white(noise);
}

static double rumble(noise_source *noise, double t)
{
    (void)t;
    noise->brown = 0.98 * noise->brown + 0.02 * white(noise);
    return 2 * noise->brown;
}

/* Four times a second, as syllables do. */
static double swelling_noise(noise_source *noise, double t)
{
    return 0.2 * white(noise) * (0.5 + 0.5 * sin(2 * PI * 4 * t));
}

static double hum(noise_source *noise, double t)
{
    (void)noise;
    return 0.3 * sin(2 * PI * 50 * t);
}

static double tone(noise_source *noise, double t)
{
    (void)noise;
    return 0.3 * sin(2 * PI * 440 * t);
}

/* A telephone that rings: two tones, on for a second, off for two. */
static double ringing(noise_source *noise, double t)
{
    (void)noise;
    return fmod(t, 3) < 1 ? 0.2 * (sin(2 * PI * 440 * t) + sin(2 * PI * 480 * t)) : 0;
}

static double sweep(noise_source *noise, double t)
{
    (void)noise;
    return 0.3 * sin(2 * PI * (100 * t + 190 * t * t));
}

static double clicks(noise_source *noise, double t)
{
    (void)noise;
    return fmod(t, 0.5) < 0.0005 ? 0.8 : 0;
}

/* Plucked notes with overtones over a bass. */
static double music(noise_source *noise, double t)
{
    static const double notes[] = {261.6, 329.6, 392, 523.2, 440, 349.2};
    (void)noise;
    size_t beat = (size_t)(2 * t);
    double pitch = notes[5 * beat % 6], sum = 0;
    for (int h = 1; h <= 5; h++)
        sum += sin(2 * PI * pitch * h * t) / h;
    return 0.2 * exp(-4 * (2 * t - (double)beat)) * sum + 0.05 * sin(2 * PI * 130.8 * t);
}

static void test_what_is_no_speech(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        sound_fn sound;
    } cases[] = {
        {"silence", silence},
        {"dither", dither},
        {"hiss", hiss},
        {"rumble", rumble},
        {"swelling noise", swelling_noise},
        {"hum", hum},
        {"tone", tone},
        {"ringing", ringing},
        {"sweep", sweep},
        {"clicks", clicks},
        {"music", music},
    };
    float *samples = s3r_alloc(RATE * SECONDS, sizeof *samples);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_voice_activity found;
        noise_source noise = {.brown = 0};
        s3r_random_init(&noise.random, i + 1, 1);
        for (size_t k = 0; k < RATE * SECONDS; k++)
            samples[k] = (float)cases[i].sound(&noise, (double)k / RATE);
        assert_int_equal(
            s3r_voice_activity_find(&found, samples, RATE * SECONDS, RATE, &err), S3R_OK);
        if (found.count > 0)
            fail_msg("%s: %zu segments, the first from %.2f s", cases[i].name,
                     found.count, (double)found.items[0].start / RATE);
        s3r_voice_activity_release(&found);
    }
    s3r_free(samples);
}

/* Each recording between two seconds of faint noise: one segment, around the words. */
static void test_words_in_noise(void **state)
{
    (void)state;
    static const char *const names[] = {"activated", "agent-loginok", "auth-thankyou",
                                        "calling",   "conf-full",     "conf-muted"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(names); i++) {
        char path[256];
        s3r_audio audio;
        s3r_voice_activity found;
        noise_source noise = {.brown = 0};
        s3r_random_init(&noise.random, i + 1, 1);
        snprintf(path, sizeof path, "%s/speech/%s.g722", S3R_TEST_DATA, names[i]);
        if (s3r_audio_load(&audio, path, NULL, &err) != S3R_OK)
            fail_msg("%s", err.message);
        size_t count = audio.sample_count + 4 * RATE;
        float *samples = s3r_alloc(count, sizeof *samples);
        memcpy(samples + 2 * RATE, audio.samples, audio.sample_count * sizeof *samples);
        for (size_t k = 0; k < count; k++)
            samples[k] += (float)(0.002 * white(&noise));
        assert_int_equal(s3r_voice_activity_find(&found, samples, count, RATE, &err),
                         S3R_OK);
        if (found.count != 1)
            fail_msg("%s: %zu segments", names[i], found.count);
        double start = (double)found.items[0].start / RATE;
        double end = (double)found.items[0].end / RATE;
        double length = (double)audio.sample_count / RATE;
        if (start < 1.7 || start > 2.2 || end > 2.3 + length || end < 1.7 + length)
            fail_msg("%s: %.2f to %.2f, of %.2f s", names[i], start, end, length);
        s3r_voice_activity_release(&found);
        s3r_free(samples);
        s3r_audio_release(&audio);
    }
}

static void test_edges(void **state)
{
    (void)state;
    static const float few[400] = {0.5f};
    for (size_t count = 0; count <= 400; count += 200) {
        s3r_voice_activity found;
        assert_int_equal(s3r_voice_activity_find(&found, few, count, RATE, &err), S3R_OK);
        assert_int_equal(found.count, 0);
        s3r_voice_activity_release(&found);
    }
}

static s3r_status attempt(void *context, s3r_error *error)
{
    const s3r_audio *audio = context;
    s3r_voice_activity found;
    s3r_status status =
        s3r_voice_activity_find(&found, audio->samples, audio->sample_count, RATE, error);
    s3r_voice_activity_release(&found);
    return status;
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    s3r_audio audio;
    assert_int_equal(
        s3r_audio_load(&audio, S3R_TEST_DATA "/speech/calling.g722", NULL, &err), S3R_OK);
    test_survives_alloc_faults(attempt, &audio);
    s3r_audio_release(&audio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_speech),
        cmocka_unit_test(test_words_in_noise),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
