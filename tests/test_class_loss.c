/*
 * Softmax and cross-entropy against central differences, weights, large logits, and
 * logits that are not finite.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "tasks/class_loss.h"

enum { ROWS = 5, CLASSES = 4 };

typedef struct fixture {
    s3r_pool *pool;
    s3r_tape tape;
    s3r_value *logits;
    float x[ROWS * CLASSES];
    double losses[ROWS];
    bool right[ROWS];
} fixture;

static const size_t targets[ROWS] = {2, 0, 3, 2, 1};
static const double weights[CLASSES] = {0.5, 1.0, 2.0, 0.25};

static void open_fixture(fixture *f)
{
    s3r_random random;
    assert_int_equal(s3r_pool_create(&f->pool, 1, NULL), S3R_OK);
    s3r_tape_init(&f->tape, f->pool, s3r_kernels_get(s3r_cpu_detect()));
    s3r_random_init(&random, 3, 0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(f->x); i++)
        f->x[i] = (float)(2 * s3r_random_normal(&random));
}

static void close_fixture(fixture *f)
{
    s3r_tape_release(&f->tape);
    s3r_pool_destroy(f->pool);
}

static void run(fixture *f, const double *class_weights, bool has_grad)
{
    s3r_tape_reset(&f->tape);
    f->tape.is_recording = has_grad;
    f->logits = s3r_tape_wrap(&f->tape, f->x, ROWS, CLASSES, CLASSES);
    assert_non_null(f->logits);
    f->logits->needs_grad = has_grad;
    s3r_class_loss(&f->tape, f->logits, targets, class_weights, f->losses, f->right);
    assert_int_equal(s3r_tape_status(&f->tape, NULL), S3R_OK);
}

static double total(fixture *f, const double *class_weights)
{
    double sum = 0;
    run(f, class_weights, false);
    for (size_t i = 0; i < ROWS; i++)
        sum += f->losses[i];
    return sum;
}

/* The losses are those of the definition, and their gradient that of differences. */
static void check_gradient(fixture *f, const double *class_weights)
{
    static const float step = 1.0f / 256;
    float grad[ROWS * CLASSES];
    run(f, class_weights, true);
    memcpy(grad, f->logits->grad, sizeof grad);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        const float *x = f->x + i * CLASSES;
        bool is_best = true;
        for (size_t j = 0; j < CLASSES; j++) {
            sum += exp((double)x[j]);
            is_best = is_best && x[j] <= x[targets[i]];
        }
        double weight = class_weights ? class_weights[targets[i]] : 1;
        double loss = weight * (log(sum) - (double)x[targets[i]]);
        assert_true(fabs(f->losses[i] - loss) < 1e-12);
        assert_int_equal(f->right[i], is_best);
    }
    for (size_t i = 0; i < S3R_ARRAY_LEN(f->x); i++) {
        float before = f->x[i];
        f->x[i] = before + step;
        double above = total(f, class_weights);
        f->x[i] = before - step;
        double below = total(f, class_weights);
        f->x[i] = before;
        /* The third derivative is below 0.2: an error of 0.2 step^2 / 6 a row. */
        if (fabs((above - below) / (2 * (double)step) - (double)grad[i]) > 2e-6)
            fail_msg("gradient %zu: expected %g, found %g", i,
                     (above - below) / (2 * (double)step), (double)grad[i]);
    }
}

static void test_gradient(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f);
    check_gradient(&f, NULL);
    check_gradient(&f, weights);
    close_fixture(&f);
}

/* Probabilities that are 0 in double have a finite loss. */
static void test_large_logits(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f);
    memset(f.x, 0, sizeof f.x);
    f.x[0] = 3e4f;
    run(&f, NULL, true);
    assert_true(f.losses[0] == 3e4);
    assert_true(f.logits->grad[0] == 1.0f && f.logits->grad[2] == -1.0f);
    assert_true(fabs(f.losses[1] - log(CLASSES)) < 1e-12);
    close_fixture(&f);
}

/* A row that is not finite is told, has no gradient, and leaves the others alone. */
static void test_not_finite(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    fixture f;
    float expected[ROWS * CLASSES];
    open_fixture(&f);
    run(&f, NULL, true);
    memcpy(expected, f.logits->grad, sizeof expected);
    memset(expected + CLASSES, 0, CLASSES * sizeof *expected);
    for (size_t i = 0; i < S3R_ARRAY_LEN(bad); i++) {
        f.x[CLASSES + 2] = bad[i];
        run(&f, NULL, true);
        assert_true(isnan(f.losses[1]) && !f.right[1]);
        assert_true(isfinite(f.losses[0]) && isfinite(f.losses[2]));
        assert_memory_equal(f.logits->grad, expected, sizeof expected);
    }
    close_fixture(&f);
}

static void test_memory(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f);
    for (size_t n = 1;; n++) {
        s3r_tape_release(&f.tape);
        s3r_tape_init(&f.tape, f.pool, s3r_kernels_get(s3r_cpu_detect()));
        f.tape.is_recording = true;
        s3r_alloc_fail_at(n);
        f.logits = s3r_tape_wrap(&f.tape, f.x, ROWS, CLASSES, CLASSES);
        if (f.logits)
            f.logits->needs_grad = true;
        s3r_class_loss(&f.tape, f.logits, targets, NULL, f.losses, NULL);
        s3r_alloc_fail_at(0);
        if (s3r_tape_status(&f.tape, NULL) == S3R_OK)
            break;
        assert_true(n < 10);
    }
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_large_logits),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
