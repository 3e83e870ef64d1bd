/*
 * The time and memory of a pretraining step, phase by phase.
 *
 *   pretrain_bench FOLDER [prediction|contrastive] [fp32|bf16] [frozen] [threads=2]
 *                  [steps=4] [batch=20] [seconds=4] [dropout=0.1] [blocks=8]
 * [channels=256] [hidden=320]
 *
 * FOLDER is a model; one that does not exist is made, of the given size.  All parameters
 * train, or with `frozen` all but the extractor.  Audio and labels are noise; masking is
 * HuBERT's.  Phases are medians in milliseconds over the
 * steps after the first; the second line is the time of the processors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/random.h"
#include "model/encoder.h"
#include "model/extractor.h"
#include "model/model_init.h"
#include "model/model_shape.h"
#include "model/parameters.h"
#include "ops/op_grad_scale.h"
#include "tasks/contrastive.h"
#include "tasks/feature_penalty.h"
#include "tasks/masked_prediction.h"
#include "train/adam.h"
#include "train/augment.h"

#define MAX_BATCH   128
#define MAX_STEPS   50
#define MAX_TRAINED 512
#define RATE_HZ     16000
#define LABELS      500u
#define PROJECTION  256u

typedef enum phase { EXTRACT, ENCODE, LOSS, BACKWARD, ADAM, CLEAR, TOTAL, PHASES } phase;
static const char *const phase_names[PHASES] = {"extract", "encode", "loss", "backward",
                                                "adam",    "clear",  "total"};

typedef struct bench_options {
    const char *folder;
    bool is_contrastive, is_bf16, is_frozen;
    size_t threads, steps, batch, seconds, blocks, channels, hidden;
    double dropout;
} bench_options;

typedef struct trained {
    float *values, *grad, *first, *second;
    size_t count;
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
    size_t item_count;
    s3r_masked_prediction_weights prediction;
    s3r_contrastive_weights contrastive;
    float *samples;
    size_t offset[MAX_BATCH + 1], frames;
    uint64_t keys[MAX_BATCH];
    uint32_t *labels;
    size_t *masked, masked_count;
    double times[PHASES][MAX_STEPS], cpu_times[PHASES][MAX_STEPS];
    double loss;
    size_t heap_calls;
} bench;

static void check(s3r_status status, const s3r_error *err)
{
    if (status == S3R_OK)
        return;
    fprintf(stderr, "pretrain_bench: %s\n", err->message);
    exit(1);
}

static void *take(bench *b, size_t count, size_t size)
{
    void *block = s3r_arena_alloc(&b->owned, count, size);
    if (!block) {
        fputs("pretrain_bench: out of memory\n", stderr);
        exit(1);
    }
    return memset(block, 0, count * size);
}

/* ---- what trains ---- */

static void add_item(bench *b, float *values, float *grad, size_t count)
{
    b->items[b->item_count++] = (trained){.values = values,
                                          .grad = grad,
                                          .first = take(b, count, sizeof(float)),
                                          .second = take(b, count, sizeof(float)),
                                          .count = count};
}

static s3r_weight new_weight(bench *b, size_t rows, size_t cols, double std)
{
    s3r_random random;
    s3r_random_init(&random, 9, b->item_count);
    float *values = take(b, rows * cols, sizeof *values);
    float *grad = take(b, rows * cols, sizeof *grad);
    for (size_t i = 0; i < rows * cols; i++)
        values[i] = (float)(std * s3r_random_normal(&random));
    add_item(b, values, grad, rows * cols);
    return (s3r_weight){
        .data = values, .dtype = S3R_DTYPE_F32, .rows = rows, .cols = cols, .grad = grad};
}

static void make_objective(bench *b)
{
    size_t width = b->config.hidden_size;
    size_t channels = b->config.conv[b->config.conv_count - 1].dim;
    if (!b->options.is_contrastive) {
        b->prediction = (s3r_masked_prediction_weights){
            .projection = new_weight(b, PROJECTION, width, 0.05),
            .projection_bias = new_weight(b, 1, PROJECTION, 0),
            .embeddings = new_weight(b, LABELS, PROJECTION, 1)};
        return;
    }
    b->contrastive = (s3r_contrastive_weights){
        .code_projection = new_weight(b, 640, channels, 1),
        .code_bias = new_weight(b, 1, 640, 0),
        .vectors = new_weight(b, 640, 128, 0.5),
        .target_projection = new_weight(b, PROJECTION, 256, 0.05),
        .target_bias = new_weight(b, 1, PROJECTION, 0),
        .hidden_projection = new_weight(b, PROJECTION, width, 0.05),
        .hidden_bias = new_weight(b, 1, PROJECTION, 0)};
}

static void choose_trained(bench *b)
{
    s3r_error err;
    for (size_t i = 0; i < b->parameters.count; i++) {
        s3r_parameter *parameter = &b->parameters.items[i];
        if (b->options.is_frozen && strstr(parameter->entry->name, "conv_layers"))
            continue;
        check(s3r_parameter_train(&b->parameters, parameter, &err), &err);
        add_item(b, parameter->values, parameter->weight->grad,
                 s3r_parameter_elements(parameter));
    }
    make_objective(b);
}

/* ---- setting up ---- */

static void make_model(const bench_options *options)
{
    s3r_error err;
    s3r_model_shape shape;
    s3r_model_config config;
    s3r_model_shape_init(&shape);
    snprintf(shape.conv, sizeof shape.conv,
             "[(%zu, 10, 5)] + [(%zu, 3, 2)] * 4 + [(%zu, 2, 2)] * 2", options->channels,
             options->channels, options->channels);
    shape.hidden_size = options->hidden;
    shape.ffn_size = 4 * options->hidden;
    shape.heads = options->hidden / 64;
    shape.blocks = options->blocks;
    check(s3r_model_shape_config(&shape, "options", &config, &err), &err);
    check(s3r_model_init(&config, 1, NULL, options->folder, &err), &err);
}

static void open_model(bench *b)
{
    s3r_error err;
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    options.is_bf16 = b->options.is_bf16;
    options.keeps_unpacked = true;
    options.pool = b->pool;
    if (!s3r_path_exists(b->options.folder))
        make_model(&b->options);
    check(s3r_checkpoint_open(&b->checkpoint, b->options.folder, &err), &err);
    check(s3r_model_config_open(&b->config, b->checkpoint, NULL, &err), &err);
    check(s3r_model_weights_open(&b->weights, b->checkpoint, &b->config, &options, &err),
          &err);
    check(
        s3r_parameters_open(&b->parameters, b->checkpoint, &b->config, &b->weights, &err),
        &err);
    b->config.hidden_dropout = b->config.attention_dropout = b->options.dropout;
    b->config.activation_dropout = 0;
    b->config.feat_proj_dropout = b->options.dropout;
}

static void make_data(bench *b)
{
    const s3r_span_plan plan = {0.8, 10, 2};
    size_t samples = b->options.seconds * RATE_HZ, batch = b->options.batch;
    size_t frames = s3r_config_frames(&b->config, samples);
    s3r_random random;
    s3r_random_init(&random, 2, 0);
    b->frames = batch * frames;
    b->samples = take(b, batch * samples, sizeof *b->samples);
    b->labels = take(b, b->frames, sizeof *b->labels);
    b->masked = take(b, b->frames, sizeof *b->masked);
    size_t *scratch = take(b, frames, sizeof *scratch);
    for (size_t i = 0; i < batch * samples; i++)
        b->samples[i] = (float)(0.1 * s3r_random_normal(&random));
    for (size_t i = 0; i < b->frames; i++)
        b->labels[i] = (uint32_t)s3r_random_below(&random, LABELS);
    for (size_t u = 0; u < batch; u++) {
        size_t *places = b->masked + b->masked_count;
        size_t found = s3r_draw_spans(places, scratch, &plan, frames, &random);
        for (size_t i = 0; i < found; i++)
            places[i] += u * frames;
        b->masked_count += found;
        b->keys[u] = u + 1;
        b->offset[u + 1] = b->offset[u] + samples;
    }
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

typedef struct stopwatch {
    bench *bench;
    size_t step;
    double wall_ms, cpu_ms;
} stopwatch;

static double now_ms(void)
{
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

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

static double predict(bench *b, s3r_value *hidden)
{
    s3r_masked_prediction_result result;
    const s3r_masked_prediction_input input = {.labels = b->labels,
                                               .masked = b->masked,
                                               .masked_count = b->masked_count,
                                               .temperature = 0.1};
    s3r_masked_prediction_loss(&b->tape, hidden, &b->prediction, &input, &result);
    return result.masked_loss;
}

static double contrast(bench *b, s3r_value *hidden, s3r_value *features,
                       s3r_ragged frames, size_t step)
{
    s3r_contrastive_result result;
    s3r_norm_weights *norm = &b->weights.feature_norm;
    const s3r_contrastive_options options = {.groups = 2,
                                             .negatives = 100,
                                             .temperature = 0.1,
                                             .gumbel = 2,
                                             .feature_drop = b->options.dropout,
                                             .diversity = 0.1,
                                             .norm_eps = b->config.layer_norm_eps,
                                             .noise_seed = step};
    const s3r_contrastive_input input = {.hidden = hidden,
                                         .features = features,
                                         .norm_gain = s3r_weight_present(&norm->gain),
                                         .norm_bias = s3r_weight_present(&norm->bias),
                                         .frames = frames,
                                         .keys = b->keys,
                                         .masked = b->masked,
                                         .masked_count = b->masked_count};
    s3r_contrastive_loss(&b->tape, &input, &b->contrastive, &options, &result);
    return result.loss + 0.1 * result.diversity;
}

static void update(bench *b, size_t step)
{
    const s3r_adam_step adam = {.form = S3R_ADAM_FAIRSEQ,
                                .beta1 = 0.9,
                                .beta2 = 0.98,
                                .eps = 1e-6,
                                .update = step + 1,
                                .grad_scale = 1.0 / (double)b->masked_count};
    for (size_t i = 0; i < b->item_count; i++) {
        trained *item = &b->items[i];
        s3r_adam_update(b->pool, &adam, 1e-5, item->values, item->first, item->second,
                        item->grad, item->count);
    }
}

static void run_step(bench *b, size_t step)
{
    s3r_error err;
    s3r_ragged frames;
    s3r_tape *tape = &b->tape;
    stopwatch watch = {b, step, now_ms(), cpu_ms()}, whole = watch;
    const s3r_encoder_masking masking = {.frames = b->masked,
                                         .frame_count = b->masked_count};
    const s3r_encoder_options options = {.utterance_keys = b->keys, .masking = &masking};
    s3r_ragged samples = {b->options.batch, b->offset};
    s3r_tape_reset(tape);
    tape->is_recording = tape->is_training = true;
    tape->dropout_seed = step;
    s3r_value *x = s3r_tape_wrap(tape, b->samples, b->offset[b->options.batch], 1, 1);
    x = s3r_extractor_forward(tape, &b->config, &b->weights, x, samples, &frames);
    x = s3r_op_grad_scale(tape, x, 0.1f);
    check(s3r_tape_status(tape, &err), &err);
    lap(&watch, EXTRACT);
    s3r_value *h =
        s3r_encoder_forward(tape, &b->config, &b->weights, x, frames, &options);
    check(s3r_tape_status(tape, &err), &err);
    lap(&watch, ENCODE);
    b->loss = b->options.is_contrastive ? contrast(b, h, x, frames, step) : predict(b, h);
    double weight = 10.0 * (double)b->masked_count;
    b->loss += weight * s3r_feature_penalty(tape, x, weight);
    lap(&watch, LOSS);
    s3r_tape_backward(tape);
    check(s3r_tape_status(tape, &err), &err);
    lap(&watch, BACKWARD);
    update(b, step);
    lap(&watch, ADAM);
    for (size_t i = 0; i < b->item_count; i++)
        memset(b->items[i].grad, 0, b->items[i].count * sizeof(float));
    lap(&watch, CLEAR);
    lap(&whole, TOTAL);
}

/* ---- the report ---- */

static int compare_doubles(const void *left, const void *right)
{
    double x = *(const double *)left, y = *(const double *)right;
    return (x > y) - (x < y);
}

static double peak_memory(void)
{
    char line[256];
    double value = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            value = strtod(line + 6, NULL) * 1024e-6;
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
    size_t steps = b->options.steps;
    printf("%s %s%s, %zu threads, %zu x %zu s:",
           b->options.is_contrastive ? "contrastive" : "prediction",
           b->options.is_bf16 ? "bf16" : "fp32", b->options.is_frozen ? " frozen" : "",
           b->options.threads, b->options.batch, b->options.seconds);
    print_medians(b->times, steps);
    printf(" (best %.0f) ms\ncpu:", b->times[TOTAL][1]);
    print_medians(b->cpu_times, steps);
    printf("\npeak RSS %.0f MB, tape %.0f MB, heap calls after the first step %zu, loss "
           "per masked frame %.6f\n",
           peak_memory(), (double)b->tape.arena.peak_bytes * 1e-6, b->heap_calls,
           b->loss / (double)b->masked_count);
}

/* NAME=VALUE into a number of the options; false when it is something else. */
static bool read_number(bench_options *options, const char *text)
{
    const struct {
        const char *name;
        size_t *value;
    } numbers[] = {{"threads=", &options->threads}, {"steps=", &options->steps},
                   {"batch=", &options->batch},     {"seconds=", &options->seconds},
                   {"blocks=", &options->blocks},   {"channels=", &options->channels},
                   {"hidden=", &options->hidden}};
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
    *options = (bench_options){.threads = 2,
                               .steps = 4,
                               .batch = 20,
                               .seconds = 4,
                               .dropout = 0.1,
                               .blocks = 8,
                               .channels = 256,
                               .hidden = 320};
    for (int i = 1; i < argc; i++) {
        if (i == 1)
            options->folder = argv[i];
        else if (strcmp(argv[i], "prediction") == 0 ||
                 strcmp(argv[i], "contrastive") == 0)
            options->is_contrastive = argv[i][0] == 'c';
        else if (strcmp(argv[i], "fp32") == 0 || strcmp(argv[i], "bf16") == 0)
            options->is_bf16 = argv[i][0] == 'b';
        else if (strcmp(argv[i], "frozen") == 0)
            options->is_frozen = true;
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
        fputs(
            "usage: pretrain_bench FOLDER [prediction|contrastive] [fp32|bf16] [frozen] "
            "[threads=2] [steps=4] [batch=20] [seconds=4] [dropout=0.1] [blocks=8] "
            "[channels=256] [hidden=320]\n",
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
