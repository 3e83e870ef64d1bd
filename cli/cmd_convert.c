/*
 * s3r convert: any checkpoint in, a Hugging Face folder out; on request only if it
 * transcribes as well as before.
 */
#include <stddef.h>

#include <s3r/eval.h>

#include "cli_error.h"
#include "data_run.h"
#include "interrupt.h"
#include "session.h"

typedef struct convert_options {
    int dtype;
    const char *language, *mask, *check, *check_mask;
    double max_rise;
    bool is_forced;
} convert_options;

static const char *const dtype_names[] = {"f32", "f16", "bf16", "int8"};

/* ---- the check ---- */

typedef struct check_run {
    const s3r_command *command;
    const convert_options *options;
    const char *source;
} check_run;

/* Percent. */
static s3r_status measure(const check_run *run, const char *model, const char *mask,
                          const char *language, double *cer, s3r_error *err)
{
    s3r_session session;
    s3r_eval_options options;
    s3r_eval_summary summary;
    const s3r_session_options wanted = {
        .model = model, .mask = mask, .language = language};
    s3r_status status = s3r_session_open(&session, run->command, &wanted, err);
    if (status != S3R_OK)
        return status;
    s3r_progress progress;
    s3r_progress_start(&progress, run->command->terminal, "checking", 1);
    s3r_eval_options_init(&options);
    options.resamples = 0;
    options.progress = s3r_progress_take;
    options.progress_context = &progress;
    status = s3r_eval(session.context, session.model, run->options->check, &options, NULL,
                      NULL, &summary, err);
    s3r_progress_end(&progress);
    *cer = 100 * summary.rates[S3R_METRIC_CER].rate;
    s3r_session_close(&session);
    return status;
}

/* With --mask the written model has the mask in it. */
static s3r_status accept(void *context, const char *written, s3r_error *err)
{
    const check_run *run = context;
    const convert_options *options = run->options;
    double before, after;
    s3r_status status =
        measure(run, run->source, options->mask ? options->mask : options->check_mask,
                options->language, &before, err);
    if (status == S3R_OK)
        status =
            measure(run, written, options->check_mask, options->language, &after, err);
    if (status != S3R_OK)
        return status;
    s3r_print_note(run->command->terminal, "CER on %s: %.2f %%, %.2f %% as %s",
                   options->check, before, after, dtype_names[options->dtype]);
    if (after - before <= options->max_rise)
        return S3R_OK;
    return s3r_cli_fail(err, S3R_ERR_RUNTIME,
                        "%s: not written: CER on %s rises from %.2f to %.2f %%, expected "
                        "at most %.2f more (--max-cer-rise)",
                        run->command->positionals[1], options->check, before, after,
                        options->max_rise);
}

static s3r_status check_options(const convert_options *options, s3r_error *err)
{
    if (options->check_mask && !options->check)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "--check-mask: expected --check too");
    if (options->check_mask && options->mask)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--check-mask: expected no --mask, whose head is checked");
    return S3R_OK;
}

static s3r_status run_convert(const s3r_command *command, s3r_error *err)
{
    const convert_options *options = command->options;
    const char *dtype = dtype_names[options->dtype], *folder = command->positionals[1];
    check_run check = {
        .command = command, .options = options, .source = command->positionals[0]};
    s3r_session session;
    s3r_model_info info;
    s3r_status status = check_options(options, err);
    if (status == S3R_OK)
        status = s3r_session_open(&session, command,
                                  &(s3r_session_options){.model = command->positionals[0],
                                                         .language = options->language,
                                                         .mask = options->mask},
                                  err);
    if (status != S3R_OK)
        return status;
    s3r_model_get_info(session.model, &info);
    s3r_file_bar bar = {.terminal = command->terminal, .label = "converting"};
    s3r_model_save_options save;
    s3r_model_save_options_init(&save);
    save.dtype = dtype;
    save.is_forced = options->is_forced;
    save.accept = options->check ? accept : NULL;
    save.accept_context = &check;
    save.progress = s3r_file_bar_update;
    save.progress_context = &bar;
    s3r_interrupt_defer();
    status = s3r_model_save_with(session.model, folder, &save, err);
    s3r_file_bar_end(&bar);
    if (status == S3R_OK)
        s3r_print_note(command->terminal, "%s: %zu parameters as %s", folder,
                       info.parameter_count, dtype);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(convert_options, dtype),
     .values = "f32|f16|bf16|int8",
     .fallback = "f32",
     .help = "How weights are stored; f16 and bf16 round to nearest. int8: the "
             "matrices of the blocks, a scale for each output; s3r alone reads it."},
    {.name = "force",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(convert_options, is_forced),
     .help = "Replace a model that is in OUT; its other files stay."},
    {.name = "check",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(convert_options, check),
     .argument = "MANIFEST",
     .help = "Transcribe it before and after, and write nothing when the character "
             "error rate rises by more than --max-cer-rise."},
    {.name = "check-mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(convert_options, check_mask),
     .argument = "FILE.s3m",
     .help = "With --check, for a backbone without a head: transcribe with this mask "
             "file, which is not merged."},
    {.name = "max-cer-rise",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(convert_options, max_rise),
     .argument = "POINTS",
     .fallback = "0.3",
     .help = "For --check: percentage points of the character error rate."},
    {.name = "mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(convert_options, mask),
     .argument = "FILE.s3m",
     .help = "Write the merged model: removed weights are zero, new values, head and "
             "vocabulary are the mask file's."},
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(convert_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual model (MMS), as in \"deu\"."},
};

static const char *const example[] = {
    "s3r convert wav2vec_small_960h.pt wav2vec2-base-960h",
    "s3r convert --dtype bf16 wavlm-large wavlm-large-bf16",
    "s3r convert --mask nl.s3m wav2vec2-base wav2vec2-base-nl",
    "s3r convert --dtype int8 --check dev.jsonl --check-mask nl.s3m default s3r-int8",
    NULL};

const s3r_verb s3r_verb_convert = {
    .name = "convert",
    .summary = "Write a model as a Hugging Face folder",
    .description = "Writes config.json, preprocessor_config.json, vocab.json and "
                   "model.safetensors, then reads the tensors back and compares them. "
                   "OUT appears when it is complete. An OUT that holds something is "
                   "refused; with --force a model in it is replaced, other files stay.",
    .usage = "IN OUT",
    .positionals = {{"IN", NULL,
                     "A Hugging Face folder, a .safetensors file, a fairseq .pt, or "
                     "\"default\" for the shipped model."},
                    {"OUT", NULL, "The folder to write."}},
    .min_positionals = 2,
    .max_positionals = 2,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(convert_options),
    .example = example,
    .run = run_convert,
};
