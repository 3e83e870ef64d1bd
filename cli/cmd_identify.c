/*
 * s3r identify: which language is spoken in audio files; or, on a manifest, how often the
 * right one is named.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "audio_run.h"
#include "interrupt.h"
#include "line_text.h"

typedef struct identify_options {
    s3r_audio_verb_options audio; /* first: audio_option_list.h counts on it */
    const char *manifest;
    size_t top;
} identify_options;

/* ---- files ---- */

typedef struct line_style {
    size_t top;
    bool is_json;
} line_style;

static json_t *describe_result(const s3r_result *result)
{
    json_t *languages = json_array();
    if (result->status != S3R_OK) {
        json_decref(languages);
        return json_pack("{s:o, s:s}", "path", s3r_json_from_bytes(result->path), "error",
                         result->message);
    }
    for (size_t i = 0; i < result->language_count; i++)
        json_array_append_new(languages,
                              json_pack("{s:o, s:f}", "language",
                                        s3r_json_from_bytes(result->languages[i].name),
                                        "probability", result->languages[i].probability));
    return json_pack("{s:o, s:f, s:o}", "path", s3r_json_from_bytes(result->path),
                     "duration_s", result->duration_s, "languages", languages);
}

/* "\tnl\t0.9731" for each of the likeliest; NULL without memory. */
static char *fields_of(const s3r_result *result, size_t top)
{
    size_t count = top < result->language_count ? top : result->language_count;
    size_t bytes = 2, used = 0;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(result->languages[i].name) + 16;
    char *fields = malloc(bytes);
    for (size_t i = 0; fields && i < count; i++) {
        char *name = s3r_line_from_text(result->languages[i].name);
        if (!name) {
            free(fields);
            return NULL;
        }
        used += (size_t)snprintf(fields + used, bytes - used, "\t%s\t%.4f", name,
                                 result->languages[i].probability);
        free(name);
    }
    return fields;
}

static char *text_line(const s3r_result *result, size_t top)
{
    char *path = s3r_line_from_path(result->path);
    char *fields = fields_of(result, top), *line = NULL;
    size_t bytes = path && fields ? strlen(path) + strlen(fields) + 2 : 0;
    if (bytes > 0)
        line = malloc(bytes);
    if (line)
        snprintf(line, bytes, "%s%s\n", path, fields);
    free(path);
    free(fields);
    return line;
}

static s3r_status make_line(void *context, const s3r_result *result, char **line,
                            s3r_error *err)
{
    const line_style *style = context;
    if (style->is_json)
        *line = s3r_json_line(describe_result(result));
    else if (result->status == S3R_OK)
        *line = text_line(result, style->top);
    else
        return S3R_OK; /* named on standard error */
    return *line ? S3R_OK : s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for a line");
}

static s3r_status identify_files(const s3r_command *command, const s3r_session *session,
                                 s3r_error *err)
{
    const identify_options *options = command->options;
    line_style style = {.top = options->top, .is_json = command->global.is_json};
    const s3r_audio_job job = {.label = "identifying",
                               .identifies_languages = true,
                               .line = make_line,
                               .line_context = &style};
    s3r_path_list paths;
    s3r_status status =
        s3r_path_list_make(&paths, command, options->audio.files_from, err);
    if (status == S3R_OK)
        status = s3r_audio_run(command, session, &options->audio, &paths, &job, err);
    s3r_path_list_release(&paths);
    return status;
}

/* ---- a manifest ---- */

typedef struct manifest_run {
    const s3r_command *command;
    s3r_progress progress;
} manifest_run;

static s3r_status on_utterance(void *context, const s3r_result *result)
{
    manifest_run *run = context;
    if (result->status != S3R_OK)
        s3r_print_error(run->command->terminal, "%s", result->message);
    return S3R_OK;
}

static char *language_name(const s3r_model *model, size_t index)
{
    return s3r_line_from_text(s3r_model_language(model, index));
}

static void print_languages(const s3r_model *model, const s3r_identify_summary *summary)
{
    printf("\n%-12s %10s %10s %10s\n", "language", "utterances", "right", "accuracy %");
    for (size_t c = 0; c < summary->language_count; c++) {
        size_t utterances, right;
        char *name = language_name(model, c);
        s3r_identify_count(summary, c, &utterances, &right);
        printf("%-12s %10zu %10zu ", name ? name : "", utterances, right);
        if (utterances > 0)
            printf("%10.2f\n", 100 * (double)right / (double)utterances);
        else
            printf("%10s\n", "-");
        free(name);
    }
}

/* Rows are what is spoken, columns what was named. */
static void print_confusion(const s3r_model *model, const s3r_identify_summary *summary)
{
    size_t count = summary->language_count;
    printf("\n%-12s", "as");
    for (size_t c = 0; c < count; c++) {
        char *name = language_name(model, c);
        printf(" %6s", name ? name : "");
        free(name);
    }
    for (size_t r = 0; r < count; r++) {
        char *name = language_name(model, r);
        printf("\n%-12s", name ? name : "");
        for (size_t c = 0; c < count; c++)
            printf(" %6zu", summary->confusion[r * count + c]);
        free(name);
    }
    putchar('\n');
}

static void print_text(const s3r_model *model, const s3r_identify_summary *summary)
{
    printf("accuracy %.2f %% (%zu of %zu utterances, %.1f s), mean over languages %.2f "
           "%%, %zu failed\n",
           100 * summary->accuracy, summary->right, summary->utterances,
           summary->duration_s, 100 * summary->mean_accuracy, summary->failed);
    print_languages(model, summary);
    print_confusion(model, summary);
}

static json_t *describe_languages(const s3r_model *model,
                                  const s3r_identify_summary *summary)
{
    json_t *list = json_array();
    for (size_t c = 0; c < summary->language_count; c++) {
        size_t utterances, right;
        s3r_identify_count(summary, c, &utterances, &right);
        json_t *accuracy =
            utterances > 0 ? json_real((double)right / (double)utterances) : json_null();
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:I, s:o}", "language",
                                        s3r_json_from_bytes(s3r_model_language(model, c)),
                                        "utterances", (json_int_t)utterances, "right",
                                        (json_int_t)right, "accuracy", accuracy));
    }
    return list;
}

static json_t *describe_summary(const char *manifest, const s3r_model *model,
                                const s3r_identify_summary *summary)
{
    json_t *confusion = json_array();
    for (size_t r = 0; r < summary->language_count; r++) {
        json_t *row = json_array();
        for (size_t c = 0; c < summary->language_count; c++)
            json_array_append_new(
                row,
                json_integer(
                    (json_int_t)summary->confusion[r * summary->language_count + c]));
        json_array_append_new(confusion, row);
    }
    return json_pack("{s:o, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:o}", "manifest",
                     s3r_json_from_bytes(manifest), "utterances",
                     (json_int_t)summary->utterances, "right", (json_int_t)summary->right,
                     "failed", (json_int_t)summary->failed, "accuracy", summary->accuracy,
                     "mean_accuracy", summary->mean_accuracy, "duration_s",
                     summary->duration_s, "languages", describe_languages(model, summary),
                     "confusion", confusion);
}

static s3r_status show(const s3r_command *command, const s3r_model *model,
                       const s3r_identify_summary *summary, s3r_error *err)
{
    const identify_options *options = command->options;
    if (!command->global.is_json) {
        print_text(model, summary);
        return S3R_OK;
    }
    char *line = s3r_json_line(describe_summary(options->manifest, model, summary));
    if (!line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the results");
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

static s3r_status identify_manifest(const s3r_command *command,
                                    const s3r_session *session, s3r_error *err)
{
    const identify_options *options = command->options;
    manifest_run run = {.command = command};
    s3r_identify_summary summary;
    s3r_identify_options library;
    s3r_audio_verb_identify(&library, &options->audio);
    library.progress = s3r_progress_take;
    library.progress_context = &run.progress;
    s3r_interrupt_defer();
    s3r_progress_start(&run.progress, command->terminal, "identifying", 1);
    s3r_status status =
        s3r_identify_manifest(session->context, session->model, options->manifest,
                              &library, on_utterance, &run, &summary, err);
    s3r_progress_end(&run.progress);
    if (status != S3R_OK && status != S3R_ERR_PARTIAL)
        return status;
    s3r_status shown = show(command, session->model, &summary, err);
    s3r_identify_summary_release(&summary);
    return shown != S3R_OK ? shown : status;
}

/* ---- the verb ---- */

static s3r_status run_identify(const s3r_command *command, s3r_error *err)
{
    const identify_options *options = command->options;
    const s3r_session_options session_options = s3r_audio_verb_session(&options->audio);
    s3r_session session;
    if (options->manifest && (command->positional_count > 0 || options->audio.files_from))
        return s3r_cli_fail(
            err, S3R_ERR_USAGE,
            "identify: expected files, or a manifest with --manifest, found "
            "both");
    if (options->top == 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "--top: expected at least 1, found 0");
    s3r_status status = s3r_session_open(&session, command, &session_options, err);
    if (status != S3R_OK)
        return status;
    status = options->manifest ? identify_manifest(command, &session, err)
                               : identify_files(command, &session, err);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "top",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(identify_options, top),
     .argument = "N",
     .fallback = "1",
     .help = "Languages that a line of text has, the likeliest first; JSON has all."},
    {.name = "manifest",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(identify_options, manifest),
     .argument = "MANIFEST",
     .help = "Instead of files: utterances whose \"lang\" is known, to count how often "
             "it is named."},
#define S3R_LANGUAGE_LETTER 0
#define S3R_LANGUAGE_HELP   "With --masks: the mask that tells languages apart."
#include "audio_option_list.h"
};

static const char *const example[] = {
    "s3r identify --mask languages.s3m talk.flac",
    "s3r identify --mask languages.s3m --top 3 *.wav",
    "s3r identify --mask languages.s3m --manifest test.jsonl", NULL};

const s3r_verb s3r_verb_identify = {
    .name = "identify",
    .summary = "Tell which language is spoken",
    .description =
        "Prints a line a file in the order of the files: path, language, probability, "
        "with tabs between them; with --top N the N likeliest languages. The mask file "
        "is one that s3r train --task lid made; it knows its own languages only, and "
        "names one of them whatever it hears (docs/identification.md)."
        "\n\n"
        "With --manifest it names the language of each utterance of a manifest and "
        "prints "
        "how many are right: of all, of each language, and what each was taken for."
        "\n\n"
        "With --json files have an object a line with all languages, a manifest has one "
        "object. Files that fail are named on standard error; the others are done, and "
        "the exit code is 6. When all files fail it is that of the first failure.",
    .usage = "[-m MODEL] --mask FILE.s3m FILE...",
    .positionals =
        {{"FILE", NULL,
          "Audio or video; - is standard input: a file, or raw samples (16 bit "
          "little-endian, mono)."}},
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(identify_options),
    .example = example,
    .has_json = true,
    .run = run_identify,
};
