/*
 * The router: results of any mix of masks are those of each mask alone, bit for bit; a
 * request that fails makes no other fail; many threads see their own masks.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support_alloc_faults.h"
#include "support_files.h"
#include "support_router.h"

static s3r_error err;

static void check_all(s3r_router *router, s3r_context *context,
                      const s3r_transcribe_options *options,
                      const test_hearing expected[TEST_MASKS])
{
    test_hearing got = {0};
    s3r_router_request requests[TEST_FILES];
    static const size_t by_name[TEST_MASKS] = {0, 6, 1, 2, 3, 4, 5};
    for (size_t f = 0; f < TEST_FILES; f++)
        requests[f] = test_router_ask(test_router_files()[f], "all");
    if (s3r_router_transcribe(router, context, requests, TEST_FILES, options,
                              test_take_heard, &got, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(got.count, TEST_FILES * TEST_MASKS);
    for (size_t i = 0; i < got.count; i++) {
        size_t mask = by_name[i % TEST_MASKS];
        assert_string_equal(got.items[i].mask, test_router_kinds[mask].name);
        assert_true(
            test_heard_is_equal(&got.items[i], &expected[mask].items[i / TEST_MASKS]));
    }
    test_forget_heard(&got);
}

static void check_one_each(s3r_router *router, s3r_context *context,
                           const s3r_transcribe_options *options,
                           const test_hearing expected[TEST_MASKS])
{
    test_hearing got = {0};
    s3r_router_request requests[3 * TEST_FILES];
    for (size_t i = 0; i < S3R_ARRAY_LEN(requests); i++)
        requests[i] = test_router_ask(test_router_files()[i % TEST_FILES],
                                      test_router_kinds[i * 4 % TEST_MASKS].name);
    assert_int_equal(s3r_router_transcribe(router, context, requests,
                                           S3R_ARRAY_LEN(requests), options,
                                           test_take_heard, &got, &err),
                     S3R_OK);
    assert_int_equal(got.count, S3R_ARRAY_LEN(requests));
    for (size_t i = 0; i < got.count; i++)
        assert_true(test_heard_is_equal(
            &got.items[i], &expected[i * 4 % TEST_MASKS].items[i % TEST_FILES]));
    test_forget_heard(&got);
}

static void check_mixes(const char *model, bool is_bf16)
{
    static test_hearing expected[TEST_MASKS];
    const char *folder = test_router_masks(model);
    test_hear_alone(model, folder, is_bf16, expected);
    for (size_t threads = 1; threads <= 3; threads += 2) {
        test_api api;
        s3r_transcribe_options options;
        test_router_open_api(&api, model, threads, is_bf16);
        s3r_router *router = test_router_open(&api, folder);
        s3r_transcribe_options_init(&options);
        check_all(router, api.context, &options, expected);
        check_one_each(router, api.context, &options, expected);
        options.batch_s = 0.7; /* groups of lanes that do not fit together */
        check_all(router, api.context, &options, expected);
        check_one_each(router, api.context, &options, expected);
        options.batch_s = 40;
        options.window_s = 1;
        options.context_s = 0.4; /* 2 s are long now: windows, mask by mask */
        test_hearing long_alone[2] = {{.count = 0}, {.count = 0}};
        const s3r_router_request both = test_router_ask(test_router_files()[3], "a,top");
        assert_int_equal(s3r_router_transcribe(router, api.context, &both, 1, &options,
                                               test_take_heard, &long_alone[0], &err),
                         S3R_OK);
        for (size_t part = 0; part < 2; part++) {
            const s3r_model *masked;
            assert_int_equal(s3r_router_get_model(router, api.context, part ? "top" : "a",
                                                  &masked, &err),
                             S3R_OK);
            assert_int_equal(s3r_transcribe(api.context, masked, &both.path, 1, &options,
                                            test_take_heard, &long_alone[1], &err),
                             S3R_OK);
            assert_true(test_heard_is_equal(&long_alone[0].items[part],
                                            &long_alone[1].items[part]));
        }
        test_forget_heard(&long_alone[0]);
        test_forget_heard(&long_alone[1]);
        s3r_router_close(router);
        test_api_close(&api);
    }
    for (size_t m = 0; m < TEST_MASKS; m++)
        test_forget_heard(&expected[m]);
}

static void test_mixes_equal_masks_alone(void **state)
{
    (void)state;
    check_mixes(TEST_ROUTER_MODEL, false);
    check_mixes(TEST_GOLDEN "hubert_layer_preln", false);
    check_mixes(TEST_GOLDEN "wavlm_base", false);
}

static void test_mixes_in_bf16(void **state)
{
    (void)state;
    check_mixes(TEST_ROUTER_MODEL, true);
    check_mixes(TEST_GOLDEN "data2vec_audio", true);
}

static void test_mixes_in_int8(void **state)
{
    (void)state;
    test_api api;
    const char *folder = test_path(test_folder(), "int8");
    test_api_open(&api, TEST_ROUTER_MODEL, 1, NULL);
    assert_int_equal(s3r_model_save(api.model, folder, "int8", false, &err), S3R_OK);
    test_api_close(&api);
    /* Masks of the backbone fit its int8 form, whose own folder cannot be written for. */
    static test_hearing expected[TEST_MASKS];
    const char *written = test_router_masks(TEST_ROUTER_MODEL);
    test_hear_alone(folder, written, false, expected);
    test_router_open_api(&api, folder, 2, false);
    s3r_router *router = test_router_open(&api, written);
    check_all(router, api.context, NULL, expected);
    check_one_each(router, api.context, NULL, expected);
    s3r_router_close(router);
    test_api_close(&api);
    for (size_t m = 0; m < TEST_MASKS; m++)
        test_forget_heard(&expected[m]);
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
    test_hearing got = {0};
    s3r_router_mask mask;
    const char *folder = test_router_masks(TEST_ROUTER_MODEL);
    damage(test_path(folder, "b.s3m"));                        /* its seal is broken */
    test_write_file(test_path(folder, "none.s3m"), "{}", 2);   /* no mask file at all */
    test_write_file(test_path(folder, "readme.txt"), "hi", 2); /* nobody looks */
    if (test_mask_write(test_path(folder, "other.s3m"), TEST_GOLDEN "wavlm_base",
                        &test_router_kinds[2].options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    test_router_open_api(&api, TEST_ROUTER_MODEL, 2, false);
    s3r_router *router = test_router_open(&api, folder);
    size_t count = 0, unreadable = 0;
    for (; s3r_router_get_mask(router, count, &mask); count++) {
        if (mask.status == S3R_OK)
            continue;
        unreadable++;
        assert_string_equal(mask.name, "none");
        assert_non_null(strstr(mask.message, "none.s3m"));
    }
    assert_int_equal(count, TEST_MASKS + 2);
    assert_int_equal(unreadable, 1);
    const s3r_router_request requests[] = {
        test_router_ask(test_router_files()[1], "a"),
        test_router_ask(test_router_files()[1], "b"),
        test_router_ask(test_router_files()[1], "none"),
        test_router_ask(test_router_files()[1], "other"),
        test_router_ask(test_router_files()[1], "tpo"),
        test_router_ask("/nowhere/x.wav", "a"),
        test_router_ask(test_router_files()[1], "cs"),
        test_router_ask(test_router_files()[1], "a,b,top"),
        test_router_ask(test_router_files()[1], "nl")};
    assert_int_equal(s3r_router_transcribe(router, api.context, requests,
                                           S3R_ARRAY_LEN(requests), NULL, test_take_heard,
                                           &got, &err),
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
    test_forget_heard(&got);
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
    test_router_open_api(&api, TEST_ROUTER_MODEL, 1, false);
    test_expect_failure(s3r_router_open(&router, api.model, empty, &err), &err,
                        S3R_ERR_USAGE, "expected mask files (*.s3m)");
    test_expect_failure(s3r_router_open(&router, api.model, "/nowhere", &err), &err,
                        S3R_ERR_USAGE, "/nowhere");
    router = test_router_open(&api, test_router_masks(TEST_ROUTER_MODEL));
    s3r_transcribe_options_init(&options);
    options.features_folder = empty;
    const s3r_router_request request = test_router_ask(test_router_files()[1], "all");
    test_expect_failure(s3r_router_transcribe(router, api.context, &request, 1, &options,
                                              test_take_heard, NULL, &err),
                        &err, S3R_ERR_USAGE, "no features");
    options.features_folder = NULL;
    options.emissions_folder = empty;
    test_expect_failure(s3r_router_transcribe(router, api.context, &request, 1, &options,
                                              test_take_heard, NULL, &err),
                        &err, S3R_ERR_USAGE, "expected one mask a file");
    const s3r_router_request by_segment = {
        .path = test_router_files()[1], .masks = "a", .by_segment = true};
    test_expect_failure(s3r_router_transcribe(router, api.context, &by_segment, 1,
                                              &options, test_take_heard, NULL, &err),
                        &err, S3R_ERR_USAGE, "expected one array a file");
    s3r_router_close(router);
    assert_int_equal(
        s3r_router_open(&router, NULL, test_router_masks(TEST_ROUTER_MODEL), &err),
        S3R_OK);
    test_expect_failure(s3r_router_transcribe(router, api.context, &request, 1, NULL,
                                              test_take_heard, NULL, &err),
                        &err, S3R_ERR_USAGE, "expected a router with a backbone");
    s3r_router_close(router);
    test_api_close(&api);
}

/* ---- many threads ---- */

#define THREADS  4u
#define REQUESTS 24u

typedef struct worker {
    s3r_router *router;
    const test_hearing *expected; /* [TEST_MASKS] */
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
        test_hearing got = {0};
        w->seed = w->seed * 1664525u + 1013904223u;
        size_t mask = (w->seed >> 16) % TEST_MASKS, file = (w->seed >> 8) % TEST_FILES;
        const s3r_router_request request[2] = {
            test_router_ask(test_router_files()[file], test_router_kinds[mask].name),
            test_router_ask(test_router_files()[file], "nobody")};
        w->wrong +=
            s3r_router_transcribe(w->router, own, request, 2, NULL, test_take_heard, &got,
                                  &error) != S3R_ERR_PARTIAL;
        w->wrong += got.count != 2 || got.items[1].status != S3R_ERR_USAGE ||
                    !test_heard_is_equal(&got.items[0], &w->expected[mask].items[file]);
        test_forget_heard(&got);
    }
    s3r_context_destroy(own);
    return NULL;
}

static void test_threads_see_their_own_masks(void **state)
{
    (void)state;
    static test_hearing expected[TEST_MASKS];
    test_api api;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    const char *folder = test_router_masks(TEST_ROUTER_MODEL);
    test_hear_alone(TEST_ROUTER_MODEL, folder, false, expected);
    test_router_open_api(&api, TEST_ROUTER_MODEL, 1, false);
    s3r_router *router =
        test_router_open(&api, folder); /* masks are opened by the threads */
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
    for (size_t m = 0; m < TEST_MASKS; m++)
        test_forget_heard(&expected[m]);
}

/* ---- no memory ---- */

static const char *fault_folder, *fault_voices;

static s3r_status route_once(void *context, s3r_error *error)
{
    const test_api *api = context;
    test_hearing got = {0};
    s3r_router *router = NULL;
    s3r_router_request requests[] = {test_router_ask(test_router_files()[1], "a,top"),
                                     test_router_ask(test_router_files()[2], "lora"),
                                     test_router_ask(fault_voices, "a,b")};
    requests[2].by_segment = true;
    s3r_status status = s3r_router_open(&router, api->model, fault_folder, error);
    if (status == S3R_OK)
        status = s3r_router_transcribe(router, api->context, requests, 2, NULL,
                                       test_take_heard, &got, error);
    /* A fault of a single result is that result's. */
    for (size_t i = 0; status == S3R_ERR_PARTIAL && i < got.count; i++)
        if (got.items[i].status != S3R_OK)
            status = got.items[i].status;
    test_forget_heard(&got);
    s3r_router_close(router);
    return status;
}

static void test_survives_lack_of_memory(void **state)
{
    (void)state;
    test_api api;
    fault_folder = test_router_masks(TEST_ROUTER_MODEL);
    fault_voices = test_write_voices(test_folder());
    test_router_open_api(&api, TEST_ROUTER_MODEL, 1, false);
    test_survives_alloc_faults(route_once, &api);
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixes_equal_masks_alone),
        cmocka_unit_test(test_mixes_in_bf16),
        cmocka_unit_test(test_mixes_in_int8),
        cmocka_unit_test(test_a_bad_mask_fails_alone),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_threads_see_their_own_masks),
        cmocka_unit_test(test_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
