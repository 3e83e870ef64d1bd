/*
 * Running programs: input and output of any size, failures, a missing program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/process.h"

static void test_output_is_collected(void **state)
{
    (void)state;
    const char *const arguments[] = {"printf", "%s|%s", "a b", "$HOME", NULL};
    s3r_process process = {.arguments = arguments, .max_output_bytes = 100};
    char *output;
    size_t size;
    s3r_error err;
    assert_int_equal(s3r_process_run(&process, &output, &size, NULL, &err), S3R_OK);
    assert_string_equal(output, "a b|$HOME"); /* no shell */
    assert_int_equal(size, strlen(output));
    s3r_free(output);
}

/* Far more than a socket holds: feeding and reading must take turns. */
static void test_large_input_passes_through(void **state)
{
    (void)state;
    enum { SIZE = 3 << 20 };
    const char *const arguments[] = {"cat", NULL};
    char *input = s3r_alloc(SIZE, 1), *output;
    size_t size;
    s3r_error err;
    for (size_t i = 0; i < SIZE; i++)
        input[i] = (char)(i * 7 % 251);
    s3r_process process = {arguments, input, SIZE, SIZE};
    assert_int_equal(s3r_process_run(&process, &output, &size, NULL, &err), S3R_OK);
    assert_int_equal(size, SIZE);
    assert_memory_equal(output, input, SIZE);
    assert_int_equal(output[SIZE], 0);
    s3r_free(output);
    process.max_output_bytes = SIZE - 1;
    assert_int_equal(s3r_process_run(&process, &output, &size, NULL, &err),
                     S3R_ERR_RESOURCE);
    assert_non_null(strstr(err.message, "cat: expected at most 3145727 bytes"));
    /* A program that does not read its input. */
    const char *const deaf[] = {"true", NULL};
    process = (s3r_process){deaf, input, SIZE, 10};
    assert_int_equal(s3r_process_run(&process, &output, &size, NULL, &err), S3R_OK);
    assert_string_equal(output, "");
    s3r_free(output);
    s3r_free(input);
}

static void test_failures_are_told(void **state)
{
    (void)state;
    char *output;
    size_t size;
    s3r_error err;
    bool is_missing;
    const char *const missing[] = {"s3r-no-such-program", NULL};
    s3r_process process = {.arguments = missing, .max_output_bytes = 10};
    assert_int_equal(s3r_process_run(&process, &output, &size, &is_missing, &err),
                     S3R_ERR_RUNTIME);
    assert_true(is_missing);
    assert_non_null(strstr(err.message, "cannot run s3r-no-such-program"));

    const char *const failing[] = {"cat", "/nonexistent/file", NULL};
    process.arguments = failing;
    assert_int_equal(s3r_process_run(&process, &output, &size, &is_missing, &err),
                     S3R_ERR_RUNTIME);
    assert_false(is_missing);
    assert_non_null(strstr(err.message, "cat failed: cat: /nonexistent/file: "));
    const char *const silent[] = {"false", NULL};
    process.arguments = silent;
    assert_int_equal(s3r_process_run(&process, &output, &size, NULL, &err),
                     S3R_ERR_RUNTIME);
    assert_string_equal(err.message, "false failed: it gave no reason");
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    const char *const arguments[] = {"head", "-c", "100000", "/dev/zero", NULL};
    s3r_process process = {.arguments = arguments, .max_output_bytes = 100000};
    s3r_status status = S3R_ERR_RESOURCE;
    for (size_t n = 1; status != S3R_OK && n < 100; n++) {
        char *output = NULL;
        size_t size;
        s3r_alloc_fail_at(n);
        status = s3r_process_run(&process, &output, &size, NULL, NULL);
        s3r_alloc_fail_at(0);
        s3r_free(output);
        assert_true(status == S3R_OK || status == S3R_ERR_RESOURCE);
    }
    assert_int_equal(status, S3R_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_is_collected),
        cmocka_unit_test(test_large_input_passes_through),
        cmocka_unit_test(test_failures_are_told),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
