/*
 * Test support: training runs on a tiny model and eight real recordings.
 */
#ifndef S3R_TESTS_SUPPORT_TRAIN_H
#define S3R_TESTS_SUPPORT_TRAIN_H

#include "train/trainer_parts.h"

#define TEST_SPEECH "tests/data/speech/train.jsonl"

/* Settings with which the eight recordings are learned in 200 steps; without `method`. */
#define TEST_RECIPE                                                                      \
    "schedule.steps=200 mask.modules=both optimizer.lr=1e-2 "                            \
    "augment.time_prob=0 augment.channel_prob=0 dropout.layer_drop=0 "                   \
    "dropout.activation=0 optimizer.clip_norm=5 schedule.final_scale=0.05 "

typedef struct test_run {
    s3r_trainer_options options; /* may be changed before it goes */
    size_t stop_at;              /* the watcher stops it after this step; 0 = never */
    s3r_pool *pool;
    /* What it told. */
    size_t steps, evaluations, saved;
    double first_loss, last_loss; /* of steps */
    double metric;                /* of the last evaluation */
    size_t warning_count;
    char warnings[4096]; /* a line each */
} test_run;

/* The folder of the tiny model, made once a process. */
const char *test_tiny_model(void);

/*
 * A run of the tiny model on the eight recordings, also as dev, in folder (which need not
 * be there), with settings: a list "key=value key=value".  Fails the test for a wrong
 * setting.
 */
void test_run_init(test_run *run, const char *folder, size_t threads,
                   const char *settings);
void test_run_set(test_run *run, const char *settings);
void test_run_release(test_run *run);

/* Opens, runs, closes. */
s3r_status test_run_go(test_run *run, bool *finished, s3r_error *err);
/* The same; fails the test unless the run gets to its end. */
void test_run_to_end(test_run *run);
/* Only opens, or fails the test. */
s3r_trainer *test_run_open(test_run *run);

/* Fails the test, naming the files, unless folder_a/name and folder_b/name are equal. */
void test_expect_same_file(const char *folder_a, const char *folder_b, const char *name);
bool test_is_same_file(const char *folder_a, const char *folder_b, const char *name);
/* The same for metrics.jsonl without times and memory. */
void test_expect_same_metrics(const char *folder_a, const char *folder_b);
/* Inverts one byte of a file. */
void test_flip_byte(const char *path, size_t at);
/* Size of a file. */
size_t test_file_size(const char *path);

/* What a method must reach on the recordings, with TEST_RECIPE and its own settings. */
typedef struct test_method {
    const char *name, *settings;
    double wer_at_most, loss_at_most; /* after the last step */
    const char *trained;              /* "scores/ head/": first parts of trained names */
} test_method;
/* Runs them; also that a checkpoint has what trains, and no frozen weight. */
void test_check_methods(const test_method *methods, size_t count);

/* A manifest folder/name of one line an utterance: absolute or relative paths and texts
 * (text NULL = without), ended by a NULL path; returns its path. */
typedef struct test_line {
    const char *audio, *text;
} test_line;
const char *test_write_manifest(const char *folder, const char *name,
                                const test_line *lines);

#endif
