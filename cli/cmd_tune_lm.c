/*
 * s3r tune-lm: the weights of a language model, found on a dev set.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <s3r/tune.h>

#include "decode_options.h"
#include "interrupt.h"
#include "line_text.h"
#include "session.h"

typedef struct tune_options {
    const char *model, *mask, *language, *data;
    int dtype, normalize, metric;
    s3r_decode_choice decode;
} tune_options;

#define S3R_DECODE_OFFSET(member) offsetof(tune_options, decode.member)

enum { DTYPE_F32, DTYPE_BF16 };

typedef struct tune_run {
    const s3r_command *command;
    s3r_progress progress;
    json_t *points;
} tune_run;

static json_t *describe(const s3r_tune_point *point)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "lm_weight", point->lm_weight, "word_score",
                     point->word_score, "wer", point->wer, "cer", point->cer);
}

static s3r_status on_point(void *context, const s3r_tune_point *point)
{
    tune_run *run = context;
    s3r_progress_end(&run->progress);
    if (run->command->global.is_json)
        json_array_append_new(run->points, describe(point));
    else
        printf("%9.3f %10.2f %8.2f %8.2f\n", point->lm_weight, point->word_score,
               100 * point->wer, 100 * point->cer);
    return s3r_interrupted() ? S3R_ERR_INTERRUPTED : S3R_OK;
}

static s3r_status print_best(tune_run *run, const s3r_tune_point *best, s3r_error *err)
{
    if (!run->command->global.is_json) {
        printf("\nbest: --lm-weight %g --word-score %g (WER %.2f %%, CER %.2f %%)\n",
               best->lm_weight, best->word_score, 100 * best->wer, 100 * best->cer);
        return S3R_OK;
    }
    char *line = s3r_json_line(
        json_pack("{s:o, s:O}", "best", describe(best), "points", run->points));
    if (!line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the result");
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

static s3r_status tune(tune_run *run, s3r_session *session, s3r_decoder *decoder,
                       s3r_error *err)
{
    const tune_options *options = run->command->options;
    s3r_eval_options library;
    s3r_tune_point best;
    s3r_eval_options_init(&library);
    library.normalization = (size_t)options->normalize;
    library.progress = s3r_progress_take;
    library.progress_context = &run->progress;
    if (!run->command->global.is_json)
        printf("%9s %10s %8s %8s\n", "LM weight", "word score", "WER %", "CER %");
    s3r_interrupt_defer();
    s3r_progress_start(&run->progress, run->command->terminal, "emissions", 1);
    s3r_status status =
        s3r_tune(session->context, session->model, decoder, options->data,
                 options->metric == 1, &library, on_point, run, &best, err);
    s3r_progress_end(&run->progress);
    if (status != S3R_OK && status != S3R_ERR_PARTIAL)
        return status;
    s3r_status printed = print_best(run, &best, err);
    return printed != S3R_OK ? printed : status;
}

static s3r_status run_tune_lm(const s3r_command *command, s3r_error *err)
{
    const tune_options *options = command->options;
    tune_run run = {.command = command, .points = json_array()};
    s3r_session session = {0};
    s3r_decoder *decoder = NULL;
    const s3r_session_options session_options = {.model = options->model,
                                                 .mask = options->mask,
                                                 .language = options->language,
                                                 .is_bf16 = options->dtype == DTYPE_BF16};
    s3r_decode_choice choice = options->decode;
    choice.nbest = 1;
    s3r_status status = S3R_OK;
    if (!options->data || !options->decode.lm)
        status = s3r_cli_fail(err, S3R_ERR_USAGE,
                              "tune-lm: expected --data MANIFEST and --lm FILE");
    if (status == S3R_OK)
        status = s3r_session_open(&session, command, &session_options, err);
    if (status == S3R_OK)
        status = s3r_decode_choice_open(&decoder, &choice, session.model,
                                        command->terminal, err);
    if (status == S3R_OK)
        status = tune(&run, &session, decoder, err);
    json_decref(run.points);
    s3r_decoder_close(decoder);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(tune_options, model),
     .argument = "MODEL",
     .help = "The model: a Hugging Face folder, a .safetensors file, a fairseq .pt or "
             "the name of a shipped model. Without it the shipped one."},
    {.name = "mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(tune_options, mask),
     .argument = "FILE",
     .help = "A mask file (.s3m) to apply to the model."},
    {.name = "data",
     .letter = 'd',
     .type = S3R_OPTION_STRING,
     .is_once = true,
     .offset = offsetof(tune_options, data),
     .argument = "MANIFEST",
     .help = "Utterances with texts: a dev set, never the test set."},
    {.name = "metric",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(tune_options, metric),
     .values = "wer|cer",
     .fallback = "wer",
     .help = "What is to be low."},
    {.name = "normalize",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(tune_options, normalize),
     .values = "none|nfc|case|basic",
     .fallback = "case",
     .help = "What is made equal before scoring, as in eval."},
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(tune_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual model (MMS), as in \"deu\"."},
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(tune_options, dtype),
     .values = "f32|bf16",
     .fallback = "f32",
     .help = "Numbers to multiply; sums are always f32."},
#include "decode_option_list.h"
};

static const char *const example[] = {
    "s3r tune-lm -m model --mask french.s3m --data dev.jsonl --lm words.s3l --lexicon lm",
    NULL};

const s3r_verb s3r_verb_tune_lm = {
    .name = "tune-lm",
    .summary = "Find the weights of a language model on a dev set",
    .description =
        "Runs the network once, then decodes with a grid of LM weights and word scores "
        "and with finer steps around the best. Prints a line a pair and the best pair; "
        "writes nothing else. --lm-weight and --word-score play no part.",
    .usage = "[-m MODEL] --data MANIFEST --lm FILE",
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(tune_options),
    .has_json = true,
    .example = example,
    .run = run_tune_lm,
};
