/*
 * s3r transcribe: audio files in, one line of text or JSON a file out.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "audio_run.h"
#include "decode_options.h"
#include "line_text.h"

typedef struct transcribe_options {
    s3r_audio_verb_options audio; /* first: audio_option_list.h counts on it */
    int format;
    const char *emissions;
    s3r_decode_choice decode;
} transcribe_options;

#define S3R_DECODE_OFFSET(member) offsetof(transcribe_options, decode.member)

enum format { FORMAT_TXT, FORMAT_JSON };

/* How a line of text is made. */
typedef struct text_style {
    bool has_path;
} text_style;

static bool make_text_line(void *context, const s3r_result *result, char **line)
{
    const text_style *style = context;
    if (result->status != S3R_OK)
        return true;
    char *path = s3r_line_from_path(style->has_path ? result->path : "");
    char *text = s3r_line_from_text(result->text);
    if (path && text) {
        size_t bytes = strlen(path) + strlen(text) + sizeof "\t\n";
        *line = malloc(bytes);
        if (*line)
            snprintf(*line, bytes, "%s%s%s\n", path, style->has_path ? "\t" : "", text);
    }
    free(path);
    free(text);
    return *line != NULL;
}

/* Numbers for people and diff: without the noise of binary fractions. */
static json_t *json_rounded(double value, double unit)
{
    return json_real(round(value / unit) * unit);
}

static json_t *describe_label(const s3r_label *label, double frame_s)
{
    double frame_ms = 1000 * frame_s;
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "label",
                     s3r_json_from_bytes(label->text), "start_frame",
                     (json_int_t)label->start_frame, "end_frame",
                     (json_int_t)label->end_frame, "start_ms",
                     json_rounded((double)label->start_frame * frame_ms, 1e-3), "end_ms",
                     json_rounded((double)label->end_frame * frame_ms, 1e-3),
                     "confidence", json_rounded(label->confidence, 1e-6));
}

static json_t *describe_labels(const s3r_result *result)
{
    json_t *labels = json_array();
    for (size_t i = 0; i < result->label_count; i++)
        if (json_array_append_new(
                labels, describe_label(&result->labels[i], result->frame_s)) != 0) {
            json_decref(labels);
            return NULL;
        }
    return labels;
}

static json_t *describe_hypothesis(const s3r_hypothesis *hypothesis)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:I}", "text", s3r_json_from_bytes(hypothesis->text),
        "score", json_rounded(hypothesis->score, 1e-6), "emission",
        json_rounded(hypothesis->emission, 1e-6), "lm_log10",
        json_rounded(hypothesis->lm_log10, 1e-6), "words", (json_int_t)hypothesis->words);
}

/* Adds the texts of a search; false without memory. */
static bool add_hypotheses(json_t *value, const s3r_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->hypothesis_count; i++)
        if (json_array_append_new(list, describe_hypothesis(&result->hypotheses[i])) !=
            0) {
            json_decref(list);
            return false;
        }
    return json_object_set_new(value, "hypotheses", list) == 0;
}

static bool make_json_line(void *context, const s3r_result *result, char **line)
{
    (void)context;
    json_t *value = NULL;
    json_t *path = s3r_json_from_bytes(result->path);
    if (result->status != S3R_OK)
        value = json_pack("{s:o, s:n, s:n, s:n, s:n, s:n, s:[], s:o}", "path", path,
                          "duration_s", "frames", "frame_s", "text", "confidence",
                          "labels", "error", s3r_json_from_bytes(result->message));
    else
        value = json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:n}", "path", path,
                          "duration_s", json_rounded(result->duration_s, 1e-6), "frames",
                          (json_int_t)result->frame_count, "frame_s",
                          json_rounded(result->frame_s, 1e-9), "text",
                          s3r_json_from_bytes(result->text), "confidence",
                          json_rounded(result->confidence, 1e-6), "labels",
                          describe_labels(result), "error");
    if (value && result->hypothesis_count > 0 && !add_hypotheses(value, result)) {
        json_decref(value);
        return false;
    }
    *line = s3r_json_line(value);
    return *line != NULL;
}

static s3r_status run_transcribe(const s3r_command *command, s3r_error *err)
{
    const transcribe_options *options = command->options;
    s3r_session_options session_options = s3r_audio_verb_session(&options->audio);
    s3r_session session = {0};
    s3r_path_list paths;
    s3r_status status =
        s3r_path_list_make(&paths, command, options->audio.files_from, err);
    if (status == S3R_OK)
        status = s3r_session_open(&session, command, &session_options, err);
    text_style style = {.has_path = paths.count > 1 || options->audio.files_from};
    s3r_audio_job job = {
        .label = "transcribing",
        .emissions_folder = options->emissions,
        .layer = S3R_LAYER_LAST,
        .line = options->format == FORMAT_JSON ? make_json_line : make_text_line,
        .line_context = &style,
    };
    s3r_decoder *decoder = NULL;
    if (status == S3R_OK && options->decode.nbest > 1 && options->format != FORMAT_JSON)
        status = s3r_cli_fail(err, S3R_ERR_USAGE,
                              "--nbest: more than one text needs --format json");
    if (status == S3R_OK)
        status = s3r_decode_choice_open(&decoder, &options->decode, session.model,
                                        command->terminal, err);
    job.decoder = decoder;
    if (status == S3R_OK)
        status = s3r_audio_run(command, &session, &options->audio, &paths, &job, err);
    s3r_decoder_close(decoder);
    s3r_session_close(&session);
    s3r_path_list_release(&paths);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "format",
     .letter = 'f',
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(transcribe_options, format),
     .values = "txt|json",
     .fallback = "txt",
     .help =
         "What a line holds: the text, or an object with text, times and confidence."},
    {.name = "emissions",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(transcribe_options, emissions),
     .argument = "DIR",
     .help = "Also write the log-probabilities of NAME.wav as DIR/NAME.npy, float32 "
             "[frames, labels]."},
#include "decode_option_list.h"
    {.name = "nbest",
     .type = S3R_OPTION_SIZE,
     .offset = S3R_DECODE_OFFSET(nbest),
     .argument = "N",
     .fallback = "1",
     .help = "Texts that JSON has of each file, the best first."},
#include "audio_option_list.h"
};

static const char *const example[] = {
    "s3r transcribe -m wav2vec2-base-960h talk.flac",
    "s3r transcribe -m model --format json --emissions out *.wav",
    "arecord -f S16_LE -r 16000 -t raw | s3r transcribe -m model -", NULL};

const s3r_verb s3r_verb_transcribe = {
    .name = "transcribe",
    .summary = "Turn audio files into text",
    .description =
        "Greedy CTC: the best label of each frame, repeats merged, blanks removed; or, "
        "with a language model, a lexicon, hot words or a beam, the best text that a "
        "search finds (docs/decoding.md). Prints one line a file in the order of the "
        "files: the text alone for one file, path, "
        "tab and text for several or with --files-from. Control characters in a path are "
        "printed as \\n, \\t, \\xHH, a backslash as \\\\."
        "\n\n"
        "Files that fail are named on standard error and have no line of text (in JSON a "
        "line with \"error\"); the others are done, and the exit code is 6. When all "
        "files "
        "fail it is that of the first failure. After Ctrl-C the results so far are "
        "printed.",
    .usage = "[-m MODEL] FILE...",
    .positionals =
        {{"FILE", NULL,
          "Audio or video; - is standard input: a file, or raw samples (16 bit "
          "little-endian, mono)."}},
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(transcribe_options),
    .example = example,
    .run = run_transcribe,
};
