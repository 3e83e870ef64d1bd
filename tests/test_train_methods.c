/*
 * The methods that masks are compared with learn the eight recordings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support_train.h"

/* Low-rank updates are weak: a word or two of 18 may be wrong after so few steps. */
static const test_method methods[] = {
    {"weights", "method=weights optimizer.lr=1e-3 schedule.steps=100", 0, 1,
     "values/ head/"},
    {"weights, extractor",
     "method=weights also.extractor=true optimizer.lr=1e-3 schedule.steps=100", 0, 1,
     "values/ head/"},
    {"mask+weights", "method=mask+weights optimizer.lr=1e-3 schedule.steps=100", 0, 1,
     "scores/ values/ head/"},
    {"head", "method=head optimizer.lr=5e-2 schedule.steps=100", 0, 1, "head/"},
    {"magnitude", "method=magnitude optimizer.lr=5e-2 schedule.steps=100", 0, 1, "head/"},
    {"adapter asr", "method=adapter adapter.kind=asr schedule.steps=80", 0, 1,
     "adapter/ head/"},
    {"adapter st", "method=adapter adapter.kind=st adapter.width=32 schedule.steps=150",
     0, 1, "adapter/ head/"},
    {"adapter zero",
     "method=adapter adapter.kind=zero adapter.width=32 schedule.steps=200", 0, 1,
     "adapter/ head/"},
    {"lora", "method=lora optimizer.lr=2e-2 schedule.steps=150", 0.2, 1, "lora/ head/"},
    {"bias", "method=bias schedule.steps=150", 0, 1, "values/ head/"},
};

static void test_learns(void **state)
{
    (void)state;
    test_check_methods(methods, S3R_ARRAY_LEN(methods));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
