/*
 * Injected allocation failures, also into jansson.
 */
#include "support_alloc_faults.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/memory.h"

#define MAX_ALLOCATIONS 100000

static bool was_in_jansson;

static void *counted_malloc(size_t size)
{
    void *block = s3r_alloc_raw(size, 1);
    was_in_jansson |= block == NULL;
    return block;
}

void test_survives_alloc_faults(test_attempt_fn attempt, void *context)
{
    static s3r_error err;
    json_malloc_t old_malloc;
    json_free_t old_free;
    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(counted_malloc, s3r_free);
    s3r_status status = S3R_ERR_RESOURCE;
    size_t n = 0;
    while (status != S3R_OK && n < MAX_ALLOCATIONS) {
        err.message[0] = '\0';
        was_in_jansson = false;
        s3r_alloc_fail_at(++n);
        status = attempt(context, &err);
        s3r_alloc_fail_at(0);
        /* jansson's parser reports some of them as syntax errors. */
        bool is_named = status == S3R_ERR_RESOURCE || was_in_jansson;
        if (status != S3R_OK && (!is_named || !err.message[0]))
            fail_msg("allocation %zu failed: expected resource, found %s: %s", n,
                     s3r_status_name(status), err.message);
    }
    json_set_alloc_funcs(old_malloc, old_free);
    assert_int_equal(status, S3R_OK);
    assert_true(n > 1);
}
