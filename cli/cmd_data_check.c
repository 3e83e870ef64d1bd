/*
 * s3r data check: what is wrong with manifests, utterance by utterance.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <s3r/data.h>

#include "data_run.h"
#include "interrupt.h"
#include "line_text.h"

typedef struct check_options {
    const char *model, *vocabulary, *language, *ignored;
    double max_rate, min_rate;
    bool believes_headers;
} check_options;

typedef struct reporter {
    bool is_json;
    json_t *problems;
    s3r_file_bar *bar;
} reporter;

static s3r_status add_json(reporter *r, const s3r_data_problem *problem)
{
    json_t *object =
        json_pack("{s:o, s:I, s:o, s:o, s:s, s:o}", "manifest",
                  s3r_json_from_bytes(problem->manifest), "line",
                  (json_int_t)problem->line, "id", s3r_json_from_bytes(problem->id),
                  "audio", s3r_json_from_bytes(problem->audio_path), "reason",
                  problem->reason, "message", s3r_json_from_bytes(problem->message));
    return json_array_append_new(r->problems, object) == 0 ? S3R_OK : S3R_ERR_RESOURCE;
}

/* manifest:line <tab> reason <tab> id <tab> message */
static s3r_status on_problem(void *context, const s3r_data_problem *problem)
{
    reporter *r = context;
    s3r_file_bar_end(r->bar);
    if (r->is_json)
        return add_json(r, problem);
    char *path = s3r_line_from_path(problem->manifest);
    char *id = s3r_line_from_text(problem->id);
    char *message = s3r_line_from_text(problem->message);
    bool is_complete = path && id && message;
    if (is_complete)
        printf("%s:%zu\t%s\t%s\t%s\n", path, problem->line, problem->reason, id, message);
    free(path);
    free(id);
    free(message);
    return is_complete ? S3R_OK : S3R_ERR_RESOURCE;
}

static s3r_status print_json(const reporter *r, size_t clips, size_t failed,
                             s3r_error *err)
{
    char *line =
        s3r_json_line(json_pack("{s:I, s:I, s:O}", "clips", (json_int_t)clips, "failed",
                                (json_int_t)failed, "problems", r->problems));
    if (!line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the result");
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

static s3r_status check(const s3r_command *command, const s3r_session *session,
                        s3r_error *err)
{
    const check_options *options = command->options;
    size_t clips = 0, failed = 0;
    s3r_file_bar bar = {.terminal = command->terminal, .label = "decoding"};
    reporter r = {.is_json = command->global.is_json, .bar = &bar};
    s3r_check_data_options library;
    s3r_check_data_options_init(&library);
    library.model = session->model;
    library.vocabulary_folder = options->vocabulary;
    library.language = options->language;
    library.ignored = options->ignored;
    library.max_rate = options->max_rate;
    library.min_rate = options->min_rate;
    library.believes_headers = options->believes_headers;
    library.progress = s3r_file_bar_update;
    library.progress_context = &bar;
    if (r.is_json)
        r.problems = json_array();
    s3r_interrupt_defer();
    s3r_status status =
        s3r_data_check(session->context, command->positionals, command->positional_count,
                       &library, on_problem, &r, &clips, &failed, err);
    s3r_file_bar_end(&bar);
    if (r.is_json && (status == S3R_OK || status == S3R_ERR_PARTIAL)) {
        s3r_status printed = print_json(&r, clips, failed, err);
        status = printed == S3R_OK ? status : printed;
    }
    if (status == S3R_OK)
        s3r_print_note(command->terminal, "%zu utterances, no problem", clips);
    json_decref(r.problems);
    return status;
}

static s3r_status run_check(const s3r_command *command, s3r_error *err)
{
    const check_options *options = command->options;
    s3r_session session = {0};
    s3r_session_options session_options = {.model = options->model,
                                           .language = options->language};
    if (options->model && options->vocabulary)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "data check: expected --vocab or -m, found both");
    s3r_status status = options->model
                            ? s3r_session_open(&session, command, &session_options, err)
                            : s3r_session_open_context(&session, command, err);
    if (status == S3R_OK)
        status = check(command, &session, err);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(check_options, model),
     .argument = "MODEL",
     .help = "Check the texts against the vocabulary and the frames of this model."},
    {.name = "vocab",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(check_options, vocabulary),
     .argument = "DIR",
     .help = "Check the texts against the vocabulary in this folder."},
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(check_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual vocabulary, as in \"deu\"."},
    {.name = "max-rate",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(check_options, max_rate),
     .argument = "N",
     .fallback = "26",
     .help = "More characters a second are too many; 0 is any number."},
    {.name = "min-rate",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(check_options, min_rate),
     .argument = "N",
     .fallback = "1",
     .help = "Fewer characters a second are too few, when 2 seconds of silence do not "
             "explain it; 0 is any number."},
    {.name = "ignore",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(check_options, ignored),
     .argument = "REASONS",
     .help = "Reasons that are no problem, parted by commas."},
    {.name = "headers",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(check_options, believes_headers),
     .help = "Believe the headers of audio files instead of decoding them."},
};

static const char *const example[] = {
    "s3r data check data/train.jsonl data/dev.jsonl data/test.jsonl",
    "s3r data check -m wav2vec2-base-960h --ignore same-text data/train.jsonl", NULL};

const s3r_verb s3r_verb_data_check = {
    .name = "data check",
    .summary = "Find what is wrong with manifests",
    .description =
        "Decodes all audio and prints a line for each problem: manifest and line, "
        "reason, id and message, parted by tabs. Exit code 6 when there are any."
        "\n\n"
        "Reasons: unreadable (audio), beyond-end (the part lies outside of its file), "
        "no-text, too-short and too-long (for the text), vocabulary (characters that it "
        "lacks), same-text (also in another of the manifests), same-audio (also in "
        "another or again).",
    .usage = "MANIFEST...",
    .positionals = {{"MANIFEST", NULL, "JSON lines, see docs/data.md."}},
    .min_positionals = 1,
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(check_options),
    .has_json = true,
    .example = example,
    .run = run_check,
};
