/*
 * Signals: the exit code at once, or a flag first when the verb has asked for it.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "interrupt.h"

/* Exit code of a child that gets `number` `count` times; it exits with 1 when it survives
 * without a flag, else with the flag's code + 1. */
static int child_exit_code(int number, int count, bool is_deferred)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        s3r_interrupt_install();
        if (is_deferred)
            s3r_interrupt_defer();
        for (int i = 0; i < count; i++)
            raise(number);
        _exit(s3r_interrupted() ? s3r_interrupt_exit_code() + 1 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_exit_codes(void **state)
{
    (void)state;
    static const struct {
        int number, count;
        bool is_deferred;
        int code;
    } cases[] = {
        {SIGINT, 1, false, 130}, {SIGTERM, 1, false, 143}, {SIGINT, 1, true, 131},
        {SIGTERM, 1, true, 144}, {SIGINT, 2, true, 130},   {SIGTERM, 0, true, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            child_exit_code(cases[i].number, cases[i].count, cases[i].is_deferred),
            cases[i].code);
    assert_false(s3r_interrupted());
    assert_int_equal(s3r_interrupt_exit_code(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exit_codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
