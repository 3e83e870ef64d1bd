/*
 * Where the program lies: tests have the library linked in, so both places are one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support_alloc_faults.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/own_place.h"

static s3r_error err;

static void test_both_are_here(void **state)
{
    (void)state;
    char *library = NULL, *program = NULL;
    assert_int_equal(s3r_own_library_folder(&library, &err), S3R_OK);
    assert_int_equal(s3r_own_program_folder(&program, &err), S3R_OK);
    assert_non_null(library);
    assert_non_null(program);
    assert_string_equal(library, program);
    char *self = s3r_path_join(program, "test_own_place");
    assert_non_null(self);
    assert_true(s3r_path_is_same(self, "/proc/self/exe"));
    s3r_free(self);
    s3r_free(library);
    s3r_free(program);
}

static s3r_status ask(void *context, s3r_error *error)
{
    (void)context;
    char *folder = NULL;
    S3R_TRY(s3r_own_library_folder(&folder, error));
    s3r_free(folder);
    S3R_TRY(s3r_own_program_folder(&folder, error));
    s3r_free(folder);
    return S3R_OK;
}

static void test_faults(void **state)
{
    (void)state;
    test_survives_alloc_faults(ask, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_are_here),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
