/*
 * What training adds to the network: masks on weights, low-rank updates, adapters,
 * masking of the input, dropout.
 *
 * Gradients are checked along their own direction g: the loss at p + e g and p - e g
 * differs by 2 e |g|^2.
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
#include "model/encoder.h"
#include "model/parameters.h"
#include "support_alloc_faults.h"
#include "support_model.h"

#define UTTERANCES  3
#define MAX_CHANGED 64

/* Short utterances of random features; every dropout on. */
static const size_t lengths[UTTERANCES] = {13, 1, 22};

typedef struct fixture {
    test_model model;
    s3r_parameters parameters;
    s3r_tape tape;
    s3r_encoder_options options;
    uint64_t keys[UTTERANCES];
    s3r_arena owned;
    s3r_random random;
    s3r_value *logits;
} fixture;

static void fixture_open(fixture *f, const char *name)
{
    *f = (fixture){0};
    test_model_open(&f->model, name, s3r_cpu_detect(), 2, false, true);
    s3r_model_config *config = &f->model.config;
    config->hidden_dropout = config->attention_dropout = config->activation_dropout = 0.1;
    config->feat_proj_dropout = config->final_dropout = 0.1;
    assert_int_equal(s3r_parameters_open(&f->parameters, f->model.checkpoint, config,
                                         &f->model.weights, NULL),
                     S3R_OK);
    s3r_tape_init(&f->tape, f->model.pool, f->model.kernels);
    s3r_arena_init(&f->owned, 1 << 16);
    s3r_random_init(&f->random, 7, 0);
    for (size_t u = 0; u < UTTERANCES; u++)
        f->keys[u] = 40 + u;
    f->options.utterance_keys = f->keys;
}

static void fixture_close(fixture *f)
{
    s3r_arena_release(&f->owned);
    s3r_tape_release(&f->tape);
    s3r_parameters_close(&f->parameters);
    test_model_close(&f->model);
}

/* The loss is the sum of the logits with fixed factors. */
static double factor_of(size_t i)
{
    return (double)(i * 2654435761u % 1000) / 500 - 1;
}

/* NaN without memory. */
static double run_loss(fixture *f, bool is_recording)
{
    const s3r_model_config *config = &f->model.config;
    s3r_tape *tape = &f->tape;
    size_t offset[UTTERANCES + 1] = {0};
    for (size_t u = 0; u < UTTERANCES; u++)
        offset[u + 1] = offset[u] + lengths[u];
    s3r_tape_reset(tape);
    tape->is_recording = is_recording;
    tape->is_training = true;
    tape->dropout_seed = 5;
    s3r_ragged frames = s3r_tape_ragged(tape, UTTERANCES, offset);
    s3r_value *x = s3r_tape_value(tape, offset[UTTERANCES],
                                  config->conv[config->conv_count - 1].dim);
    s3r_random random;
    s3r_random_init(&random, 11, 0);
    for (size_t i = 0; x && i < x->rows * x->stride; i++)
        x->data[i] = (float)s3r_random_normal(&random);
    s3r_value *hidden =
        s3r_encoder_forward(tape, config, &f->model.weights, x, frames, &f->options);
    f->logits =
        s3r_head_forward(tape, config, &f->model.weights, hidden, frames, f->keys);
    if (s3r_tape_status(tape, NULL) != S3R_OK)
        return NAN;
    double loss = 0;
    for (size_t i = 0; i < f->logits->rows; i++)
        for (size_t j = 0; j < f->logits->cols; j++)
            loss += factor_of(i * f->logits->cols + j) *
                    (double)f->logits->data[i * f->logits->stride + j];
    return loss;
}

static double run_backward(fixture *f)
{
    double loss = run_loss(f, true);
    float *grad = isnan(loss) ? NULL : s3r_tape_grad(&f->tape, f->logits);
    for (size_t i = 0; grad && i < f->logits->rows; i++)
        for (size_t j = 0; j < f->logits->cols; j++)
            grad[i * f->logits->stride + j] = (float)factor_of(i * f->logits->cols + j);
    s3r_tape_backward(&f->tape);
    return s3r_tape_status(&f->tape, NULL) == S3R_OK ? loss : NAN;
}

/* A trained fp32 weight of random numbers. */
static void add_weight(fixture *f, s3r_weight *weight, size_t rows, size_t cols,
                       float mean, float spread)
{
    size_t count = rows * cols;
    float *data = s3r_arena_alloc(&f->owned, count, sizeof *data);
    float *grad = s3r_arena_alloc(&f->owned, count, sizeof *grad);
    assert_non_null(data);
    assert_non_null(grad);
    memset(grad, 0, count * sizeof *grad);
    for (size_t i = 0; i < count; i++)
        data[i] = mean + spread * (float)s3r_random_normal(&f->random);
    *weight = (s3r_weight){
        .data = data, .dtype = S3R_DTYPE_F32, .rows = rows, .cols = cols, .grad = grad};
}

/* The gradient that a backward pass has left in weight, which is fp32. */
static void check_direction(fixture *f, const char *what, s3r_weight *weight)
{
    size_t count = weight->rows * weight->cols;
    float *data = (float *)(uintptr_t)weight->data;
    float *saved = s3r_alloc(count, sizeof *saved);
    double square = 0;
    memcpy(saved, data, count * sizeof *data);
    for (size_t i = 0; i < count; i++)
        square += (double)weight->grad[i] * (double)weight->grad[i];
    assert_true(square > 0);
    double step = 3e-4 / sqrt(square), loss[2]; /* few kinks of ReLU on the way */
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++)
            data[i] = saved[i] + (side ? 1 : -1) * (float)step * weight->grad[i];
        loss[side] = run_loss(f, false);
    }
    double found = (loss[1] - loss[0]) / (2 * step);
    memcpy(data, saved, count * sizeof *data);
    s3r_free(saved);
    /* fp32 sums of some thousand terms over that step: 3e-3 at worst here. */
    if (!(fabs(found - square) < 1e-2 * square))
        fail_msg("%s: gradient says %g, differences say %g", what, square, found);
}

static const char *const models[] = {"w2v2_group_postln", "w2v2_layer_preln"};

static s3r_linear_weights *linear_at(s3r_block_weights *block, size_t index)
{
    s3r_linear_weights *const all[] = {&block->q,   &block->k,   &block->v,
                                       &block->out, &block->fc1, &block->fc2};
    return all[index];
}

static void test_low_rank_updates(void **state)
{
    (void)state;
    for (size_t m = 0; m < S3R_ARRAY_LEN(models); m++) {
        fixture f;
        fixture_open(&f, models[m]);
        double before = run_loss(&f, false);
        for (size_t b = 0; b < f.model.config.block_count; b++) {
            for (size_t i = 0; i < 6; i++) {
                s3r_linear_weights *linear = linear_at(&f.model.weights.blocks[b], i);
                size_t rank = 2 + i % 3;
                add_weight(&f, &linear->lora.down, rank, linear->weight.cols, 0, 0.2f);
                add_weight(&f, &linear->lora.up, linear->weight.rows, rank, 0, 0.2f);
                linear->lora.scale = 0.7f;
            }
        }
        assert_true(run_backward(&f) != before);
        for (size_t b = 0; b < f.model.config.block_count; b++) {
            for (size_t i = 0; i < 6; i++) {
                s3r_linear_weights *linear = linear_at(&f.model.weights.blocks[b], i);
                check_direction(&f, "lora down", &linear->lora.down);
                check_direction(&f, "lora up", &linear->lora.up);
            }
        }
        fixture_close(&f);
    }
}

/* The update is what adding scale * up down to the weight would be. */
static void test_low_rank_is_an_added_product(void **state)
{
    (void)state;
    enum { RANK = 3 };
    fixture f;
    fixture_open(&f, models[0]);
    s3r_linear_weights *linear = &f.model.weights.blocks[0].fc1; /* before GELU */
    add_weight(&f, &linear->lora.down, RANK, linear->weight.cols, 0, 0.3f);
    add_weight(&f, &linear->lora.up, linear->weight.rows, RANK, 0, 0.3f);
    linear->lora.scale = 1.5f;
    double with_update = run_loss(&f, false);
    s3r_parameter *parameter = NULL;
    for (size_t i = 0; i < f.parameters.count; i++)
        if (f.parameters.items[i].weight == &linear->weight)
            parameter = &f.parameters.items[i];
    assert_int_equal(s3r_parameter_train(&f.parameters, parameter, NULL), S3R_OK);
    const float *down = linear->lora.down.data, *up = linear->lora.up.data;
    for (size_t i = 0; i < linear->weight.rows; i++)
        for (size_t j = 0; j < linear->weight.cols; j++)
            for (size_t r = 0; r < RANK; r++)
                parameter->values[i * linear->weight.cols + j] +=
                    1.5f * up[i * RANK + r] * down[r * linear->weight.cols + j];
    linear->lora.down.data = NULL;
    assert_true(fabs(run_loss(&f, false) - with_update) < 1e-4 * fabs(with_update));
    fixture_close(&f);
}

static void test_adapters(void **state)
{
    (void)state;
    static const s3r_adapter_kind kinds[] = {S3R_ADAPTER_ASR, S3R_ADAPTER_ST};
    for (size_t m = 0; m < 2 * S3R_ARRAY_LEN(models); m++) {
        fixture f;
        fixture_open(&f, models[m / 2]);
        size_t hidden = f.model.config.hidden_size, width = 5;
        double before = run_loss(&f, false);
        for (size_t b = 0; b < f.model.config.block_count; b++) {
            s3r_ffn_adapter_weights *adapter = &f.model.weights.blocks[b].ffn_adapter;
            adapter->kind = kinds[m % 2];
            add_weight(&f, &adapter->norm.gain, 1, hidden, 1, 0.1f);
            add_weight(&f, &adapter->norm.bias, 1, hidden, 0, 0.1f);
            add_weight(&f, &adapter->down.weight, width, hidden, 0, 0.2f);
            add_weight(&f, &adapter->down.bias, 1, width, 0, 0.2f);
            add_weight(&f, &adapter->up.weight, hidden, width, 0, 0.2f);
            add_weight(&f, &adapter->up.bias, 1, hidden, 0, 0.2f);
        }
        assert_true(run_backward(&f) != before);
        for (size_t b = 0; b < f.model.config.block_count; b++) {
            s3r_ffn_adapter_weights *adapter = &f.model.weights.blocks[b].ffn_adapter;
            check_direction(&f, "adapter norm gain", &adapter->norm.gain);
            check_direction(&f, "adapter norm bias", &adapter->norm.bias);
            check_direction(&f, "adapter down", &adapter->down.weight);
            check_direction(&f, "adapter down bias", &adapter->down.bias);
            check_direction(&f, "adapter up", &adapter->up.weight);
            check_direction(&f, "adapter up bias", &adapter->up.bias);
        }
        fixture_close(&f);
    }
}

/* Zeroed ASR adapters with a zero norm, or a zero up-projection, change nothing. */
static void test_zero_adapters_change_nothing(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, models[0]);
    size_t hidden = f.model.config.hidden_size;
    double before = run_loss(&f, false);
    s3r_ffn_adapter_weights *adapter = &f.model.weights.blocks[0].ffn_adapter;
    adapter->kind = S3R_ADAPTER_ST;
    add_weight(&f, &adapter->norm.gain, 1, hidden, 1, 0);
    add_weight(&f, &adapter->norm.bias, 1, hidden, 0, 0);
    add_weight(&f, &adapter->down.weight, 4, hidden, 0, 1);
    add_weight(&f, &adapter->up.weight, hidden, 4, 0, 0);
    assert_true(run_loss(&f, false) == before);
    fixture_close(&f);
}

static void test_masking(void **state)
{
    (void)state;
    static const size_t rows[] = {3, 4, 5, 13, 20}, channels[] = {0, 1, 7, 2, 2};
    static const size_t offset[] = {0, 3, 3, 4};
    s3r_encoder_masking masking = {.frames = rows,
                                   .frame_count = S3R_ARRAY_LEN(rows),
                                   .channel_lists = {UTTERANCES, offset},
                                   .channels = channels};
    fixture f;
    fixture_open(&f, models[0]);
    s3r_parameter *embedding = s3r_parameters_find(&f.parameters, "masked_spec_embed");
    assert_non_null(embedding);
    assert_int_equal(s3r_parameter_train(&f.parameters, embedding, NULL), S3R_OK);
    double before = run_loss(&f, false);
    f.options.masking = &masking;
    assert_true(run_backward(&f) != before);
    check_direction(&f, "mask embedding", embedding->weight);
    /* Channel 0 is 0 in the first utterance, 2 in the last: no gradient from there. */
    for (size_t i = 0; i < embedding->weight->cols; i++)
        assert_true(embedding->weight->grad[i] != 0.0f);
    s3r_encoder_masking none = {.frame_count = 0};
    f.options.masking = &none;
    assert_true(run_loss(&f, false) == before);
    fixture_close(&f);
}

/* Masked frozen weights with tracked gradients: as trained copies that are zeroed. */
static void test_masked_weights_have_dense_gradients(void **state)
{
    (void)state;
    fixture masked, zeroed;
    fixture_open(&masked, models[0]);
    fixture_open(&zeroed, models[0]);
    for (size_t i = 0; i < masked.parameters.count; i++) {
        s3r_parameter *parameter = &masked.parameters.items[i];
        if (!strstr(parameter->entry->name, "_dense.weight"))
            continue;
        s3r_weight *weight = parameter->weight;
        size_t stride = S3R_CEIL_DIV(weight->cols, 64u);
        uint64_t *kept = s3r_arena_alloc(&masked.owned, weight->rows * stride, 8);
        memset(kept, 0, weight->rows * stride * 8);
        assert_int_equal(s3r_parameter_track_grad(&masked.parameters, parameter, NULL),
                         S3R_OK);
        s3r_parameter *other = &zeroed.parameters.items[i];
        assert_int_equal(s3r_parameter_train(&zeroed.parameters, other, NULL), S3R_OK);
        for (size_t j = 0; j < weight->rows * weight->cols; j++) {
            if (s3r_random_uniform(&masked.random) < 0.9)
                kept[j / weight->cols * stride + j % weight->cols / 64] |=
                    (uint64_t)1 << j % weight->cols % 64;
            else
                other->values[j] = 0.0f;
        }
        weight->kept = kept;
        weight->kept_stride = stride;
    }
    assert_true(run_loss(&masked, false) == run_loss(&zeroed, false));
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        masked.tape.is_bf16 = zeroed.tape.is_bf16 = is_bf16;
        s3r_parameters_clear_grads(&masked.parameters);
        s3r_parameters_clear_grads(&zeroed.parameters);
        assert_true(run_backward(&masked) == run_backward(&zeroed));
        size_t compared = 0;
        for (size_t i = 0; i < masked.parameters.count; i++) {
            const s3r_weight *a = masked.parameters.items[i].weight;
            const s3r_weight *b = zeroed.parameters.items[i].weight;
            assert_true(!a->grad == !b->grad);
            if (!a->grad)
                continue;
            assert_memory_equal(a->grad, b->grad, a->rows * a->cols * sizeof(float));
            compared++;
        }
        assert_int_equal(compared, 2 * masked.model.config.block_count);
    }
    fixture_close(&masked);
    fixture_close(&zeroed);
}

/* The second step calls the heap no more, and recording changes no bit. */
static void test_steps_call_no_heap(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2 * S3R_ARRAY_LEN(models); m++) {
        fixture f;
        fixture_open(&f, models[m / 2]);
        f.tape.is_bf16 = m % 2;
        for (size_t i = 0; i < f.parameters.count; i++)
            assert_int_equal(
                s3r_parameter_train(&f.parameters, &f.parameters.items[i], NULL), S3R_OK);
        double loss = run_backward(&f);
        size_t calls = s3r_alloc_count();
        assert_true(run_backward(&f) == loss);
        assert_int_equal(s3r_alloc_count(), calls);
        assert_true(run_loss(&f, false) == loss);
        fixture_close(&f);
    }
}

static s3r_status attempt_step(void *context, s3r_error *err)
{
    fixture *f = context;
    s3r_tape_release(&f->tape);
    f->tape.arena.chunk_bytes = 64; /* every allocation is one of the heap */
    (void)run_backward(f);
    return s3r_tape_status(&f->tape, err);
}

static void test_steps_survive_alloc_faults(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, models[0]);
    for (size_t i = 0; i < f.parameters.count; i++)
        assert_int_equal(s3r_parameter_train(&f.parameters, &f.parameters.items[i], NULL),
                         S3R_OK);
    f.tape.is_bf16 = true;
    test_survives_alloc_faults(attempt_step, &f);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_low_rank_updates),
        cmocka_unit_test(test_low_rank_is_an_added_product),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_zero_adapters_change_nothing),
        cmocka_unit_test(test_masking),
        cmocka_unit_test(test_masked_weights_have_dense_gradients),
        cmocka_unit_test(test_steps_call_no_heap),
        cmocka_unit_test(test_steps_survive_alloc_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
