/*
 * The time and memory of a training step, phase by phase.
 *
 *   train_bench FOLDER [mask|weights] [fp32|bf16] [cached] [threads=2] [steps=3]
 *               [batch=4] [seconds=10] [dropout=0.1] [labels=12]
 *
 * FOLDER is a model with a CTC head (tests/golden/full_size.py writes random ones of full
 * size).  `mask` learns scores of all feed-forward matrices and the head, sparsity 0.1;
 * `weights` trains all but the extractor; `cached` takes the extractor's output from the
 * first step.  Audio and labels (so many a second) are noise.  Phases are medians in
 * milliseconds over the steps after the first; the second line is the time of the
 * processors, which other programs of the machine disturb less.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/encoder.h"
#include "model/extractor.h"
#include "model/parameters.h"
#include "route/mask.h"
#include "tasks/ctc_loss.h"
#include "train/adam.h"

#define MAX_BATCH   64
#define MAX_STEPS   50
#define MAX_TRAINED 512
#define SPARSITY    0.1
#define RATE_HZ     16000

typedef enum phase {
    EXTRACT,
    SELECT,
    FORWARD,
    LOSS,
    BACKWARD,
    SCORES,
    ADAM,
    CLEAR,
    TOTAL,
    PHASES
} phase;
static const char *const phase_names[PHASES] = {"extract", "select",   "forward",
                                                "loss",    "backward", "scores",
                                                "adam",    "clear",    "total"};

typedef struct bench_options {
    const char *folder;
    bool is_mask, is_bf16, is_cached;
    size_t threads, steps, batch, seconds, labels;
    double dropout;
} bench_options;

/* An array that Adam moves. */
typedef struct trained {
    float *values, *grad, *first, *second;
    size_t count;
    s3r_parameter *masked; /* values are its scores; NULL: they are the weight's */
} trained;

typedef struct bench {
    bench_options options;
    s3r_pool *pool;
    const s3r_kernels *kernels;
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
    s3r_model_weights weights;
    s3r_parameters parameters;
    s3r_arena owned;
    s3r_tape tape;
    trained items[MAX_TRAINED];
    s3r_mask_target targets[MAX_TRAINED];
    size_t item_count, target_count;
    void *select_scratch;
    s3r_waveform waves[MAX_BATCH];
    float *cached;
    uint64_t keys[MAX_BATCH];
    uint32_t *labels;
    size_t label_offset[MAX_BATCH + 1];
    double times[PHASES][MAX_STEPS], cpu_times[PHASES][MAX_STEPS];
    double loss;
    size_t heap_calls;
} bench;

static double now_ms(void)
{
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

static void *take(bench *b, size_t count, size_t size)
{
    void *block = s3r_arena_alloc(&b->owned, count, size);
    if (!block) {
        fputs("train_bench: out of memory\n", stderr);
        exit(1);
    }
    return memset(block, 0, count * size);
}

static void check(s3r_status status, const s3r_error *err)
{
    if (status == S3R_OK)
        return;
    fprintf(stderr, "train_bench: %s\n", err->message);
    exit(1);
}

/* ---- what trains ---- */

static bool is_masked_name(const char *name)
{
    return strstr(name, ".feed_forward.") && strstr(name, "_dense.weight");
}

static void add_item(bench *b, s3r_parameter *parameter, float *values)
{
    size_t count = s3r_parameter_elements(parameter);
    b->items[b->item_count++] = (trained){.values = values,
                                          .grad = parameter->weight->grad,
                                          .first = take(b, count, sizeof(float)),
                                          .second = take(b, count, sizeof(float)),
                                          .count = count};
}

static void add_masked(bench *b, s3r_parameter *parameter, s3r_random *random)
{
    s3r_error err;
    s3r_weight *weight = parameter->weight;
    size_t count = weight->rows * weight->cols, stride = s3r_mask_stride(weight->cols);
    check(s3r_parameter_track_grad(&b->parameters, parameter, &err), &err);
    float *scores = take(b, count, sizeof *scores);
    check(s3r_scores_init(scores, S3R_SCORE_RANDOM, weight->data, weight->dtype,
                          weight->rows, weight->cols, 1.0, random, &err),
          &err);
    uint64_t *bits = take(b, weight->rows * stride, sizeof *bits);
    b->targets[b->target_count++] =
        (s3r_mask_target){.scores = scores,
                          .mask = {weight->rows, weight->cols, stride, bits},
                          .removed = s3r_removed_count(SPARSITY, count)};
    weight->kept = bits;
    weight->kept_stride = stride;
    add_item(b, parameter, scores);
    b->items[b->item_count - 1].masked = parameter;
}

static void choose_trained(bench *b)
{
    s3r_error err;
    s3r_random random;
    s3r_random_init(&random, 1, 0);
    for (size_t i = 0; i < b->parameters.count; i++) {
        s3r_parameter *parameter = &b->parameters.items[i];
        const char *name = parameter->entry->name;
        bool is_head = strncmp(name, "lm_head.", 8) == 0;
        if (b->options.is_mask && is_masked_name(name)) {
            add_masked(b, parameter, &random);
        } else if (is_head || (!b->options.is_mask && !strstr(name, "conv_layers") &&
                               strcmp(name, "masked_spec_embed") != 0)) {
            check(s3r_parameter_train(&b->parameters, parameter, &err), &err);
            add_item(b, parameter, parameter->values);
        }
    }
    b->select_scratch =
        take(b,
             s3r_mask_select_scratch_bytes(b->targets, b->target_count, S3R_MASK_ELEMENTS,
                                           b->options.threads),
             1);
}

/* ---- setting up ---- */

static void make_data(bench *b)
{
    size_t samples = b->options.seconds * RATE_HZ;
    size_t labels = b->options.seconds * b->options.labels;
    s3r_random random;
    s3r_random_init(&random, 2, 0);
    b->labels = take(b, b->options.batch * labels, sizeof *b->labels);
    for (size_t u = 0; u < b->options.batch; u++) {
        float *wave = take(b, samples, sizeof *wave);
        for (size_t i = 0; i < samples; i++)
            wave[i] = (float)s3r_random_normal(&random);
        b->waves[u] = s3r_waveform_make(&b->config, wave, samples);
        b->keys[u] = u + 1;
        for (size_t i = 0; i < labels; i++)
            b->labels[u * labels + i] =
                1 + (uint32_t)s3r_random_below(&random, b->config.vocab_size - 1);
        b->label_offset[u + 1] = b->label_offset[u] + labels;
    }
}

static void open_model(bench *b)
{
    s3r_error err;
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    options.is_bf16 = b->options.is_bf16;
    options.keeps_unpacked = !b->options.is_mask;
    options.pool = b->pool;
    check(s3r_checkpoint_open(&b->checkpoint, b->options.folder, &err), &err);
    check(s3r_model_config_open(&b->config, b->checkpoint, NULL, &err), &err);
    check(s3r_model_weights_open(&b->weights, b->checkpoint, &b->config, &options, &err),
          &err);
    check(
        s3r_parameters_open(&b->parameters, b->checkpoint, &b->config, &b->weights, &err),
        &err);
    double p = b->options.dropout;
    b->config.hidden_dropout = b->config.attention_dropout = p;
    b->config.activation_dropout = p;
    b->config.feat_proj_dropout = b->config.final_dropout = 0;
}

static void set_up(bench *b)
{
    s3r_error err;
    check(s3r_pool_create(&b->pool, b->options.threads, &err), &err);
    b->kernels = s3r_kernels_get(s3r_cpu_detect());
    s3r_arena_init(&b->owned, 64 << 20);
    open_model(b);
    make_data(b);
    choose_trained(b);
    s3r_tape_init(&b->tape, b->pool, b->kernels);
    b->tape.is_bf16 = b->options.is_bf16;
}

static void tear_down(bench *b)
{
    s3r_tape_release(&b->tape);
    s3r_parameters_close(&b->parameters);
    s3r_model_weights_close(&b->weights);
    s3r_checkpoint_close(b->checkpoint);
    s3r_arena_release(&b->owned);
    s3r_pool_destroy(b->pool);
}

/* ---- a step ---- */

static s3r_value *extract(bench *b, s3r_ragged *frames)
{
    s3r_tape *tape = &b->tape;
    size_t offset[MAX_BATCH + 1] = {0}, batch = b->options.batch;
    if (!b->cached) {
        s3r_value *x =
            s3r_extractor_batch(tape, &b->config, &b->weights, b->waves, batch, frames);
        if (x && b->options.is_cached) {
            b->cached = take(b, x->rows * x->stride, sizeof(float));
            memcpy(b->cached, x->data, x->rows * x->stride * sizeof(float));
        }
        return x;
    }
    for (size_t u = 0; u < batch; u++)
        offset[u + 1] = offset[u] + s3r_config_frames(&b->config, b->waves[u].count);
    *frames = s3r_tape_ragged(tape, batch, offset);
    s3r_value *x =
        s3r_tape_value(tape, offset[batch], b->config.conv[b->config.conv_count - 1].dim);
    if (x)
        memcpy(x->data, b->cached, x->rows * x->stride * sizeof(float));
    return x;
}

static void update(bench *b, size_t step)
{
    const s3r_adam_step adam = {.form = S3R_ADAM_FAIRSEQ,
                                .beta1 = 0.9,
                                .beta2 = 0.98,
                                .eps = 1e-8,
                                .update = step + 1,
                                .grad_scale = 1.0 / (double)b->options.batch};
    for (size_t i = 0; i < b->item_count; i++) {
        trained *item = &b->items[i];
        s3r_adam_update(b->pool, &adam, 5e-5, item->values, item->first, item->second,
                        item->grad, item->count);
    }
}

typedef struct stopwatch {
    bench *bench;
    size_t step;
    double wall_ms, cpu_ms;
} stopwatch;

static double cpu_ms(void)
{
    return 1e3 * (double)clock() / CLOCKS_PER_SEC;
}

/* Books the time since the last call to a phase. */
static void lap(stopwatch *watch, phase p)
{
    double wall = now_ms(), cpu = cpu_ms();
    watch->bench->times[p][watch->step] = wall - watch->wall_ms;
    watch->bench->cpu_times[p][watch->step] = cpu - watch->cpu_ms;
    watch->wall_ms = wall;
    watch->cpu_ms = cpu;
}

static void run_step(bench *b, size_t step)
{
    s3r_error err;
    s3r_ragged frames;
    s3r_tape *tape = &b->tape;
    double losses[MAX_BATCH];
    stopwatch watch = {b, step, now_ms(), cpu_ms()}, whole = watch;
    const s3r_encoder_options options = {.utterance_keys = b->keys};
    const s3r_ctc_targets targets = {.lengths = {b->options.batch, b->label_offset},
                                     .labels = b->labels,
                                     .blank_id = 0};
    s3r_tape_reset(tape);
    tape->is_recording = tape->is_training = true;
    tape->dropout_seed = step;
    s3r_value *x = extract(b, &frames);
    lap(&watch, EXTRACT);
    if (b->target_count > 0)
        s3r_mask_select(b->pool, b->targets, b->target_count, S3R_MASK_ELEMENTS,
                        b->select_scratch);
    lap(&watch, SELECT);
    x = s3r_encoder_forward(tape, &b->config, &b->weights, x, frames, &options);
    x = s3r_head_forward(tape, &b->config, &b->weights, x, frames, b->keys);
    check(s3r_tape_status(tape, &err), &err);
    lap(&watch, FORWARD);
    s3r_ctc_loss(tape, x, frames, &targets, 1.0, losses, NULL);
    lap(&watch, LOSS);
    s3r_tape_backward(tape);
    check(s3r_tape_status(tape, &err), &err);
    lap(&watch, BACKWARD);
    for (size_t i = 0; i < b->item_count; i++) {
        const s3r_parameter *masked = b->items[i].masked;
        if (masked)
            s3r_score_grad(b->pool, b->items[i].grad, b->items[i].values,
                           masked->weight->data, masked->weight->dtype, b->items[i].count,
                           false);
    }
    lap(&watch, SCORES);
    update(b, step);
    lap(&watch, ADAM);
    s3r_parameters_clear_grads(&b->parameters);
    lap(&watch, CLEAR);
    lap(&whole, TOTAL);
    b->loss = 0;
    for (size_t u = 0; u < b->options.batch; u++)
        b->loss += losses[u];
}

/* ---- the report ---- */

static int compare_doubles(const void *left, const void *right)
{
    double x = *(const double *)left, y = *(const double *)right;
    return (x > y) - (x < y);
}

/* The peak of resident memory in 1e6 bytes; 0 where the system does not tell. */
static double peak_memory(const char *key)
{
    char line[256];
    double value = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtod(line + strlen(key), NULL) * 1024e-6;
    if (status)
        fclose(status);
    return value;
}

/* Over the steps after the first; sorts them. */
static void print_medians(double times[PHASES][MAX_STEPS], size_t steps)
{
    for (size_t p = 0; p < PHASES; p++) {
        qsort(times[p] + 1, steps - 1, sizeof times[p][0], compare_doubles);
        printf(" %s %.0f", phase_names[p], times[p][1 + (steps - 1) / 2]);
    }
}

static void report(bench *b)
{
    size_t count = b->options.steps;
    printf("%s %s%s, %zu threads, %zu x %zu s:", b->options.is_mask ? "mask" : "weights",
           b->options.is_bf16 ? "bf16" : "fp32", b->options.is_cached ? " cached" : "",
           b->options.threads, b->options.batch, b->options.seconds);
    print_medians(b->times, count);
    printf(" (best %.0f) ms\ncpu:", b->times[TOTAL][1]);
    print_medians(b->cpu_times, count);
    printf("\n");
    printf("peak RSS %.0f MB (file %.0f at the end), tape %.0f MB, heap calls after the "
           "first step %zu, loss %.6f\n",
           peak_memory("VmHWM:"), peak_memory("RssFile:"),
           (double)b->tape.arena.peak_bytes * 1e-6, b->heap_calls, b->loss);
}

/* NAME=VALUE into a number of the options; false when it is something else. */
static bool read_number(bench_options *options, const char *text)
{
    const struct {
        const char *name;
        size_t *value;
    } numbers[] = {{"threads=", &options->threads},
                   {"steps=", &options->steps},
                   {"batch=", &options->batch},
                   {"seconds=", &options->seconds},
                   {"labels=", &options->labels}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        size_t length = strlen(numbers[i].name);
        if (strncmp(text, numbers[i].name, length) == 0) {
            *numbers[i].value = (size_t)strtoul(text + length, NULL, 10);
            return true;
        }
    }
    if (strncmp(text, "dropout=", 8) != 0)
        return false;
    options->dropout = strtod(text + 8, NULL);
    return true;
}

static bool read_options(bench_options *options, int argc, char **argv)
{
    *options = (bench_options){.is_mask = true,
                               .threads = 2,
                               .steps = 4,
                               .batch = 4,
                               .seconds = 10,
                               .labels = 12,
                               .dropout = 0.1};
    for (int i = 1; i < argc; i++) {
        if (i == 1)
            options->folder = argv[i];
        else if (strcmp(argv[i], "mask") == 0 || strcmp(argv[i], "weights") == 0)
            options->is_mask = argv[i][0] == 'm';
        else if (strcmp(argv[i], "fp32") == 0 || strcmp(argv[i], "bf16") == 0)
            options->is_bf16 = argv[i][0] == 'b';
        else if (strcmp(argv[i], "cached") == 0)
            options->is_cached = true;
        else if (!read_number(options, argv[i]))
            return false;
    }
    return options->folder && options->threads > 0 && options->steps > 1 &&
           options->steps <= MAX_STEPS && options->batch > 0 &&
           options->batch <= MAX_BATCH;
}

int main(int argc, char **argv)
{
    static bench b;
    if (!read_options(&b.options, argc, argv)) {
        fputs("usage: train_bench FOLDER [mask|weights] [fp32|bf16] [cached] [threads=2] "
              "[steps=4] [batch=4] [seconds=10] [dropout=0.1] [labels=12]\n",
              stderr);
        return 2;
    }
    set_up(&b);
    size_t calls = 0;
    for (size_t step = 0; step < b.options.steps; step++) {
        run_step(&b, step);
        if (step == 0)
            calls = s3r_alloc_count();
    }
    b.heap_calls = s3r_alloc_count() - calls;
    report(&b);
    tear_down(&b);
    return 0;
}
