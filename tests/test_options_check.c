/*
 * Checks of options that all calls share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "api/options_check.h"

static void test_size(void **state)
{
    (void)state;
    s3r_error err = {S3R_OK, ""};
    assert_int_equal(s3r_options_check_size("model options", 24, 24, &err), S3R_OK);
    assert_int_equal(s3r_options_check_size("model options", 24, 0, &err), S3R_ERR_USAGE);
    assert_string_equal(err.message,
                        "model options: expected a struct of 24 bytes, found "
                        "0 (not initialised?)");
}

static void test_windows(void **state)
{
    (void)state;
    static const struct {
        double window, context, batch;
        s3r_status status;
    } cases[] = {{1, 0, 0.5, S3R_OK},
                 {0.9, 0, 1, S3R_ERR_USAGE},
                 {1, -1, 1, S3R_ERR_USAGE},
                 {1, 0, 0, S3R_ERR_USAGE},
                 {NAN, 0, 1, S3R_ERR_USAGE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(s3r_options_check_windows(cases[i].window, cases[i].context,
                                                   cases[i].batch, NULL),
                         cases[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
