/*
 * What the library says about this machine and the libraries it calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "s3r/machine.h"
#include "base/cpu_level.h"

static void test_cpu_level_is_known(void **state)
{
    (void)state;
    s3r_cpu_level level;
    assert_true(s3r_cpu_level_from_name(s3r_machine_cpu_level(), &level));
    assert_int_equal(level, s3r_cpu_detect());
    assert_true(s3r_machine_processor_count() >= 1);
}

static void test_dependencies_have_plain_versions(void **state)
{
    (void)state;
    s3r_dependency dependency = {"untouched", NULL};
    size_t count = 0;
    for (; s3r_machine_dependency(count, &dependency); count++) {
        assert_true(strlen(dependency.name) > 0);
        if (dependency.version[0] < '0' || dependency.version[0] > '9')
            fail_msg("%s has version \"%s\"", dependency.name, dependency.version);
    }
    assert_true(count >= 5);
    dependency.name = "untouched";
    assert_false(s3r_machine_dependency(count, &dependency));
    assert_string_equal(dependency.name, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_level_is_known),
        cmocka_unit_test(test_dependencies_have_plain_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
