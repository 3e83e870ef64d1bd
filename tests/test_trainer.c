/*
 * Runs as a whole: the same bits for a seed whatever the threads and interruptions; what
 * a resumed run refuses; damaged checkpoints; no heap call inside a step.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support_api.h"
#include "support_files.h"
#include "support_tiny_model.h"
#include "support_train.h"

/* Everything that is random is on; several micro-batches an epoch, and steps that cross
 * epochs; the intervals have no common rhythm. */
static const char busy[] =
    "schedule.steps=23 mask.modules=both optimizer.lr=1e-2 "
    "batch.seconds=4 batch.accumulate=3 augment.time_prob=0.5 augment.channel_prob=0.25 "
    "augment.channel_length=8 dropout.layer_drop=0.3 dropout.hidden=0.1 "
    "dropout.attention=0.1 dropout.activation=0.1 dropout.projection=0.1 "
    "dropout.final=0.1 eval.every=6 eval.keep_best=2 checkpoint.every=5 run.log_every=4";

static const char last_checkpoint[] = "checkpoint-00000023.s3c";

static void run_busy(const char *folder, size_t threads, const char *more)
{
    test_run run;
    test_run_init(&run, folder, threads, busy);
    test_run_set(&run, more);
    test_run_to_end(&run);
    assert_int_equal(run.steps, 23);
    assert_int_equal(run.evaluations, 4);
    test_run_release(&run);
}

static void expect_same_run(const char *a, const char *b)
{
    test_expect_same_file(a, b, last_checkpoint);
    test_expect_same_file(a, b, "last.s3m");
    test_expect_same_file(a, b, "best.s3m");
    test_expect_same_metrics(a, b);
}

/* A run that nothing disturbs, made once. */
static const char *undisturbed(void)
{
    static const char *folder;
    if (!folder) {
        folder = test_path(test_folder(), "run");
        run_busy(folder, 1, "");
    }
    return folder;
}

/* ---- determinism ---- */

static void test_same_seed(void **state)
{
    (void)state;
    const char *root = test_folder();
    static const char *const names[] = {"threads-1", "threads-2", "threads-3"};
    for (size_t i = 0; i < 3; i++) {
        const char *folder = test_path(root, names[i]);
        run_busy(folder, i + 1, "");
        expect_same_run(undisturbed(), folder);
        test_expect_same_file(undisturbed(), folder, "config.yaml");
    }
}

static void test_other_seed(void **state)
{
    (void)state;
    const char *root = test_folder(), *folder = test_path(root, "seed");
    run_busy(folder, 1, "seed=2");
    assert_false(test_is_same_file(undisturbed(), folder, "last.s3m"));
    assert_false(test_is_same_file(undisturbed(), folder, last_checkpoint));
}

/* How often things are saved and where features lie does not change what is learned. */
static void test_unrelated_settings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings;
    } cases[] = {
        {"checkpoint", "checkpoint.every=7 checkpoint.keep=1"},
        {"log", "run.log_every=1"},
        {"no-cache", "cache.features=none"},
        {"file-cache", "cache.memory_mb=0"},
    };
    const char *root = test_folder();
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_run run;
        const char *folder = test_path(root, cases[i].name);
        test_run_init(&run, folder, 2, busy);
        test_run_set(&run, cases[i].settings);
        test_run_to_end(&run);
        test_run_release(&run);
        test_expect_same_file(undisturbed(), folder, "last.s3m");
        test_expect_same_file(undisturbed(), folder, "best.s3m");
    }
}

/* ---- resuming ---- */

static void check_resumed(const char *folder, const size_t *stops, size_t count,
                          const char *settings)
{
    test_run run;
    s3r_error err;
    bool finished = false;
    for (size_t i = 0; i <= count; i++) {
        test_run_init(&run, folder, 1 + i % 2, busy);
        test_run_set(&run, settings);
        run.options.may_resume = true;
        run.stop_at = i < count ? stops[i] : 0;
        if (test_run_go(&run, &finished, &err) != S3R_OK)
            fail_msg("%s", err.message);
        assert_int_equal(finished, i == count);
        assert_int_equal(run.steps,
                         (i < count ? stops[i] : 23) - (i > 0 ? stops[i - 1] : 0));
        test_run_release(&run);
    }
}

static void test_resumed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t stops[4], count;
    } cases[] = {
        {"first", {1}, 1},
        {"at-evaluation", {6}, 1},
        {"at-checkpoint", {5}, 1},
        {"often", {2, 3, 11, 22}, 4},
    };
    const char *root = test_folder();
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *folder = test_path(root, cases[i].name);
        check_resumed(folder, cases[i].stops, cases[i].count, "");
        expect_same_run(undisturbed(), folder);
    }
}

static bool stop_at_once(void *context, const s3r_train_event *event)
{
    (void)context;
    return event->kind != S3R_TRAIN_STARTED;
}

/* A run that is stopped before its first step leaves a checkpoint, too. */
static void test_stopped_before_the_first_step(void **state)
{
    (void)state;
    const char *folder = test_path(test_folder(), "run");
    test_run run;
    s3r_error err;
    bool finished = true;
    test_run_init(&run, folder, 1, busy);
    run.options.watch = stop_at_once;
    assert_int_equal(test_run_go(&run, &finished, &err), S3R_OK);
    assert_false(finished);
    test_run_release(&run);
    assert_true(s3r_path_exists(test_path(folder, "checkpoint-00000000.s3c")));
    check_resumed(folder, NULL, 0, "");
    expect_same_run(undisturbed(), folder);
}

/* The other kinds of state: values and moments, low-rank updates, adapters. */
static void test_resumed_methods(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings;
    } cases[] = {
        {"weights", "method=weights optimizer.lr=1e-3"},
        {"both", "method=mask+weights optimizer.lr=1e-3"},
        {"adapter", "method=adapter adapter.width=16"},
        {"lora", "method=lora also.mask_embedding=true also.pos_conv=true"},
        {"magnitude", "method=magnitude"},
        {"extractor", "method=mask also.extractor=true"},
        {"bf16", "method=mask precision=bf16 mask.scope=global"},
    };
    static const size_t stops[] = {7};
    const char *root = test_folder();
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char name[32];
        snprintf(name, sizeof name, "%s-resumed", cases[i].name);
        const char *straight = test_path(root, cases[i].name);
        const char *resumed = test_path(root, name);
        run_busy(straight, 1, cases[i].settings);
        check_resumed(resumed, stops, 1, cases[i].settings);
        expect_same_run(straight, resumed);
    }
}

/* A finished run that is resumed writes its result again, and does no step. */
static void test_resumed_at_end(void **state)
{
    (void)state;
    const char *folder = test_path(test_folder(), "run");
    test_run run;
    run_busy(folder, 1, "");
    assert_int_equal(remove(test_path(folder, "last.s3m")), 0);
    test_run_init(&run, folder, 1, busy);
    run.options.may_resume = true;
    test_run_to_end(&run);
    assert_int_equal(run.steps, 0);
    expect_same_run(undisturbed(), folder);
    test_run_release(&run);
}

/* ---- refusals ---- */

static void stop_at(const char *folder, size_t step)
{
    test_run run;
    s3r_error err;
    bool finished;
    test_run_init(&run, folder, 1, busy);
    run.stop_at = step;
    if (test_run_go(&run, &finished, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_false(finished);
    test_run_release(&run);
}

static void expect_refused(test_run *run, s3r_status status, const char *said)
{
    s3r_error err = {S3R_OK, ""};
    bool finished;
    test_expect_failure(test_run_go(run, &finished, &err), &err, status, said);
    test_run_release(run);
}

static void test_refused(void **state)
{
    (void)state;
    const char *root = test_folder(), *folder = test_path(root, "run");
    test_run run;
    stop_at(folder, 3);
    test_run_init(&run, folder, 1, busy);
    expect_refused(&run, S3R_ERR_USAGE, "holds a run already");

    test_run_init(&run, folder, 1, busy);
    test_run_set(&run, "optimizer.lr=2e-2");
    run.options.may_resume = true;
    expect_refused(&run, S3R_ERR_USAGE, "optimizer.lr: expected 0.01, found 0.02");

    test_run_init(&run, folder, 1, busy);
    test_run_set(&run, "eval.every=7");
    run.options.may_resume = true;
    expect_refused(&run, S3R_ERR_USAGE, "eval.every: expected ");

    test_run_init(&run, folder, 1, busy);
    test_run_set(&run, "seed=5");
    run.options.may_resume = true;
    expect_refused(&run, S3R_ERR_USAGE, "other settings");

    test_run_init(&run, folder, 1, busy);
    run.options.may_resume = true;
    run.options.train = test_write_manifest(
        root, "other.jsonl", (const test_line[]){{"/nowhere", NULL}, {NULL, NULL}});
    expect_refused(&run, S3R_ERR_DATA, "no utterance");

    const char *clip = test_path(root, "clip.g722");
    s3r_file_map map;
    assert_int_equal(
        s3r_file_map_open(&map, "tests/data/speech/calling.g722", S3R_ERR_DATA, NULL),
        S3R_OK);
    test_write_file(clip, map.data, map.size);
    s3r_file_map_close(&map);
    const char *manifest = test_write_manifest(
        root, "other.jsonl", (const test_line[]){{clip, "calling"}, {NULL, NULL}});
    test_run_init(&run, folder, 1, busy);
    run.options.may_resume = true;
    run.options.train = manifest;
    expect_refused(&run, S3R_ERR_USAGE, "other training data");

    test_run_init(&run, folder, 1, busy);
    run.options.may_resume = true;
    run.options.dev = manifest;
    expect_refused(&run, S3R_ERR_USAGE, "other dev data");

    s3r_error err;
    const char *model = test_path(root, "model");
    assert_int_equal(test_tiny_model_write(model, 2, &err), S3R_OK);
    test_run_init(&run, folder, 1, busy);
    run.options.may_resume = true;
    run.options.model = model;
    expect_refused(&run, S3R_ERR_USAGE, "another backbone");

    /* After all that the run goes on as if nothing had been. */
    test_run_init(&run, folder, 1, busy);
    run.options.may_resume = true;
    test_run_to_end(&run);
    test_run_release(&run);
    expect_same_run(undisturbed(), folder);
}

/* ---- what a run is made of ---- */

static bool count_preparing(void *context, const s3r_train_event *event)
{
    *(size_t *)context += event->kind == S3R_TRAIN_PREPARING;
    return true;
}

static void copy_model(const char *from, const char *to, const char *name,
                       const char *found, const char *replacement)
{
    s3r_file_map map;
    assert_int_equal(s3r_file_map_open(&map, test_path(from, name), S3R_ERR_DATA, NULL),
                     S3R_OK);
    char *text = s3r_alloc_raw(map.size + 256, 1);
    size_t size = map.size;
    assert_non_null(text);
    memcpy(text, map.data, map.size);
    text[size] = '\0';
    s3r_file_map_close(&map);
    if (found) {
        char *at = strstr(text, found);
        if (!at)
            fail_msg("%s: no \"%s\" in %s", name, found, text);
        size_t tail = strlen(at + strlen(found));
        memmove(at + strlen(replacement), at + strlen(found), tail + 1);
        memcpy(at, replacement, strlen(replacement));
        size = strlen(text);
    }
    test_write_file(test_path(to, name), text, size);
    s3r_free(text);
}

/* Labels in another order, another normalisation: the weights are the same, the run is
 * not.  Nothing is decoded before it is refused. */
static void test_identity(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "preprocessor_config.json",
                                        "vocab.json", "model.safetensors"};
    static const struct {
        const char *name, *found, *replacement, *said;
    } cases[] = {
        {"vocab.json", "\"Q\"", "\"~\"", "another vocabulary: expected "},
        {"preprocessor_config.json", "\"do_normalize\": true", "\"do_normalize\": false",
         "\"do_normalize\": expected true, found false"},
        {"config.json", "\"layer_norm_eps\": 1e-05", "\"layer_norm_eps\": 1e-06",
         "\"layer_norm_eps\": expected "},
    };
    const char *root = test_folder(), *folder = test_path(root, "run");
    stop_at(folder, 2);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char name[32];
        test_run run;
        size_t prepared = 0;
        snprintf(name, sizeof name, "model-%zu", i);
        const char *model = test_path(root, name);
        assert_int_equal(s3r_folder_create(model, NULL), S3R_OK);
        for (size_t k = 0; k < S3R_ARRAY_LEN(files); k++) {
            bool is_other = strcmp(files[k], cases[i].name) == 0;
            if (s3r_path_exists(test_path(test_tiny_model(), files[k])))
                copy_model(test_tiny_model(), model, files[k],
                           is_other ? cases[i].found : NULL, cases[i].replacement);
        }
        test_run_init(&run, folder, 1, busy);
        run.options.may_resume = true;
        run.options.model = model;
        run.options.watch = count_preparing;
        run.options.watch_context = &prepared;
        expect_refused(&run, S3R_ERR_USAGE, cases[i].said);
        assert_int_equal(prepared, 0);
    }
}

/* One run a folder, and what a killed one left is removed. */
static void test_lock(void **state)
{
    (void)state;
    const char *folder = test_path(test_folder(), "run");
    static const char *const leftovers[] = {"checkpoint-00000100.s3c.tmp-1-1",
                                            "best.s3m.tmp-7-2"};
    static const char *const others[] = {"notes.tmp-1-1", "best.tmp-mine",
                                         "best.s3m.tmp-", "start-of-paper.tmp-1-1",
                                         "README.md.old"};
    test_run one, other;
    assert_int_equal(s3r_folder_create(folder, NULL), S3R_OK);
    for (size_t i = 0; i < 2; i++)
        test_write_file(test_path(folder, leftovers[i]), "x", 1);
    for (size_t i = 0; i < S3R_ARRAY_LEN(others); i++)
        test_write_file(test_path(folder, others[i]), "x", 1);
    /* A result that was aside when the process was killed goes back to its place. */
    const char *aside = test_path(folder, "best.old-7-3"),
               *best = test_path(folder, "best");
    assert_int_equal(s3r_folder_create(aside, NULL), S3R_OK);
    test_write_file(test_path(aside, "notes"), "x", 1);
    test_run_init(&one, folder, 1, busy);
    s3r_trainer *trainer = test_run_open(&one);
    for (size_t i = 0; i < 2; i++)
        assert_false(s3r_path_exists(test_path(folder, leftovers[i])));
    for (size_t i = 0; i < S3R_ARRAY_LEN(others); i++)
        assert_true(s3r_path_exists(test_path(folder, others[i])));
    assert_true(s3r_path_exists(test_path(best, "notes")) && !s3r_path_exists(aside));
    test_run_init(&other, folder, 1, busy);
    expect_refused(&other, S3R_ERR_USAGE, "run: another run is writing");
    s3r_trainer_close(trainer);
    test_run_release(&one);
    run_busy(folder, 1, "");
    expect_same_run(undisturbed(), folder);
}

/* ---- damage ---- */

static void test_damaged_checkpoints(void **state)
{
    (void)state;
    const char *folder = test_path(test_folder(), "run");
    test_run run;
    stop_at(folder, 13); /* leaves 10 and 13 */
    const char *newest = test_path(folder, "checkpoint-00000013.s3c");
    test_flip_byte(newest, test_file_size(newest) - 5);
    test_run_init(&run, folder, 2, busy);
    run.options.may_resume = true;
    test_run_to_end(&run);
    assert_non_null(strstr(run.warnings, "checkpoint-00000013.s3c: "));
    assert_int_equal(run.steps, 13);
    expect_same_run(undisturbed(), folder);
    test_run_release(&run);

    test_flip_byte(test_path(folder, last_checkpoint), 3000);
    test_flip_byte(test_path(folder, "checkpoint-00000020.s3c"), 3000);
    test_run_init(&run, folder, 1, busy);
    run.options.may_resume = true;
    expect_refused(&run, S3R_ERR_MODEL, "checkpoint-000000");
}

/* ---- the backbone ---- */

static void test_backbone_is_untouched(void **state)
{
    (void)state;
    s3r_error err;
    const char *root = test_folder(), *model = test_path(root, "model");
    assert_int_equal(test_tiny_model_write(model, 1, &err), S3R_OK);
    static const char *const methods[] = {"method=mask", "method=weights",
                                          "method=mask+weights", "method=bias"};
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(methods); i++) {
        test_run run;
        test_run_init(&run, test_path(root, names[i]), 1, busy);
        test_run_set(&run, methods[i]);
        test_run_set(&run, "schedule.steps=3");
        run.options.model = model;
        test_run_to_end(&run);
        test_run_release(&run);
        test_expect_same_file(test_tiny_model(), model, "model.safetensors");
    }
}

/* ---- memory ---- */

static void do_step(s3r_trainer *trainer)
{
    s3r_step_result result;
    s3r_error err;
    if (s3r_trainer_gradient(trainer, &trainer->state, &result, &err) != S3R_OK)
        fail_msg("%s", err.message);
    double squares = s3r_trainable_square_sum(&trainer->trainable, trainer->pool);
    assert_true(isfinite(squares));
    s3r_trainer_update(trainer, trainer->state.step, trainer->state.step + 1,
                       result.units, squares);
    trainer->state.step++;
}

static void check_heap(const char *root, const char *name, const char *settings)
{
    test_run run;
    test_run_init(&run, test_path(root, name), 2, busy);
    test_run_set(&run, settings);
    /* All in one micro-batch, so that the first step is as large as any. */
    test_run_set(&run, "batch.seconds=60 batch.accumulate=1");
    s3r_trainer *trainer = test_run_open(&run);
    do_step(trainer);
    do_step(trainer);
    size_t before = s3r_alloc_count();
    for (size_t i = 0; i < 6; i++)
        do_step(trainer);
    if (s3r_alloc_count() != before)
        fail_msg("%s: %zu heap calls in 6 steps", settings, s3r_alloc_count() - before);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

static void test_no_heap_calls(void **state)
{
    (void)state;
    const char *root = test_folder();
    check_heap(root, "a", "precision=f32");
    check_heap(root, "b", "precision=bf16");
    check_heap(root, "c", "method=mask+weights mask.scope=global");
    check_heap(root, "d", "mask.shape=rows");
    check_heap(root, "e", "method=lora");
    check_heap(root, "f", "method=adapter");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed),
        cmocka_unit_test(test_other_seed),
        cmocka_unit_test(test_unrelated_settings),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_stopped_before_the_first_step),
        cmocka_unit_test(test_resumed_methods),
        cmocka_unit_test(test_resumed_at_end),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_damaged_checkpoints),
        cmocka_unit_test(test_backbone_is_untouched),
        cmocka_unit_test(test_no_heap_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
