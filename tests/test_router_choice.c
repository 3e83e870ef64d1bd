/*
 * Which mask writes: the surest, that of the language which is spoken, and that of each
 * segment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "s3r/identify.h"
#include "support_audio.h"
#include "support_files.h"
#include "support_router.h"

static s3r_error err;

static void test_surest_of_all(void **state)
{
    (void)state;
    test_api api;
    test_hearing got = {0}, one = {0};
    const char *folder = test_router_masks(TEST_ROUTER_MODEL);
    test_router_open_api(&api, TEST_ROUTER_MODEL, 2, false);
    s3r_router *router = test_router_open(&api, folder);
    const s3r_router_request requests[] = {
        test_router_ask(test_router_files()[3], "auto"),
        test_router_ask(test_router_files()[3], "auto:a,b"),
        test_router_ask(test_router_files()[3], "auto:b")};
    assert_int_equal(s3r_router_transcribe(router, api.context, requests, 3, NULL,
                                           test_take_heard, &got, &err),
                     S3R_OK);
    assert_int_equal(got.count, 3);
    assert_true(strcmp(got.items[1].mask, "a") == 0 ||
                strcmp(got.items[1].mask, "b") == 0);
    assert_string_equal(got.items[2].mask, "b");
    for (size_t i = 0; i < 3; i++) {
        const s3r_router_request again =
            test_router_ask(test_router_files()[3], got.items[i].mask);
        assert_int_equal(s3r_router_transcribe(router, api.context, &again, 1, NULL,
                                               test_take_heard, &one, &err),
                         S3R_OK);
        assert_true(test_heard_is_equal(&got.items[i], &one.items[i]));
    }
    test_forget_heard(&got);
    test_forget_heard(&one);
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

/* A folder with the masks x, y and z of the languages that lid.s3m tells
 * apart. */
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
    for (size_t f = 1; f < TEST_FILES; f++) { /* the first is shorter than a frame */
        spoken s = {.count = 0};
        test_hearing got = {0};
        assert_int_equal(s3r_identify(api->context, lid, &test_router_files()[f], 1,
                                      &identify, take_languages, &s, &err),
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
            test_router_ask(test_router_files()[f], "auto"),
            test_router_ask(test_router_files()[f], without),
            test_router_ask(test_router_files()[f], names[0]),
            test_router_ask(test_router_files()[f], names[1])};
        assert_int_equal(s3r_router_transcribe(router, api->context, requests, 4, options,
                                               test_take_heard, &got, &err),
                         S3R_OK);
        assert_int_equal(got.count, 4);
        for (size_t i = 0; i < 2; i++) {
            assert_string_equal(got.items[i].mask, names[i]);
            assert_true(test_heard_is_equal(&got.items[i], &got.items[i + 2]));
        }
        test_forget_heard(&got);
    }
    s3r_model_close(lid);
}

static void test_auto_asks_the_mask_that_tells_languages(void **state)
{
    (void)state;
    test_api api;
    s3r_transcribe_options options;
    const char *folder = write_lid_masks(TEST_ROUTER_MODEL);
    test_router_open_api(&api, TEST_ROUTER_MODEL, 2, false);
    s3r_router *router = test_router_open(&api, folder);
    s3r_transcribe_options_init(&options);
    check_spoken(&api, router, folder, &options);
    options.window_s = 1; /* the mean is over all windows */
    options.context_s = 0.2;
    check_spoken(&api, router, folder, &options);
    /* Too short for a frame: nobody knows, so the surest of all. */
    test_hearing got = {0};
    const s3r_router_request request = test_router_ask(test_router_files()[0], "auto");
    assert_int_equal(s3r_router_transcribe(router, api.context, &request, 1, NULL,
                                           test_take_heard, &got, &err),
                     S3R_OK);
    assert_int_equal(got.count, 1);
    test_forget_heard(&got);
    /* It writes no text itself. */
    const s3r_router_request itself = test_router_ask(test_router_files()[1], "lid");
    assert_int_equal(s3r_router_transcribe(router, api.context, &itself, 1, NULL,
                                           test_take_heard, &got, &err),
                     S3R_ERR_PARTIAL);
    assert_non_null(strstr(got.items[0].message, "lid.s3m"));
    test_forget_heard(&got);
    s3r_router_close(router);
    test_api_close(&api);
}

/* ---- by segment ---- */

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
    const char *voices = test_write_voices(test_folder());
    test_router_open_api(&api, TEST_ROUTER_MODEL, 2, false);
    s3r_router *router = test_router_open(&api, test_router_masks(TEST_ROUTER_MODEL));
    s3r_router_request request = test_router_ask(voices, "a");
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
    static float silence[2 * TEST_RATE];
    const char *quiet = test_path(test_folder(), "quiet.wav");
    test_write_frames(quiet, TEST_WAV, TEST_RATE, 1, silence, 2 * TEST_RATE);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_surest_of_all),
        cmocka_unit_test(test_auto_asks_the_mask_that_tells_languages),
        cmocka_unit_test(test_each_segment_in_its_surest_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
