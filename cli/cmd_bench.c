/*
 * s3r bench: how fast the network runs here, and in how much memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <s3r/machine.h>

#include "bench_child.h"
#include "line_text.h"

#define MAX_LENGTHS 32
#define MAX_SECONDS 36000.0
#define MAX_ROUNDS  100000

typedef struct bench_options {
    const char *model, *mask, *language;
    const char *seconds;
    int dtype;
    size_t rounds;
} bench_options;

enum bench_dtype { BENCH_F32, BENCH_BF16, BENCH_BOTH };

typedef struct lengths {
    double seconds[MAX_LENGTHS];
    size_t count;
} lengths;

/* "1,10,30". */
static s3r_status read_lengths(lengths *out, const char *text, s3r_error *err)
{
    const char *at = text;
    out->count = 0;
    for (;;) {
        char *end = NULL;
        double value = strtod(at, &end);
        bool is_length = end != at && value > 0 && value <= MAX_SECONDS;
        if (!is_length || (*end != '\0' && *end != ',') || out->count == MAX_LENGTHS)
            return s3r_cli_fail(err, S3R_ERR_USAGE,
                                "--seconds: expected up to %d lengths with commas, each "
                                "at most %g, found \"%s\"",
                                MAX_LENGTHS, MAX_SECONDS, text);
        out->seconds[out->count++] = value;
        if (*end == '\0')
            return S3R_OK;
        at = end + 1;
    }
}

static json_t *describe_run(const s3r_bench_case *what, const s3r_bench_times *times)
{
    return json_pack(
        "{s:s, s:s, s:f, s:I, s:f, s:f, s:f, s:f, s:I}", "dtype",
        what->session.is_bf16 ? "bf16" : "f32", "weights",
        times->is_packed ? "packed" : "shared", "audio_s", what->seconds, "frames",
        (json_int_t)times->frame_count, "open_ms", 1000 * times->open_s, "median_ms",
        1000 * times->median_s, "min_ms", 1000 * times->min_s, "real_time_factor",
        times->median_s / what->seconds, "peak_bytes", (json_int_t)times->peak_bytes);
}

static void print_run(const s3r_bench_case *what, const s3r_bench_times *times)
{
    printf("%-5s %8g %9zu %10.1f %11.1f %11.1f %9.4f %10.1f\n",
           what->session.is_bf16 ? "bf16" : "f32", what->seconds, times->frame_count,
           1000 * times->open_s, 1000 * times->median_s, 1000 * times->min_s,
           times->median_s / what->seconds,
           (double)times->peak_bytes / (double)(1 << 20));
    fflush(stdout);
}

/* All measurements; appends to runs, or prints when runs is NULL. */
static s3r_status measure_all(const s3r_command *command, const char *model,
                              const lengths *all, json_t *runs, s3r_error *err)
{
    const bench_options *options = command->options;
    s3r_bench_case what = {
        .session = {.model = model, .mask = options->mask, .language = options->language},
        .rounds = options->rounds};
    for (int dtype = BENCH_F32; dtype <= BENCH_BF16; dtype++) {
        if (options->dtype != BENCH_BOTH && options->dtype != dtype)
            continue;
        what.session.is_bf16 = dtype == BENCH_BF16;
        for (size_t i = 0; i < all->count; i++) {
            s3r_bench_times times = {0};
            what.seconds = all->seconds[i];
            s3r_status status = s3r_bench_measure(&times, command, &what, err);
            if (status != S3R_OK)
                return status;
            if (runs)
                json_array_append_new(runs, describe_run(&what, &times));
            else
                print_run(&what, &times);
        }
    }
    return S3R_OK;
}

static void print_header(const char *cpu_level, size_t threads)
{
    printf("CPU level %s, threads %zu; times in ms, memory in MiB\n\n", cpu_level,
           threads);
    printf("%-5s %8s %9s %10s %11s %11s %9s %10s\n", "dtype", "audio s", "frames", "open",
           "median", "min", "RTF", "peak");
}

static s3r_status print_json(const char *cpu_level, size_t threads, const char *model,
                             const bench_options *options, json_t *runs, s3r_error *err)
{
    json_t *all = json_pack(
        "{s:o, s:o, s:s, s:I, s:I, s:O}", "model", s3r_json_from_bytes(model), "mask",
        options->mask ? s3r_json_from_bytes(options->mask) : json_null(), "cpu_level",
        cpu_level, "threads", (json_int_t)threads, "rounds", (json_int_t)options->rounds,
        "runs", runs);
    if (!all)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "bench: no memory");
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(all);
    return S3R_OK;
}

static s3r_status run_bench(const s3r_command *command, s3r_error *err)
{
    const bench_options *options = command->options;
    const char *cpu_level = s3r_cpu_choice_names[command->global.cpu];
    size_t threads = command->global.threads;
    char model[S3R_MODEL_PATH_BYTES];
    lengths all;
    s3r_status status = read_lengths(&all, options->seconds, err);
    if (status != S3R_OK)
        return status;
    if (options->rounds == 0 || options->rounds > MAX_ROUNDS)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "--rounds: expected 1 to %d, found %zu",
                            MAX_ROUNDS, options->rounds);
    status = s3r_session_find_model(command, options->model, model, err);
    if (status != S3R_OK)
        return status;
    if (command->global.cpu == S3R_CPU_CHOICE_AUTO)
        cpu_level = s3r_machine_cpu_level();
    threads = threads ? threads : s3r_machine_processor_count();
    json_t *runs = command->global.is_json ? json_array() : NULL;
    if (!command->global.is_json)
        print_header(cpu_level, threads);
    status = measure_all(command, model, &all, runs, err);
    if (status == S3R_OK && runs)
        status = print_json(cpu_level, threads, model, options, runs, err);
    json_decref(runs);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(bench_options, model),
     .argument = "MODEL",
     .help = "The model: a Hugging Face folder, a .safetensors file, a fairseq .pt or "
             "the name of a shipped model. Without it the shipped one."},
    {.name = "mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(bench_options, mask),
     .argument = "FILE.s3m",
     .help = "A mask file to apply."},
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(bench_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual model, as in \"deu\"."},
    {.name = "seconds",
     .letter = 's',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(bench_options, seconds),
     .argument = "LIST",
     .fallback = "1,10,30",
     .help = "Lengths of the noise."},
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(bench_options, dtype),
     .values = "f32|bf16|both",
     .fallback = "f32",
     .help = "Numbers to multiply."},
    {.name = "rounds",
     .letter = 'r',
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(bench_options, rounds),
     .argument = "N",
     .fallback = "5",
     .help = "Timed runs after one that warms up."},
};

static const char *const example[] = {
    "s3r bench -m wav2vec2-base-960h",
    "s3r bench -m model --seconds 10 --dtype both --threads 1 --json", NULL};

const s3r_verb s3r_verb_bench = {
    .name = "bench",
    .summary = "Time a model on this machine",
    .description = "Runs the network on noise and prints median and shortest time, the "
                   "real-time factor (computing time by audio time), the time to open "
                   "the model and the peak of resident memory. Each line is measured in "
                   "a process of its own, weights packed unless --weights is shared.",
    .usage = "[-m MODEL]",
    .max_positionals = 0,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(bench_options),
    .has_json = true,
    .example = example,
    .run = run_bench,
};
