/*
 * CTC against PyTorch, against the sum over all alignments, against central differences,
 * and on what training data brings: targets that do not fit, nothing at all, NaN.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "support_model.h"
#include "tasks/ctc_loss.h"

#define MAX_UTTERANCES 32u

typedef struct batch {
    size_t count, labels;
    size_t frame_offset[MAX_UTTERANCES + 1], target_offset[MAX_UTTERANCES + 1];
    float *logits;     /* [frames, labels] */
    uint32_t *targets; /* [target_offset[count]] */
    uint32_t blank_id;
    double losses[MAX_UTTERANCES];
    size_t blanks[MAX_UTTERANCES];
    float *grad;    /* [frames, labels] */
    size_t fail_at; /* allocation of the tape that fails; 0 = none */
    s3r_status status;
} batch;

static void run_at(batch *b, double scale, size_t threads, s3r_cpu_level level)
{
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, threads, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(level));
    tape.is_recording = true;
    s3r_alloc_fail_at(b->fail_at);
    size_t rows = b->frame_offset[b->count];
    s3r_value *logits = s3r_tape_wrap(&tape, b->logits, rows, b->labels, b->labels);
    s3r_ctc_targets targets = {{b->count, b->target_offset}, b->targets, b->blank_id};
    if (logits) {
        logits->needs_grad = b->grad != NULL;
        s3r_ctc_loss(&tape, logits, (s3r_ragged){b->count, b->frame_offset}, &targets,
                     scale, b->losses, b->blanks);
    }
    s3r_alloc_fail_at(0);
    b->status = s3r_tape_status(&tape, NULL);
    if (b->status == S3R_OK && b->grad)
        memcpy(b->grad, logits->grad, rows * b->labels * sizeof(float));
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

static void run(batch *b, double scale)
{
    run_at(b, scale, 1, s3r_cpu_detect());
    assert_int_equal(b->status, S3R_OK);
}

/* One utterance. */
static batch single(float *logits, float *grad, size_t frames, size_t labels,
                    uint32_t *target, size_t length, uint32_t blank_id)
{
    return (batch){.count = 1,
                   .labels = labels,
                   .frame_offset = {0, frames},
                   .target_offset = {0, length},
                   .logits = logits,
                   .targets = target,
                   .blank_id = blank_id,
                   .grad = grad};
}

/* ---- PyTorch ---- */

static const float *golden(const test_golden *file, const char *name, const char *what,
                           size_t *rows, size_t *cols)
{
    const s3r_tensor *tensor = test_golden_find(file, "%s.%s", name, what);
    assert_non_null(tensor);
    *rows = tensor->shape[0];
    *cols = tensor->rank > 1 ? tensor->shape[1] : 1;
    return tensor->data;
}

static void check_golden(const test_golden *file, const char *name)
{
    float logits[4096], grad[4096];
    uint32_t target[64];
    size_t frames, labels, length, one;
    const float *x = golden(file, name, "logits", &frames, &labels);
    const float *labels_of = golden(file, name, "target", &length, &one);
    memcpy(logits, x, frames * labels * sizeof(float));
    for (size_t i = 0; i < length; i++)
        target[i] = (uint32_t)labels_of[i];
    uint32_t blank_id = (uint32_t)*golden(file, name, "blank", &one, &one);
    double loss = (double)*golden(file, name, "loss", &one, &one);
    const float *expected = golden(file, name, "grad", &one, &one);
    batch b = single(logits, grad, frames, labels, target, length, blank_id);
    run(&b, 1.0);
    /* The file holds fp32 (6e-8 relative); exponentials of the kernels add as much. */
    bool is_close = isinf(loss) ? b.losses[0] == loss
                                : fabs(b.losses[0] - loss) <= 1e-6 * fmax(1.0, loss);
    if (!is_close)
        fail_msg("%s: loss %.9g, expected %.9g", name, b.losses[0], loss);
    for (size_t i = 0; i < frames * labels; i++)
        if (fabsf(grad[i] - expected[i]) > 1e-6f)
            fail_msg("%s: gradient %zu: %.9g, expected %.9g", name, i, (double)grad[i],
                     (double)expected[i]);
}

static void test_pytorch(void **state)
{
    (void)state;
    test_golden file;
    size_t cases = 0;
    test_golden_open(&file, "ctc_loss");
    for (size_t i = 0; i < file.file.tensor_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s", file.file.tensors[i].name);
        char *end = strstr(name, ".logits");
        if (!end)
            continue;
        *end = '\0';
        check_golden(&file, name);
        cases++;
    }
    assert_int_equal(cases, 23);
    test_golden_close(&file);
}

/* ---- all alignments ---- */

/* Does the path, repeats merged and blanks dropped, spell the target? */
static bool spells(const size_t *path, size_t frames, const uint32_t *target,
                   size_t length, uint32_t blank_id)
{
    size_t at = 0;
    for (size_t t = 0; t < frames; t++) {
        if (path[t] == blank_id || (t > 0 && path[t] == path[t - 1]))
            continue;
        if (at == length || target[at] != path[t])
            return false;
        at++;
    }
    return at == length;
}

/* -log of the summed probability of all label sequences that spell the target. */
static double enumerate(const float *logits, size_t frames, size_t labels,
                        const uint32_t *target, size_t length, uint32_t blank_id)
{
    double log_probs[64], total = 0;
    size_t path[8] = {0};
    for (size_t t = 0; t < frames; t++) {
        double sum = 0;
        for (size_t k = 0; k < labels; k++)
            sum += exp((double)logits[t * labels + k]);
        for (size_t k = 0; k < labels; k++)
            log_probs[t * labels + k] = (double)logits[t * labels + k] - log(sum);
    }
    for (;;) {
        if (spells(path, frames, target, length, blank_id)) {
            double log_prob = 0;
            for (size_t t = 0; t < frames; t++)
                log_prob += log_probs[t * labels + path[t]];
            total += exp(log_prob);
        }
        size_t digit = 0;
        while (digit < frames && ++path[digit] == labels)
            path[digit++] = 0;
        if (digit == frames)
            return -log(total);
    }
}

static void test_enumeration(void **state)
{
    (void)state;
    s3r_random random;
    s3r_random_init(&random, 7, 0);
    for (size_t round = 0; round < 400; round++) {
        float logits[64], grad[64];
        uint32_t target[8];
        size_t frames = 1 + s3r_random_below(&random, 6);
        size_t labels = 1 + s3r_random_below(&random, 4);
        uint32_t blank_id = (uint32_t)s3r_random_below(&random, labels);
        size_t length = labels > 1 ? s3r_random_below(&random, frames + 1) : 0;
        for (size_t i = 0; i < frames * labels; i++)
            logits[i] = (float)(2 * s3r_random_normal(&random));
        for (size_t i = 0; i < length; i++)
            target[i] = (uint32_t)(blank_id + 1 + s3r_random_below(&random, labels - 1)) %
                        (uint32_t)labels;
        batch b = single(logits, grad, frames, labels, target, length, blank_id);
        run(&b, 1.0);
        double expected = enumerate(logits, frames, labels, target, length, blank_id);
        bool is_possible = s3r_ctc_frames_needed(target, length) <= frames;
        assert_true(is_possible == isfinite(expected));
        /* fp32 exponentials: 1e-7 a frame */
        if (is_possible ? fabs(b.losses[0] - expected) > 1e-6
                        : b.losses[0] != (double)INFINITY)
            fail_msg("round %zu: loss %.9g, expected %.9g", round, b.losses[0], expected);
    }
}

/* ---- gradient ---- */

static void test_differences(void **state)
{
    (void)state;
    float logits[12 * 5], grad[12 * 5];
    uint32_t target[] = {1, 1, 3, 2, 4};
    s3r_random random;
    s3r_random_init(&random, 8, 0);
    for (size_t i = 0; i < S3R_ARRAY_LEN(logits); i++)
        logits[i] = (float)s3r_random_normal(&random);
    batch b = single(logits, grad, 12, 5, target, 5, 0);
    run(&b, 2.5);
    for (size_t i = 0; i < S3R_ARRAY_LEN(logits); i++) {
        float x = logits[i], step = 1.0f / 64; /* exact in fp32 */
        batch ahead = b, behind = b;
        ahead.grad = behind.grad = NULL;
        logits[i] = x + step;
        run(&ahead, 1.0);
        float high = logits[i];
        logits[i] = x - step;
        run(&behind, 1.0);
        double width = (double)high - (double)logits[i];
        double slope = 2.5 * (ahead.losses[0] - behind.losses[0]) / width;
        logits[i] = x;
        /* step^2 times the third derivative, which is below 1 */
        if (fabs(slope - (double)grad[i]) > 2.5e-4)
            fail_msg("gradient %zu: %g, differences %g", i, (double)grad[i], slope);
    }
}

/* ---- cases of life ---- */

static void test_degenerate(void **state)
{
    (void)state;
    float logits[8] = {0, 1, 2, 0.5f, -1, 3, 0, 0}, grad[8];
    uint32_t target[4] = {1, 1, 1, 1};

    batch none = single(logits, grad, 0, 2, target, 0, 0);
    run(&none, 1.0);
    assert_true(none.losses[0] == 0 && none.blanks[0] == 0);
    batch no_frames = single(logits, grad, 0, 2, target, 1, 0);
    run(&no_frames, 1.0);
    assert_true(no_frames.losses[0] == (double)INFINITY);

    batch only_blank = single(logits, grad, 4, 1, target, 0, 0);
    run(&only_blank, 1.0);
    assert_true(only_blank.losses[0] == 0 && only_blank.blanks[0] == 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(grad[i] == 0);

    batch too_long = single(logits, grad, 4, 2, target, 4, 0);
    run(&too_long, 1.0);
    assert_true(too_long.losses[0] == (double)INFINITY);
    for (size_t i = 0; i < 8; i++)
        assert_true(grad[i] == 0);
    assert_int_equal(s3r_ctc_frames_needed(target, 4), 7);
    assert_int_equal(s3r_ctc_frames_needed(target, 0), 0);

    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < S3R_ARRAY_LEN(bad); i++) {
        logits[5] = bad[i];
        batch b = single(logits, grad, 4, 2, target, 1, 0);
        run(&b, 1.0);
        assert_true(isnan(b.losses[0]));
        for (size_t j = 0; j < 8; j++)
            assert_true(grad[j] == 0);
    }
}

/* Logits far apart over many frames; as far as floats get, a floor holds them. */
static void test_extreme_logits(void **state)
{
    (void)state;
    enum { FRAMES = 3000 };
    static float logits[FRAMES * 2], grad[FRAMES * 2];
    uint32_t target[] = {1};
    const float distances[] = {100, 1e4f, 1e8f, 3e38f};
    for (size_t k = 0; k < S3R_ARRAY_LEN(distances); k++) {
        for (size_t t = 0; t < FRAMES; t++) {
            logits[2 * t] = 0;
            logits[2 * t + 1] = -distances[k];
        }
        batch b = single(logits, grad, FRAMES, 2, target, 1, 0);
        run(&b, 1.0);
        /* one label somewhere among blanks: FRAMES ways, and some with more labels */
        double distance = fmin((double)distances[k], 1e9 * log(2.0));
        double expected = distance - log((double)FRAMES);
        assert_true(fabs(b.losses[0] - expected) <= 1e-9 * expected);
        for (size_t t = 0; t < FRAMES; t++)
            assert_true(fabsf(grad[2 * t + 1] + 1.0f / FRAMES) < 1e-7f);
    }
}

static void test_blank_frames(void **state)
{
    (void)state;
    float logits[] = {1, 0, 0, 0, 1, 0, 2, 2, 0, 0, 0, 1};
    uint32_t target[1] = {1};
    batch b = single(logits, NULL, 4, 3, target, 1, 0);
    run(&b, 1.0);
    assert_int_equal(b.blanks[0], 2); /* of equals the blank counts */
}

/* ---- batches ---- */

/* A batch of utterances that differ in everything; freed by the caller. */
static batch random_batch(size_t count, size_t labels, uint64_t seed)
{
    batch b = {.count = count, .labels = labels};
    s3r_random random;
    s3r_random_init(&random, seed, 0);
    for (size_t u = 0; u < count; u++) {
        size_t frames = s3r_random_below(&random, 120);
        b.frame_offset[u + 1] = b.frame_offset[u] + frames;
        b.target_offset[u + 1] =
            b.target_offset[u] + s3r_random_below(&random, frames / 2 + 2);
    }
    b.logits = s3r_alloc(b.frame_offset[count] * labels, sizeof(float));
    b.grad = s3r_alloc(b.frame_offset[count] * labels, sizeof(float));
    b.targets = s3r_alloc(b.target_offset[count], sizeof *b.targets);
    assert_true(b.logits && b.grad && b.targets);
    for (size_t i = 0; i < b.frame_offset[count] * labels; i++)
        b.logits[i] = (float)(3 * s3r_random_normal(&random));
    for (size_t i = 0; i < b.target_offset[count]; i++)
        b.targets[i] = 1 + (uint32_t)s3r_random_below(&random, labels - 1);
    return b;
}

static void release_batch(batch *b)
{
    s3r_free(b->logits);
    s3r_free(b->grad);
    s3r_free(b->targets);
}

static void test_same_bits(void **state)
{
    (void)state;
    batch b = random_batch(9, 13, 3);
    size_t bytes = b.frame_offset[9] * 13 * sizeof(float);
    float *grad = s3r_alloc(bytes, 1);
    run(&b, 0.5);
    for (size_t threads = 2; threads <= 4; threads++) {
        batch again = b;
        again.grad = grad;
        run_at(&again, 0.5, threads, s3r_cpu_detect());
        assert_memory_equal(again.losses, b.losses, 9 * sizeof(double));
        assert_memory_equal(grad, b.grad, bytes);
    }
    for (size_t u = 0; u < 9; u++) {
        size_t first = b.frame_offset[u], frames = b.frame_offset[u + 1] - first;
        batch alone = single(b.logits + first * 13, grad, frames, 13,
                             b.targets + b.target_offset[u],
                             b.target_offset[u + 1] - b.target_offset[u], 0);
        run(&alone, 0.5);
        assert_memory_equal(alone.losses, &b.losses[u], sizeof(double));
        assert_int_equal(alone.blanks[0], b.blanks[u]);
        assert_memory_equal(grad, b.grad + first * 13, frames * 13 * sizeof(float));
    }
    s3r_free(grad);
    release_batch(&b);
}

static void test_levels(void **state)
{
    (void)state;
    batch b = random_batch(5, 30, 4);
    size_t values = b.frame_offset[5] * 30;
    float *grad = s3r_alloc(values, sizeof(float));
    run(&b, 1.0);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++) {
        batch again = b;
        again.grad = grad;
        run_at(&again, 1.0, 2, (s3r_cpu_level)level);
        for (size_t i = 0; i < values; i++)
            assert_true(fabsf(grad[i] - b.grad[i]) <= 1e-6f);
    }
    s3r_free(grad);
    release_batch(&b);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    batch b = random_batch(3, 5, 5);
    do {
        b.fail_at++;
        run_at(&b, 1.0, 1, s3r_cpu_detect());
        assert_true(b.status == S3R_OK || b.status == S3R_ERR_RESOURCE);
    } while (b.status != S3R_OK);
    assert_true(b.fail_at > 1);
    release_batch(&b);
}

/* The gradient is added to what is there. */
static void test_accumulates(void **state)
{
    (void)state;
    float logits[6] = {1, 2, 0, 0.5f, 0, 1};
    uint32_t target[] = {1};
    const size_t frames[] = {0, 3}, lengths[] = {0, 1};
    double loss;
    s3r_pool *pool;
    s3r_tape tape;
    assert_int_equal(s3r_pool_create(&pool, 1, NULL), S3R_OK);
    s3r_tape_init(&tape, pool, s3r_kernels_get(s3r_cpu_detect()));
    tape.is_recording = true;
    s3r_value *value = s3r_tape_wrap(&tape, logits, 3, 2, 2);
    value->needs_grad = true;
    const s3r_ctc_targets targets = {{1, lengths}, target, 0};
    s3r_ctc_loss(&tape, value, (s3r_ragged){1, frames}, &targets, 1.0, &loss, NULL);
    float once = value->grad[1];
    s3r_ctc_loss(&tape, value, (s3r_ragged){1, frames}, &targets, 1.0, &loss, NULL);
    assert_true(once != 0 && value->grad[1] == 2 * once);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),        cmocka_unit_test(test_enumeration),
        cmocka_unit_test(test_differences),    cmocka_unit_test(test_degenerate),
        cmocka_unit_test(test_extreme_logits), cmocka_unit_test(test_blank_frames),
        cmocka_unit_test(test_same_bits),      cmocka_unit_test(test_levels),
        cmocka_unit_test(test_out_of_memory),  cmocka_unit_test(test_accumulates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
