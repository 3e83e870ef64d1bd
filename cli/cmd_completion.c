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

/* What a verb's first word adds to the list of first words: each family is there once. */
static bool is_listed(const s3r_verb *verb)
{
    bool has_second = s3r_verb_second_word(verb)[0] != '\0';
    return !verb->is_hidden && (!has_second || s3r_verb_starts_family(verb));
}

static void put_first_word(FILE *out, const s3r_verb *verb)
{
    fprintf(out, "%.*s", (int)s3r_verb_first_word(verb), verb->name);
}

static void put_first_words(FILE *out)
{
    for (size_t i = 0; i < s3r_verb_count; i++) {
        if (!is_listed(s3r_verbs[i]))
            continue;
        put_first_word(out, s3r_verbs[i]);
        fputc(' ', out);
    }
    fputs("help", out);
}

/* The second words of the family that the verb is in. */
static void put_second_words(FILE *out, const s3r_verb *verb)
{
    const char *before = "";
    size_t index = 0;
    const s3r_verb *member;
    while ((member = s3r_verb_in_family(verb->name, s3r_verb_first_word(verb), &index))) {
        fprintf(out, "%s%s", before, s3r_verb_second_word(member));
        before = " ";
    }
}

static bool is_in_family(const s3r_verb *verb)
{
    return s3r_verb_second_word(verb)[0] != '\0';
}

/* A name with a space is one word of the shell only in quotes. */
static void put_quoted_name(FILE *out, const s3r_verb *verb)
{
    const char *quote = is_in_family(verb) ? "'" : "";
    fprintf(out, "%s%s%s", quote, verb->name, quote);
}

static void bash_option(FILE *out, const s3r_verb *verb, const s3r_option *option)
{
    (void)verb;
    fprintf(out, " --%s", option->name);
}

/* What a shell offers as a value; NULL: files, or nothing. */
static const char *offered_values(const s3r_option *option)
{
    return option->values ? option->values : option->suggested;
}

static void bash_value(FILE *out, const s3r_verb *verb, const s3r_option *option)
{
    const char *values = offered_values(option);
    if (!values)
        return;
    fputs("        ", out);
    put_quoted_name(out, verb);
    fprintf(out, ":--%s) COMPREPLY=($(compgen -W \"", option->name);
    put_words(out, values);
    fputs("\" -- \"$cur\")); return ;;\n", out);
}

/* The values of the first argument; with others behind it only beside the verb. */
static void bash_words(FILE *out, const s3r_verb *verb)
{
    if (!verb->positionals[0].values)
        return;
    fputs("; ", out);
    if (verb->positionals[1].name)
        fprintf(out, "[ \"$prev\" = %s ] && ",
                is_in_family(verb) ? s3r_verb_second_word(verb) : verb->name);
    fputs("words=\"", out);
    put_words(out, verb->positionals[0].values);
    fputs("\"", out);
}

/* The second word of a family, also behind help; then both words are the verb. */
static void bash_families(FILE *out)
{
    fputs("    local at=1\n    [ \"$verb\" = help ] && at=2\n"
          "    case ${COMP_WORDS[at]} in\n",
          out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        if (s3r_verbs[i]->is_hidden || !s3r_verb_starts_family(s3r_verbs[i]))
            continue;
        fputs("        ", out);
        put_first_word(out, s3r_verbs[i]);
        fputs(") if [ \"$COMP_CWORD\" -eq $((at + 1)) ]; then\n"
              "                COMPREPLY=($(compgen -W \"",
              out);
        put_second_words(out, s3r_verbs[i]);
        fputs("\" -- \"$cur\"))\n                return\n            fi\n"
              "            [ \"$at\" -eq 1 ] && verb=\"$verb ${COMP_WORDS[2]}\" ;;\n",
              out);
    }
    fputs("    esac\n", out);
}

static void print_bash(FILE *out)
{
    fputs("# bash completion of s3r\n_s3r()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local verb=${COMP_WORDS[1]} options= words=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"",
          out);
    put_first_words(out);
    fputs(" --help --version\" -- \"$cur\"))\n        return\n    fi\n", out);
    bash_families(out);
    fputs("    case \"$verb:$prev\" in\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++)
        if (!s3r_verbs[i]->is_hidden)
            for_each_option(out, s3r_verbs[i], bash_value);
    fputs("        help:*) COMPREPLY=($(compgen -W \"", out);
    put_first_words(out);
    fputs("\" -- \"$cur\")); return ;;\n    esac\n    case $verb in\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        const s3r_verb *verb = s3r_verbs[i];
        if (verb->is_hidden)
            continue;
        fputs("        ", out);
        put_quoted_name(out, verb);
        fputs(") options=\"", out);
        for_each_option(out, verb, bash_option);
        fputs("\"", out);
        bash_words(out, verb);
        fputs(" ;;\n", out);
    }
    fputs("    esac\n    case $cur in\n"
          "        -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
          "        *) if [ -n \"$words\" ]; then\n"
          "               COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "           else\n"
          "               compopt -o filenames 2>/dev/null\n"
          "               local IFS=$'\\n'\n"
          "               COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "           fi ;;\n"
          "    esac\n}\ncomplete -F _s3r s3r\n",
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
    const char *values = offered_values(option);
    if (values) {
        fputs(":value:(", out);
        put_words(out, values);
        fputc(')', out);
    } else if (takes_value) {
        bool is_text =
            option->type == S3R_OPTION_STRING || option->type == S3R_OPTION_LIST;
        fputs(is_text ? ":value:_files" : ":value: ", out);
    }
    fputs("' \\\n", out);
}

/* Lines 'WORD:what it is' of an array: all first words, or those of a family. */
static void zsh_words(FILE *out, const s3r_verb *family)
{
    for (size_t i = 0; i < s3r_verb_count; i++) {
        const s3r_verb *verb = s3r_verbs[i];
        size_t length = family ? s3r_verb_first_word(family) : 0;
        bool is_member = family && is_in_family(verb) && !verb->is_hidden &&
                         s3r_verb_first_word(verb) == length &&
                         strncmp(verb->name, family->name, length) == 0;
        if (family ? !is_member : !is_listed(verb))
            continue;
        fputs("        '", out);
        if (family)
            fputs(s3r_verb_second_word(verb), out);
        else
            put_first_word(out, verb);
        fputc(':', out);
        if (!family && is_in_family(verb))
            put_second_words(out, verb);
        else
            put_brief(out, verb->summary);
        fputs("'\n", out);
    }
}

static void zsh_families(FILE *out)
{
    fputs("    local -a seconds\n    case $verb in\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        if (s3r_verbs[i]->is_hidden || !s3r_verb_starts_family(s3r_verbs[i]))
            continue;
        fputs("        ", out);
        put_first_word(out, s3r_verbs[i]);
        fputs(")\n        seconds=(\n", out);
        zsh_words(out, s3r_verbs[i]);
        fputs("        )\n        if (( CURRENT == 2 )); then\n"
              "            _describe -t verbs 'verb' seconds\n            return\n"
              "        fi\n        verb=\"$verb $words[2]\"\n        shift words\n"
              "        (( CURRENT-- )) ;;\n",
              out);
    }
    fputs("    esac\n", out);
}

/* Arguments of one kind, or one of the first kind and files behind it. */
static void zsh_arguments(FILE *out, const s3r_verb *verb)
{
    const char *values = verb->positionals[0].values;
    bool has_more = verb->positionals[1].name != NULL;
    if (values) {
        fprintf(out, "                '%s:value:(", has_more ? "1" : "*");
        put_words(out, values);
        fputs(has_more ? ")' \\\n" : ")' ;;\n", out);
    }
    if (!values || has_more)
        fputs("                '*:file:_files' ;;\n", out);
}

static void print_zsh(FILE *out)
{
    fputs("#compdef s3r\n# zsh completion of s3r\n_s3r()\n{\n    local -a verbs\n"
          "    verbs=(\n",
          out);
    zsh_words(out, NULL);
    fputs("        'help:Everything about one verb'\n    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe -t verbs 'verb' verbs\n        return\n    fi\n"
          "    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n",
          out);
    zsh_families(out);
    fputs("    case $verb in\n        help) _describe -t verbs 'verb' verbs ;;\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        const s3r_verb *verb = s3r_verbs[i];
        if (verb->is_hidden)
            continue;
        fputs("        ", out);
        put_quoted_name(out, verb);
        fputs(")\n            _arguments -s \\\n", out);
        for_each_option(out, verb, zsh_option);
        zsh_arguments(out, verb);
    }
    fputs("    esac\n}\n_s3r \"$@\"\n", out);
}

/* The condition that the verb's words have been typed. */
static void fish_seen(FILE *out, const s3r_verb *verb)
{
    fputs("complete -c s3r -n '__fish_seen_subcommand_from ", out);
    put_first_word(out, verb);
    if (is_in_family(verb))
        fprintf(out, "; and __fish_seen_subcommand_from %s", s3r_verb_second_word(verb));
    fputs("'", out);
}

static void fish_option(FILE *out, const s3r_verb *verb, const s3r_option *option)
{
    fish_seen(out, verb);
    fprintf(out, " -l %s", option->name);
    if (option->letter)
        fprintf(out, " -s %c", option->letter);
    const char *values = offered_values(option);
    if (values) {
        fputs(" -x -a '", out);
        put_words(out, values);
        fputc('\'', out);
    } else if (option->type != S3R_OPTION_FLAG) {
        fputs(" -r", out);
    }
    fputs(" -d '", out);
    put_brief(out, option->help);
    fputs("'\n", out);
}

/* The first word of a verb, once a family, and the second. */
static void fish_words(FILE *out, const s3r_verb *verb)
{
    if (is_listed(verb)) {
        fputs("complete -c s3r -f -n __fish_use_subcommand -a ", out);
        put_first_word(out, verb);
        fputs(" -d '", out);
        if (is_in_family(verb))
            put_second_words(out, verb);
        else
            put_brief(out, verb->summary);
        fputs("'\n", out);
    }
    if (!is_in_family(verb))
        return;
    fputs("complete -c s3r -f -n '__fish_seen_subcommand_from ", out);
    put_first_word(out, verb);
    fputs("; and not __fish_seen_subcommand_from ", out);
    put_second_words(out, verb);
    fprintf(out, "' -a %s -d '", s3r_verb_second_word(verb));
    put_brief(out, verb->summary);
    fputs("'\n", out);
}

static void print_fish(FILE *out)
{
    fputs("# fish completion of s3r\n", out);
    for (size_t i = 0; i < s3r_verb_count; i++) {
        const s3r_verb *verb = s3r_verbs[i];
        if (verb->is_hidden)
            continue;
        fish_words(out, verb);
        if (verb->positionals[0].values) {
            fish_seen(out, verb);
            fputs(verb->positionals[1].name ? " -a '" : " -f -a '", out);
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
