/*
 * The router: results of any mix of masks are those of each mask alone, bit for bit; a
 * request that fails makes no other fail; many threads see their own masks.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <pthread.h>
#include <sndfile.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "s3r/identify.h"
#include "s3r/router.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_audio.h"
#include "support_files.h"
#include "support_mask.h"

#define MODEL TEST_GOLDEN "w2v2_group_postln"
#define FILES 5u
#define WAV   (SF_FORMAT_WAV | SF_FORMAT_PCM_16)

static s3r_error err;

/* Masks of every kind; two of Czech. */
static const struct {
    const char *name;
    test_mask_options options;
} masks[] = {
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

#define MASKS S3R_ARRAY_LEN(masks)

static const char *write_masks(const char *model)
{
    const char *folder = test_folder();
    char name[64];
    for (size_t i = 0; i < MASKS; i++) {
        snprintf(name, sizeof name, "%s.s3m", masks[i].name);
        if (test_mask_write(test_path(folder, name), model, &masks[i].options, &err) !=
            S3R_OK)
            fail_msg("%s", err.message);
    }
    return folder;
}

/* Files of 0.05 to 2 s, the first too short for a frame in some models. */
static const char *const *audio_files(void)
{
    static const char *paths[FILES];
    static const size_t counts[FILES] = {800, 9000, 16000, 31000, 12345};
    if (!paths[0]) {
        const char *folder = test_folder();
        for (size_t i = 0; i < FILES; i++) {
            char name[32];
            snprintf(name, sizeof name, "%zu.wav", i);
            paths[i] = test_write_speech(folder, name, WAV, counts[i], 40 + i);
        }
    }
    return paths;
}

static void open_api(test_api *api, const char *model, size_t threads, bool is_bf16)
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

static s3r_router *open_router(const test_api *api, const char *folder)
{
    s3r_router *router = NULL;
    if (s3r_router_open(&router, api->model, folder, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return router;
}

static s3r_router_request ask(const char *path, const char *names)
{
    return (s3r_router_request){.path = path, .masks = names};
}

/* ---- what was heard ---- */

typedef struct heard {
    char *text;
    double confidence;
    size_t frames, labels, ends; /* ends: the labels' last frames, summed with weights */
    s3r_status status;
    char message[512];
    char mask[32];
} heard;

typedef struct hearing {
    heard items[128];
    size_t count;
} hearing;

static s3r_status take(void *context, const s3r_result *result)
{
    hearing *all = context;
    assert_true(all->count < S3R_ARRAY_LEN(all->items));
    assert_true(result->part < result->part_count);
    heard *h = &all->items[all->count++];
    *h = (heard){.status = result->status, .frames = result->frame_count};
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

static void forget(hearing *all)
{
    for (size_t i = 0; i < all->count; i++)
        s3r_free(all->items[i].text);
    all->count = 0;
}

static bool is_equal(const heard *a, const heard *b)
{
    return a->status == b->status && a->frames == b->frames && a->labels == b->labels &&
           a->ends == b->ends &&
           memcmp(&a->confidence, &b->confidence, sizeof(double)) == 0 &&
           strcmp(a->text, b->text) == 0;
}

/* Each file in each mask, alone: expected[mask].items[file]. */
static void hear_alone(const char *model, const char *folder, bool is_bf16,
                       hearing expected[MASKS])
{
    test_api api;
    open_api(&api, model, 1, is_bf16);
    for (size_t m = 0; m < MASKS; m++) {
        char name[64];
        s3r_model *masked;
        snprintf(name, sizeof name, "%s.s3m", masks[m].name);
        if (s3r_model_open_mask(&masked, api.context, api.model, test_path(folder, name),
                                &err) != S3R_OK)
            fail_msg("%s", err.message);
        for (size_t f = 0; f < FILES; f++)
            assert_int_equal(s3r_transcribe(api.context, masked, &audio_files()[f], 1,
                                            NULL, take, &expected[m], &err),
                             S3R_OK);
        s3r_model_close(masked);
    }
    test_api_close(&api);
}

/* ---- mixes ---- */

static void check_all(s3r_router *router, s3r_context *context,
                      const s3r_transcribe_options *options,
                      const hearing expected[MASKS])
{
    hearing got = {0};
    s3r_router_request requests[FILES];
    static const size_t by_name[MASKS] = {0, 6, 1, 2, 3, 4, 5};
    for (size_t f = 0; f < FILES; f++)
        requests[f] = ask(audio_files()[f], "all");
    if (s3r_router_transcribe(router, context, requests, FILES, options, take, &got,
                              &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(got.count, FILES * MASKS);
    for (size_t i = 0; i < got.count; i++) {
        size_t mask = by_name[i % MASKS];
        assert_string_equal(got.items[i].mask, masks[mask].name);
        assert_true(is_equal(&got.items[i], &expected[mask].items[i / MASKS]));
    }
    forget(&got);
}

static void check_one_each(s3r_router *router, s3r_context *context,
                           const s3r_transcribe_options *options,
                           const hearing expected[MASKS])
{
    hearing got = {0};
    s3r_router_request requests[3 * FILES];
    for (size_t i = 0; i < S3R_ARRAY_LEN(requests); i++)
        requests[i] = ask(audio_files()[i % FILES], masks[i * 4 % MASKS].name);
    assert_int_equal(s3r_router_transcribe(router, context, requests,
                                           S3R_ARRAY_LEN(requests), options, take, &got,
                                           &err),
                     S3R_OK);
    assert_int_equal(got.count, S3R_ARRAY_LEN(requests));
    for (size_t i = 0; i < got.count; i++)
        assert_true(is_equal(&got.items[i], &expected[i * 4 % MASKS].items[i % FILES]));
    forget(&got);
}

static void check_mixes(const char *model, bool is_bf16)
{
    static hearing expected[MASKS];
    const char *folder = write_masks(model);
    hear_alone(model, folder, is_bf16, expected);
    for (size_t threads = 1; threads <= 3; threads += 2) {
        test_api api;
        s3r_transcribe_options options;
        open_api(&api, model, threads, is_bf16);
        s3r_router *router = open_router(&api, folder);
        s3r_transcribe_options_init(&options);
        check_all(router, api.context, &options, expected);
        check_one_each(router, api.context, &options, expected);
        options.batch_s = 0.7; /* groups of lanes that do not fit together */
        check_all(router, api.context, &options, expected);
        check_one_each(router, api.context, &options, expected);
        options.batch_s = 40;
        options.window_s = 1;
        options.context_s = 0.4; /* 2 s are long now: windows, mask by mask */
        hearing long_alone[2] = {{.count = 0}, {.count = 0}};
        const s3r_router_request both = ask(audio_files()[3], "a,top");
        assert_int_equal(s3r_router_transcribe(router, api.context, &both, 1, &options,
                                               take, &long_alone[0], &err),
                         S3R_OK);
        for (size_t part = 0; part < 2; part++) {
            const s3r_model *masked;
            assert_int_equal(s3r_router_get_model(router, api.context, part ? "top" : "a",
                                                  &masked, &err),
                             S3R_OK);
            assert_int_equal(s3r_transcribe(api.context, masked, &both.path, 1, &options,
                                            take, &long_alone[1], &err),
                             S3R_OK);
            assert_true(is_equal(&long_alone[0].items[part], &long_alone[1].items[part]));
        }
        forget(&long_alone[0]);
        forget(&long_alone[1]);
        s3r_router_close(router);
        test_api_close(&api);
    }
    for (size_t m = 0; m < MASKS; m++)
        forget(&expected[m]);
}

static void test_mixes_equal_masks_alone(void **state)
{
    (void)state;
    check_mixes(MODEL, false);
    check_mixes(TEST_GOLDEN "hubert_layer_preln", false);
    check_mixes(TEST_GOLDEN "wavlm_base", false);
}

static void test_mixes_in_bf16(void **state)
{
    (void)state;
    check_mixes(MODEL, true);
    check_mixes(TEST_GOLDEN "data2vec_audio", true);
}

static void test_mixes_in_int8(void **state)
{
    (void)state;
    test_api api;
    const char *folder = test_path(test_folder(), "int8");
    test_api_open(&api, MODEL, 1, NULL);
    assert_int_equal(s3r_model_save(api.model, folder, "int8", false, &err), S3R_OK);
    test_api_close(&api);
    /* Masks of the backbone fit its int8 form, whose own folder cannot be written for. */
    static hearing expected[MASKS];
    const char *written = write_masks(MODEL);
    hear_alone(folder, written, false, expected);
    open_api(&api, folder, 2, false);
    s3r_router *router = open_router(&api, written);
    check_all(router, api.context, NULL, expected);
    check_one_each(router, api.context, NULL, expected);
    s3r_router_close(router);
    test_api_close(&api);
    for (size_t m = 0; m < MASKS; m++)
        forget(&expected[m]);
}

static void test_surest_of_all(void **state)
{
    (void)state;
    test_api api;
    hearing got = {0}, one = {0};
    const char *folder = write_masks(MODEL);
    open_api(&api, MODEL, 2, false);
    s3r_router *router = open_router(&api, folder);
    const s3r_router_request requests[] = {ask(audio_files()[3], "auto"),
                                           ask(audio_files()[3], "auto:a,b"),
                                           ask(audio_files()[3], "auto:b")};
    assert_int_equal(
        s3r_router_transcribe(router, api.context, requests, 3, NULL, take, &got, &err),
        S3R_OK);
    assert_int_equal(got.count, 3);
    assert_true(strcmp(got.items[1].mask, "a") == 0 ||
                strcmp(got.items[1].mask, "b") == 0);
    assert_string_equal(got.items[2].mask, "b");
    for (size_t i = 0; i < 3; i++) {
        const s3r_router_request again = ask(audio_files()[3], got.items[i].mask);
        assert_int_equal(
            s3r_router_transcribe(router, api.context, &again, 1, NULL, take, &one, &err),
            S3R_OK);
        assert_true(is_equal(&got.items[i], &one.items[i]));
    }
    forget(&got);
    forget(&one);
    s3r_router_close(router);
    test_api_close(&api);
}

/* ---- the language that is spoken ---- */

typedef struct spoken {
    char languages[3][8]; /* the likeliest first */
    size_t count;
} spoken;

static s3r_status take_languages(void *context, const s3r_result *result)
{
    spoken *s = context;
    s->count = result->language_count;
    for (size_t i = 0; i < s->count && i < 3; i++)
        snprintf(s->languages[i], sizeof s->languages[i], "%s",
                 result->languages[i].name);
    return S3R_OK;
}

/* A folder with the masks x, y and z of the languages that lid.s3m tells apart. */
static const char *write_lid_masks(const char *model)
{
    static const char *const languages[] = {"l0", "l1", "l2"};
    static const char *const files[] = {"x.s3m", "y.s3m", "z.s3m"};
    const char *folder = test_folder();
    test_mask_options options = {.has_masks = true, .sparsity = 0.3, .labels = 9};
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < 3 && status == S3R_OK; i++) {
        options.language = languages[i];
        options.seed = 20 + i;
        status = test_mask_write(test_path(folder, files[i]), model, &options, &err);
    }
    const test_mask_options lid = {.has_masks = true,
                                   .sparsity = 0.2,
                                   .labels = 3,
                                   .identifies_languages = true,
                                   .seed = 31};
    if (status == S3R_OK)
        status = test_mask_write(test_path(folder, "lid.s3m"), model, &lid, &err);
    if (status != S3R_OK)
        fail_msg("%s", err.message);
    return folder;
}

static void check_spoken(const test_api *api, s3r_router *router, const char *folder,
                         const s3r_transcribe_options *options)
{
    s3r_model *lid = NULL;
    s3r_identify_options identify;
    s3r_identify_options_init(&identify);
    identify.window_s = options->window_s;
    identify.context_s = options->context_s;
    assert_int_equal(s3r_model_open_mask(&lid, api->context, api->model,
                                         test_path(folder, "lid.s3m"), &err),
                     S3R_OK);
    for (size_t f = 1; f < FILES; f++) { /* the first is shorter than a frame */
        spoken s = {.count = 0};
        hearing got = {0};
        assert_int_equal(s3r_identify(api->context, lid, &audio_files()[f], 1, &identify,
                                      take_languages, &s, &err),
                         S3R_OK);
        assert_int_equal(s.count, 3);
        const char *names[2] = {"x", "x"}; /* the likeliest, and the next one */
        for (size_t i = 0; i < 2; i++)
            names[i] = s.languages[i][1] == '0'   ? "x"
                       : s.languages[i][1] == '1' ? "y"
                                                  : "z";
        char without[16] = "auto:"; /* all but the likeliest */
        for (const char *n = "xyz"; *n; n++)
            if (*n != names[0][0])
                snprintf(without + strlen(without), 4, "%s%c",
                         strlen(without) > 5 ? "," : "", *n);
        const s3r_router_request requests[] = {
            ask(audio_files()[f], "auto"), ask(audio_files()[f], without),
            ask(audio_files()[f], names[0]), ask(audio_files()[f], names[1])};
        assert_int_equal(s3r_router_transcribe(router, api->context, requests, 4, options,
                                               take, &got, &err),
                         S3R_OK);
        assert_int_equal(got.count, 4);
        for (size_t i = 0; i < 2; i++) {
            assert_string_equal(got.items[i].mask, names[i]);
            assert_true(is_equal(&got.items[i], &got.items[i + 2]));
        }
        forget(&got);
    }
    s3r_model_close(lid);
}

static void test_auto_asks_the_mask_that_tells_languages(void **state)
{
    (void)state;
    test_api api;
    s3r_transcribe_options options;
    const char *folder = write_lid_masks(MODEL);
    open_api(&api, MODEL, 2, false);
    s3r_router *router = open_router(&api, folder);
    s3r_transcribe_options_init(&options);
    check_spoken(&api, router, folder, &options);
    options.window_s = 1; /* the mean is over all windows */
    options.context_s = 0.2;
    check_spoken(&api, router, folder, &options);
    /* Too short for a frame: nobody knows, so the surest of all. */
    hearing got = {0};
    const s3r_router_request request = ask(audio_files()[0], "auto");
    assert_int_equal(
        s3r_router_transcribe(router, api.context, &request, 1, NULL, take, &got, &err),
        S3R_OK);
    assert_int_equal(got.count, 1);
    forget(&got);
    /* It writes no text itself. */
    const s3r_router_request itself = ask(audio_files()[1], "lid");
    assert_int_equal(
        s3r_router_transcribe(router, api.context, &itself, 1, NULL, take, &got, &err),
        S3R_ERR_PARTIAL);
    assert_non_null(strstr(got.items[0].message, "lid.s3m"));
    forget(&got);
    s3r_router_close(router);
    test_api_close(&api);
}

/* ---- by segment ---- */

#define RATE 16000u

/* A voice of gliding pitch, 0.8 s at 1, 3.5 and 6 s. */
static const char *write_voices(const char *folder)
{
    enum { COUNT = 8 * RATE };
    static float samples[COUNT];
    static const double starts[] = {1, 3.5, 6};
    for (size_t v = 0; v < S3R_ARRAY_LEN(starts); v++) {
        double phase = 0;
        for (size_t i = 0; i < RATE * 8 / 10; i++) {
            double t = (double)i / RATE, pitch = 110 + 90 * t + 20 * sin(9 * t);
            phase += 2 * 3.14159265358979 * pitch / RATE;
            double x = 0;
            for (int h = 1; h <= 12; h++)
                x += sin(h * phase) / h;
            samples[(size_t)(starts[v] * RATE) + i] =
                (float)(0.15 * x * sin(3.14159265358979 * t / 0.8));
        }
    }
    const char *path = test_path(folder, "voices.wav");
    test_write_frames(path, WAV, RATE, 1, samples, COUNT);
    return path;
}

typedef struct segments {
    size_t count, words, results;
    double starts[8], ends[8];
    char masks[8][32];
    char mask[128];
    char text[512];
} segments;

static s3r_status take_segments(void *context, const s3r_result *result)
{
    segments *all = context;
    all->results++;
    assert_int_equal(result->status, S3R_OK);
    assert_true(result->segment_count <= 8);
    all->count = result->segment_count;
    all->words = result->word_count;
    snprintf(all->mask, sizeof all->mask, "%s", result->mask);
    snprintf(all->text, sizeof all->text, "%s", result->text);
    for (size_t i = 0; i < result->segment_count; i++) {
        all->starts[i] = result->segments[i].start_s;
        all->ends[i] = result->segments[i].end_s;
        snprintf(all->masks[i], sizeof all->masks[i], "%s", result->segments[i].mask);
    }
    for (size_t i = 0; i < result->word_count; i++) { /* each lies in a segment */
        double start = (double)result->words[i].start_frame * result->frame_s;
        size_t s = 0;
        while (s < all->count && (start < all->starts[s] || start >= all->ends[s]))
            s++;
        assert_true(s < all->count);
        const s3r_label *first = &result->labels[result->words[i].first_label];
        assert_int_equal(first->start_frame, result->words[i].start_frame);
    }
    return S3R_OK;
}

static void test_each_segment_in_its_surest_mask(void **state)
{
    (void)state;
    test_api api;
    segments one = {.count = 0}, many = {.count = 0}, none = {.count = 0};
    const char *voices = write_voices(test_folder());
    open_api(&api, MODEL, 2, false);
    s3r_router *router = open_router(&api, write_masks(MODEL));
    s3r_router_request request = ask(voices, "a");
    request.by_segment = true;
    assert_int_equal(s3r_router_transcribe(router, api.context, &request, 1, NULL,
                                           take_segments, &one, &err),
                     S3R_OK);
    assert_int_equal(one.results, 1);
    assert_int_equal(one.count, 3); /* too far apart to be joined */
    assert_string_equal(one.mask, "a");
    for (size_t i = 0; i < 3; i++) {
        static const double starts[] = {1, 3.5, 6};
        assert_true(fabs(one.starts[i] - starts[i]) < 0.35);
        assert_true(fabs(one.ends[i] - starts[i] - 0.8) < 0.35);
        assert_string_equal(one.masks[i], "a");
    }
    request.masks = "all";
    assert_int_equal(s3r_router_transcribe(router, api.context, &request, 1, NULL,
                                           take_segments, &many, &err),
                     S3R_OK);
    assert_true(many.count >= 1 && many.words >= many.count);
    assert_non_null(strstr(many.mask, many.masks[0]));
    /* Nobody speaks: nothing is written. */
    static float silence[2 * RATE];
    const char *quiet = test_path(test_folder(), "quiet.wav");
    test_write_frames(quiet, WAV, RATE, 1, silence, 2 * RATE);
    request.path = quiet;
    assert_int_equal(s3r_router_transcribe(router, api.context, &request, 1, NULL,
                                           take_segments, &none, &err),
                     S3R_OK);
    assert_int_equal(none.results, 1);
    assert_int_equal(none.words, 0);
    assert_string_equal(none.text, "");
    s3r_router_close(router);
    test_api_close(&api);
}

/* ---- failures ---- */

static void damage(const char *path)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -5, SEEK_END), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -5, SEEK_END), 0);
    assert_int_not_equal(fputc(byte ^ 0x10, file), EOF);
    assert_int_equal(fclose(file), 0);
}

static void test_a_bad_mask_fails_alone(void **state)
{
    (void)state;
    test_api api;
    hearing got = {0};
    s3r_router_mask mask;
    const char *folder = write_masks(MODEL);
    damage(test_path(folder, "b.s3m"));                        /* its seal is broken */
    test_write_file(test_path(folder, "none.s3m"), "{}", 2);   /* no mask file at all */
    test_write_file(test_path(folder, "readme.txt"), "hi", 2); /* nobody looks */
    if (test_mask_write(test_path(folder, "other.s3m"), TEST_GOLDEN "wavlm_base",
                        &masks[2].options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    open_api(&api, MODEL, 2, false);
    s3r_router *router = open_router(&api, folder);
    size_t count = 0, unreadable = 0;
    for (; s3r_router_get_mask(router, count, &mask); count++) {
        if (mask.status == S3R_OK)
            continue;
        unreadable++;
        assert_string_equal(mask.name, "none");
        assert_non_null(strstr(mask.message, "none.s3m"));
    }
    assert_int_equal(count, MASKS + 2);
    assert_int_equal(unreadable, 1);
    const s3r_router_request requests[] = {
        ask(audio_files()[1], "a"),    ask(audio_files()[1], "b"),
        ask(audio_files()[1], "none"), ask(audio_files()[1], "other"),
        ask(audio_files()[1], "tpo"),  ask("/nowhere/x.wav", "a"),
        ask(audio_files()[1], "cs"),   ask(audio_files()[1], "a,b,top"),
        ask(audio_files()[1], "nl")};
    assert_int_equal(s3r_router_transcribe(router, api.context, requests,
                                           S3R_ARRAY_LEN(requests), NULL, take, &got,
                                           &err),
                     S3R_ERR_PARTIAL);
    static const struct {
        s3r_status status;
        const char *said;
    } expected[] = {{S3R_OK, ""},
                    {S3R_ERR_MODEL, "b.s3m: damaged"},
                    {S3R_ERR_MODEL, "none.s3m"},
                    {S3R_ERR_MODEL, "other.s3m"},
                    {S3R_ERR_USAGE, "no mask \"tpo\", did you mean \"top\""},
                    {S3R_ERR_DATA, "/nowhere/x.wav"},
                    {S3R_ERR_USAGE, "expected one mask, found 2; name one of b, top"},
                    {S3R_OK, ""},
                    {S3R_ERR_MODEL, "b.s3m: damaged"},
                    {S3R_OK, ""},
                    {S3R_OK, ""}};
    assert_int_equal(got.count, S3R_ARRAY_LEN(expected));
    for (size_t i = 0; i < got.count; i++) {
        assert_int_equal(got.items[i].status, expected[i].status);
        assert_non_null(strstr(got.items[i].message, expected[i].said));
    }
    assert_string_equal(got.items[10].mask, "a"); /* the only Dutch one */
    forget(&got);
    s3r_router_close(router);
    test_api_close(&api);
}

static void test_usage(void **state)
{
    (void)state;
    test_api api;
    s3r_router *router = NULL;
    s3r_transcribe_options options;
    const char *empty = test_folder();
    open_api(&api, MODEL, 1, false);
    test_expect_failure(s3r_router_open(&router, api.model, empty, &err), &err,
                        S3R_ERR_USAGE, "expected mask files (*.s3m)");
    test_expect_failure(s3r_router_open(&router, api.model, "/nowhere", &err), &err,
                        S3R_ERR_USAGE, "/nowhere");
    router = open_router(&api, write_masks(MODEL));
    s3r_transcribe_options_init(&options);
    options.features_folder = empty;
    const s3r_router_request request = ask(audio_files()[1], "all");
    test_expect_failure(s3r_router_transcribe(router, api.context, &request, 1, &options,
                                              take, NULL, &err),
                        &err, S3R_ERR_USAGE, "no features");
    options.features_folder = NULL;
    options.emissions_folder = empty;
    test_expect_failure(s3r_router_transcribe(router, api.context, &request, 1, &options,
                                              take, NULL, &err),
                        &err, S3R_ERR_USAGE, "expected one mask a file");
    s3r_router_close(router);
    test_api_close(&api);
}

/* ---- many threads ---- */

#define THREADS  4u
#define REQUESTS 24u

typedef struct worker {
    s3r_router *router;
    const hearing *expected; /* [MASKS] */
    unsigned seed;
    size_t wrong;
} worker;

static void *work(void *context)
{
    worker *w = context;
    s3r_error error;
    s3r_context *own = NULL;
    s3r_context_options options;
    s3r_context_options_init(&options);
    options.thread_count = 1 + w->seed % 2;
    if (s3r_context_create(&own, &options, &error) != S3R_OK) {
        w->wrong = REQUESTS;
        return NULL;
    }
    for (size_t i = 0; i < REQUESTS; i++) {
        hearing got = {0};
        w->seed = w->seed * 1664525u + 1013904223u;
        size_t mask = (w->seed >> 16) % MASKS, file = (w->seed >> 8) % FILES;
        const s3r_router_request request[2] = {ask(audio_files()[file], masks[mask].name),
                                               ask(audio_files()[file], "nobody")};
        w->wrong += s3r_router_transcribe(w->router, own, request, 2, NULL, take, &got,
                                          &error) != S3R_ERR_PARTIAL;
        w->wrong += got.count != 2 || got.items[1].status != S3R_ERR_USAGE ||
                    !is_equal(&got.items[0], &w->expected[mask].items[file]);
        forget(&got);
    }
    s3r_context_destroy(own);
    return NULL;
}

static void test_threads_see_their_own_masks(void **state)
{
    (void)state;
    static hearing expected[MASKS];
    test_api api;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    const char *folder = write_masks(MODEL);
    hear_alone(MODEL, folder, false, expected);
    open_api(&api, MODEL, 1, false);
    s3r_router *router = open_router(&api, folder); /* masks are opened by the threads */
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){router, expected, (unsigned)(7 * i + 1), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
    }
    s3r_router_close(router);
    test_api_close(&api);
    for (size_t m = 0; m < MASKS; m++)
        forget(&expected[m]);
}

/* ---- no memory ---- */

static const char *fault_folder, *fault_voices;

static s3r_status route_once(void *context, s3r_error *error)
{
    const test_api *api = context;
    hearing got = {0};
    s3r_router *router = NULL;
    s3r_router_request requests[] = {ask(audio_files()[1], "a,top"),
                                     ask(audio_files()[2], "lora"),
                                     ask(fault_voices, "a,b")};
    requests[2].by_segment = true;
    s3r_status status = s3r_router_open(&router, api->model, fault_folder, error);
    if (status == S3R_OK)
        status = s3r_router_transcribe(router, api->context, requests, 2, NULL, take,
                                       &got, error);
    /* A fault of a single result is that result's. */
    for (size_t i = 0; status == S3R_ERR_PARTIAL && i < got.count; i++)
        if (got.items[i].status != S3R_OK)
            status = got.items[i].status;
    forget(&got);
    s3r_router_close(router);
    return status;
}

static void test_survives_lack_of_memory(void **state)
{
    (void)state;
    test_api api;
    fault_folder = write_masks(MODEL);
    fault_voices = write_voices(test_folder());
    open_api(&api, MODEL, 1, false);
    test_survives_alloc_faults(route_once, &api);
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixes_equal_masks_alone),
        cmocka_unit_test(test_mixes_in_bf16),
        cmocka_unit_test(test_mixes_in_int8),
        cmocka_unit_test(test_surest_of_all),
        cmocka_unit_test(test_auto_asks_the_mask_that_tells_languages),
        cmocka_unit_test(test_each_segment_in_its_surest_mask),
        cmocka_unit_test(test_a_bad_mask_fails_alone),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_threads_see_their_own_masks),
        cmocka_unit_test(test_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
