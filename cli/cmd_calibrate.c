/*
 * s3r calibrate: how far word confidences can be believed, and the temperature for it.
 */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <s3r/calibrate.h>

#include "interrupt.h"
#include "line_text.h"
#include "session.h"

typedef struct calibrate_options {
    const char *model, *mask, *language, *data;
    int dtype;
    double temperature, window_s, context_s;
    bool is_without_ffmpeg;
} calibrate_options;

enum { DTYPE_F32, DTYPE_BF16 };

typedef struct calibrate_run {
    const s3r_command *command;
    s3r_progress progress;
} calibrate_run;

static void on_failure(void *context, const char *id, const char *message)
{
    calibrate_run *run = context;
    s3r_print_error(run->command->terminal, "%s: %s", id, message);
}

/* ---- results ---- */

static void print_report(const char *name, const s3r_confidence_report *report)
{
    printf("%-7s %11.3f %19.2f %13.3f %17.2f\n", name, report->temperature,
           100 * report->calibration_error, report->cross_entropy,
           100 * report->confidence);
}

static void print_bins(const s3r_calibration *found)
{
    printf("\n%-12s %24s %24s\n%-12s %8s %7s %7s %8s %7s %7s\n", "", "at temperature 1",
           "fitted", "confidence", "words", "right %", "mean %", "words", "right %",
           "mean %");
    for (size_t i = 0; i < S3R_CONFIDENCE_BINS; i++) {
        const s3r_confidence_report *reports[] = {&found->plain, &found->fitted};
        printf("%3zu to %3zu %%", 10 * i, 10 * (i + 1));
        for (size_t k = 0; k < 2; k++) {
            size_t words = reports[k]->bins[i].words;
            if (words == 0)
                printf(" %8d %7s %7s", 0, "-", "-");
            else
                printf(" %8zu %7.1f %7.1f", words,
                       100 * (double)reports[k]->bins[i].right / (double)words,
                       100 * reports[k]->bins[i].confidence);
        }
        printf("\n");
    }
}

static void print_text(const s3r_calibration *found)
{
    printf("%-7s %11s %19s %13s %17s\n", "", "temperature", "calibration error %",
           "cross entropy", "mean confidence %");
    print_report("plain", &found->plain);
    if (found->given.temperature != 1)
        print_report("given", &found->given);
    print_report("fitted", &found->fitted);
    print_bins(found);
    printf(
        "\n%zu utterances, %zu failed, %zu skipped; %zu words, %.2f %% of them right\n",
        found->utterances, found->failed, found->skipped, found->words,
        found->words > 0 ? 100 * (double)found->right / (double)found->words : 0);
}

static json_t *describe_report(const s3r_confidence_report *report)
{
    json_t *bins = json_array();
    for (size_t i = 0; i < S3R_CONFIDENCE_BINS; i++)
        json_array_append_new(bins, json_pack("{s:I, s:I, s:f}", "words",
                                              (json_int_t)report->bins[i].words, "right",
                                              (json_int_t)report->bins[i].right,
                                              "confidence", report->bins[i].confidence));
    return json_pack("{s:f, s:f, s:f, s:f, s:o}", "temperature", report->temperature,
                     "calibration_error", report->calibration_error, "cross_entropy",
                     report->cross_entropy, "confidence", report->confidence, "bins",
                     bins);
}

static s3r_status show(const s3r_command *command, const s3r_calibration *found,
                       s3r_error *err)
{
    const calibrate_options *options = command->options;
    if (!command->global.is_json) {
        print_text(found);
        return S3R_OK;
    }
    char *line = s3r_json_line(json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "data",
        s3r_json_from_bytes(options->data), "utterances", (json_int_t)found->utterances,
        "failed", (json_int_t)found->failed, "skipped", (json_int_t)found->skipped,
        "words", (json_int_t)found->words, "right", (json_int_t)found->right, "plain",
        describe_report(&found->plain), "given", describe_report(&found->given), "fitted",
        describe_report(&found->fitted)));
    if (!line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the results");
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

/* ---- the verb ---- */

static s3r_status calibrate(calibrate_run *run, const s3r_session *session,
                            s3r_error *err)
{
    const calibrate_options *options = run->command->options;
    s3r_calibrate_options library;
    s3r_calibration found;
    s3r_calibrate_options_init(&library);
    library.temperature = options->temperature;
    library.window_s = options->window_s;
    library.context_s = options->context_s;
    library.allow_ffmpeg = !options->is_without_ffmpeg;
    library.progress = s3r_progress_take;
    library.progress_context = &run->progress;
    s3r_interrupt_defer();
    s3r_progress_start(&run->progress, run->command->terminal, "calibrating", 1);
    s3r_status status = s3r_calibrate(session->context, session->model, options->data,
                                      &library, on_failure, run, &found, err);
    s3r_progress_end(&run->progress);
    if (status != S3R_OK && status != S3R_ERR_PARTIAL)
        return status;
    s3r_status shown = show(run->command, &found, err);
    return shown != S3R_OK ? shown : status;
}

static s3r_status run_calibrate(const s3r_command *command, s3r_error *err)
{
    const calibrate_options *options = command->options;
    calibrate_run run = {.command = command};
    s3r_session session;
    const s3r_session_options session_options = {.model = options->model,
                                                 .mask = options->mask,
                                                 .language = options->language,
                                                 .is_bf16 = options->dtype == DTYPE_BF16};
    if (!options->data)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "calibrate: expected --data MANIFEST (see s3r help "
                            "calibrate)");
    s3r_status status = s3r_session_open(&session, command, &session_options, err);
    if (status != S3R_OK)
        return status;
    status = calibrate(&run, &session, err);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(calibrate_options, model),
     .argument = "MODEL",
     .help = "The model: a Hugging Face folder, a .safetensors file, a fairseq .pt or "
             "the name of a shipped model. Without it the shipped one."},
    {.name = "mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(calibrate_options, mask),
     .argument = "FILE.s3m",
     .help = "A mask file to apply: its head and vocabulary replace the model's."},
    {.name = "data",
     .letter = 'd',
     .type = S3R_OPTION_STRING,
     .is_once = true,
     .offset = offsetof(calibrate_options, data),
     .argument = "MANIFEST",
     .help = "The utterances: JSON lines with audio and text. A temperature is fitted on "
             "dev and judged on test."},
    {.name = "temperature",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(calibrate_options, temperature),
     .argument = "T",
     .fallback = "1",
     .help = "One to judge too, as it was fitted on other data."},
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(calibrate_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual model (MMS), as in \"deu\"."},
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(calibrate_options, dtype),
     .values = "f32|bf16",
     .fallback = "f32",
     .help = "Numbers to multiply; sums are always f32."},
    {.name = "window",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(calibrate_options, window_s),
     .argument = "SECONDS",
     .fallback = "40",
     .help = "Longer utterances run in pieces of at most this length."},
    {.name = "context",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(calibrate_options, context_s),
     .argument = "SECONDS",
     .fallback = "4",
     .help = "Audio that a piece hears on both sides beyond what it keeps."},
    {.name = "no-ffmpeg",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(calibrate_options, is_without_ffmpeg),
     .help = "Never call ffmpeg; files that only it can read fail."},
};

static const char *const example[] = {
    "s3r calibrate --mask french.s3m --data dev.jsonl",
    "s3r calibrate --mask french.s3m --data test.jsonl --temperature 1.54",
    "s3r transcribe --mask french.s3m --temperature 1.54 --format json talk.flac", NULL};

const s3r_verb s3r_verb_calibrate = {
    .name = "calibrate",
    .summary = "Compare word confidences with the truth and fit a temperature",
    .description =
        "Transcribes utterances with known texts and tells how often words of a "
        "confidence are right: the expected calibration error before and after a "
        "temperature that is fitted to the utterances. transcribe --temperature takes "
        "it.",
    .usage = "[-m MODEL] --data MANIFEST",
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(calibrate_options),
    .example = example,
    .has_json = true,
    .run = run_calibrate,
};
