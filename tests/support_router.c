/*
 * Folders of masks, recordings, results.
 */
#include "support_router.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_audio.h"
#include "support_files.h"

static s3r_error err;

const struct test_router_kind test_router_kinds[TEST_MASKS] = {
    {"a", {.has_masks = true, .sparsity = 0.3, .labels = 9, .seed = 1, .language = "nl"}},
    {"b",
     {.has_masks = true, .sparsity = 0.2, .labels = 12, .seed = 2, .language = "cs"}},
    {"bias", {.method = "bias", .has_vectors = true, .labels = 12, .seed = 3}},
    {"lora",
     {.method = "lora",
      .has_masks = true,
      .has_lora = true,
      .sparsity = 0.1,
      .labels = 8,
      .seed = 4}},
    {"top",
     {.has_masks = true,
      .sparsity = 0.4,
      .first_block = 1,
      .labels = 12,
      .seed = 5,
      .language = "cs"}},
    {"values",
     {.method = "mask+weights",
      .has_masks = true,
      .has_all_values = true,
      .sparsity = 0.4,
      .labels = 7,
      .seed = 6}},
    {"adapters", {.method = "adapter", .has_adapters = true, .labels = 12, .seed = 7}}};

const char *test_router_masks(const char *model)
{
    const char *folder = test_folder();
    char name[64];
    for (size_t i = 0; i < TEST_MASKS; i++) {
        snprintf(name, sizeof name, "%s.s3m", test_router_kinds[i].name);
        if (test_mask_write(test_path(folder, name), model, &test_router_kinds[i].options,
                            &err) != S3R_OK)
            fail_msg("%s", err.message);
    }
    return folder;
}

const char *const *test_router_files(void)
{
    static const char *paths[TEST_FILES];
    static const size_t counts[TEST_FILES] = {800, 9000, 16000, 31000, 12345};
    if (!paths[0]) {
        const char *folder = test_folder();
        for (size_t i = 0; i < TEST_FILES; i++) {
            char name[32];
            snprintf(name, sizeof name, "%zu.wav", i);
            paths[i] = test_write_speech(folder, name, TEST_WAV, counts[i], 40 + i);
        }
    }
    return paths;
}

void test_router_open_api(test_api *api, const char *model, size_t threads, bool is_bf16)
{
    s3r_context_options context;
    s3r_model_options options;
    s3r_context_options_init(&context);
    context.thread_count = threads;
    s3r_model_options_init(&options);
    options.is_bf16 = is_bf16;
    if (s3r_context_create(&api->context, &context, &err) != S3R_OK ||
        s3r_model_open(&api->model, api->context, model, &options, &err) != S3R_OK)
        fail_msg("%s: %s", model, err.message);
}

s3r_router *test_router_open(const test_api *api, const char *folder)
{
    s3r_router *router = NULL;
    if (s3r_router_open(&router, api->model, folder, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return router;
}

s3r_router_request test_router_ask(const char *path, const char *names)
{
    return (s3r_router_request){.path = path, .masks = names};
}

s3r_status test_take_heard(void *context, const s3r_result *result)
{
    test_hearing *all = context;
    assert_true(all->count < S3R_ARRAY_LEN(all->items));
    assert_true(result->part < result->part_count);
    test_heard *h = &all->items[all->count++];
    *h = (test_heard){.status = result->status, .frames = result->frame_count};
    snprintf(h->message, sizeof h->message, "%s", result->message);
    snprintf(h->mask, sizeof h->mask, "%s", result->mask ? result->mask : "");
    if (result->status != S3R_OK)
        return S3R_OK;
    h->text = s3r_strdup(result->text);
    h->confidence = result->confidence;
    h->labels = result->label_count;
    for (size_t i = 0; i < result->label_count; i++)
        h->ends += (i + 1) * result->labels[i].end_frame;
    return S3R_OK;
}

void test_forget_heard(test_hearing *all)
{
    for (size_t i = 0; i < all->count; i++)
        s3r_free(all->items[i].text);
    all->count = 0;
}

bool test_heard_is_equal(const test_heard *a, const test_heard *b)
{
    return a->status == b->status && a->frames == b->frames && a->labels == b->labels &&
           a->ends == b->ends &&
           memcmp(&a->confidence, &b->confidence, sizeof(double)) == 0 &&
           strcmp(a->text, b->text) == 0;
}

void test_hear_alone(const char *model, const char *folder, bool is_bf16,
                     test_hearing expected[TEST_MASKS])
{
    test_api api;
    test_router_open_api(&api, model, 1, is_bf16);
    for (size_t m = 0; m < TEST_MASKS; m++) {
        char name[64];
        s3r_model *masked;
        snprintf(name, sizeof name, "%s.s3m", test_router_kinds[m].name);
        if (s3r_model_open_mask(&masked, api.context, api.model, test_path(folder, name),
                                &err) != S3R_OK)
            fail_msg("%s", err.message);
        for (size_t f = 0; f < TEST_FILES; f++)
            assert_int_equal(s3r_transcribe(api.context, masked, &test_router_files()[f],
                                            1, NULL, test_take_heard, &expected[m], &err),
                             S3R_OK);
        s3r_model_close(masked);
    }
    test_api_close(&api);
}

const char *test_write_voices(const char *folder)
{
    enum { COUNT = 8 * TEST_RATE };
    static float samples[COUNT];
    static const double starts[] = {1, 3.5, 6};
    for (size_t v = 0; v < S3R_ARRAY_LEN(starts); v++) {
        double phase = 0;
        for (size_t i = 0; i < TEST_RATE * 8 / 10; i++) {
            double t = (double)i / TEST_RATE, pitch = 110 + 90 * t + 20 * sin(9 * t);
            phase += 2 * 3.14159265358979 * pitch / TEST_RATE;
            double x = 0;
            for (int h = 1; h <= 12; h++)
                x += sin(h * phase) / h;
            samples[(size_t)(starts[v] * TEST_RATE) + i] =
                (float)(0.15 * x * sin(3.14159265358979 * t / 0.8));
        }
    }
    const char *path = test_path(folder, "voices.wav");
    test_write_frames(path, TEST_WAV, TEST_RATE, 1, samples, COUNT);
    return path;
}
