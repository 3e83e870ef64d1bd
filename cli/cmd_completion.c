/*
 * s3r completion: prints the completion script of a shell, made from the verb and option
 * tables.  Words that are no option and no listed value complete to file names.
 */
#include <string.h>

#include "help_text.h"

typedef void (*option_visitor)(FILE *out, const s3r_verb *verb, const s3r_option *option);

static void for_each_option(FILE *out, const s3r_verb *verb, option_visitor visit)
{
    for (size_t i = 0; i < verb->option_count; i++)
        visit(out, verb, &verb->options[i]);
    for (size_t i = 0; i < s3r_global_option_count; i++)
        if (s3r_verb_has_global(verb, &s3r_global_option_table[i]))
            visit(out, verb, &s3r_global_option_table[i]);
}

/* "a|b|c" as "a b c". */
static void put_words(FILE *out, const char *values)
{
    for (; *values != '\0'; values++)
        fputc(*values == '|' ? ' ' : *values, out);
}

/* The help up to its first full stop, without what a shell string would trip over. */
static void put_brief(FILE *out, const char *help)
{
    size_t length = strcspn(help, ".;");
    for (size_t i = 0; i < length; i++)
        if (!strchr("'\"`$\\[]:", help[i]))
            fputc(help[i], out);
}

static void put_verb_names(FILE *out)
{
    for (size_t i = 0; i < s3r_verb_count; i++)
        if (!s3r_verbs[i]->is_hidden)
            fprintf(out, "%s ", s3r_verbs[i]->name);
    fputs("help", out);
}

static void bash_option(FILE *out, const s3r_verb *verb, const s3r_option *option)
{
    (void)verb;
    fprintf(out, " --%s", option->name);
}

static void bash_value(FILE *out, const s3r_verb *verb, const s3r_option *option)
{
    if (!option->values)
        return;
    fprintf(out, "        %s:--%s) COMPREPLY=($(compgen -W \"", verb->name, option->name);
    put_words(out, option->values);
    fputs("\" -- \"$cur\")); return ;;\n", out);
}

static void print_bash(FILE *out)
{
    fputs("# bash completion of s3r\n_s3r()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local verb=${COMP_WORDS[1]} options= words=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"",
          out);
    put_verb_names(out);
    fputs(" --help --version\" -- \"$cur\"))\n        return\n    fi\n"
          "    case \"$verb:$prev\" in\n",
          out);
    for (size_t i = 0; i < s3r_verb_count; i++)
        if (!s3r_verbs[i]->is_hidden)
            for_each_option(out, s3r_verbs[i], bash_value);
    fputs("        help:*) COMPREPLY=($(compgen -W \"", out);
    put_verb_names(out);
    fputs("\" -- \"$cur\")); return ;;\n    esac\n    case $verb in\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        const s3r_verb *verb = s3r_verbs[i];
        if (verb->is_hidden)
            continue;
        fprintf(out, "        %s) options=\"", verb->name);
        for_each_option(out, verb, bash_option);
        fputs("\"; words=\"", out);
        if (verb->positionals[0].values)
            put_words(out, verb->positionals[0].values);
        fputs("\" ;;\n", out);
    }
    fputs("    esac\n    case $cur in\n"
          "        -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
          "        *) if [ -n \"$words\" ]; then\n"
          "               COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "           else\n"
          "               COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "           fi ;;\n"
          "    esac\n}\ncomplete -o filenames -F _s3r s3r\n",
          out);
}

static void zsh_option(FILE *out, const s3r_verb *verb, const s3r_option *option)
{
    (void)verb;
    bool takes_value = option->type != S3R_OPTION_FLAG;
    fprintf(out, "                '%s--%s%s[", option->type == S3R_OPTION_LIST ? "*" : "",
            option->name, takes_value ? "=" : "");
    put_brief(out, option->help);
    fputc(']', out);
    if (option->values) {
        fputs(":value:(", out);
        put_words(out, option->values);
        fputc(')', out);
    } else if (takes_value) {
        bool is_text =
            option->type == S3R_OPTION_STRING || option->type == S3R_OPTION_LIST;
        fputs(is_text ? ":value:_files" : ":value: ", out);
    }
    fputs("' \\\n", out);
}

static void print_zsh(FILE *out)
{
    fputs("#compdef s3r\n# zsh completion of s3r\n_s3r()\n{\n    local -a verbs\n"
          "    verbs=(\n",
          out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        if (s3r_verbs[i]->is_hidden)
            continue;
        fprintf(out, "        '%s:", s3r_verbs[i]->name);
        put_brief(out, s3r_verbs[i]->summary);
        fputs("'\n", out);
    }
    fputs("        'help:Everything about one verb'\n    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe -t verbs 'verb' verbs\n        return\n    fi\n"
          "    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n"
          "    case $verb in\n        help) _describe -t verbs 'verb' verbs ;;\n",
          out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        const s3r_verb *verb = s3r_verbs[i];
        if (verb->is_hidden)
            continue;
        fprintf(out, "        %s)\n            _arguments -s \\\n", verb->name);
        for_each_option(out, verb, zsh_option);
        if (verb->positionals[0].values) {
            fputs("                '*:value:(", out);
            put_words(out, verb->positionals[0].values);
            fputs(")' ;;\n", out);
        } else {
            fputs("                '*:file:_files' ;;\n", out);
        }
    }
    fputs("    esac\n}\n_s3r \"$@\"\n", out);
}

static void fish_option(FILE *out, const s3r_verb *verb, const s3r_option *option)
{
    fprintf(out, "complete -c s3r -n '__fish_seen_subcommand_from %s' -l %s", verb->name,
            option->name);
    if (option->letter)
        fprintf(out, " -s %c", option->letter);
    if (option->values) {
        fputs(" -x -a '", out);
        put_words(out, option->values);
        fputc('\'', out);
    } else if (option->type != S3R_OPTION_FLAG) {
        fputs(" -r", out);
    }
    fputs(" -d '", out);
    put_brief(out, option->help);
    fputs("'\n", out);
}

static void print_fish(FILE *out)
{
    fputs("# fish completion of s3r\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        const s3r_verb *verb = s3r_verbs[i];
        if (verb->is_hidden)
            continue;
        fprintf(out, "complete -c s3r -f -n __fish_use_subcommand -a %s -d '",
                verb->name);
        put_brief(out, verb->summary);
        fputs("'\n", out);
        if (verb->positionals[0].values) {
            fprintf(out, "complete -c s3r -f -n '__fish_seen_subcommand_from %s' -a '",
                    verb->name);
            put_words(out, verb->positionals[0].values);
            fputs("'\n", out);
        }
        for_each_option(out, verb, fish_option);
    }
    fputs("complete -c s3r -f -n __fish_use_subcommand -a help -d "
          "'Everything about one verb'\n",
          out);
}

static s3r_status run_completion(const s3r_command *command, s3r_error *err)
{
    const char *shell = command->positionals[0];
    if (strcmp(shell, "bash") == 0)
        print_bash(stdout);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(stdout);
    else if (strcmp(shell, "fish") == 0)
        print_fish(stdout);
    else
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "completion: expected bash, zsh or fish, found \"%s\"",
                            shell);
    return S3R_OK;
}

static const char *const example[] = {
    "s3r completion bash > ~/.local/share/bash-completion/completions/s3r",
    "s3r completion fish > ~/.config/fish/completions/s3r.fish",
    NULL,
};

const s3r_verb s3r_verb_completion = {
    .name = "completion",
    .summary = "Print the completion script of a shell",
    .description = "Prints a script that completes verbs, options and their values in "
                   "the given shell.",
    .usage = "SHELL",
    .positionals = {{"SHELL", "bash|zsh|fish", "bash, zsh or fish."}},
    .min_positionals = 1,
    .max_positionals = 1,
    .example = example,
    .run = run_completion,
};
