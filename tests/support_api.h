/*
 * Test support: the public handles, results kept after their callback, model folders with
 * changed files or weights, and audio that sounds like speech to a tiny model.
 */
#ifndef S3R_TESTS_SUPPORT_API_H
#define S3R_TESTS_SUPPORT_API_H

#include "s3r/transcribe.h"

#define TEST_GOLDEN      "tests/golden/"
#define TEST_MAX_RESULTS 512u

typedef struct test_api {
    s3r_context *context;
    s3r_model *model;
} test_api;

/* Opens both or fails the test; cpu_level NULL = the best. */
void test_api_open(test_api *api, const char *path, size_t threads,
                   const char *cpu_level);
void test_api_close(test_api *api);

typedef struct test_result {
    s3r_status status;
    size_t index, frame_count, label_count;
    double duration_s, frame_s, confidence;
    char message[512];
    bool has_text;
    char *text; /* a copy; "" without */
} test_result;

/* The result_context of test_take_result; zeroed before use. */
typedef struct test_results {
    test_result items[TEST_MAX_RESULTS];
    size_t count;
    size_t abort_at; /* the result with this number (from 1) is not taken; 0 = none */
    s3r_status abort_status;
} test_results;

s3r_status test_take_result(void *context, const s3r_result *result);
void test_results_release(test_results *results);

/* [rows, cols] floats of a .npy file (s3r_free); fails the test unless it is sound. */
float *test_read_npy(const char *path, size_t *rows, size_t *cols);

/* Bursts of tones and noise with pauses, between -0.5 and 0.5; the same for one seed. */
void test_make_speech(float *samples, size_t count, uint64_t seed);
/* The same as a file folder/name of one channel at 16 kHz; returns its path. */
const char *test_write_speech(const char *folder, const char *name, int format,
                              size_t count, uint64_t seed);

/* A new folder with the files of a golden model; a file that is not wanted can be
 * overwritten or removed there. */
const char *test_copy_model(const char *golden);
/* The same with fp32 weights that edit has changed, tensor by tensor. */
typedef void (*test_edit_fn)(const char *tensor, float *values, size_t count);
const char *test_edit_model(const char *golden, test_edit_fn edit);

/* Fails the test unless status is expected and err's message contains `said`. */
void test_expect_failure(s3r_status status, const s3r_error *err, s3r_status expected,
                         const char *said);

/* Number of entries of a folder. */
size_t test_folder_entries(const char *folder);

#endif
