/*
 * Forecasts: complete, without a trace, and the memory part is looked at before a run
 * begins, which changes nothing.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support_api.h"
#include "support_files.h"
#include "support_train.h"

static void test_forecast(void **state)
{
    (void)state;
    test_run run;
    s3r_error err;
    s3r_train_forecast f;
    const char *folder = test_path(test_folder(), "run");
    test_run_init(&run, folder, 1,
                  "schedule.steps=25 eval.every=10 checkpoint.every=10 eval.start=15");
    run.options.is_plan = true;
    s3r_trainer *trainer = test_run_open(&run);
    if (s3r_trainer_plan(trainer, &f, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_false(s3r_path_exists(folder));
    assert_int_equal(f.utterances, 8);
    assert_int_equal(f.evaluations, 2); /* at 20 and 25 */
    assert_int_equal(f.checkpoints, 3); /* at 10, 20 and 25 */
    assert_true(f.prepare_s > 0 && f.step_s > 0 && f.evaluation_s > 0 &&
                f.checkpoint_s > 0);
    double total = f.prepare_s + 25 * f.step_s + 2 * f.evaluation_s + 3 * f.checkpoint_s;
    assert_true(fabs(f.total_s - total) <= 1e-9 * total); /* roundings */
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

/* What the process held before, now or once, is not the run's. */
static void test_memory_of_the_host(void **state)
{
    (void)state;
    static const size_t before = (size_t)256 << 20;
    test_run run;
    s3r_error err;
    s3r_train_forecast f;
    unsigned char *block = s3r_alloc_raw(before, 1);
    assert_non_null(block);
    memset(block, 1, before);
    assert_true(block[before - 1] == 1);
    s3r_free(block);
    test_run_init(&run, test_path(test_folder(), "run"), 1, "");
    run.options.is_plan = true;
    run.options.memory_limit = before;
    s3r_trainer *trainer = test_run_open(&run);
    if (s3r_trainer_plan(trainer, &f, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_true(f.memory_bytes > 0 && f.memory_bytes < before);
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

static const char both[] = "schedule.steps=6 checkpoint.every=3 dropout.hidden=0.1 "
                           "mask.modules=both eval.every=3";

/* A run that would not fit does no step; a resumed one is looked at, too. */
static void test_too_large(void **state)
{
    (void)state;
    const char *folder = test_path(test_folder(), "run");
    for (size_t i = 0; i < 2; i++) {
        test_run run;
        s3r_error err = {S3R_OK, ""};
        bool finished = true;
        test_run_init(&run, folder, 1, both);
        run.options.may_resume = true;
        s3r_trainer *trainer = test_run_open(&run);
        size_t limit = trainer->options.memory_limit;
        trainer->options.memory_limit = (size_t)1 << 20;
        test_expect_failure(s3r_trainer_run(trainer, &finished, &err), &err,
                            S3R_ERR_RESOURCE, "would not fit: the run needs about ");
        assert_false(finished);
        assert_int_equal(run.steps, 0);
        trainer->options.memory_limit = limit;
        run.stop_at = i == 0 ? 2 : 0;
        assert_int_equal(s3r_trainer_run(trainer, &finished, &err), S3R_OK);
        assert_int_equal(finished, i == 1);
        s3r_trainer_close(trainer);
        test_run_release(&run);
    }
    /* Looking at the memory changed nothing: twice here, once there. */
    test_run run;
    const char *other = test_path(test_folder(), "other");
    test_run_init(&run, other, 2, both);
    test_run_to_end(&run);
    test_run_release(&run);
    test_expect_same_file(folder, other, "checkpoint-00000006.s3c");
    test_expect_same_file(folder, other, "best.s3m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forecast),
        cmocka_unit_test(test_memory_of_the_host),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
