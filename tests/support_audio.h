/*
 * Test support: audio files made on the fly with libsndfile.
 */
#ifndef S3R_TESTS_SUPPORT_AUDIO_H
#define S3R_TESTS_SUPPORT_AUDIO_H

#include "audio/audio_load.h"

#define TEST_PI               3.14159265358979323846
#define TEST_AUDIO_MAX_VALUES 768000u

/* Writes frames [count, channels] to path in a libsndfile format, or fails the test. */
void test_write_frames(const char *path, int format, unsigned rate_hz, unsigned channels,
                       const float *frames, size_t count);
/* A tone of 440 Hz and amplitude 0.5, which is the average of its unequal channels, in a
 * file of that name in one folder of this process. */
const char *test_write_tone(const char *name, int format, unsigned rate_hz,
                            unsigned channels, size_t count);
/* A path in that folder. */
const char *test_audio_path(const char *name);
/* Reads a file of less than capacity bytes; returns its size. */
size_t test_read_file(const char *path, unsigned char *bytes, size_t capacity);

/* Loads path or fails the test.  options may be NULL. */
s3r_audio test_load_audio(const char *path, const s3r_audio_options *options);
/* Expects the load to fail with that code and a message that contains `said`. */
void test_expect_audio_failure(const char *path, const s3r_audio_options *options,
                               s3r_status code, const char *said);
void test_assert_same_audio(const s3r_audio *a, const s3r_audio *b);

#endif
