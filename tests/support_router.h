/*
 * Test support: a folder of masks of every kind, recordings, and results that are kept to
 * be compared bit for bit.
 */
#ifndef S3R_TESTS_SUPPORT_ROUTER_H
#define S3R_TESTS_SUPPORT_ROUTER_H

#include <sndfile.h>

#include "s3r/router.h"
#include "support_api.h"
#include "support_mask.h"

#define TEST_ROUTER_MODEL TEST_GOLDEN "w2v2_group_postln"
#define TEST_WAV          (SF_FORMAT_WAV | SF_FORMAT_PCM_16)
#define TEST_RATE         16000u
#define TEST_FILES        5u
#define TEST_MASKS        7u

/* Two of Czech, one of Dutch. */
extern const struct test_router_kind {
    const char *name;
    test_mask_options options;
} test_router_kinds[TEST_MASKS];

/* A new folder with a mask of each kind, NAME.s3m; fails the test when it cannot. */
const char *test_router_masks(const char *model);
/* [TEST_FILES] of 0.05 to 2 s, the first too short for a frame in some models. */
const char *const *test_router_files(void);
/* A voice of gliding pitch, 0.8 s at 1, 3.5 and 6 s of 8: folder/voices.wav. */
const char *test_write_voices(const char *folder);

/* Both fail the test when they cannot. */
void test_router_open_api(test_api *api, const char *model, size_t threads, bool is_bf16);
s3r_router *test_router_open(const test_api *api, const char *folder);

s3r_router_request test_router_ask(const char *path, const char *names);

typedef struct test_heard {
    char *text;
    double confidence;
    size_t frames, labels, ends; /* ends: the labels' last frames, summed with weights */
    s3r_status status;
    char message[512];
    char mask[32];
} test_heard;

typedef struct test_hearing {
    test_heard items[128];
    size_t count;
} test_hearing;

/* A result function; its context is a test_hearing. */
s3r_status test_take_heard(void *context, const s3r_result *result);
void test_forget_heard(test_hearing *all);
bool test_heard_is_equal(const test_heard *a, const test_heard *b);
/* Each file in each mask, alone: expected[mask].items[file]. */
void test_hear_alone(const char *model, const char *folder, bool is_bf16,
                     test_hearing expected[TEST_MASKS]);

#endif
