/*
 * Targets through the public interface: interrupted anywhere, without memory anywhere,
 * wrong options.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "base/memory.h"
#include "s3r/kmeans.h"
#include "support_api.h"
#include "support_files.h"
#include "tasks/frame_labels.h"

#define MODEL TEST_GOLDEN "w2v2_group_postln"

static const char *manifest;

static void make_data(void)
{
    const char *folder = test_folder();
    char lines[1024] = "";
    for (int i = 0; i < 3; i++) {
        char name[32];
        size_t used = strlen(lines);
        snprintf(name, sizeof name, "%d.wav", i);
        test_write_speech(folder, name, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, i + 1);
        snprintf(lines + used, sizeof lines - used, "{\"audio_filepath\": \"%s\"}\n",
                 name);
    }
    manifest = test_path(folder, "speech.jsonl");
    test_write_file(manifest, lines, strlen(lines));
}

static s3r_kmeans_options options_for(const test_api *api, const char *folder)
{
    s3r_kmeans_options options;
    s3r_kmeans_options_init(&options);
    options.data = &manifest;
    options.data_count = 1;
    options.folder = folder;
    options.clusters = 3;
    options.model = api->model;
    options.layer = 1;
    options.iterations = 3;
    return options;
}

typedef struct stopper {
    size_t events, stop_at;
} stopper;

static bool count_events(void *context, const s3r_kmeans_event *event)
{
    stopper *s = context;
    (void)event;
    return ++s->events != s->stop_at;
}

static void can_be_interrupted_anywhere(void **state)
{
    test_api api;
    s3r_status status = S3R_ERR_RUNTIME;
    const char *folder = test_folder();
    stopper s = {0};
    (void)state;
    make_data();
    test_api_open(&api, MODEL, 2, NULL);
    s3r_kmeans_options options = options_for(&api, folder);
    options.watch = count_events;
    options.watch_context = &s;
    while (status != S3R_OK) {
        s3r_error err = {S3R_OK, ""};
        s = (stopper){.stop_at = s.stop_at + 1};
        status = s3r_kmeans_run(api.context, &options, &err);
        if (status != S3R_OK)
            test_expect_failure(status, &err, S3R_ERR_INTERRUPTED, "interrupted");
        if (status != S3R_OK)
            assert_int_equal(s.events, s.stop_at);
    }
    /* Read, learned, labelled at the least. */
    assert_true(s.events >= 5 && s.stop_at == s.events + 1);
    test_api_close(&api);
}

/* Without jansson's own allocations: see test_manifest.c. */
static void survives_lack_of_memory(void **state)
{
    test_api api;
    const char *folder = test_folder();
    s3r_frame_labels labels;
    (void)state;
    make_data();
    test_api_open(&api, MODEL, 1, NULL);
    s3r_kmeans_options options = options_for(&api, folder);
    size_t before = s3r_alloc_count();
    assert_int_equal(s3r_kmeans_run(api.context, &options, NULL), S3R_OK);
    size_t count = s3r_alloc_count() - before, failures = 0;
    for (size_t n = 1; n <= count; n++) {
        s3r_error err = {S3R_OK, ""};
        s3r_alloc_fail_at(n);
        s3r_status status = s3r_kmeans_run(api.context, &options, &err);
        s3r_alloc_fail_at(0);
        if (status != S3R_OK)
            test_expect_failure(status, &err, S3R_ERR_RESOURCE, "");
        failures += status != S3R_OK;
    }
    /* Some do without: a folder is not synced, audio of unknown length is measured. */
    assert_true(failures > 50 && failures + 10 >= count);
    assert_int_equal(
        s3r_frame_labels_open(&labels, test_path(folder, "speech.labels"), NULL), S3R_OK);
    assert_int_equal(labels.frame_count, 3 * 24); /* of 8000 samples each */
    assert_int_equal(labels.source.layer, 1);
    s3r_frame_labels_close(&labels);
    test_api_close(&api);
}

static void refuses_options(void **state)
{
    test_api api;
    s3r_error err;
    (void)state;
    make_data();
    test_api_open(&api, MODEL, 1, NULL);
    s3r_kmeans_options options = options_for(&api, test_folder());
    options.struct_size = 8;
    test_expect_failure(s3r_kmeans_run(api.context, &options, &err), &err, S3R_ERR_USAGE,
                        "struct of");
    options = options_for(&api, NULL);
    test_expect_failure(s3r_kmeans_run(api.context, &options, &err), &err, S3R_ERR_USAGE,
                        "expected manifests and a folder");
    options = options_for(&api, test_folder());
    options.data_count = 0;
    test_expect_failure(s3r_kmeans_run(api.context, &options, &err), &err, S3R_ERR_USAGE,
                        "expected manifests and a folder");
    options = options_for(&api, test_folder());
    options.layer = -1;
    test_expect_failure(s3r_kmeans_run(api.context, &options, &err), &err, S3R_ERR_USAGE,
                        "expected a layer of the model (0 to 2)");
    options = options_for(&api, test_folder());
    options.seed = UINT64_MAX;
    test_expect_failure(s3r_kmeans_run(api.context, &options, &err), &err, S3R_ERR_USAGE,
                        "a seed below 2^63");
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(can_be_interrupted_anywhere),
        cmocka_unit_test(survives_lack_of_memory),
        cmocka_unit_test(refuses_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
