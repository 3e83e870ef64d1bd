/*
 * What a run says about bad data before its first step, and what it does when numbers go
 * wrong while it runs.
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
#include "support_audio.h"
#include "support_files.h"
#include "support_train.h"

/* An absolute path of one of the recordings, until exit. */
static const char *speech(const char *name)
{
    char path[256], *absolute = NULL;
    s3r_error err;
    snprintf(path, sizeof path, "tests/data/speech/%s.g722", name);
    if (s3r_path_absolute(&absolute, path, &err) != S3R_OK)
        fail_msg("%s", err.message);
    const char *kept = test_path(absolute, "");
    s3r_free(absolute);
    *strrchr(kept, '/') = '\0';
    return kept;
}

/* ---- data ---- */

static void test_bad_data(void **state)
{
    (void)state;
    const char *root = test_folder();
    const char *notes = test_path(root, "notes.wav");
    test_write_file(notes, "no audio", 8);
    const struct {
        test_line lines[6];
        const char *said[4];
    } cases[] = {
        {{{speech("calling"), "calling"},
          {"nowhere.wav", "calling"},
          {notes, "calling"},
          {NULL, NULL}},
         {"2 of 3 utterances", "line 2, nowhere.wav", "line 3, ", "notes.wav"}},
        {{{speech("calling"), "calling 7"},
          {speech("activated"), "activ\xc3\xa4ted"},
          {speech("cancelled"), "cancelled"},
          {NULL, NULL}},
         {"2 of 3 utterances", "line 1, ", "U+0037", "U+00C4"}},
        {{{speech("calling"), NULL}, {speech("activated"), ""}, {NULL, NULL}},
         {"no utterance of 2 is left", "", "", ""}},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_run run;
        bool finished;
        test_run_init(&run, test_path(root, "run"), 1, "schedule.steps=2");
        run.options.train = test_write_manifest(root, "train.jsonl", cases[i].lines);
        run.options.dev = NULL;
        for (size_t k = 0; k < 4; k++) {
            s3r_error err = {S3R_OK, ""};
            test_expect_failure(test_run_go(&run, &finished, &err), &err, S3R_ERR_DATA,
                                cases[i].said[k]);
        }
        test_run_release(&run);
    }
}

static void test_left_out(void **state)
{
    (void)state;
    static char endless[2000];
    const char *root = test_folder();
    memset(endless, 'a', sizeof endless - 1);
    const test_line lines[] = {
        {speech("calling"), "calling"},
        {speech("activated"), endless},
        {speech("cancelled"), NULL},
        {test_write_speech(root, "long.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 64000, 1),
         "a long one"},
        {test_write_speech(root, "short.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1000, 1),
         "a"},
        {speech("call-waiting"), "call waiting"},
        {NULL, NULL}};
    static const char *const said[] = {
        "train.jsonl:2: ", "its text needs ",
        "train.jsonl:3: ", "it has no text",
        "train.jsonl:4: ", "longer than batch.max_seconds",
        "train.jsonl:5: ", "shorter than batch.min_seconds"};
    test_run run;
    test_run_init(&run, test_path(root, "run"), 1,
                  "schedule.steps=2 batch.max_seconds=3.5");
    run.options.train = test_write_manifest(root, "train.jsonl", lines);
    run.options.dev = NULL;
    s3r_trainer *trainer = test_run_open(&run); /* nothing of it waits for a step */
    assert_int_equal(trainer->train.count, 2);
    assert_int_equal(run.warning_count, 4);
    for (size_t i = 0; i < S3R_ARRAY_LEN(said); i++)
        if (!strstr(run.warnings, said[i]))
            fail_msg("expected \"%s\", found: %s", said[i], run.warnings);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

/* What no model can write is an error of dev, and said; letters compare without case. */
static void test_dev_remarks(void **state)
{
    (void)state;
    static char endless[2000];
    const char *root = test_folder();
    memset(endless, 'a', sizeof endless - 1);
    const test_line lines[] = {{speech("calling"), "Calling"},
                               {speech("activated"), "activ\xc3\xa4ted"},
                               {speech("cancelled"), endless},
                               {NULL, NULL}};
    static const char *const said[] = {"dev.jsonl:2: ", "U+00C4",
                                       "dev.jsonl:3: ", "its text needs "};
    test_run run;
    test_run_init(&run, test_path(root, "run"), 1, "schedule.steps=2");
    run.options.dev = test_write_manifest(root, "dev.jsonl", lines);
    s3r_trainer *trainer = test_run_open(&run);
    assert_int_equal(trainer->dev.count, 3);
    if (run.warning_count != 2)
        fail_msg("expected two warnings, found: %s", run.warnings);
    for (size_t i = 0; i < S3R_ARRAY_LEN(said); i++)
        if (!strstr(run.warnings, said[i]))
            fail_msg("expected \"%s\", found: %s", said[i], run.warnings);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

static bool refuse_preparation(void *context, const s3r_train_event *event)
{
    size_t *count = context;
    return event->kind != S3R_TRAIN_PREPARING || ++*count < 3;
}

static void test_interrupted_preparation(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    bool finished;
    size_t count = 0;
    test_run_init(&run, test_path(test_folder(), "run"), 1, "schedule.steps=2");
    run.options.watch = refuse_preparation;
    run.options.watch_context = &count;
    test_expect_failure(test_run_go(&run, &finished, &err), &err, S3R_ERR_INTERRUPTED,
                        "interrupted");
    assert_int_equal(count, 3);
    test_run_release(&run);
}

/* ---- numbers ---- */

/* Gives an utterance more labels than frames after it was checked: its loss is infinite
 * from then on. */
static const char *spoil(s3r_trainer *trainer)
{
    static uint32_t labels[2000];
    s3r_train_item *item = &trainer->train.items[2];
    for (size_t i = 0; i < S3R_ARRAY_LEN(labels); i++)
        labels[i] = 7;
    item->labels = labels;
    item->label_count = S3R_ARRAY_LEN(labels);
    return item->utterance->id;
}

static void test_one_bad_utterance(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    bool finished = false;
    char said[256];
    /* Each utterance is a step, so that an epoch has seven good ones and one bad. */
    test_run_init(&run, test_path(test_folder(), "run"), 1,
                  "schedule.steps=16 batch.seconds=0.1 run.max_skipped=2");
    s3r_trainer *trainer = test_run_open(&run);
    const char *id = spoil(trainer);
    assert_int_equal(trainer->batches.batches, 8);
    if (s3r_trainer_run(trainer, &finished, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_true(finished);
    assert_int_equal(run.steps, 16);
    assert_int_equal(trainer->state.updates, 14);
    assert_int_equal(run.warning_count, 2);
    snprintf(said, sizeof said, "the loss is not finite (%s)", id);
    if (!strstr(run.warnings, said))
        fail_msg("expected \"%s\", found: %s", said, run.warnings);
    for (size_t i = 0; i < trainer->trainable.count; i++)
        for (size_t k = 0; k < trainer->trainable.items[i].count; k++)
            assert_true(isfinite(trainer->trainable.items[i].values[k]));
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

/* A skipped step leaves values, moments and the number of updates as they were. */
static void test_skip_changes_nothing(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    bool finished = false;
    test_run_init(&run, test_path(test_folder(), "run"), 1,
                  "schedule.steps=9 run.max_skipped=3 schedule.warmup=0 "
                  "schedule.hold=0.5");
    run.options.dev = NULL;
    s3r_trainer *trainer = test_run_open(&run);
    const char *id = spoil(trainer);
    size_t items = trainer->trainable.count;
    float *before[64];
    assert_true(items <= S3R_ARRAY_LEN(before));
    for (size_t i = 0; i < items; i++) {
        s3r_trained *item = &trainer->trainable.items[i];
        before[i] = s3r_alloc(item->count, sizeof(float));
        memcpy(before[i], item->values, item->count * sizeof(float));
    }
    test_expect_failure(s3r_trainer_run(trainer, &finished, &err), &err, S3R_ERR_DIVERGED,
                        id);
    assert_non_null(strstr(err.message, "3 steps in a row"));
    assert_false(finished);
    assert_int_equal(trainer->state.updates, 0);
    for (size_t i = 0; i < items; i++) {
        s3r_trained *item = &trainer->trainable.items[i];
        assert_memory_equal(before[i], item->values, item->count * sizeof(float));
        for (size_t k = 0; k < item->count; k++)
            assert_true(item->first[k] == 0.0F && item->second[k] == 0.0F);
        s3r_free(before[i]);
    }
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

static char *read_text(const char *path)
{
    s3r_file_map map;
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, NULL), S3R_OK);
    char *text = s3r_strndup((const char *)map.data, map.size);
    assert_non_null(text);
    s3r_file_map_close(&map);
    return text;
}

static void expect_in(const char *text, const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("expected \"%s\", found: %s", wanted, text);
}

/* All bad utterances of a step are named; the log has them, and no loss of 0. */
static void test_skipped_steps_are_logged(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    bool finished = false;
    char said[512];
    const char *folder = test_path(test_folder(), "run");
    /* Two micro-batches a step are one epoch. */
    test_run_init(&run, folder, 1,
                  "schedule.steps=2 batch.seconds=6 batch.accumulate=2 run.log_every=1");
    run.options.dev = NULL;
    s3r_trainer *trainer = test_run_open(&run);
    (void)spoil(trainer);
    trainer->train.items[5].labels = trainer->train.items[2].labels;
    trainer->train.items[5].label_count = trainer->train.items[2].label_count;
    assert_int_equal(s3r_trainer_run(trainer, &finished, &err), S3R_OK);
    assert_int_equal(run.warning_count, 2);
    assert_non_null(strstr(run.warnings, trainer->train.items[2].utterance->id));
    assert_non_null(strstr(run.warnings, trainer->train.items[5].utterance->id));
    char *text = read_text(test_path(folder, "metrics.jsonl"));
    snprintf(said, sizeof said,
             "{\"step\": 1, \"skipped\": {\"because\": \"loss\", "
             "\"utterances\": 2, \"ids\": [\"");
    expect_in(text, said);
    expect_in(text, trainer->train.items[5].utterance->id);
    expect_in(text, "{\"step\": 1, \"train\": {\"loss\": null, ");
    s3r_free(text);
    text = read_text(test_path(folder, "report.html")); /* copes with it */
    s3r_free(text);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

/* Of a gradient all utterances of all micro-batches are suspects. */
static void test_bad_gradient(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    test_run_init(&run, test_path(test_folder(), "run"), 1,
                  "method=weights schedule.steps=1 batch.seconds=6 batch.accumulate=2 "
                  "optimizer.clip_norm=5");
    run.options.dev = NULL;
    s3r_trainer *trainer = test_run_open(&run);
    s3r_step_result result;
    assert_int_equal(s3r_trainer_gradient(trainer, &trainer->state, &result, &err),
                     S3R_OK);
    assert_true(trainer->step_count >= 8); /* both of them */
    s3r_run_log *log = NULL;
    assert_int_equal(s3r_run_log_open(&log, run.options.folder, 0, &err), S3R_OK);
    assert_int_equal(s3r_trainer_skip_step(trainer, log, &result, &err), S3R_OK);
    assert_int_equal(s3r_run_log_sync(log, &err), S3R_OK);
    assert_int_equal(s3r_run_log_close(log, &err), S3R_OK);
    expect_in(run.warnings, "a gradient is not finite (among ");
    for (size_t i = 0; i < trainer->train.count; i++)
        expect_in(run.warnings, trainer->train.items[i].utterance->id);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

static void test_diverges(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    bool finished = false;
    test_run_init(
        &run, test_path(test_folder(), "run"), 1,
        "method=weights schedule.steps=40 run.max_skipped=4 checkpoint.every=1");
    run.options.config.optimizer.lr = 1e30; /* more than settings allow */
    run.options.dev = NULL;
    test_expect_failure(test_run_go(&run, &finished, &err), &err, S3R_ERR_DIVERGED,
                        "diverged: 4 steps in a row");
    assert_true(run.warning_count >= 4);
    assert_non_null(strstr(run.warnings, ".g722"));
    test_run_release(&run);
}

static void test_collapse(void **state)
{
    (void)state;
    test_run run;
    test_run_init(&run, test_path(test_folder(), "run"), 2, TEST_RECIPE);
    test_run_set(&run, "method=lora lora.modules=both optimizer.lr=2e-2 "
                       "schedule.steps=70 eval.every=7");
    test_run_to_end(&run);
    if (run.warning_count != 1 || !strstr(run.warnings, "nothing but blanks"))
        fail_msg("expected the alarm once, found %zu: %s", run.warning_count,
                 run.warnings);
    assert_true(run.metric == 1.0);
    test_run_release(&run);
}

/* One evaluation at the end is enough; the count of a run that was stopped goes on. */
static void test_collapse_at_the_end(void **state)
{
    (void)state;
    static const char collapsing[] = "method=lora lora.modules=both optimizer.lr=2e-2 "
                                     "schedule.steps=70 ";
    const char *root = test_folder();
    test_run run;
    test_run_init(&run, test_path(root, "once"), 2, TEST_RECIPE);
    test_run_set(&run, collapsing);
    test_run_set(&run, "eval.every=1000");
    test_run_to_end(&run);
    assert_int_equal(run.evaluations, 1);
    assert_int_equal(run.warning_count, 1);
    expect_in(run.warnings, "nothing but blanks");
    test_run_release(&run);

    size_t warnings = 0;
    for (size_t i = 0; i < 2; i++) {
        bool finished;
        s3r_error err;
        test_run_init(&run, test_path(root, "stopped"), 2, TEST_RECIPE);
        test_run_set(&run, collapsing);
        test_run_set(&run, "eval.every=20");
        run.options.may_resume = true;
        run.stop_at = i == 0 ? 25 : 45;
        assert_int_equal(test_run_go(&run, &finished, &err), S3R_OK);
        warnings += run.warning_count;
        assert_int_equal(run.evaluations, 1); /* at 20, at 40 */
        test_run_release(&run);
    }
    assert_int_equal(warnings, 1);
}

/* Without a better evaluation the run ends early, and is finished. */
static void test_patience(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    bool finished = false;
    const char *folder = test_path(test_folder(), "run");
    test_run_init(&run, folder, 1,
                  "schedule.steps=40 eval.every=2 eval.patience=3 optimizer.lr=1e-12");
    if (test_run_go(&run, &finished, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_true(finished);
    /* The first is the best, three more are not better. */
    assert_int_equal(run.evaluations, 4);
    assert_int_equal(run.steps, 8);
    assert_true(s3r_path_exists(test_path(folder, "best.s3m")));
    assert_true(s3r_path_exists(test_path(folder, "last.s3m")));
    test_run_release(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_data),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_dev_remarks),
        cmocka_unit_test(test_interrupted_preparation),
        cmocka_unit_test(test_one_bad_utterance),
        cmocka_unit_test(test_skip_changes_nothing),
        cmocka_unit_test(test_skipped_steps_are_logged),
        cmocka_unit_test(test_bad_gradient),
        cmocka_unit_test(test_diverges),
        cmocka_unit_test(test_collapse),
        cmocka_unit_test(test_collapse_at_the_end),
        cmocka_unit_test(test_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
