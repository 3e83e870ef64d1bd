/*
 * The ranking of evaluations, and which files of a run are kept.  (Saving and resuming as
 * a whole: test_trainer.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "support_files.h"
#include "support_train.h"
#include "train/train_state.h"

static void test_rank(void **state)
{
    (void)state;
    static const struct {
        double value;
        bool is_best;
        size_t stale;
        size_t steps[3]; /* of the best three afterwards; 0 = no more */
    } cases[] = {
        {0.9, true, 0, {1, 0, 0}},  {0.5, true, 0, {2, 1, 0}}, {0.7, false, 1, {2, 3, 1}},
        {0.7, false, 2, {2, 3, 4}}, /* 0.9 falls out */
        {0.5, false, 3, {2, 5, 3}}, /* the first wins a tie */
        {1.0, false, 4, {2, 5, 3}}, {0.1, true, 0, {7, 2, 5}}, {0.3, false, 1, {7, 8, 2}},
    };
    s3r_train_state s = {0};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        assert_int_equal(s3r_train_state_rank(&s, i + 1, cases[i].value, 3),
                         cases[i].is_best);
        assert_int_equal(s.stale, cases[i].stale);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(k < s.best_count ? s.best[k].step : 0, cases[i].steps[k]);
    }
}

static void test_rank_limits(void **state)
{
    (void)state;
    s3r_train_state s = {0};
    for (size_t i = 0; i < 100; i++)
        assert_true(s3r_train_state_rank(&s, i, 100.0 - (double)i, 1000));
    assert_int_equal(s.best_count, S3R_MAX_BEST);
    assert_int_equal(s.best[0].step, 99);
    s = (s3r_train_state){0};
    assert_true(s3r_train_state_rank(&s, 1, 0.5, 0)); /* one at least */
    assert_int_equal(s.best_count, 1);
}

static size_t count_files(const char *folder, const char *start, const char *suffix)
{
    s3r_folder_list list;
    s3r_error err;
    size_t count = 0;
    assert_int_equal(s3r_folder_list_read(&list, folder, suffix, S3R_ERR_RUNTIME, &err),
                     S3R_OK);
    for (size_t i = 0; i < list.count; i++)
        count += strncmp(list.names[i], start, strlen(start)) == 0;
    s3r_folder_list_release(&list);
    return count;
}

/* The newest checkpoints and the best masks stay, in every combination. */
static void test_kept_files(void **state)
{
    (void)state;
    const char *root = test_folder();
    for (size_t checkpoints = 1; checkpoints <= 3; checkpoints++)
        for (size_t masks = 1; masks <= 3; masks++) {
            char name[32], settings[128];
            test_run run;
            snprintf(name, sizeof name, "run-%zu-%zu", checkpoints, masks);
            snprintf(settings, sizeof settings,
                     "checkpoint.keep=%zu eval.keep_best=%zu checkpoint.every=2 "
                     "eval.every=2 schedule.steps=12 optimizer.lr=1e-2",
                     checkpoints, masks);
            const char *folder = test_path(root, name);
            test_run_init(&run, folder, 1, settings);
            test_run_to_end(&run);
            test_run_release(&run);
            assert_int_equal(count_files(folder, "checkpoint-", ".s3c"), checkpoints);
            assert_int_equal(count_files(folder, "checkpoint-00000012", ".s3c"), 1);
            assert_int_equal(count_files(folder, "best.s3m", ".s3m"), 1);
            assert_int_equal(count_files(folder, "last.s3m", ".s3m"), 1);
            /* One best needs no copy with its step. */
            assert_int_equal(count_files(folder, "step-", ".s3m"), masks > 1 ? masks : 0);
            assert_int_equal(count_files(folder, "", ".s3m"),
                             2 + (masks > 1 ? masks : 0));
        }
}

/* Results of pretraining are folders. */
static void test_outdated_folders(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_kept;
    } cases[] = {{"step-00000005", false},
                 {"step-00000007", true},
                 {"step-00000009", false},
                 {"step-notes", true},
                 {"best", true}};
    const char *folder = test_path(test_folder(), "run");
    test_run run;
    s3r_error err;
    test_run_init(&run, folder, 1, "schedule.steps=12 method=head");
    s3r_trainer *trainer = test_run_open(&run);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *one = test_path(folder, cases[i].name);
        assert_int_equal(s3r_folder_create(one, &err), S3R_OK);
        test_write_file(test_path(one, "config.json"), "{}", 2);
    }
    trainer->state.step = 10;
    trainer->state.best[0] = (s3r_best){7, 0.5};
    trainer->state.best_count = 1;
    assert_int_equal(s3r_train_state_save(&trainer->state, &trainer->trainable,
                                          &trainer->identity, folder, 2, &err),
                     S3R_OK);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        if (s3r_path_exists(test_path(folder, cases[i].name)) != cases[i].is_kept)
            fail_msg("%s: expected %d", cases[i].name, cases[i].is_kept);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_rank_limits),
        cmocka_unit_test(test_kept_files),
        cmocka_unit_test(test_outdated_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
