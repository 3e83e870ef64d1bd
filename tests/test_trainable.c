/*
 * What each method trains and masks, counted, and where it starts. (spec 1.1-1.5, 1.8)
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_api.h"
#include "support_files.h"
#include "support_train.h"

/* The tiny model: 2 blocks, 64 wide, feed-forward 128, 32 labels, 64 convolution
 * channels, positional convolution of 64 x 4 x 128. */
enum {
    HEAD = 32 * 64 + 32,
    MATRIX = 64 * 64,
    FFN = 64 * 128,
    BLOCK_BIASES = 4 * 64 + 128 + 64,
    BLOCK_NORMS = 2 * 2 * 64,
};

static s3r_trainer *open_with(test_run *run, const char *settings, const char *compat)
{
    s3r_error err;
    test_run_init(run, test_path(test_folder(), "run"), 1, "schedule.steps=4");
    if (compat && s3r_train_config_compat(&run->options.config, compat, &err) != S3R_OK)
        fail_msg("%s", err.message);
    test_run_set(run, settings);
    run->options.dev = NULL;
    run->options.is_plan = true;
    return test_run_open(run);
}

static bool trains(const s3r_trainable *trainable, const char *part)
{
    for (size_t i = 0; i < trainable->count; i++)
        if (strstr(trainable->items[i].name, part))
            return true;
    return false;
}

static void test_counts(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        size_t trained, masked;
    } cases[] = {
        {"method=mask", HEAD + 4 * FFN, 4 * FFN},
        {"method=mask mask.modules=attention", HEAD + 8 * MATRIX, 8 * MATRIX},
        {"method=mask mask.modules=both", HEAD + 8 * MATRIX + 4 * FFN,
         8 * MATRIX + 4 * FFN},
        {"method=mask mask.modules=q,fc1 mask.blocks=1-1", HEAD + MATRIX + FFN,
         MATRIX + FFN},
        {"method=head", HEAD, 0},
        {"method=magnitude mask.modules=both", HEAD, 8 * MATRIX + 4 * FFN},
        {"method=mask+weights", 0, 4 * FFN},
        {"method=lora lora.rank=3", HEAD + 4 * 3 * (64 + 64), 0},
        {"method=lora lora.rank=3 lora.modules=fc2", HEAD + 2 * 3 * (128 + 64), 0},
        {"method=adapter adapter.kind=st adapter.width=20",
         HEAD + 2 * (2 * 64 * 20 + 20 + 64 + 2 * 64), 0},
        {"method=adapter adapter.kind=asr adapter.width=20",
         HEAD + 2 * (2 * 64 * 20 + 20 + 64 + 2 * 64), 0},
        {"method=head also.mask_embedding=true", HEAD + 64, 0},
        {"method=head also.projection=true", HEAD + 64 * 64 + 64, 0},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_run run;
        s3r_trainer *trainer = open_with(&run, cases[i].settings, NULL);
        const s3r_trainable *trainable = &trainer->trainable;
        size_t sum = 0;
        for (size_t k = 0; k < trainable->count; k++) {
            assert_int_equal(trainable->items[k].rows * trainable->items[k].cols,
                             trainable->items[k].count);
            sum += trainable->items[k].count;
        }
        assert_int_equal(sum, trainable->trained_total);
        if ((cases[i].trained > 0 && sum != cases[i].trained) ||
            s3r_trainable_masked_elements(trainable) != cases[i].masked)
            fail_msg("%s: expected %zu trained and %zu masked, found %zu and %zu",
                     cases[i].settings, cases[i].trained, cases[i].masked, sum,
                     s3r_trainable_masked_elements(trainable));
        assert_true(trains(trainable, "head/weight") && trains(trainable, "head/bias"));
        s3r_trainer_close(trainer);
        test_run_release(&run);
    }
}

/* Biases and norms of the blocks, and of the encoder around them. */
static void test_bias(void **state)
{
    (void)state;
    test_run run;
    s3r_trainer *trainer = open_with(&run, "method=bias", NULL);
    const s3r_trainable *trainable = &trainer->trainable;
    assert_true(trainable->trained_total >= HEAD + 2 * (BLOCK_BIASES + BLOCK_NORMS));
    assert_true(trainable->trained_total <=
                HEAD + 2 * (BLOCK_BIASES + BLOCK_NORMS) + 1024);
    for (size_t i = 0; i < trainable->count; i++)
        assert_true(trainable->items[i].is_head || trainable->items[i].rows == 1 ||
                    trainable->items[i].cols == 1);
    assert_false(trains(trainable, "feature_extractor"));
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

/* Everything but the extractor. */
static void test_weights(void **state)
{
    (void)state;
    test_run run;
    s3r_trainer *trainer = open_with(&run, "method=weights", NULL);
    const s3r_trainable *trainable = &trainer->trainable;
    assert_true(trains(trainable, "q_proj.weight") && trains(trainable, "pos_conv"));
    assert_true(trains(trainable, "feature_projection"));
    assert_false(trains(trainable, "feature_extractor"));
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

/* The original's mask embedding trains; the paper's text fixes all weights. */
static void test_compat(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        test_run run;
        s3r_trainer *trainer = open_with(&run, "method=mask", i ? "original" : NULL);
        assert_int_equal(trains(&trainer->trainable, "masked_spec_embed"), i);
        assert_int_equal(trainer->trainable.trained_total, HEAD + 4 * FFN + (i ? 64 : 0));
        s3r_trainer_close(trainer);
        test_run_release(&run);
    }
}

/* ---- where masks start ---- */

static const float *weight_of(const s3r_masked *masked)
{
    assert_int_equal(masked->dtype, S3R_DTYPE_F32);
    return masked->weight;
}

static bool is_kept(const s3r_mask *mask, size_t element)
{
    size_t row = element / mask->cols, col = element % mask->cols;
    return (mask->bits[row * mask->stride + col / 64] >> col % 64) & 1;
}

/* ORI, WMI and magnitude begin with the smallest weights removed, RI with others. */
static void test_first_masks(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        bool is_by_magnitude;
    } cases[] = {{"method=mask mask.init=ori", true},
                 {"method=mask mask.init=wmi", true},
                 {"method=magnitude", true},
                 {"method=mask mask.init=ri", false}};
    for (size_t c = 0; c < S3R_ARRAY_LEN(cases); c++) {
        test_run run;
        s3r_trainer *trainer = open_with(&run, cases[c].settings, NULL);
        assert_int_equal(trainer->trainable.masked_count, 4);
        for (size_t i = 0; i < 4; i++) {
            const s3r_masked *masked = &trainer->trainable.masked[i];
            const float *weight = weight_of(masked);
            double kept_least = INFINITY, removed_most = 0;
            size_t removed = 0;
            for (size_t k = 0; k < FFN; k++) {
                double size = fabs((double)weight[k]);
                if (is_kept(&masked->mask, k)) {
                    kept_least = fmin(kept_least, size);
                } else {
                    removed_most = fmax(removed_most, size);
                    removed++;
                }
            }
            assert_int_equal(removed, 819); /* trunc((1 - 0.9) * 8192) */
            assert_int_equal(removed_most <= kept_least, cases[c].is_by_magnitude);
        }
        assert_int_equal(s3r_trainable_changed(&trainer->trainable, true), 0);
        s3r_trainer_close(trainer);
        test_run_release(&run);
    }
}

/* RI's bound is 1/sqrt(fan in); signs are as often + as -. (spec 1.4) */
static void test_first_scores(void **state)
{
    (void)state;
    static const char *const settings[] = {"mask.init=ri", "mask.init=ori"};
    for (size_t c = 0; c < 2; c++) {
        test_run run;
        s3r_trainer *trainer = open_with(&run, settings[c], NULL);
        for (size_t i = 0; i < 4; i++) {
            const s3r_masked *masked = &trainer->trainable.masked[i];
            double bound = 1 / sqrt((double)masked->mask.cols), most = 0, positive = 0;
            for (size_t k = 0; k < FFN; k++) {
                most = fmax(most, fabs((double)masked->scores[k]));
                positive += masked->scores[k] > 0;
            }
            assert_true(most <= bound * (1 + 1e-6) && most > 0.99 * bound);
            assert_true(fabs(positive / FFN - 0.5) < 0.03); /* five deviations */
        }
        s3r_trainer_close(trainer);
        test_run_release(&run);
    }
}

static void test_sparsities(void **state)
{
    (void)state;
    test_run run;
    s3r_trainer *trainer = open_with(&run, "mask.sparsity=0.1,0.5", NULL);
    for (size_t i = 0; i < 4; i++) {
        const s3r_masked *masked = &trainer->trainable.masked[i];
        bool is_second = strstr(masked->parameter->entry->name, "layers.1.") != NULL;
        assert_int_equal(FFN - s3r_mask_kept_count(&masked->mask),
                         is_second ? 4096 : 819);
    }
    s3r_trainer_close(trainer);
    test_run_release(&run);
    /* One threshold for all: the sum is exact, the parts differ. */
    trainer = open_with(&run, "mask.scope=global mask.init=wmi mask.modules=both", NULL);
    size_t kept = 0, total = s3r_trainable_masked_elements(&trainer->trainable);
    for (size_t i = 0; i < trainer->trainable.masked_count; i++)
        kept += s3r_mask_kept_count(&trainer->trainable.masked[i].mask);
    assert_int_equal(total - kept, s3r_removed_count(0.1, total));
    s3r_trainer_close(trainer);
    test_run_release(&run);
    /* Whole rows. */
    trainer = open_with(&run, "mask.shape=rows mask.sparsity=0.25", NULL);
    for (size_t i = 0; i < 4; i++) {
        const s3r_mask *mask = &trainer->trainable.masked[i].mask;
        size_t rows = 0;
        for (size_t row = 0; row < mask->rows; row++) {
            size_t in_row = 0;
            for (size_t col = 0; col < mask->cols; col++)
                in_row += is_kept(mask, row * mask->cols + col);
            assert_true(in_row == 0 || in_row == mask->cols);
            rows += in_row == 0;
        }
        assert_int_equal(rows, mask->rows / 4);
    }
    s3r_trainer_close(trainer);
    test_run_release(&run);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *said;
    } cases[] = {{"mask.sparsity=0.1,0.2,0.3", "sparsit"},
                 {"mask.blocks=1-2", "block"},
                 {"mask.sparsity=0,0", "mask.sparsity: "},
                 {"mask.sparsity=0,0.5 mask.blocks=0-0", "mask.sparsity: "}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_run run;
        s3r_trainer *trainer = NULL;
        s3r_error err = {S3R_OK, ""};
        test_run_init(&run, test_path(test_folder(), "run"), 1, cases[i].settings);
        run.options.is_plan = true;
        test_expect_failure(s3r_trainer_open(&trainer, &run.options, &err), &err,
                            S3R_ERR_USAGE, cases[i].said);
        test_run_release(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),      cmocka_unit_test(test_bias),
        cmocka_unit_test(test_weights),     cmocka_unit_test(test_compat),
        cmocka_unit_test(test_first_masks), cmocka_unit_test(test_first_scores),
        cmocka_unit_test(test_sparsities),  cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
