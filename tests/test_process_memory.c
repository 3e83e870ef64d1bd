/*
 * What a process holds grows with what it touches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/process_memory.h"

#define BLOCK ((size_t)64 << 20)

/* The system counts pages for each processor and adds them up now and then. */
#define SLACK ((size_t)4 << 20)

static void test_peak(void **state)
{
    (void)state;
    size_t before = s3r_process_peak_bytes();
    assert_true(before > 0);
    unsigned char *block = s3r_alloc_raw(BLOCK, 1);
    assert_non_null(block);
    memset(block, 1, BLOCK);
    size_t during = s3r_process_peak_bytes();
    assert_true(block[BLOCK - 1] == 1);
    s3r_free(block);
    /* The peak before may have been above what was held. */
    assert_true(during >= BLOCK && during + SLACK >= before);
    assert_true(s3r_process_peak_bytes() + SLACK >= during);
}

static void test_available(void **state)
{
    (void)state;
    size_t available = s3r_machine_available_bytes();
    assert_true(available > (size_t)1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak),
        cmocka_unit_test(test_available),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
