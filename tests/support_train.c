/*
 * Training runs for tests.
 */
#include "support_train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/sealed_file.h"
#include "support_files.h"
#include "support_tiny_model.h"

const char *test_tiny_model(void)
{
    static const char *folder;
    s3r_error err;
    if (folder)
        return folder;
    folder = test_path(test_folder(), "tiny");
    if (test_tiny_model_write(folder, 1, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return folder;
}

/* ---- runs ---- */

static bool watch(void *context, const s3r_train_event *event)
{
    test_run *run = context;
    size_t used = strlen(run->warnings);
    switch (event->kind) {
    case S3R_TRAIN_STEP:
        if (run->steps++ == 0)
            run->first_loss = event->loss;
        run->last_loss = event->loss;
        return run->stop_at == 0 || event->step < run->stop_at;
    case S3R_TRAIN_EVALUATED:
        run->evaluations++;
        run->metric = event->metric;
        break;
    case S3R_TRAIN_SAVED:
        run->saved++;
        break;
    case S3R_TRAIN_WARNING:
        run->warning_count++;
        snprintf(run->warnings + used, sizeof run->warnings - used, "%s\n", event->text);
        break;
    case S3R_TRAIN_PREPARING:
    case S3R_TRAIN_STARTED:
    case S3R_TRAIN_EVALUATING:
        break;
    }
    return true;
}

void test_run_set(test_run *run, const char *settings)
{
    char *copy = s3r_strdup(settings);
    s3r_error err;
    assert_non_null(copy);
    for (char *at = copy; *at;) {
        size_t length = strcspn(at, " ");
        char *next = at + length + (at[length] == ' ');
        at[length] = '\0';
        if (length > 0 && s3r_train_config_set(&run->options.config, at, &err) != S3R_OK)
            fail_msg("%s", err.message);
        at = next;
    }
    s3r_free(copy);
    if (s3r_train_config_check(&run->options.config, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

/* As the program chooses it. */
static s3r_cpu_level cpu_level(void)
{
    s3r_cpu_level level = s3r_cpu_detect();
    const char *wish = getenv("S3R_CPU");
    assert_true(!wish || s3r_cpu_level_from_name(wish, &level));
    return level;
}

void test_run_init(test_run *run, const char *folder, size_t threads,
                   const char *settings)
{
    s3r_error err;
    *run = (test_run){0};
    if (s3r_pool_create(&run->pool, threads, &err) != S3R_OK)
        fail_msg("%s", err.message);
    run->options = (s3r_trainer_options){.model = test_tiny_model(),
                                         .train = TEST_SPEECH,
                                         .dev = TEST_SPEECH,
                                         .folder = folder,
                                         .pool = run->pool,
                                         .kernels = s3r_kernels_get(cpu_level()),
                                         .watch = watch,
                                         .watch_context = run};
    s3r_train_config_init(&run->options.config);
    test_run_set(run, settings);
}

void test_run_release(test_run *run)
{
    s3r_pool_destroy(run->pool);
    run->pool = NULL;
}

s3r_status test_run_go(test_run *run, bool *finished, s3r_error *err)
{
    s3r_trainer *trainer = NULL;
    *finished = false;
    run->steps = run->evaluations = run->saved = run->warning_count = 0;
    run->warnings[0] = '\0';
    S3R_TRY(s3r_trainer_open(&trainer, &run->options, err));
    s3r_status status = s3r_trainer_run(trainer, finished, err);
    s3r_trainer_close(trainer);
    return status;
}

void test_run_to_end(test_run *run)
{
    s3r_error err;
    bool finished = false;
    if (test_run_go(run, &finished, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_true(finished);
}

s3r_trainer *test_run_open(test_run *run)
{
    s3r_trainer *trainer = NULL;
    s3r_error err;
    if (s3r_trainer_open(&trainer, &run->options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return trainer;
}

/* ---- files ---- */

static s3r_file_map open_file(const char *path)
{
    s3r_file_map map;
    s3r_error err;
    if (s3r_file_map_open(&map, path, S3R_ERR_DATA, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return map;
}

bool test_is_same_file(const char *folder_a, const char *folder_b, const char *name)
{
    s3r_file_map a = open_file(test_path(folder_a, name));
    s3r_file_map b = open_file(test_path(folder_b, name));
    bool is_same = a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
    s3r_file_map_close(&a);
    s3r_file_map_close(&b);
    return is_same;
}

void test_expect_same_file(const char *folder_a, const char *folder_b, const char *name)
{
    if (!test_is_same_file(folder_a, folder_b, name))
        fail_msg("%s differs in %s and %s", name, folder_a, folder_b);
}

static json_t *read_line(FILE *file)
{
    char *line = NULL;
    size_t length = 0, capacity = 0;
    for (int c; (c = fgetc(file)) != EOF && c != '\n'; line[length++] = (char)c)
        if (length + 1 >= capacity) {
            capacity = 2 * capacity + 256;
            line = realloc(line, capacity);
            assert_non_null(line);
        }
    json_t *object = line ? json_loadb(line, length, 0, NULL) : NULL;
    assert_true(object || !line);
    free(line);
    json_t *train = json_object_get(object, "train");
    json_object_del(train, "frames_per_second");
    json_object_del(train, "memory_bytes");
    return object;
}

void test_expect_same_metrics(const char *folder_a, const char *folder_b)
{
    FILE *a = fopen(test_path(folder_a, "metrics.jsonl"), "rb");
    FILE *b = fopen(test_path(folder_b, "metrics.jsonl"), "rb");
    assert_true(a && b);
    size_t number = 0;
    for (bool is_end = false; !is_end; number++) {
        json_t *one = read_line(a), *other = read_line(b);
        is_end = !one && !other;
        if (!is_end && !json_equal(one, other))
            fail_msg("line %zu of metrics.jsonl differs in %s and %s: %s and %s", number,
                     folder_a, folder_b, one ? json_dumps(one, 0) : "nothing",
                     other ? json_dumps(other, 0) : "nothing");
        json_decref(one);
        json_decref(other);
    }
    assert_true(number > 1);
    fclose(a);
    fclose(b);
}

void test_flip_byte(const char *path, size_t at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_true(byte != EOF);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_true(fputc(~byte & 0xff, file) != EOF);
    assert_int_equal(fclose(file), 0);
}

size_t test_file_size(const char *path)
{
    s3r_file_map map = open_file(path);
    size_t size = map.size;
    s3r_file_map_close(&map);
    return size;
}

const char *test_write_manifest(const char *folder, const char *name,
                                const test_line *lines)
{
    const char *path = test_path(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (; lines->audio; lines++) {
        json_t *line =
            json_pack("{ss, ss*}", "audio_filepath", lines->audio, "text", lines->text);
        assert_non_null(line);
        assert_int_equal(json_dumpf(line, file, JSON_COMPACT), 0);
        fputc('\n', file);
        json_decref(line);
    }
    assert_int_equal(fclose(file), 0);
    return path;
}

/* ---- methods ---- */

/* Whether the list has the name's first part, "scores/". */
static bool is_listed(const char *list, const char *name)
{
    char part[32];
    snprintf(part, sizeof part, "%.*s", (int)strcspn(name, "/") + 1, name);
    return strstr(list, part) != NULL;
}

/* The checkpoint has trained arrays, their moments and masks; no frozen weight. */
static void expect_checkpoint(const test_method *one, const char *folder, size_t steps)
{
    static const char *const kinds[] = {"value/", "first/", "second/", "initial/",
                                        "evaluated/"};
    char name[64];
    s3r_sealed_file file;
    s3r_error err;
    snprintf(name, sizeof name, "checkpoint-%08zu.s3c", steps);
    if (s3r_sealed_file_open(&file, test_path(folder, name), "s3r.checkpoint", 1, &err) !=
        S3R_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < file.container.tensor_count; i++) {
        const char *tensor = file.container.tensors[i].name;
        size_t kind = 0;
        while (kind < S3R_ARRAY_LEN(kinds) &&
               strncmp(tensor, kinds[kind], strlen(kinds[kind])) != 0)
            kind++;
        if (kind == S3R_ARRAY_LEN(kinds) ||
            (kind < 3 && !is_listed(one->trained, tensor + strlen(kinds[kind]))))
            fail_msg("%s: %s is in the checkpoint", one->name, tensor);
    }
    s3r_sealed_file_close(&file);
}

/* Sanitizers look at the code, for which a few steps do; learning takes ten times as long
 * with them and is what the other builds see. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FEW_STEPS "schedule.steps=8"
#else
#define FEW_STEPS ""
#endif

/* Runs one of them in a folder of its own. */
static void check_method(const test_method *one, const char *root, size_t number)
{
    char name[32];
    test_run run;
    snprintf(name, sizeof name, "run-%zu", number);
    const char *folder = test_path(root, name);
    test_run_init(&run, folder, 1, TEST_RECIPE);
    test_run_set(&run, one->settings);
    test_run_set(&run, FEW_STEPS);
    test_run_to_end(&run);
    bool must_learn = FEW_STEPS[0] == '\0';
    if (!(run.first_loss > 60.0) ||
        (must_learn &&
         (!(run.last_loss <= one->loss_at_most) || !(run.metric <= one->wer_at_most))))
        fail_msg("%s: loss %g, then %g (expected at most %g), WER %g (at most %g)",
                 one->name, run.first_loss, run.last_loss, one->loss_at_most, run.metric,
                 one->wer_at_most);
    if (must_learn)
        assert_string_equal(run.warnings, "");
    expect_checkpoint(one, folder, run.options.config.schedule.steps);
    test_run_release(&run);
}

void test_check_methods(const test_method *methods, size_t count)
{
    const char *root = test_folder();
    for (size_t i = 0; i < count; i++)
        check_method(&methods[i], root, i);
}
