/*
 * Arena and allocator: alignment, marks, reuse of chunks, injected faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"

static void test_sizes_are_checked(void **state)
{
    (void)state;
    size_t out = 7;
    assert_true(s3r_size_mul(3, 5, &out));
    assert_int_equal(out, 15);
    assert_false(s3r_size_mul(SIZE_MAX, 2, &out));
    assert_false(s3r_size_add(SIZE_MAX, 1, &out));
    assert_int_equal(out, 15);
    assert_null(s3r_alloc(SIZE_MAX, 2));
}

static void test_fault_strikes_once(void **state)
{
    (void)state;
    s3r_alloc_fail_at(2);
    void *first = s3r_alloc(1, 8), *second = s3r_alloc(1, 8), *third = s3r_alloc(1, 8);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    s3r_alloc_fail_at(0);
    s3r_free(first);
    s3r_free(third);
}

static void test_arena_reuses_chunks(void **state)
{
    (void)state;
    s3r_arena arena;
    s3r_arena_init(&arena, 4096);
    s3r_arena_mark start = s3r_arena_get_mark(&arena);
    void *first = NULL;
    for (int round = 0; round < 3; round++) {
        size_t calls = s3r_alloc_count();
        for (size_t i = 1; i < 40; i++) {
            unsigned char *block = s3r_arena_alloc(&arena, i, 100);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % S3R_ALIGNMENT, 0);
            block[0] = block[i * 100 - 1] = 1;
            if (i == 1 && round == 0)
                first = block;
            if (i == 1)
                assert_ptr_equal(block, first);
        }
        if (round > 0)
            assert_int_equal(s3r_alloc_count(), calls);
        s3r_arena_rewind(&arena, start);
    }
    assert_null(s3r_arena_alloc(&arena, SIZE_MAX, 8));
    s3r_arena_release(&arena);
}

/* Requests that grow a little each time do not leave their old chunks behind. */
static void test_arena_stays_near_its_largest_use(void **state)
{
    (void)state;
    s3r_arena arena;
    s3r_arena_init(&arena, 4096);
    for (size_t bytes = 5000; bytes < 50000; bytes += 100) {
        s3r_arena_rewind(&arena, (s3r_arena_mark){0});
        for (size_t i = 0; i < 4; i++)
            assert_non_null(s3r_arena_alloc(&arena, bytes + 64 * i, 1));
    }
    assert_true(s3r_arena_held_bytes(&arena) < (size_t)2 * 4 * 50000);
    s3r_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_are_checked),
        cmocka_unit_test(test_fault_strikes_once),
        cmocka_unit_test(test_arena_reuses_chunks),
        cmocka_unit_test(test_arena_stays_near_its_largest_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
