/*
 * s3r data prepare: a corpus as people have it in, manifests out, and a table of what is
 * in them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <s3r/data.h>

#include "data_run.h"
#include "interrupt.h"
#include "line_text.h"

typedef struct prepare_options {
    const char *out;
    const char *language;
    int split;
    bool is_cleaned, is_by_language, is_decoded;
    double max_rate, min_seconds, max_seconds;
} prepare_options;

/* What the library reports, printed or as JSON. */
typedef struct prepared {
    s3r_terminal *terminal;
    bool is_json, has_row, has_dropped;
    json_t *rows, *dropped; /* NULL without --json, or without memory */
    double seconds;
    size_t clips, words;
} prepared;

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static void on_row(void *context, const s3r_data_row *row)
{
    prepared *p = context;
    p->seconds += row->seconds;
    p->clips += row->clips;
    p->words += row->words;
    if (p->is_json) {
        json_array_append_new(p->rows,
                              json_pack("{s:o, s:o, s:I, s:f, s:I}", "language",
                                        s3r_json_from_bytes(row->language), "split",
                                        s3r_json_from_bytes(row->split), "clips",
                                        (json_int_t)row->clips, "seconds", row->seconds,
                                        "words", (json_int_t)row->words));
        return;
    }
    if (!p->has_row)
        printf("%-10s %-16s %9s %8s %9s\n", "language", "split", "minutes", "clips",
               "words");
    p->has_row = true;
    printf("%-10s %-16s %9.1f %8zu %9zu\n", or_dash(row->language), row->split,
           row->seconds / 60, row->clips, row->words);
}

static void on_dropped(void *context, const char *reason, size_t count)
{
    prepared *p = context;
    if (p->is_json) {
        json_object_set_new(p->dropped, reason, json_integer((json_int_t)count));
        return;
    }
    if (!p->has_dropped) {
        printf("%-10s %-16s %9.1f %8zu %9zu\n\ndropped\n", "all", "", p->seconds / 60,
               p->clips, p->words);
        p->has_dropped = true;
    }
    printf("%8zu  %s\n", count, reason);
}

static void on_other_length(void *context, size_t count, const char *first_id)
{
    const prepared *p = context;
    char *id = s3r_line_from_text(first_id);
    s3r_print_warning(p->terminal,
                      "%zu utterances are longer or shorter than the layout's table "
                      "says, the first is %s: is it the right audio?",
                      count, id ? id : "");
    free(id);
}

static s3r_status print_end(prepared *p, s3r_error *err)
{
    if (!p->is_json) {
        if (!p->has_dropped)
            printf("%-10s %-16s %9.1f %8zu %9zu\n", "all", "", p->seconds / 60, p->clips,
                   p->words);
        return S3R_OK;
    }
    char *line =
        s3r_json_line(json_pack("{s:O, s:O}", "splits", p->rows, "dropped", p->dropped));
    if (!line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the result");
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

static s3r_status prepare(const s3r_command *command, const s3r_session *session,
                          s3r_error *err)
{
    const prepare_options *options = command->options;
    s3r_file_bar bar = {.terminal = command->terminal, .label = "measuring"};
    prepared p = {.is_json = command->global.is_json, .terminal = command->terminal};
    s3r_prepare_data_result result = {on_row, on_dropped, &p, on_other_length};
    s3r_prepare_data_options library;
    s3r_prepare_data_options_init(&library);
    library.layouts = command->positionals[0];
    library.source = command->positional_count > 1 ? command->positionals[1] : NULL;
    library.language = options->language;
    library.folder = options->out;
    library.split = (s3r_data_split_mode)options->split;
    library.is_cleaned = options->is_cleaned;
    library.is_by_language = options->is_by_language;
    library.is_decoded = options->is_decoded;
    library.max_rate = options->max_rate;
    library.min_seconds = options->min_seconds;
    library.max_seconds = options->max_seconds;
    library.progress = s3r_file_bar_update;
    library.progress_context = &bar;
    if (p.is_json) {
        p.rows = json_array();
        p.dropped = json_object();
    }
    s3r_interrupt_defer();
    s3r_status status = s3r_data_prepare(session->context, &library, &result, err);
    s3r_file_bar_end(&bar);
    if (status == S3R_OK)
        status = print_end(&p, err);
    json_decref(p.rows);
    json_decref(p.dropped);
    return status;
}

static s3r_status run_prepare(const s3r_command *command, s3r_error *err)
{
    const prepare_options *options = command->options;
    s3r_session session = {0};
    if (!options->out)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "data prepare: expected -o DIR (see s3r help data prepare)");
    s3r_status status = s3r_session_open_context(&session, command, err);
    if (status == S3R_OK)
        status = prepare(command, &session, err);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(prepare_options, out),
     .argument = "DIR",
     .help = "Where the manifests go; made when it is not there."},
    {.name = "lang",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(prepare_options, language),
     .argument = "LANG",
     .help = "Only this language, as in \"cs\"; where the data does not say its "
             "language, this is it."},
    {.name = "split",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(prepare_options, split),
     .values = "layout|text",
     .fallback = "layout",
     .help = "As the layout says, or 80/10/10 by text so that no text is in two splits. "
             "The layouts of Debian packages do so anyway."},
    {.name = "clean",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(prepare_options, is_cleaned),
     .help = "Leave out repeated audio and clips that are too short, also for their "
             "text. Always so with --split text."},
    {.name = "max-rate",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(prepare_options, max_rate),
     .argument = "N",
     .fallback = "26",
     .help = "Cleaning leaves out clips with more characters a second; 0 is any."},
    {.name = "min-seconds",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(prepare_options, min_seconds),
     .argument = "S",
     .fallback = "0.4",
     .help = "Cleaning leaves out shorter clips."},
    {.name = "max-seconds",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(prepare_options, max_seconds),
     .argument = "S",
     .fallback = "0",
     .help = "Leave out longer clips; 0 is any."},
    {.name = "decode",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(prepare_options, is_decoded),
     .help = "Decode every file, so that damaged ones are left out; else headers are "
             "believed."},
    {.name = "per-language",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(prepare_options, is_by_language),
     .help = "Write DIR/LANG/SPLIT.jsonl."},
};

static const char *const example[] = {
    "s3r data prepare librispeech LibriSpeech -o data",
    "s3r data prepare commonvoice cv-corpus-17.0/ky -o data/ky --max-seconds 20",
    "s3r data prepare debian -o data/fr --lang fr", NULL};

const s3r_verb s3r_verb_data_prepare = {
    .name = "data prepare",
    .summary = "Make manifests of a corpus",
    .description =
        "Reads a corpus in the layout that it is published in, measures its audio and "
        "writes DIR/train.jsonl, DIR/dev.jsonl and DIR/test.jsonl, or the splits that "
        "the layout has; data without a split becomes DIR/all.jsonl. Audio is neither "
        "copied nor converted. Prints minutes, clips and words of each language and "
        "split and what was left out; DIR/dropped.tsv names the files."
        "\n\n"
        "Layouts: librispeech (also Libri-light's 10m, 1h and 10h), commonvoice, fleurs, "
        "fairseq, kaldi, huggingface, folder (audio without texts). Speech from Debian "
        "packages: tuxpaint, fillets, "
        "asterisk, or debian for all of them; without SOURCE the packages are fetched by "
        "apt-get, else SOURCE is a folder of .deb files or of their content. Several "
        "layouts are parted by commas.",
    .usage = "LAYOUT [SOURCE] -o DIR",
    .positionals =
        {{"LAYOUT",
          "librispeech|commonvoice|fleurs|fairseq|kaldi|huggingface|folder|tuxpaint|"
          "fillets|asterisk|debian",
          "What the data looks like, see above."},
         {"SOURCE", NULL, "The folder of the data, or a file of it."}},
    .min_positionals = 1,
    .max_positionals = 2,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(prepare_options),
    .has_json = true,
    .example = example,
    .run = run_prepare,
};
