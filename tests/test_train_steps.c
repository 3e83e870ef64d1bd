/*
 * Ten steps of mask training against a reference in PyTorch (tests/golden/
 * make_train_golden.py, float64): the learning rate, the loss and the masks of every
 * step, scores and head after the last.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_audio.h"
#include "support_files.h"
#include "support_model.h"
#include "support_train.h"
#include "train/schedule.h"

#define STEPS 10
#define PEAK  5e-3
/* The reference computes in float64. The loss is a sum over some 10 frames of values
 * around 3, each within some 1e-6 of fp32 rounding. */
#define LOSS_TOLERANCE 5e-6
/*
 * Adam divides by the root of the mean square, so that an update has the size of the rate
 * even where the gradient is rounding noise: the first update of such an element is
 * +-rate of either sign.  Nearly all elements have a real gradient and agree to fp32
 * rounding, enlarged by that division; the few others are bounded by the travel of both.
 */
#define SCORE_TOLERANCE 1e-5
#define STRAY_PART      0.005
#define TRAVEL          (2 * PEAK * STEPS)
/* Elements whose |score| is within rounding of the threshold may swap. */
#define STRAY_MASK_ELEMENTS 1

static const char settings[] =
    "method=mask mask.modules=ffn mask.sparsity=0.1 schedule.steps=10 optimizer.lr=5e-3 "
    "schedule.final_scale=1e-4 augment.time_prob=0 augment.channel_prob=0 "
    "dropout.layer_drop=0 dropout.activation=0 dropout.hidden=0 dropout.attention=0 "
    "dropout.projection=0 dropout.final=0 cache.features=f32 precision=f32";

typedef struct fixture {
    test_golden model, steps;
    test_run run;
    s3r_trainer *trainer;
} fixture;

/* ---- the data ---- */

/* What the labels spell: the inverse of vocab.json. */
static void spell(char *text, const s3r_tensor *labels)
{
    static const char letters[] = "???? ETAONIH";
    const float *values = labels->data;
    for (size_t i = 0; i < labels->shape[0]; i++)
        *text++ = letters[(size_t)values[i]];
    *text = '\0';
}

static const char *write_data(const fixture *f, const char *folder)
{
    static char texts[2][16];
    test_line lines[3] = {{NULL, NULL}};
    for (size_t u = 0; u < 2; u++) {
        char name[16];
        const s3r_tensor *audio = test_golden_find(&f->model, "input.%zu", u);
        const s3r_tensor *labels = test_golden_find(&f->steps, "text.%zu", u);
        assert_true(audio && labels);
        snprintf(name, sizeof name, "%zu.wav", u);
        const char *path = test_path(folder, name);
        test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, audio->data,
                          audio->shape[0]);
        spell(texts[u], labels);
        lines[u] = (test_line){path, texts[u]};
    }
    return test_write_manifest(folder, "train.jsonl", lines);
}

static s3r_trained *find_item(const s3r_trainer *trainer, const char *name)
{
    for (size_t i = 0; i < trainer->trainable.count; i++)
        if (strcmp(trainer->trainable.items[i].name, name) == 0)
            return &trainer->trainable.items[i];
    fail_msg("%s is not trained", name);
    return NULL;
}

static void put_scores(const fixture *f)
{
    for (size_t i = 0; i < f->trainer->trainable.count; i++) {
        s3r_trained *item = &f->trainer->trainable.items[i];
        if (item->is_head)
            continue;
        assert_memory_equal(item->name, "scores/", 7);
        const s3r_tensor *first =
            test_golden_find(&f->steps, "scores.%s", item->name + 7);
        assert_non_null(first);
        assert_int_equal(first->size_bytes, item->count * sizeof(float));
        memcpy(item->values, first->data, first->size_bytes);
    }
    f->trainer->is_selected = false;
}

static void open_run(fixture *f, size_t threads, s3r_cpu_level level)
{
    const char *folder = test_folder();
    test_golden_open(&f->model, "w2v2_group_postln");
    test_golden_open(&f->steps, "mask_steps");
    test_run_init(&f->run, test_path(folder, "run"), threads, settings);
    f->run.options.model = "tests/golden/w2v2_group_postln";
    f->run.options.train = write_data(f, folder);
    f->run.options.dev = NULL;
    f->run.options.kernels = s3r_kernels_get(level);
    f->trainer = test_run_open(&f->run);
    assert_int_equal(f->trainer->train.count, 2);
    /* Four matrices and the head's weight and bias: nothing else trains. */
    assert_int_equal(f->trainer->trainable.count, 6);
    put_scores(f);
}

static void close_run(fixture *f)
{
    s3r_trainer_close(f->trainer);
    test_run_release(&f->run);
    test_golden_close(&f->model);
    test_golden_close(&f->steps);
}

/* ---- comparing ---- */

static void expect_masks(const fixture *f, size_t step)
{
    const s3r_trainable *trainable = &f->trainer->trainable;
    assert_int_equal(trainable->masked_count, 4);
    for (size_t i = 0; i < trainable->masked_count; i++) {
        const s3r_masked *masked = &trainable->masked[i];
        const char *name = masked->parameter->entry->name;
        const s3r_tensor *wanted = test_golden_find(&f->steps, "mask.%s", name);
        assert_non_null(wanted);
        size_t rows = masked->mask.rows, cols = masked->mask.cols, different = 0;
        assert_int_equal(rows * cols, 8 * wanted->shape[1]);
        const uint8_t *bits = (const uint8_t *)wanted->data + step * wanted->shape[1];
        for (size_t k = 0; k < rows * cols; k++) {
            size_t row = k / cols, col = k % cols;
            uint64_t word = masked->mask.bits[row * masked->mask.stride + col / 64];
            different += ((word >> col % 64) & 1) != (bits[k / 8] >> k % 8 & 1u);
        }
        /* trunc((1 - 0.9) * 512) = 51 removed. (spec 1.2) */
        assert_int_equal(s3r_mask_kept_count(&masked->mask), rows * cols - 51);
        if (different > STRAY_MASK_ELEMENTS)
            fail_msg("step %zu: %zu elements of the mask of %s differ", step, different,
                     name);
    }
}

static void expect_values(const s3r_trained *item, const s3r_tensor *wanted)
{
    const float *expected = wanted->data;
    size_t strays = 0;
    assert_int_equal(wanted->size_bytes, item->count * sizeof(float));
    for (size_t k = 0; k < item->count; k++) {
        double error = fabs((double)item->values[k] - (double)expected[k]);
        strays += error > SCORE_TOLERANCE;
        if (!(error <= TRAVEL))
            fail_msg("%s[%zu]: expected %.9g, found %.9g", item->name, k,
                     (double)expected[k], (double)item->values[k]);
    }
    if ((double)strays > STRAY_PART * (double)item->count)
        fail_msg("%s: %zu of %zu elements differ by more than %g", item->name, strays,
                 item->count, SCORE_TOLERANCE);
}

static void expect_result(const fixture *f)
{
    char name[256];
    for (size_t i = 0; i < f->trainer->trainable.count; i++) {
        const s3r_trained *item = &f->trainer->trainable.items[i];
        const s3r_tensor *wanted =
            item->is_head ? test_golden_find(&f->steps, "%s", item->name)
                          : test_golden_find(&f->steps, "after.%s", item->name + 7);
        snprintf(name, sizeof name, "%s", item->name);
        if (!wanted && strchr(name, '/')) {
            *strchr(name, '/') = '.';
            wanted = test_golden_find(&f->steps, "%s", name);
        }
        if (!wanted)
            fail_msg("no reference of %s", item->name);
        expect_values(item, wanted);
    }
    (void)find_item(f->trainer, "head/weight");
    (void)find_item(f->trainer, "head/bias");
}

static void run_steps(fixture *f)
{
    s3r_error err;
    const s3r_tensor *losses = test_golden_find(&f->steps, "loss");
    const s3r_tensor *rates = test_golden_find(&f->steps, "rate");
    assert_true(losses && rates);
    for (size_t step = 0; step < STEPS; step++) {
        s3r_step_result result;
        if (s3r_trainer_gradient(f->trainer, &f->trainer->state, &result, &err) != S3R_OK)
            fail_msg("%s", err.message);
        assert_int_equal(result.utterances, 2);
        assert_int_equal(result.frames, 17);
        assert_int_equal(result.bad, 0);
        double wanted = (double)((const float *)losses->data)[step];
        double loss = result.loss / 2.0;
        if (!(fabs(loss - wanted) <= LOSS_TOLERANCE * wanted))
            fail_msg("step %zu: expected a loss of %.9g, found %.9g", step, wanted, loss);
        double rate = s3r_schedule_rate(&f->trainer->config, PEAK, step);
        double wanted_rate = (double)((const float *)rates->data)[step];
        assert_true(fabs(rate - wanted_rate) <= 1e-7 * wanted_rate); /* stored as fp32 */
        expect_masks(f, step);
        double squares =
            s3r_trainable_square_sum(&f->trainer->trainable, f->trainer->pool);
        assert_true(isfinite(squares) && squares > 0);
        s3r_trainer_update(f->trainer, step, step + 1, 2, squares);
    }
}

static void test_reference(void **state)
{
    (void)state;
    static const s3r_cpu_level levels[] = {S3R_CPU_PORTABLE, S3R_CPU_AVX2};
    for (size_t i = 0; i < S3R_ARRAY_LEN(levels); i++) {
        fixture f;
        if (s3r_cpu_detect() < levels[i])
            continue;
        open_run(&f, i + 1, levels[i]);
        run_steps(&f);
        expect_result(&f);
        close_run(&f);
    }
}

/* Two micro-batches of one utterance each are the step of both. */
static void test_accumulation(void **state)
{
    (void)state;
    fixture f;
    open_run(&f, 1, s3r_cpu_detect());
    f.trainer->config.batch.accumulate = 2;
    f.trainer->batch_frames = 1;
    s3r_trainer_plan_epoch(f.trainer);
    assert_int_equal(f.trainer->batches.batches, 2);
    run_steps(&f);
    expect_result(&f);
    assert_int_equal(f.trainer->state.micro, 2 * STEPS);
    close_run(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_accumulation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
