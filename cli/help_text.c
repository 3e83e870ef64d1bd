/*
 * Help text: two columns, wrapped at 80 characters.
 */
#include "help_text.h"

#include <string.h>

#define COLUMNS     80
#define HELP_COLUMN 28

const s3r_exit_code s3r_exit_codes[] = {
    {0, "success"},
    {1, "failure at run time: disk full, write error, a failed check"},
    {2, "wrong usage or configuration"},
    {3, "a model or mask is unreadable or does not match"},
    {4, "data or audio is unreadable"},
    {5, "the work would not fit: memory or a limit"},
    {6, "some inputs failed (they are listed), the others are done"},
    {7, "training diverged: NaN or infinity persists"},
    {130, "interrupted (Ctrl-C)"},
    {143, "terminated (SIGTERM)"},
};
const size_t s3r_exit_code_count = sizeof s3r_exit_codes / sizeof s3r_exit_codes[0];

/* Prints text word by word; the cursor is at column `at`, later lines start at `indent`.
 */
static void print_wrapped(FILE *out, const char *text, size_t at, size_t indent)
{
    bool is_line_start = true;
    while (*text != '\0') {
        size_t length = strcspn(text, " \n");
        if (!is_line_start && at + 1 + length > COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
            is_line_start = true;
        }
        at += length + !is_line_start;
        fprintf(out, "%s%.*s", is_line_start ? "" : " ", (int)length, text);
        is_line_start = false;
        text += length;
        if (text[0] == '\n' && text[1] == '\n') {
            fprintf(out, "\n\n%*s", (int)indent, "");
            at = indent;
            is_line_start = true;
        }
        text += strspn(text, " \n");
    }
    fputc('\n', out);
}

static void print_row(FILE *out, const char *label, const char *help)
{
    size_t at = 2 + strlen(label);
    fprintf(out, "  %s", label);
    if (at + 2 > HELP_COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", (int)(HELP_COLUMN - at), "");
    print_wrapped(out, help, HELP_COLUMN, HELP_COLUMN);
}

void s3r_option_label(const s3r_option *option, char *text, size_t text_bytes)
{
    char letter[5] = "    ";
    const char *value = option->argument ? option->argument : option->values;
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    /* A long list of values is told in the help. */
    if (value && !option->argument && strlen(value) > 16)
        value = "NAME";
    snprintf(text, text_bytes, "%s--%s%s%s", letter, option->name, value ? " " : "",
             value ? value : "");
}

void s3r_option_help(const s3r_option *option, char *text, size_t text_bytes)
{
    const char *values = option->values, *value = NULL;
    size_t length = 0;
    int used = snprintf(text, text_bytes, "%s", option->help);
    const char *before = " One of ";
    while (values && (length = s3r_option_next_value(&values, &value)) > 0) {
        used += snprintf(text + used, text_bytes - (size_t)used, "%s%.*s", before,
                         (int)length, value);
        before = ", ";
    }
    if (option->values)
        used += snprintf(text + used, text_bytes - (size_t)used, ".");
    if (option->type == S3R_OPTION_LIST)
        used += snprintf(text + used, text_bytes - (size_t)used, " May be repeated.");
    if (option->fallback)
        used += snprintf(text + used, text_bytes - (size_t)used, " (default: %s%s%s)",
                         option->fallback, option->environment ? ", or $" : "",
                         option->environment ? option->environment : "");
}

static void print_options(FILE *out, const char *title, const s3r_option *options,
                          size_t count, const s3r_verb *verb, bool is_global)
{
    if (count > 0)
        fprintf(out, "\n%s:\n", title);
    for (size_t i = 0; i < count; i++) {
        char label[128], help[1024];
        if (is_global && !s3r_verb_has_global(verb, &options[i]))
            continue;
        s3r_option_label(&options[i], label, sizeof label);
        s3r_option_help(&options[i], help, sizeof help);
        print_row(out, label, help);
    }
}

void s3r_help_print_overview(FILE *out)
{
    fputs("Usage: s3r VERB [OPTION...] [ARGUMENT...]\n\n", out);
    print_wrapped(out,
                  "Runs speech models of the wav2vec 2.0 family: any checkpoint and any "
                  "audio in, text out.",
                  0, 0);
    fputs("\nVerbs:\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++)
        if (!s3r_verbs[i]->is_hidden)
            print_row(out, s3r_verbs[i]->name, s3r_verbs[i]->summary);
    fputs("\n", out);
    print_row(out, "s3r help VERB", "Everything about one verb.");
    print_row(out, "s3r --version", "The version.");
    fputs("\nExit codes:\n", out);
    for (size_t i = 0; i < s3r_exit_code_count; i++)
        fprintf(out, "  %3d  %s\n", s3r_exit_codes[i].code, s3r_exit_codes[i].meaning);
}

bool s3r_help_print_family(FILE *out, const char *word)
{
    size_t index = 0, length = strlen(word);
    const s3r_verb *verb = s3r_verb_in_family(word, length, &index);
    if (!verb)
        return false;
    fprintf(out, "Usage: s3r %s VERB [OPTION...] [ARGUMENT...]\n\nVerbs:\n", word);
    for (; verb; verb = s3r_verb_in_family(word, length, &index))
        print_row(out, verb->name, verb->summary);
    fprintf(out, "\n");
    char label[80];
    snprintf(label, sizeof label, "s3r help %.32s VERB", word);
    print_row(out, label, "Everything about one verb.");
    return true;
}

void s3r_help_print_verb(FILE *out, const s3r_verb *verb)
{
    fprintf(out, "Usage: s3r %s [OPTION...]%s%s\n\n", verb->name, verb->usage ? " " : "",
            verb->usage ? verb->usage : "");
    print_wrapped(out, verb->description ? verb->description : verb->summary, 0, 0);
    if (verb->positionals[0].name)
        fputs("\nArguments:\n", out);
    for (size_t i = 0; i < S3R_MAX_POSITIONAL_KINDS && verb->positionals[i].name; i++)
        print_row(out, verb->positionals[i].name, verb->positionals[i].help);
    print_options(out, "Options", verb->options, verb->option_count, verb, false);
    print_options(out, "Options of every verb", s3r_global_option_table,
                  s3r_global_option_count, verb, true);
    if (verb->example)
        fputs("\nExamples:\n", out);
    for (size_t i = 0; verb->example && verb->example[i]; i++)
        fprintf(out, "  %s\n", verb->example[i]);
}
