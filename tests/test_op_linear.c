/*
 * The linear layer against double, and stored weights against fp32 ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/half.h"
#include "ops/op_add.h"
#include "ops/op_dropout.h"
#include "ops/op_gelu.h"
#include "ops/op_linear.h"
#include "support_gradient.h"

typedef struct linear_options {
    bool bias, gelu;
} linear_options;

static s3r_value *forward(const test_op *op, const test_op_input *in)
{
    const linear_options *options = op->options;
    return s3r_op_linear(in->tape, in->value[0], in->weight[0],
                         options->bias ? in->weight[1] : NULL, options->gelu);
}

static void linear_reference(const test_op *op, const test_op_reference *in, double *out)
{
    const linear_options *options = op->options;
    size_t cols = op->value_cols[0];
    for (size_t i = 0; i < in->frames; i++) {
        for (size_t o = 0; o < op->out_cols; o++) {
            double sum = options->bias ? in->weight[1][o] : 0;
            for (size_t j = 0; j < cols; j++)
                sum += in->value[0][i * cols + j] * in->weight[0][o * cols + j];
            out[i * op->out_cols + o] = options->gelu ? test_gelu(sum) : sum;
        }
    }
}

static void test_linear(void **state)
{
    (void)state;
    static const linear_options plain = {false, false}, bias = {true, false},
                                gelu = {true, true};
    static const test_op cases[] = {
        {.name = "linear",
         .value_cols = {13},
         .weight = {{7, 13}},
         .out_cols = 7,
         .options = &plain,
         .lengths = {3, 1, 6}},
        {.name = "linear with bias",
         .value_cols = {40},
         .weight = {{70, 40}, {1, 70}},
         .out_cols = 70,
         .options = &bias,
         .lengths = {5, 17, 1},
         .long_lengths = {120, 1, 250}},
        {.name = "linear with bias and gelu",
         .value_cols = {33},
         .weight = {{35, 33}, {1, 35}},
         .out_cols = 35,
         .options = &gelu,
         .lengths = {2, 15, 4},
         .long_lengths = {300, 77, 500}},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_op op = cases[i];
        op.forward = forward;
        op.reference = linear_reference;
        op.has_products = true;
        test_op_check(&op);
    }
}

enum { ROWS = 19, IN = 36, OUT = 41 };

/* Output and input gradient of one weight form, over fixed x and dy; the gradient of the
 * weight goes where it points to. */
static void run_weight(s3r_pool *pool, s3r_weight *weight, bool is_bf16, float *out,
                       float *dx)
{
    s3r_tape tape;
    s3r_random random;
    s3r_random_init(&random, 3, 0);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    tape.is_recording = true;
    tape.is_bf16 = is_bf16;
    s3r_value *x = s3r_tape_value(&tape, ROWS, IN);
    for (size_t i = 0; i < ROWS * x->stride; i++)
        x->data[i] = (float)s3r_random_normal(&random);
    x->needs_grad = true;
    s3r_value *y = s3r_op_linear(&tape, x, weight, NULL, false);
    float *dy = s3r_tape_grad(&tape, y);
    for (size_t i = 0; i < ROWS; i++) {
        memcpy(out + i * OUT, y->data + i * y->stride, OUT * sizeof *out);
        for (size_t j = 0; j < OUT; j++)
            dy[i * y->stride + j] = (float)s3r_random_normal(&random);
    }
    s3r_tape_backward(&tape);
    for (size_t i = 0; i < ROWS; i++)
        memcpy(dx + i * IN, x->grad + i * x->stride, IN * sizeof *dx);
    s3r_tape_release(&tape);
}

static void test_stored_weights_give_the_same_bits(void **state)
{
    (void)state;
    static float values[OUT * IN], out[2][ROWS * OUT], dx[2][ROWS * IN];
    static uint16_t stored[OUT * IN];
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    for (int variant = 0; variant < 4; variant++) {
        bool is_bf16 = variant & 1, is_half = variant & 2;
        s3r_random random;
        s3r_random_init(&random, 4, 0);
        for (size_t i = 0; i < OUT * IN; i++) {
            float value = (float)s3r_random_normal(&random);
            stored[i] = is_half ? s3r_f32_to_f16(value) : s3r_f32_to_bf16(value);
            values[i] = is_half ? s3r_f16_to_f32(stored[i]) : s3r_bf16_to_f32(stored[i]);
        }
        s3r_weight plain = {.data = values, .rows = OUT, .cols = IN};
        s3r_weight weight = {.data = stored,
                             .dtype = is_half ? S3R_DTYPE_F16 : S3R_DTYPE_BF16,
                             .rows = OUT,
                             .cols = IN};
        run_weight(pool, &plain, is_bf16, out[0], dx[0]);
        run_weight(pool, &weight, is_bf16, out[1], dx[1]);
        assert_memory_equal(out[0], out[1], sizeof out[0]);
        assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    }
    s3r_pool_destroy(pool);
}

/* A masked weight is the zeroed one; removed elements have a gradient too. */
static void test_masked_weights(void **state)
{
    (void)state;
    static float values[2][OUT * IN], grad[2][OUT * IN], out[2][ROWS * OUT];
    static float dx[2][ROWS * IN];
    static uint64_t kept[OUT * 2]; /* one word too many a row */
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    s3r_random random;
    s3r_random_init(&random, 5, 0);
    for (size_t i = 0; i < OUT * IN; i++) {
        values[0][i] = values[1][i] = (float)s3r_random_normal(&random);
        if (s3r_random_uniform(&random) < 0.3)
            values[1][i] = 0.0f;
        else
            kept[i / IN * 2] |= (uint64_t)1 << i % IN;
    }
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        for (int i = 0; i < 2; i++) {
            memset(grad[i], 0, sizeof grad[i]);
            s3r_weight weight = {
                .data = values[i], .rows = OUT, .cols = IN, .grad = grad[i]};
            if (i == 0) {
                weight.kept = kept;
                weight.kept_stride = 2;
            }
            run_weight(pool, &weight, is_bf16, out[i], dx[i]);
        }
        assert_memory_equal(out[0], out[1], sizeof out[0]);
        assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
        assert_memory_equal(grad[0], grad[1], sizeof grad[0]);
        for (size_t i = 0; i < OUT * IN; i++)
            assert_true(grad[0][i] != 0.0f);
    }
    s3r_pool_destroy(pool);
}

/* ---- what follows in the same pass ---- */

typedef struct parts {
    bool gelu, has_addend, has_dropout, has_residual;
} parts;

static void fill_normal(float *values, size_t count, uint64_t seed, double scale)
{
    s3r_random random;
    s3r_random_init(&random, seed, 0);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(scale * s3r_random_normal(&random));
}

static s3r_value *random_value(s3r_tape *tape, size_t cols, uint64_t stream)
{
    s3r_random random;
    s3r_random_init(&random, 21, stream);
    s3r_value *x = s3r_tape_value(tape, ROWS, cols);
    for (size_t i = 0; i < ROWS * x->stride; i++)
        x->data[i] = (float)s3r_random_normal(&random);
    x->needs_grad = true;
    return x;
}

typedef struct parts_result {
    float y[ROWS * OUT], dx[ROWS * IN], daddend[ROWS * OUT], dresidual[ROWS * OUT];
    float dw[OUT * IN], db[OUT];
} parts_result;

static void keep_rows(float *to, const float *from, size_t stride, size_t cols)
{
    for (size_t i = 0; from && i < ROWS; i++)
        memcpy(to + i * cols, from + i * stride, cols * sizeof *to);
}

static void start_tape(s3r_tape *tape, s3r_pool *pool, bool is_bf16)
{
    s3r_tape_init(tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    tape->is_recording = tape->is_training = true;
    tape->is_bf16 = is_bf16;
}

/* In one op or in several; forgotten values have to come back for the weight below. */
static void run_parts(s3r_pool *pool, const parts *p, bool is_fused, bool is_bf16,
                      const float *values, parts_result *result)
{
    static const size_t offset[] = {0, 7, ROWS};
    static const uint64_t keys[] = {3, 4};
    s3r_tape tape;
    memset(result, 0, sizeof *result);
    start_tape(&tape, pool, is_bf16);
    s3r_weight weight = {.data = values, .rows = OUT, .cols = IN, .grad = result->dw};
    s3r_weight bias = {.data = values, .rows = 1, .cols = OUT, .grad = result->db};
    s3r_value *x = random_value(&tape, IN, 0), *addend = random_value(&tape, OUT, 1);
    s3r_value *residual = random_value(&tape, OUT, 2), *y;
    s3r_dropout_mask mask =
        s3r_dropout_draw(&tape, (s3r_ragged){2, offset}, keys, p->has_dropout ? 0.3 : 0);
    if (is_fused) {
        y = s3r_op_linear_with(
            &tape, x, &weight, &bias,
            &(s3r_linear_options){.gelu = p->gelu,
                                  .addend = p->has_addend ? addend : NULL,
                                  .dropout = mask,
                                  .residual = p->has_residual ? residual : NULL});
    } else {
        tape.dropout_serial = 0;
        y = s3r_op_linear_with(
            &tape, x, &weight, &bias,
            &(s3r_linear_options){.addend = p->has_addend ? addend : NULL});
        y = p->gelu ? s3r_op_gelu(&tape, y) : y;
        y = s3r_op_dropout(&tape, y, (s3r_ragged){2, offset}, keys,
                           p->has_dropout ? 0.3 : 0);
        y = p->has_residual ? s3r_op_add(&tape, y, residual) : y;
    }
    keep_rows(result->y, y->data, y->stride, OUT);
    float *dy = s3r_tape_grad(&tape, y);
    memcpy(dy, random_value(&tape, OUT, 3)->data, ROWS * y->stride * sizeof *dy);
    s3r_tape_backward(&tape);
    keep_rows(result->dx, x->grad, x->stride, IN);
    keep_rows(result->daddend, addend->grad, addend->stride, OUT);
    keep_rows(result->dresidual, residual->grad, residual->stride, OUT);
    assert_int_equal(s3r_tape_status(&tape, NULL), S3R_OK);
    s3r_tape_release(&tape);
}

static void test_parts_are_the_separate_ops(void **state)
{
    (void)state;
    static parts_result one, several;
    static float values[OUT * IN];
    fill_normal(values, OUT * IN, 6, 1);
    s3r_pool *pool;
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (int variant = 0; variant < 32; variant++) {
        const parts p = {variant & 1, variant & 2, variant & 4, variant & 8};
        run_parts(pool, &p, true, variant & 16, values, &one);
        run_parts(pool, &p, false, variant & 16, values, &several);
        assert_memory_equal(&one, &several, sizeof one);
    }
    s3r_pool_destroy(pool);
}

/* y of a layer with GELU in bf16 alone: what follows has the same bits. */
static void run_pair(s3r_pool *pool, bool is_for_products, bool trains, bool is_bf16,
                     double dropout, const float *values, parts_result *result)
{
    static const size_t offset[] = {0, 7, ROWS};
    static const uint64_t keys[] = {3, 4};
    s3r_tape tape;
    memset(result, 0, sizeof *result);
    start_tape(&tape, pool, is_bf16);
    s3r_weight first = {.data = values, .rows = OUT, .cols = IN, .grad = result->dw};
    s3r_weight bias = {.data = values, .rows = 1, .cols = OUT, .grad = result->db};
    s3r_weight second = {.data = values, .rows = IN, .cols = OUT};
    second.grad = trains ? result->daddend : NULL;
    s3r_value *x = random_value(&tape, IN, 0);
    s3r_dropout_mask mask =
        s3r_dropout_draw(&tape, (s3r_ragged){2, offset}, keys, dropout);
    s3r_value *h = s3r_op_linear_with(
        &tape, x, &first, &bias,
        &(s3r_linear_options){
            .gelu = true, .dropout = mask, .is_for_products = is_for_products});
    s3r_value *y = s3r_op_linear(&tape, h, &second, NULL, false);
    s3r_tape_forget(&tape, h);
    assert_true((h->narrow != NULL) == (is_for_products && is_bf16 && trains));
    keep_rows(result->y, y->data, y->stride, IN);
    float *dy = s3r_tape_grad(&tape, y);
    memcpy(dy, random_value(&tape, IN, 3)->data, ROWS * y->stride * sizeof *dy);
    s3r_tape_backward(&tape);
    keep_rows(result->dx, x->grad, x->stride, IN);
    assert_int_equal(s3r_tape_status(&tape, NULL), S3R_OK);
    s3r_tape_release(&tape);
}

static void test_narrow_results_change_nothing(void **state)
{
    (void)state;
    static float values[OUT * IN];
    static parts_result results[2];
    s3r_pool *pool;
    fill_normal(values, OUT * IN, 6, 0.2);
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (int variant = 0; variant < 4; variant++) {
        bool is_bf16 = variant & 1, trains = variant & 2;
        for (int i = 0; i < 2; i++)
            run_pair(pool, i == 1, trains, is_bf16, 0.3, values, &results[i]);
        assert_memory_equal(&results[0], &results[1], sizeof results[0]);
    }
    s3r_pool_destroy(pool);
}

static void expect_near(const float *a, const float *b, size_t count, double tolerance)
{
    double largest = 0, apart = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)a[i]));
        apart = fmax(apart, fabs((double)a[i] - (double)b[i]));
    }
    assert_true(largest > 0 && apart <= tolerance * largest);
}

/* Without dropout GELU may be off by less than rounding may be: y and what is made of it
 * differ by that, gradients of x and of the bias, from the exact slope, not at all. */
static void test_narrow_results_without_dropout(void **state)
{
    (void)state;
    static float values[OUT * IN];
    static parts_result results[2];
    s3r_pool *pool;
    fill_normal(values, OUT * IN, 6, 0.2);
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (int i = 0; i < 2; i++)
        run_pair(pool, i == 1, true, true, 0, values, &results[i]);
    expect_near(results[0].y, results[1].y, ROWS * IN, 2e-3);
    expect_near(results[0].daddend, results[1].daddend, OUT * IN, 2e-3);
    assert_memory_equal(results[0].dx, results[1].dx, sizeof results[0].dx);
    assert_memory_equal(results[0].dw, results[1].dw, sizeof results[0].dw);
    assert_memory_equal(results[0].db, results[1].db, sizeof results[0].db);
    s3r_pool_destroy(pool);
}

/* The same without gradients: as a model runs, and frozen in a step. GELU is then allowed
 * to be off by less than rounding may be, so that now and then a result is the neighbour
 * in bf16. */
static void test_narrow_results_of_frozen_layers(void **state)
{
    (void)state;
    static float values[OUT * IN], y[2][ROWS * IN], as_run[2][ROWS * IN];
    s3r_pool *pool;
    fill_normal(values, OUT * IN, 7, 0.2);
    assert_int_equal(s3r_pool_create(&pool, 2, NULL), S3R_OK);
    for (int variant = 0; variant < 4; variant++) {
        bool is_bf16 = variant & 1, is_recording = variant & 2;
        for (int i = 0; i < 2; i++) {
            s3r_tape tape;
            start_tape(&tape, pool, is_bf16);
            tape.is_recording = is_recording;
            s3r_weight first = {.data = values, .rows = OUT, .cols = IN};
            s3r_weight bias = {.data = values, .rows = 1, .cols = OUT};
            s3r_weight second = {.data = values, .rows = IN, .cols = OUT};
            s3r_value *x = random_value(&tape, IN, 0);
            x->needs_grad = false;
            s3r_value *h = s3r_op_linear_with(
                &tape, x, &first, &bias,
                &(s3r_linear_options){.gelu = true, .is_for_products = i == 1});
            bool is_narrow = i == 1 && is_bf16;
            assert_true((h->narrow != NULL) == is_narrow);
            assert_true((h->data == NULL) == is_narrow);
            s3r_value *result = s3r_op_linear(&tape, h, &second, NULL, false);
            assert_int_equal(s3r_tape_status(&tape, NULL), S3R_OK);
            keep_rows(y[i], result->data, result->stride, IN);
            s3r_tape_release(&tape);
        }
        for (size_t j = 0; j < ROWS * IN; j++)
            assert_true(fabsf(y[0][j] - y[1][j]) <= (is_bf16 ? 5e-3f : 0.0f));
        if (is_recording) /* as without */
            assert_memory_equal(y[1], as_run[is_bf16], sizeof y[1]);
        memcpy(as_run[is_bf16], y[1], sizeof y[1]);
    }
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_stored_weights_give_the_same_bits),
        cmocka_unit_test(test_masked_weights),
        cmocka_unit_test(test_parts_are_the_separate_ops),
        cmocka_unit_test(test_narrow_results_change_nothing),
        cmocka_unit_test(test_narrow_results_without_dropout),
        cmocka_unit_test(test_narrow_results_of_frozen_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
