/*
 * s3r eval: error rates of a model on a manifest, or of texts against texts.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <s3r/eval.h>

#include "decode_options.h"
#include "interrupt.h"
#include "line_text.h"
#include "session.h"

typedef struct eval_options {
    const char *model, *mask, *language, *data, *reference, *hypothesis;
    const char *metrics, *trn, *table;
    int dtype, normalize;
    size_t resamples, seed;
    double batch_s, window_s, context_s;
    bool is_without_ffmpeg;
    s3r_decode_choice decode;
} eval_options;

#define S3R_DECODE_OFFSET(member) offsetof(eval_options, decode.member)

enum { DTYPE_F32, DTYPE_BF16 };

typedef struct eval_run {
    const s3r_command *command;
    s3r_progress progress;
} eval_run;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* "wer,cer". */
static s3r_status read_metrics(s3r_eval_options *out, const char *text, s3r_error *err)
{
    memset(out->metrics, 0, sizeof out->metrics);
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ","), metric = 0;
        for (; metric < S3R_METRIC_COUNT; metric++) {
            const char *name = s3r_metric_name(metric);
            if (strlen(name) == length && strncmp(at, name, length) == 0)
                break;
        }
        if (metric == S3R_METRIC_COUNT)
            return s3r_cli_fail(err, S3R_ERR_USAGE,
                                "--metrics: expected wer, cer and per with commas, "
                                "found \"%s\"",
                                text);
        out->metrics[metric] = true;
        at += length;
        if (*at == '\0')
            return S3R_OK;
    }
}

static s3r_status set_options(s3r_eval_options *out, const eval_options *options,
                              s3r_error *err)
{
    s3r_eval_options_init(out);
    out->normalization = (size_t)options->normalize;
    out->resamples = options->resamples;
    out->seed = options->seed;
    out->batch_s = options->batch_s;
    out->window_s = options->window_s;
    out->context_s = options->context_s;
    out->allow_ffmpeg = !options->is_without_ffmpeg;
    out->trn_folder = options->trn;
    out->table_path = options->table;
    return read_metrics(out, options->metrics, err);
}

/* Either a model and a manifest, or two files of texts. */
static s3r_status check_inputs(const eval_options *options, bool *is_texts,
                               s3r_error *err)
{
    bool has_texts = options->reference || options->hypothesis;
    bool has_model = options->model || options->mask || options->data ||
                     options->decode.lm || options->decode.lexicon;
    *is_texts = has_texts;
    if (has_texts && has_model)
        return s3r_cli_fail(
            err, S3R_ERR_USAGE,
            "eval: expected -m and --data, or --ref and --hyp, found both");
    if (has_texts && !(options->reference && options->hypothesis))
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "eval: expected --ref and --hyp together");
    if (!has_texts && !options->data)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "eval: expected --data MANIFEST (see s3r help eval)");
    return S3R_OK;
}

/* ---- results ---- */

static s3r_status on_utterance(void *context, const s3r_eval_utterance *utterance)
{
    eval_run *run = context;
    if (utterance->status != S3R_OK)
        s3r_print_error(run->command->terminal, "%s: %s", utterance->id,
                        utterance->message);
    return S3R_OK;
}

static json_t *describe_rate(const s3r_eval_rate *rate)
{
    const s3r_eval_counts *counts = &rate->counts;
    size_t errors = counts->substitutions + counts->deletions + counts->insertions;
    return json_pack("{s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I}", "rate", rate->rate,
                     "low", rate->low, "high", rate->high, "errors", (json_int_t)errors,
                     "substitutions", (json_int_t)counts->substitutions, "deletions",
                     (json_int_t)counts->deletions, "insertions",
                     (json_int_t)counts->insertions, "reference",
                     (json_int_t)counts->reference);
}

static json_t *real_or_null(bool is_known, double value)
{
    return is_known ? json_real(value) : json_null();
}

static json_t *describe_summary(const eval_options *options,
                                const s3r_eval_options *library,
                                const s3r_eval_summary *summary, double elapsed_s)
{
    bool has_audio = options->data != NULL;
    json_t *metrics = json_object();
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++)
        if (library->metrics[i])
            json_object_set_new(metrics, s3r_metric_name(i),
                                describe_rate(&summary->rates[i]));
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "data",
        s3r_json_from_bytes(has_audio ? options->data : options->reference),
        "normalization", s3r_eval_normalization_name(library->normalization), "resamples",
        (json_int_t)library->resamples, "seed", (json_int_t)library->seed, "metrics",
        metrics, "utterances", (json_int_t)summary->utterances, "failed",
        (json_int_t)summary->failed, "skipped", (json_int_t)summary->skipped, "empty",
        (json_int_t)summary->empty, "blank_ratio",
        real_or_null(has_audio, summary->blank_ratio), "duration_s",
        real_or_null(has_audio, summary->duration_s), "elapsed_s",
        real_or_null(has_audio, elapsed_s), "real_time_factor",
        real_or_null(has_audio && summary->duration_s > 0,
                     elapsed_s / summary->duration_s));
}

static void print_rates(const s3r_eval_options *options, const s3r_eval_summary *summary)
{
    printf("%-6s %8s  %-17s %8s %8s %8s %8s %9s\n", "metric", "rate %", "95 % interval",
           "errors", "sub", "del", "ins", "reference");
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++) {
        const s3r_eval_rate *rate = &summary->rates[i];
        const s3r_eval_counts *counts = &rate->counts;
        char interval[64] = "-";
        if (!options->metrics[i])
            continue;
        if (options->resamples > 0)
            snprintf(interval, sizeof interval, "%.2f to %.2f", 100 * rate->low,
                     100 * rate->high);
        printf("%-6s %8.2f  %-17s %8zu %8zu %8zu %8zu %9zu\n", s3r_metric_name(i),
               100 * rate->rate, interval,
               counts->substitutions + counts->deletions + counts->insertions,
               counts->substitutions, counts->deletions, counts->insertions,
               counts->reference);
    }
}

static void print_summary(const eval_options *options, const s3r_eval_options *library,
                          const s3r_eval_summary *summary, double elapsed_s)
{
    print_rates(library, summary);
    printf(
        "%zu utterances, %zu without text in the hypothesis, %zu failed, %zu skipped\n",
        summary->utterances, summary->empty, summary->failed, summary->skipped);
    if (options->data && summary->duration_s > 0)
        printf("%.1f s of audio in %.1f s (real-time factor %.4f), %.1f %% of the frames "
               "blank\n",
               summary->duration_s, elapsed_s, elapsed_s / summary->duration_s,
               100 * summary->blank_ratio);
}

static s3r_status show(const s3r_command *command, const s3r_eval_options *library,
                       const s3r_eval_summary *summary, double elapsed_s, s3r_error *err)
{
    const eval_options *options = command->options;
    if (!command->global.is_json) {
        print_summary(options, library, summary, elapsed_s);
        return S3R_OK;
    }
    char *line = s3r_json_line(describe_summary(options, library, summary, elapsed_s));
    if (!line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the results");
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

/* ---- the verb ---- */

static s3r_status score_model(eval_run *run, s3r_eval_options *library,
                              s3r_eval_summary *summary, double *elapsed_s,
                              s3r_error *err)
{
    const eval_options *options = run->command->options;
    s3r_session session;
    const s3r_session_options session_options = {.model = options->model,
                                                 .mask = options->mask,
                                                 .language = options->language,
                                                 .is_bf16 = options->dtype == DTYPE_BF16};
    s3r_status status = s3r_session_open(&session, run->command, &session_options, err);
    if (status != S3R_OK)
        return status;
    s3r_decoder *decoder = NULL;
    s3r_decode_choice decode = options->decode;
    decode.nbest = 1;
    status = s3r_decode_choice_open(&decoder, &decode, session.model,
                                    run->command->terminal, err);
    double start_s = now_s();
    if (status == S3R_OK) {
        library->decoder = decoder;
        library->progress = s3r_progress_take;
        library->progress_context = &run->progress;
        s3r_interrupt_defer();
        s3r_progress_start(&run->progress, run->command->terminal, "scoring", 1);
        status = s3r_eval(session.context, session.model, options->data, library,
                          on_utterance, run, summary, err);
        s3r_progress_end(&run->progress);
    }
    *elapsed_s = now_s() - start_s;
    s3r_decoder_close(decoder);
    s3r_session_close(&session);
    return status;
}

static s3r_status run_eval(const s3r_command *command, s3r_error *err)
{
    const eval_options *options = command->options;
    s3r_eval_options library;
    s3r_eval_summary summary = {0};
    eval_run run = {.command = command};
    double elapsed_s = 0;
    bool is_texts = false;
    s3r_status status = check_inputs(options, &is_texts, err);
    if (status == S3R_OK)
        status = set_options(&library, options, err);
    if (status != S3R_OK)
        return status;
    if (is_texts)
        status = s3r_eval_texts(options->reference, options->hypothesis, &library,
                                on_utterance, &run, &summary, err);
    else
        status = score_model(&run, &library, &summary, &elapsed_s, err);
    if (status != S3R_OK && status != S3R_ERR_PARTIAL)
        return status;
    s3r_status shown = show(command, &library, &summary, elapsed_s, err);
    return shown != S3R_OK ? shown : status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(eval_options, model),
     .argument = "MODEL",
     .help = "The model: a Hugging Face folder, a .safetensors file, a fairseq .pt or "
             "the name of a shipped model. Without it the shipped one."},
    {.name = "mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(eval_options, mask),
     .argument = "FILE",
     .help = "A mask file (.s3m) to apply to the model."},
    {.name = "data",
     .letter = 'd',
     .type = S3R_OPTION_STRING,
     .is_once = true,
     .offset = offsetof(eval_options, data),
     .argument = "MANIFEST",
     .help = "The utterances: JSON lines with audio and text."},
    {.name = "ref",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(eval_options, reference),
     .argument = "FILE",
     .help = "Instead of a model and a manifest: the right texts, a trn file or one text "
             "a line."},
    {.name = "hyp",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(eval_options, hypothesis),
     .argument = "FILE",
     .help = "The texts to score against --ref."},
#include "decode_option_list.h"
    {.name = "metrics",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(eval_options, metrics),
     .argument = "LIST",
     .fallback = "wer,cer",
     .help = "Error rates of words (wer), characters (cer), phones (per), with commas."},
    {.name = "normalize",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(eval_options, normalize),
     .values = "none|nfc|case|basic",
     .fallback = "case",
     .help = "What is made equal before scoring, in both texts: nothing; Unicode forms "
             "and white space; also case; also punctuation."},
    {.name = "trn",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(eval_options, trn),
     .argument = "DIR",
     .help = "Write ref.trn and hyp.trn for sclite."},
    {.name = "per-utterance",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(eval_options, table),
     .argument = "FILE",
     .help = "Write a line an utterance with its counts and texts, fields separated by "
             "tabs."},
    {.name = "bootstrap",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(eval_options, resamples),
     .argument = "N",
     .fallback = "1000",
     .help = "Resamples of the utterances for the 95 % interval; 0 for none."},
    {.name = "seed",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(eval_options, seed),
     .argument = "N",
     .fallback = "1",
     .help = "Of the resamples."},
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(eval_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual model (MMS), as in \"deu\"."},
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(eval_options, dtype),
     .values = "f32|bf16",
     .fallback = "f32",
     .help = "Numbers to multiply; sums are always f32."},
    {.name = "batch",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(eval_options, batch_s),
     .argument = "SECONDS",
     .fallback = "40",
     .help = "Audio that runs together. More needs more memory; results are the same."},
    {.name = "window",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(eval_options, window_s),
     .argument = "SECONDS",
     .fallback = "40",
     .help = "Longer utterances run in pieces of at most this length."},
    {.name = "context",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(eval_options, context_s),
     .argument = "SECONDS",
     .fallback = "4",
     .help = "Audio that a piece hears on both sides beyond what it keeps."},
    {.name = "no-ffmpeg",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(eval_options, is_without_ffmpeg),
     .help = "Never call ffmpeg; files that only it can read fail."},
};

static const char *const example[] = {
    "s3r eval -m wav2vec2-base-960h --data test.jsonl",
    "s3r eval -m model --mask french.s3m --data test.jsonl --trn out --json",
    "s3r eval --ref right.txt --hyp recognised.txt --normalize basic", NULL};

const s3r_verb s3r_verb_eval = {
    .name = "eval",
    .summary = "Score a model on utterances with known texts",
    .description =
        "Transcribes the utterances of a manifest and prints their error rates, summed "
        "over the corpus, with a 95 % interval from resampling utterances. Counts are "
        "those of NIST's sclite."
        "\n\n"
        "Utterances that fail are named on standard error and left out; the exit code is "
        "then 6. Lines without text are skipped.",
    .usage = "[-m MODEL] --data MANIFEST",
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(eval_options),
    .example = example,
    .has_json = true,
    .run = run_eval,
};
