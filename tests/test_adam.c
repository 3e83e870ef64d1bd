/*
 * Adam in both forms against the formulas of spec 2.8 in double.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "train/adam.h"

#define COUNT   70001u /* several tasks, no multiple of anything */
#define UPDATES 12u

typedef struct arrays {
    float *values, *first, *second, *grad;
} arrays;

static arrays arrays_make(void)
{
    arrays a = {s3r_alloc(COUNT, sizeof(float)), s3r_alloc(COUNT, sizeof(float)),
                s3r_alloc(COUNT, sizeof(float)), s3r_alloc(COUNT, sizeof(float))};
    assert_true(a.values && a.first && a.second && a.grad);
    s3r_random random;
    s3r_random_init(&random, 3, 0);
    for (size_t i = 0; i < COUNT; i++)
        a.values[i] = (float)s3r_random_normal(&random);
    return a;
}

static void arrays_release(arrays *a)
{
    s3r_free(a->values);
    s3r_free(a->first);
    s3r_free(a->second);
    s3r_free(a->grad);
}

/* Gradients from 1e-9 (where eps matters) to 10, with zeros. */
static void draw_grad(float *grad, size_t update)
{
    s3r_random random;
    s3r_random_init(&random, 4, update);
    for (size_t i = 0; i < COUNT; i++)
        grad[i] =
            i % 17 == 0
                ? 0.0F
                : (float)(s3r_random_normal(&random) * pow(10.0, (double)(i % 11) - 9.0));
}

static s3r_pool *make_pool(size_t threads)
{
    s3r_pool *pool;
    s3r_error err;
    if (s3r_pool_create(&pool, threads, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return pool;
}

typedef struct adam_reference {
    double value, first, second;
} adam_reference;

static void update_reference(adam_reference *r, const s3r_adam_step *s, double rate,
                             double grad)
{
    double t = (double)s->update, g = grad * s->grad_scale;
    r->value -= rate * s->weight_decay * r->value;
    r->first = s->beta1 * r->first + (1 - s->beta1) * g;
    r->second = s->beta2 * r->second + (1 - s->beta2) * g * g;
    double c1 = 1 - pow(s->beta1, t), c2 = 1 - pow(s->beta2, t);
    if (s->form == S3R_ADAM_FAIRSEQ)
        r->value -= rate * sqrt(c2) / c1 * r->first / (sqrt(r->second) + s->eps);
    else
        r->value -= rate / c1 * r->first / (sqrt(r->second / c2) + s->eps);
}

static void check_form(s3r_adam_form form, double weight_decay, double grad_scale)
{
    s3r_pool *pool = make_pool(2);
    arrays a = arrays_make();
    adam_reference *reference = s3r_alloc(COUNT, sizeof *reference);
    for (size_t i = 0; i < COUNT; i++)
        reference[i].value = (double)a.values[i];
    double travel = 0;
    for (size_t u = 0; u < UPDATES; u++) {
        double rate = 1e-3 * (double)(u + 1);
        const s3r_adam_step step = {form,         0.9,   0.98,      1e-8,
                                    weight_decay, u + 1, grad_scale};
        draw_grad(a.grad, u);
        for (size_t i = 0; i < COUNT; i++)
            update_reference(&reference[i], &step, rate, (double)a.grad[i]);
        s3r_adam_update(pool, &step, rate, a.values, a.first, a.second, a.grad, COUNT);
        travel += rate;
    }
    for (size_t i = 0; i < COUNT; i++) {
        double error = fabs((double)a.values[i] - reference[i].value);
        /* fp32: a rounding of the value and some of the step, each update. */
        double allowed =
            UPDATES * 6e-8 * (fabs(reference[i].value) + travel) + 4e-6 * travel;
        if (!(error <= allowed))
            fail_msg("form %d, element %zu: expected %.9g, found %.9g", (int)form, i,
                     reference[i].value, (double)a.values[i]);
    }
    s3r_free(reference);
    arrays_release(&a);
    s3r_pool_destroy(pool);
}

static void test_forms(void **state)
{
    (void)state;
    for (int form = S3R_ADAM_FAIRSEQ; form <= S3R_ADAM_PYTORCH; form++) {
        check_form((s3r_adam_form)form, 0.0, 1.0);
        check_form((s3r_adam_form)form, 0.1, 0.125);
    }
}

/* The forms differ by where eps stands: at a gradient of the size of eps, the first step
 * of fairseq's is sqrt(1 - b2) g / (sqrt(1 - b2) g + eps) of the rate. */
static void test_eps(void **state)
{
    (void)state;
    s3r_pool *pool = make_pool(1);
    static const double wanted[] = {
        [S3R_ADAM_FAIRSEQ] =
            -0.1 * 0.14142135623730951 * 1e-8 / (0.14142135623730951 * 1e-8 + 1e-8),
        [S3R_ADAM_PYTORCH] = -0.1 * 0.5,
    };
    for (int form = S3R_ADAM_FAIRSEQ; form <= S3R_ADAM_PYTORCH; form++) {
        float value = 0, first = 0, second = 0, grad = 1e-8F;
        const s3r_adam_step step = {(s3r_adam_form)form, 0.9, 0.98, 1e-8, 0, 1, 1};
        s3r_adam_update(pool, &step, 0.1, &value, &first, &second, &grad, 1);
        assert_true(fabs((double)value - wanted[form]) < 1e-6);
    }
    s3r_pool_destroy(pool);
}

static void test_threads(void **state)
{
    (void)state;
    arrays one = arrays_make();
    for (size_t threads = 1; threads <= 3; threads++) {
        s3r_pool *pool = make_pool(threads);
        arrays a = arrays_make();
        for (size_t u = 0; u < 3; u++) {
            const s3r_adam_step step = {S3R_ADAM_FAIRSEQ, 0.9, 0.98, 1e-8, 0, u + 1, 0.5};
            draw_grad(a.grad, u);
            s3r_adam_update(pool, &step, 1e-3, a.values, a.first, a.second, a.grad,
                            COUNT);
        }
        if (threads == 1) {
            arrays swap = one;
            one = a;
            a = swap;
        } else {
            assert_memory_equal(a.values, one.values, COUNT * sizeof(float));
            assert_memory_equal(a.first, one.first, COUNT * sizeof(float));
            assert_memory_equal(a.second, one.second, COUNT * sizeof(float));
        }
        arrays_release(&a);
        s3r_pool_destroy(pool);
    }
    arrays_release(&one);
}

static void test_square_sum(void **state)
{
    (void)state;
    arrays a = arrays_make();
    double *partial = s3r_alloc(s3r_square_sum_parts(COUNT), sizeof *partial);
    double wanted = 0, first = 0;
    draw_grad(a.grad, 0);
    for (size_t i = 0; i < COUNT; i++)
        wanted += (double)a.grad[i] * (double)a.grad[i];
    for (size_t threads = 1; threads <= 3; threads++) {
        s3r_pool *pool = make_pool(threads);
        double found = s3r_square_sum(pool, a.grad, COUNT, partial);
        first = threads == 1 ? found : first;
        assert_memory_equal(&found, &first, sizeof found);
        /* Sums of 70001 doubles in another order. */
        assert_true(fabs(found - wanted) <= 1e-11 * wanted);
        assert_true(s3r_square_sum(pool, a.grad, 0, partial) == 0.0);
        s3r_pool_destroy(pool);
    }
    s3r_pool *pool = make_pool(2);
    a.grad[COUNT - 1] = NAN;
    assert_true(isnan(s3r_square_sum(pool, a.grad, COUNT, partial)));
    a.grad[COUNT - 1] = INFINITY;
    assert_true(isinf(s3r_square_sum(pool, a.grad, COUNT, partial)));
    /* Squares that fp32 could not hold. */
    a.grad[COUNT - 1] = 1e30F;
    assert_true(isfinite(s3r_square_sum(pool, a.grad, COUNT, partial)));
    s3r_pool_destroy(pool);
    s3r_free(partial);
    arrays_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_eps),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_square_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
