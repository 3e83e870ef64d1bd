/*
 * The utterances of a run: labels, references, frames, identity, and features that are
 * the extractor's whether they are cached or not.  (What is left out:
 * test_train_alarms.c.)
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support_api.h"
#include "support_files.h"
#include "support_train.h"
#include "train/train_set.h"

#define MAX_VALUES 65536u

static s3r_trainer *open_with(test_run *run, const char *name, const char *settings)
{
    test_run_init(run, test_path(test_folder(), name), 2, "schedule.steps=4");
    test_run_set(run, settings);
    run->options.dev = NULL;
    return test_run_open(run);
}

/* Letters are 6 + their place, the word boundary is 4, in the tiny vocabulary. */
static void test_items(void **state)
{
    (void)state;
    test_run run;
    s3r_trainer *trainer = open_with(&run, "run", "");
    const s3r_train_set *set = &trainer->train;
    const s3r_train_item *item = &set->items[2];
    static const uint32_t thank_you[] = {25, 13, 6, 19, 16, 4, 30, 20, 26};
    assert_int_equal(set->count, 8);
    assert_string_equal(item->utterance->text, "thank you");
    assert_int_equal(item->label_count, S3R_ARRAY_LEN(thank_you));
    assert_memory_equal(item->labels, thank_you, sizeof thank_you);
    double seconds = 0;
    for (size_t i = 0; i < set->count; i++) {
        assert_int_equal(set->frames[i], set->items[i].frames);
        seconds += 0.02 * (double)set->frames[i];
    }
    /* A frame is 20 ms; the receptive field takes up to two of each utterance. */
    assert_true(set->seconds - seconds > 0 && set->seconds - seconds < 8 * 0.04);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

static size_t take_features(s3r_trainer *trainer, const size_t *indices, size_t count,
                            float *values)
{
    s3r_value *features = NULL;
    s3r_ragged ragged;
    s3r_error err;
    size_t used = 0;
    s3r_tape_reset(&trainer->tape);
    if (s3r_train_set_features(&trainer->train, &trainer->model, &trainer->tape, indices,
                               count, &features, &ragged, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(ragged.count, count);
    for (size_t u = 0; u < count; u++)
        assert_int_equal(ragged.offset[u + 1] - ragged.offset[u],
                         trainer->train.frames[indices[u]]);
    assert_int_equal(features->rows, ragged.offset[count]);
    assert_true(features->rows * features->cols <= MAX_VALUES);
    for (size_t i = 0; i < features->rows; i++)
        for (size_t k = 0; k < features->cols; k++)
            values[used++] = features->data[i * features->stride + k];
    return used;
}

/* In memory, in a file and computed anew: the same bits; in bf16 those bits rounded. */
static void test_features(void **state)
{
    (void)state;
    static const char *const settings[] = {"cache.features=none", "cache.features=f32",
                                           "cache.features=f32 cache.memory_mb=0",
                                           "cache.features=bf16"};
    static float wanted[MAX_VALUES], found[MAX_VALUES];
    static const size_t indices[] = {5, 0, 3};
    size_t count = 0;
    for (size_t c = 0; c < S3R_ARRAY_LEN(settings); c++) {
        test_run run;
        s3r_trainer *trainer = open_with(&run, "run", settings[c]);
        bool is_cached = strstr(settings[c], "none") == NULL;
        assert_int_equal(trainer->train.cache != NULL, is_cached);
        size_t values = take_features(trainer, indices, 3, c == 0 ? wanted : found);
        count = c == 0 ? values : count;
        assert_int_equal(values, count);
        for (size_t i = 0; c > 0 && i < count; i++) {
            double error = fabs((double)found[i] - (double)wanted[i]);
            /* bf16 has 8 bits. */
            double allowed = c == 3 ? fabs((double)wanted[i]) / 256.0 : 0.0;
            if (!(error <= allowed))
                fail_msg("%s: value %zu: expected %.9g, found %.9g", settings[c], i,
                         (double)wanted[i], (double)found[i]);
        }
        /* One utterance alone has the rows that it has among others. */
        float *part = c == 0 ? found : wanted;
        size_t alone = take_features(trainer, indices, 1, part);
        if (c < 3)
            assert_memory_equal(part, c == 0 ? wanted : found, alone * sizeof(float));
        s3r_trainer_close(trainer);
        test_run_release(&run);
    }
}

/* The identity is that of ids, texts and samples, not of the manifest's form. */
static void test_hash(void **state)
{
    (void)state;
    const char *root = test_folder();
    char *clips[2] = {NULL, NULL}, hashes[6][S3R_MODEL_HASH_BYTES];
    s3r_error err;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(s3r_path_absolute(&clips[i],
                                           i == 0 ? "tests/data/speech/calling.g722"
                                                  : "tests/data/speech/cancelled.g722",
                                           &err),
                         S3R_OK);
    const char *clip =
        test_write_speech(root, "clip.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 32000, 1);
    const test_line manifests[6][3] = {
        {{clips[0], "calling"}, {clips[1], "cancelled"}, {NULL, NULL}},
        {{clips[0], "  calling "}, {clips[1], "cancelled"}, {NULL, NULL}},
        {{clips[0], "calling"}, {clips[1], "cancelling"}, {NULL, NULL}},
        {{clips[0], "calling"}, {NULL, NULL}, {NULL, NULL}},
        {{clip, "calling"}, {NULL, NULL}, {NULL, NULL}},
        {{clip, "calling"}, {NULL, NULL}, {NULL, NULL}}, /* one sample differs */
    };
    for (size_t i = 0; i < 6; i++) {
        test_run run;
        char name[32];
        if (i == 5)
            test_flip_byte(clip, test_file_size(clip) - 101);
        snprintf(name, sizeof name, "%zu.jsonl", i);
        test_run_init(&run, test_path(root, "run"), 1, "schedule.steps=4");
        run.options.train = test_write_manifest(root, name, manifests[i]);
        run.options.dev = NULL;
        s3r_trainer *trainer = test_run_open(&run);
        memcpy(hashes[i], trainer->train.hash, sizeof hashes[i]);
        assert_int_equal(strlen(hashes[i]), 64);
        s3r_trainer_close(trainer);
        test_run_release(&run);
    }
    assert_string_equal(hashes[0], hashes[1]);
    assert_string_not_equal(hashes[0], hashes[2]);
    assert_string_not_equal(hashes[0], hashes[3]);
    assert_string_not_equal(hashes[4], hashes[5]);
    s3r_free(clips[0]);
    s3r_free(clips[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
