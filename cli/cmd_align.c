/*
 * s3r align: when each word of a known text is said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <s3r/align.h>

#include "interrupt.h"
#include "line_text.h"
#include "session.h"
#include "text_file.h"
#include "transcript_output.h"

typedef struct align_options {
    const char *model, *mask, *language, *text, *literal, *manifest;
    int dtype, missing;
    double doubt, window_s, context_s;
    bool is_without_ffmpeg;
    s3r_transcript_verb_options transcript;
} align_options;

enum { DTYPE_F32, DTYPE_BF16 };

typedef struct align_run {
    const s3r_command *command;
    s3r_progress progress;
    s3r_transcript_output output;
    size_t count, failed, words, doubtful;
    s3r_error first_failure;
    s3r_status line_status;
    s3r_error line_error;
} align_run;

/* ---- texts ---- */

static s3r_status check_inputs(const s3r_command *command, s3r_error *err)
{
    const align_options *options = command->options;
    int texts = (options->text != NULL) + (options->literal != NULL);
    if (options->manifest && (texts > 0 || command->positional_count > 0))
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "align: expected --manifest, or a text and FILE, found both");
    if (!options->manifest && (texts != 1 || command->positional_count != 1))
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "align: expected one of --text and --literal with one FILE, "
                            "or --manifest (see s3r help align)");
    return S3R_OK;
}

/* ---- results ---- */

static void tell_doubtful(align_run *run, const s3r_result *result)
{
    for (size_t i = 0; i < result->word_count; i++) {
        const s3r_word *word = &result->words[i];
        run->words++;
        if (!word->is_doubtful)
            continue;
        run->doubtful++;
        char *text = s3r_line_from_text(word->text);
        if (word->label_count == 0)
            s3r_print_note(run->command->terminal, "%s: \"%s\" has no labels",
                           result->path, text ? text : "");
        else
            s3r_print_note(run->command->terminal,
                           "%s: \"%s\" at %.2f s may not be in the audio (score %.2f)",
                           result->path, text ? text : "",
                           result->frame_s * (double)word->start_frame,
                           (double)word->score);
        free(text);
    }
}

static s3r_status on_result(void *context, const s3r_result *result)
{
    align_run *run = context;
    char *line = NULL;
    s3r_progress_end(&run->progress);
    run->count++;
    if (result->status != S3R_OK) {
        if (run->failed++ == 0)
            s3r_cli_fail(&run->first_failure, result->status, "%s", result->message);
        if (((const align_options *)run->command->options)->manifest)
            s3r_print_error(run->command->terminal, "%s", result->message);
    }
    tell_doubtful(run, result);
    run->line_status =
        s3r_transcript_output_line(&run->output, result, &line, &run->line_error);
    if (line)
        fputs(line, stdout);
    free(line);
    return run->line_status;
}

/* From the library's status to the verb's. */
static s3r_status conclude(const align_run *run, s3r_status status, s3r_error *err)
{
    if (run->line_status != S3R_OK) {
        *err = run->line_error;
        return run->line_status;
    }
    if (status != S3R_ERR_PARTIAL)
        return status;
    if (run->failed == run->count) {
        *err = run->first_failure;
        return err->code;
    }
    return status;
}

static s3r_status align(align_run *run, const s3r_session *session, const char *text,
                        s3r_error *err)
{
    const align_options *options = run->command->options;
    s3r_align_options library;
    s3r_align_options_init(&library);
    library.missing = (s3r_align_missing)options->missing;
    library.doubt = options->doubt;
    library.window_s = options->window_s;
    library.context_s = options->context_s;
    library.allow_ffmpeg = !options->is_without_ffmpeg;
    library.progress = s3r_progress_take;
    library.progress_context = &run->progress;
    s3r_interrupt_defer();
    s3r_progress_start(&run->progress, run->command->terminal, "aligning", 1);
    s3r_status status;
    if (options->manifest) {
        status = s3r_align_manifest(session->context, session->model, options->manifest,
                                    &library, on_result, run, err);
    } else {
        const s3r_align_item item = {run->command->positionals[0], text};
        status = s3r_align(session->context, session->model, &item, 1, &library,
                           on_result, run, err);
    }
    s3r_progress_end(&run->progress);
    if (run->doubtful > 0)
        s3r_print_note(run->command->terminal, "%zu of %zu words are doubtful",
                       run->doubtful, run->words);
    return conclude(run, status, err);
}

static s3r_status run_align(const s3r_command *command, s3r_error *err)
{
    const align_options *options = command->options;
    align_run run = {.command = command};
    s3r_session session = {0};
    char *text = NULL;
    const s3r_session_options session_options = {.model = options->model,
                                                 .mask = options->mask,
                                                 .language = options->language,
                                                 .is_bf16 = options->dtype == DTYPE_BF16};
    s3r_status status = check_inputs(command, err);
    size_t several = options->manifest ? 2 : 1; /* subtitles of many need a folder */
    if (status == S3R_OK)
        status =
            s3r_transcript_output_set(&run.output, &options->transcript,
                                      options->manifest ? NULL : command->positionals,
                                      NULL, several, false, false, err);
    if (status == S3R_OK && options->text)
        status = s3r_text_file_read(&text, options->text, "the text", err);
    if (status == S3R_OK)
        status = s3r_session_open(&session, command, &session_options, err);
    if (status == S3R_OK)
        status = align(&run, &session, text ? text : options->literal, err);
    s3r_session_close(&session);
    free(text);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(align_options, model),
     .argument = "MODEL",
     .help = "The model: a Hugging Face folder, a .safetensors file, a fairseq .pt or "
             "the name of a shipped model. Without it the shipped one."},
    {.name = "mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(align_options, mask),
     .argument = "FILE.s3m",
     .help = "A mask file to apply: its head and vocabulary replace the model's."},
    {.name = "text",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(align_options, text),
     .argument = "FILE",
     .help = "The text that is said in FILE, as UTF-8."},
    {.name = "literal",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(align_options, literal),
     .argument = "TEXT",
     .help = "The text itself."},
    {.name = "manifest",
     .letter = 'd',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(align_options, manifest),
     .argument = "MANIFEST",
     .help = "Instead: utterances with their texts, as JSON lines."},
    {.name = "missing",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(align_options, missing),
     .values = "refuse|skip|star",
     .fallback = "refuse",
     .help = "What to do with characters that have no label: fail and name them; align "
             "the rest; let each run of them stand for any sound."},
    {.name = "doubt",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(align_options, doubt),
     .argument = "SCORE",
     .fallback = "-3",
     .help = "Words with a lower score are told as doubtful: not in the audio, it "
             "seems."},
#define S3R_VERB_OPTIONS   align_options
#define S3R_DEFAULT_FORMAT "ctm"
#include "transcript_option_list.h"
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(align_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual model (MMS), as in \"deu\"."},
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(align_options, dtype),
     .values = "f32|bf16",
     .fallback = "f32",
     .help = "Numbers to multiply; sums are always f32."},
    {.name = "window",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(align_options, window_s),
     .argument = "SECONDS",
     .fallback = "40",
     .help = "Longer files run in pieces of at most this length."},
    {.name = "context",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(align_options, context_s),
     .argument = "SECONDS",
     .fallback = "4",
     .help = "Audio that a piece hears on both sides beyond what it keeps."},
    {.name = "no-ffmpeg",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(align_options, is_without_ffmpeg),
     .help = "Never call ffmpeg; files that only it can read fail."},
};

static const char *const example[] = {
    "s3r align --mask french.s3m --text chapter.txt chapter.mp3",
    "s3r align --mask french.s3m --text chapter.txt -f textgrid,srt -o out chapter.mp3",
    "s3r align -m wav2vec2-base-960h --manifest corpus.jsonl --missing star -f json",
    NULL};

const s3r_verb s3r_verb_align = {
    .name = "align",
    .summary = "Find when each word of a known text is said",
    .description =
        "Forced alignment: of all ways to say the text over the audio, the likeliest for "
        "the model, found exactly. Prints a line a word (ctm) or what --format says."
        "\n\n"
        "Words that do not seem to be in the audio are named on standard error; in JSON "
        "they are \"doubtful\". Recordings may last hours.",
    .usage = "[-m MODEL] --text TEXT_FILE FILE",
    .positionals = {{"FILE", NULL, "Audio or video; - is standard input."}},
    .max_positionals = 1,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(align_options),
    .example = example,
    .run = run_align,
};
