/*
 * A run survives the failure of each of its own allocations.  Those of jansson are left
 * out: its lexer ignores that a string could not grow and then writes past it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support_files.h"
#include "support_train.h"

static const char *checkpoint;

typedef s3r_status (*attempt_fn)(const test_run *run, s3r_error *err);

static s3r_status attempt_step(const test_run *run, s3r_error *err)
{
    s3r_trainer *trainer = NULL;
    s3r_step_result result;
    S3R_TRY(s3r_trainer_open(&trainer, &run->options, err));
    s3r_status status = s3r_trainer_gradient(trainer, &trainer->state, &result, err);
    s3r_trainer_close(trainer);
    return status;
}

/* A whole run of two steps with evaluation, checkpoint and result; then the same run
 * from its checkpoint. */
static s3r_status attempt_run(const test_run *run, s3r_error *err)
{
    s3r_trainer *trainer = NULL;
    bool finished = false;
    S3R_TRY(s3r_trainer_open(&trainer, &run->options, err));
    s3r_status status = s3r_trainer_run(trainer, &finished, err);
    s3r_trainer_close(trainer);
    return status;
}

static s3r_status attempt_new_run(const test_run *run, s3r_error *err)
{
    (void)remove(checkpoint);
    return attempt_run(run, err);
}

static void check(attempt_fn attempt, const test_run *run)
{
    s3r_error err;
    s3r_status status = S3R_ERR_RESOURCE;
    for (size_t n = 1; status != S3R_OK; n++) {
        assert_true(n < 100000);
        s3r_alloc_fail_at(n);
        status = attempt(run, &err);
        s3r_alloc_fail_at(0);
        if (status != S3R_OK && status != S3R_ERR_RESOURCE)
            fail_msg("allocation %zu: expected resource, found %s: %s", n,
                     s3r_status_name(status), err.message);
    }
}

static void test_alloc_faults(void **state)
{
    (void)state;
    static const char settings[] =
        "mask.modules=both schedule.steps=2 eval.every=1 eval.keep_best=2 "
        "dropout.layer_drop=0 augment.time_prob=0 cache.memory_mb=1";
    const char *root = test_folder(), *folder = test_path(root, "run");
    char *clip = NULL;
    s3r_error err;
    test_run run;
    assert_int_equal(s3r_path_absolute(&clip, "tests/data/speech/calling.g722", &err),
                     S3R_OK);
    test_run_init(&run, folder, 1, settings);
    run.options.train = test_write_manifest(
        root, "train.jsonl", (const test_line[]){{clip, "calling"}, {NULL, NULL}});
    run.options.dev = run.options.train;
    run.options.may_resume = true;
    checkpoint = test_path(folder, "checkpoint-00000002.s3c");
    check(attempt_step, &run);
    check(attempt_new_run, &run);
    check(attempt_run, &run);
    test_run_release(&run);
    s3r_free(clip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
