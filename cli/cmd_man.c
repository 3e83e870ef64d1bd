/*
 * s3r man: prints the man page of the program, made from the verb and option tables.  The
 * build installs its output as s3r.1.
 */
#include <string.h>

#include "help_text.h"

/* Text for roff: "\" and "-" escaped, a paragraph break for an empty line. */
static void put_text(FILE *out, const char *text)
{
    bool is_line_start = true;
    for (; *text != '\0'; text++) {
        if (text[0] == '\n' && text[1] == '\n') {
            fputs("\n.PP\n", out);
            is_line_start = true;
            text++;
            continue;
        }
        if (is_line_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        is_line_start = *text == '\n';
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

static void put_item(FILE *out, const char *label, const char *help)
{
    fputs(".TP\n\\fB", out);
    put_text(out, label);
    fputs("\\fR\n", out);
    put_text(out, help);
    fputc('\n', out);
}

/* After an option that not every verb has, the verbs that have it. */
static void put_owners(FILE *out, const s3r_option *option)
{
    const char *before = "Of ";
    bool is_everywhere = true;
    for (size_t i = 0; i < s3r_verb_count; i++)
        is_everywhere &=
            s3r_verbs[i]->is_hidden || s3r_verb_has_global(s3r_verbs[i], option);
    if (is_everywhere)
        return;
    for (size_t i = 0; i < s3r_verb_count; i++) {
        if (s3r_verbs[i]->is_hidden || !s3r_verb_has_global(s3r_verbs[i], option))
            continue;
        fprintf(out, "%s%s", before, s3r_verbs[i]->name);
        before = ", ";
    }
    fputs(" only.\n", out);
}

static void put_options(FILE *out, const s3r_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char label[128], help[1024];
        s3r_option_label(&options[i], label, sizeof label);
        s3r_option_help(&options[i], help, sizeof help);
        put_item(out, label + strspn(label, " "), help);
    }
}

static void put_verb(FILE *out, const s3r_verb *verb)
{
    fprintf(out, ".SS \"s3r %s [OPTION...]%s%s\"\n", verb->name, verb->usage ? " " : "",
            verb->usage ? verb->usage : "");
    put_text(out, verb->description ? verb->description : verb->summary);
    fputc('\n', out);
    for (size_t i = 0; i < S3R_MAX_POSITIONAL_KINDS && verb->positionals[i].name; i++)
        put_item(out, verb->positionals[i].name, verb->positionals[i].help);
    put_options(out, verb->options, verb->option_count);
    if (verb->example)
        fputs(".PP\nExamples:\n.PP\n.nf\n", out);
    for (size_t i = 0; verb->example && verb->example[i]; i++) {
        fputs("    ", out);
        put_text(out, verb->example[i]);
        fputc('\n', out);
    }
    if (verb->example)
        fputs(".fi\n", out);
}

static s3r_status run_man(const s3r_command *command, s3r_error *err)
{
    FILE *out = stdout;
    (void)command, (void)err;
    fprintf(out, ".TH S3R 1 \"\" \"s3r %s\" \"User commands\"\n", s3r_version());
    fputs(".SH NAME\ns3r \\- speech models of the wav2vec 2.0 family\n", out);
    fputs(".SH SYNOPSIS\n.B s3r\n.I VERB\n[OPTION...] [ARGUMENT...]\n", out);
    fputs(".SH DESCRIPTION\nReads a pretrained checkpoint as it is published and any "
          "audio file.\nResults go to standard output, everything else to standard "
          "error.\n",
          out);
    fputs(".SH VERBS\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++)
        if (!s3r_verbs[i]->is_hidden)
            put_verb(out, s3r_verbs[i]);
    fputs(".SH OPTIONS OF EVERY VERB\n", out);
    for (size_t i = 0; i < s3r_global_option_count; i++) {
        put_options(out, &s3r_global_option_table[i], 1);
        put_owners(out, &s3r_global_option_table[i]);
    }
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < s3r_exit_code_count; i++) {
        char code[16];
        snprintf(code, sizeof code, "%d", s3r_exit_codes[i].code);
        put_item(out, code, s3r_exit_codes[i].meaning);
    }
    fputs(".SH ENVIRONMENT\n", out);
    put_item(out, "S3R_CPU", "The default of --cpu.");
    put_item(out, "S3R_WEIGHTS", "The default of --weights.");
    put_item(out, "S3R_MODELS",
             "A folder of models that is looked at before the installed ones.");
    put_item(out, "TMPDIR",
             "Folder of long audio and of streams that are kept; else /tmp.");
    put_item(out, "NO_COLOR", "When set and not empty, messages have no colour.");
    return S3R_OK;
}

const s3r_verb s3r_verb_man = {
    .name = "man",
    .summary = "Print the man page",
    .is_hidden = true,
    .run = run_man,
};
