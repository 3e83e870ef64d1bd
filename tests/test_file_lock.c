/*
 * Locks exclude each other, also within a process, and end with their holder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/file_lock.h"
#include "support_api.h"
#include "support_files.h"

static void test_excludes(void **state)
{
    (void)state;
    s3r_error err;
    s3r_file_lock *one = NULL, *other = NULL;
    const char *path = test_path(test_folder(), "lock");
    assert_int_equal(s3r_file_lock_take(&one, path, &err), S3R_OK);
    assert_non_null(one);
    assert_true(s3r_path_exists(path));
    assert_int_equal(s3r_file_lock_take(&other, path, &err), S3R_OK);
    assert_null(other);
    s3r_file_lock_release(one);
    assert_int_equal(s3r_file_lock_take(&other, path, &err), S3R_OK);
    assert_non_null(other);
    s3r_file_lock_release(other);
    s3r_file_lock_release(NULL);
    test_expect_failure(s3r_file_lock_take(&one, "/nowhere/lock", &err), &err,
                        S3R_ERR_RUNTIME, "/nowhere/lock: cannot open for writing: ");
}

static void test_clock(void **state)
{
    (void)state;
    double last = s3r_clock_seconds();
    for (int i = 0; i < 1000; i++) {
        double now = s3r_clock_seconds();
        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_excludes),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
