/*
 * The tape: scopes give memory back, gradients are reused, NULL flows through a network,
 * rows are cut by shape.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ops/half.h"
#include "ops/op_add.h"
#include "ops/op_gelu.h"
#include "ops/op_layer_norm.h"
#include "ops/op_linear.h"

typedef struct fixture {
    s3r_pool *pool;
    s3r_tape tape;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    assert_int_equal(s3r_pool_create(&f.pool, 2, NULL), S3R_OK);
    s3r_tape_init(&f.tape, f.pool, s3r_kernels_get(s3r_cpu_detect()));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    s3r_tape_release(&f->tape);
    s3r_pool_destroy(f->pool);
    return 0;
}

static s3r_value *filled(s3r_tape *tape, size_t rows, size_t cols)
{
    s3r_value *value = s3r_tape_value(tape, rows, cols);
    assert_non_null(value);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            value->data[i * value->stride + j] = (float)(i * cols + j);
    return value;
}

static void test_scopes_give_memory_back(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    s3r_value *x = filled(tape, 300, 70);
    for (int layer = 0; layer < 100; layer++) {
        s3r_arena_mark mark = s3r_tape_mark(tape);
        s3r_value *y = x;
        for (int i = 0; i < 5; i++)
            y = s3r_op_add(tape, y, x);
        y = s3r_tape_keep(tape, mark, y);
        assert_non_null(y);
        for (size_t i = 0; i < 300; i++)
            for (size_t j = 0; j < 70; j++)
                assert_true(y->data[i * y->stride + j] == 6 * (float)(i * 70 + j));
        s3r_arena_rewind(&tape->arena, mark);
    }
    assert_true(tape->arena.peak_bytes < 12 * 300 * x->stride * sizeof(float));
    assert_int_equal(s3r_tape_status(tape, NULL), S3R_OK);
}

static void test_recording_keeps_everything(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    tape->is_recording = true;
    s3r_value *x = filled(tape, 3, 5);
    s3r_arena_mark mark = s3r_tape_mark(tape);
    s3r_value *y = s3r_op_add(tape, x, x);
    assert_ptr_equal(s3r_tape_keep(tape, mark, y), y);
    tape->is_recording = false;
}

/* A deep network needs a few gradient buffers, not one a layer. */
static void test_gradients_are_reused(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    enum { LAYERS = 60, ROWS = 64, COLS = 64 };
    tape->is_recording = true;
    s3r_value *x = filled(tape, ROWS, COLS), *y = x;
    x->needs_grad = true;
    for (int i = 0; i < LAYERS; i++)
        y = s3r_op_add(tape, y, x);
    size_t value_bytes = ROWS * x->stride * sizeof(float);
    size_t before = tape->arena.below_bytes + tape->arena.used;
    float *dy = s3r_tape_grad(tape, y);
    for (size_t i = 0; i < ROWS * y->stride; i++)
        dy[i] = 1;
    s3r_tape_backward(tape);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < COLS; j++)
            assert_true(x->grad[i * x->stride + j] == LAYERS + 1);
    size_t used = tape->arena.below_bytes + tape->arena.used - before;
    assert_true(used < 5 * value_bytes);
    assert_null(tape->last);
    tape->is_recording = false;
}

static void test_out_of_memory_is_remembered(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    s3r_error err;
    s3r_value *x = s3r_tape_value(tape, SIZE_MAX / 8, 1024);
    assert_null(x);
    s3r_value *y = s3r_op_gelu(tape, s3r_op_add(tape, x, s3r_op_gelu(tape, x)));
    assert_null(y);
    assert_null(s3r_tape_keep(tape, s3r_tape_mark(tape), y));
    assert_null(s3r_tape_grad(tape, NULL));
    assert_int_equal(s3r_tape_status(tape, &err), S3R_ERR_RESOURCE);
    assert_non_null(strstr(err.message, "out of memory"));
    s3r_tape_reset(tape);
    assert_int_equal(s3r_tape_status(tape, &err), S3R_OK);
}

static void test_repeated_steps_use_no_heap(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    size_t calls = 0;
    for (int step = 0; step < 4; step++) {
        s3r_tape_reset(tape);
        tape->is_recording = true;
        s3r_value *x = filled(tape, 500, 3000), *y = x;
        x->needs_grad = true;
        for (int i = 0; i < 6; i++)
            y = s3r_op_gelu(tape, y);
        assert_non_null(s3r_tape_grad(tape, y));
        s3r_tape_backward(tape);
        assert_int_equal(s3r_tape_status(tape, NULL), S3R_OK);
        if (step == 1)
            calls = s3r_alloc_count();
    }
    assert_int_equal(s3r_alloc_count(), calls);
    tape->is_recording = false;
}

/* Two linear layers with norms between; forgetting must not change a bit. */
static void run_forgetting(s3r_tape *tape, bool forgets, float *grad)
{
    enum { ROWS = 40, COLS = 48 };
    static float values[COLS * COLS];
    for (size_t i = 0; i < COLS * COLS; i++)
        values[i] = (float)(i * 2654435761u % 1000) * 1e-3f - 0.5f;
    s3r_weight frozen = {.data = values, .rows = COLS, .cols = COLS};
    s3r_weight trained = {.data = values, .rows = COLS, .cols = COLS, .grad = grad};
    s3r_tape_reset(tape);
    tape->is_recording = true;
    s3r_value *x = filled(tape, ROWS, COLS);
    s3r_value *y = s3r_op_linear(tape, x, &trained, NULL, true);
    s3r_value *norm = s3r_op_layer_norm(tape, y, NULL, NULL, 1e-5, true);
    s3r_value *z = s3r_op_linear(tape, norm, &trained, NULL, false);
    s3r_value *last = s3r_op_linear(tape, z, &frozen, NULL, false);
    assert_true(y->is_needed && norm->is_needed && !z->is_needed && !last->is_needed);
    if (forgets) {
        const float *y_data = y->data, *z_data = z->data, *norm_data = norm->data;
        s3r_tape_forget(tape, y); /* can be made again, from what its op keeps */
        s3r_tape_forget(tape, norm);
        s3r_tape_forget(tape, z);
        assert_true(!y->data && !norm->data && !z->data && x->data);
        const s3r_value *next = s3r_tape_value(tape, ROWS, COLS);
        assert_true(next->data == y_data || next->data == z_data ||
                    next->data == norm_data);
    }
    float *dlast = s3r_tape_grad(tape, last);
    for (size_t i = 0; i < ROWS * last->stride; i++)
        dlast[i] = (float)(i % 17) - 8;
    s3r_tape_backward(tape);
    assert_int_equal(s3r_tape_status(tape, NULL), S3R_OK);
    tape->is_recording = false;
}

static void test_forgotten_values_come_back(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    static float grad[2][48 * 48];
    run_forgetting(tape, false, grad[0]);
    run_forgetting(tape, true, grad[1]);
    assert_memory_equal(grad[0], grad[1], sizeof grad[0]);
    s3r_value *x = filled(tape, 3, 5); /* without recording nothing is forgotten */
    s3r_tape_forget(tape, x);
    assert_non_null(x->data);
}

/* A large buffer serves small values, and is whole again when they are given back. */
static void test_buffers_are_parted(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    tape->is_recording = true;
    float *whole = s3r_tape_take(tape, 1000);
    s3r_tape_give(tape, whole, 1000);
    float *first = s3r_tape_take(tape, 300), *second = s3r_tape_take(tape, 500);
    assert_ptr_equal(first, whole);
    assert_ptr_equal(second, whole + 304); /* the next cache line */
    memset(first, 1, 300 * sizeof *first);
    memset(second, 1, 500 * sizeof *second);
    assert_true(s3r_tape_take(tape, 197) != second + 512); /* 184 are left */
    s3r_tape_give(tape, first, 300);
    s3r_tape_give(tape, second, 500);
    assert_ptr_equal(s3r_tape_take(tape, 1000), whole);
    tape->is_recording = false;
}

static void test_ragged_find(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    static const size_t offset[] = {0, 0, 3, 3, 3, 4, 9, 9};
    s3r_ragged ragged = s3r_tape_ragged(tape, 7, offset);
    static const size_t expected[] = {1, 1, 1, 4, 5, 5, 5, 5, 5};
    for (size_t row = 0; row < 9; row++)
        assert_int_equal(s3r_ragged_find(ragged, row), expected[row]);
}

static void test_row_ranges_cover_all_rows(void **state)
{
    (void)state;
    static const size_t cases[][2] = {
        {0, 5}, {1, 0}, {1000, 1}, {1000, 768}, {7, 1u << 30}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        size_t next = 0, rows = cases[i][0], cost = cases[i][1];
        for (size_t r = 0; r < s3r_row_ranges(rows, cost); r++) {
            size_t row, row_end;
            s3r_row_range(rows, cost, r, &row, &row_end);
            assert_int_equal(row, next);
            assert_true(row_end > row);
            next = row_end;
        }
        assert_int_equal(next, rows);
    }
}

static void test_staged_bf16(void **state)
{
    s3r_tape *tape = &((fixture *)*state)->tape;
    s3r_value *x = filled(tape, 40, 7);
    size_t stride, again;
    const uint16_t *staged = s3r_tape_stage_bf16(tape, x, &stride);
    assert_non_null(staged);
    assert_true(stride >= 8 && stride % 2 == 0);
    assert_ptr_equal(s3r_tape_stage_bf16(tape, x, &again), staged);
    assert_int_equal(again, stride);
    for (size_t i = 0; i < 40; i++) {
        for (size_t j = 0; j < 7; j++)
            assert_int_equal(staged[i * stride + j], s3r_f32_to_bf16((float)(i * 7 + j)));
        assert_int_equal(staged[i * stride + 7], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scopes_give_memory_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recording_keeps_everything, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_gradients_are_reused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_out_of_memory_is_remembered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_repeated_steps_use_no_heap, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_forgotten_values_come_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_buffers_are_parted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ragged_find, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_row_ranges_cover_all_rows, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_staged_bf16, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
