/*
 * The program s3r: finds the verb, parses its options, runs it, prints what went wrong.
 * Exit codes are those of s3r_status (docs/cli.md).
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "help_text.h"
#include "interrupt.h"
#include "suggest.h"
#include "verb.h"

/* Written results must have arrived: a full disk is a failure. */
static int finish(s3r_terminal *terminal, int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        s3r_print_error(terminal, "cannot write to standard output");
        return code ? code : S3R_ERR_RUNTIME;
    }
    return code;
}

/* "data prepare": a verb of two words. *word_count receives how many were used. */
static const s3r_verb *find_verb(int word_limit, char *const *words, int *word_count)
{
    char name[64];
    if (word_limit > 1) {
        int length = snprintf(name, sizeof name, "%s %s", words[0], words[1]);
        const s3r_verb *verb =
            length < (int)sizeof name ? s3r_verb_find(name) : (const s3r_verb *)NULL;
        *word_count = 2;
        if (verb)
            return verb;
    }
    *word_count = 1;
    return word_limit > 0 ? s3r_verb_find(words[0]) : NULL;
}

/* A family is named, its second word is missing (NULL) or none of its words. */
static int unknown_second_word(s3r_terminal *terminal, const char *name,
                               const char *second)
{
    char list[512] = "";
    const char *best = NULL;
    size_t length = strlen(name), used = 0, index = 0;
    const s3r_verb *verb;
    while ((verb = s3r_verb_in_family(name, length, &index))) {
        int more = snprintf(list + used, sizeof list - used, "%s\"s3r %s\"",
                            used > 0 ? ", " : "", verb->name);
        if (more > 0 && used + (size_t)more < sizeof list)
            used += (size_t)more;
        if (second)
            best = s3r_suggest(second, best, s3r_verb_second_word(verb));
    }
    if (best)
        s3r_print_error(terminal, "unknown verb \"%s %s\"; did you mean \"%s %s\"?", name,
                        second, name, best);
    else
        s3r_print_error(terminal, "\"%s\" needs a second word: %s", name, list);
    return S3R_ERR_USAGE;
}

/* second is the word behind name, or NULL. */
static int unknown_verb(s3r_terminal *terminal, const char *name, const char *second)
{
    const char *best = NULL;
    char words[64][32];
    size_t first = 0;
    if (s3r_verb_in_family(name, strlen(name), &first))
        return unknown_second_word(terminal, name, second);
    for (size_t i = 0; i < s3r_verb_count && i < 64; i++) {
        snprintf(words[i], sizeof words[i], "%.*s",
                 (int)s3r_verb_first_word(s3r_verbs[i]), s3r_verbs[i]->name);
        if (!s3r_verbs[i]->is_hidden)
            best = s3r_suggest(name, best, words[i]);
    }
    if (name[0] == '-')
        s3r_print_error(terminal, "expected a verb before \"%s\" (see s3r --help)", name);
    else if (best)
        s3r_print_error(terminal, "unknown verb \"%s\"; did you mean \"%s\"?", name,
                        best);
    else
        s3r_print_error(terminal, "unknown verb \"%s\" (see s3r --help)", name);
    return S3R_ERR_USAGE;
}

static int print_help(s3r_terminal *terminal, int word_count, char *const *words)
{
    int used = 0;
    const s3r_verb *verb = find_verb(word_count, words, &used);
    if (word_count == 1 && !verb && s3r_help_print_family(stdout, words[0]))
        return S3R_OK;
    if (word_count > 0 && !verb)
        return unknown_verb(terminal, words[0], word_count > 1 ? words[1] : NULL);
    if (verb)
        s3r_help_print_verb(stdout, verb);
    else
        s3r_help_print_overview(stdout);
    return S3R_OK;
}

static s3r_status check_positionals(const s3r_command *command, s3r_error *err)
{
    const s3r_verb *verb = command->verb;
    if (command->positional_count > verb->max_positionals)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "%s: unexpected argument \"%s\"",
                            verb->name, command->positionals[verb->max_positionals]);
    if (command->positional_count < verb->min_positionals)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "%s: expected %s (see s3r help %s)",
                            verb->name, verb->usage, verb->name);
    return S3R_OK;
}

/* The global options that the verb has, in a table of their own. */
static size_t select_globals(const s3r_verb *verb, s3r_option *selected)
{
    size_t count = 0;
    for (size_t i = 0; i < s3r_global_option_count; i++)
        if (s3r_verb_has_global(verb, &s3r_global_option_table[i]))
            selected[count++] = s3r_global_option_table[i];
    return count;
}

/* The exit code of a run that a deferred signal cut short is the signal's.  What came to
 * its end all the same, or failed otherwise, says so. */
static int report(s3r_terminal *terminal, s3r_status status, const s3r_error *err)
{
    if (status != S3R_OK)
        s3r_print_error(terminal, "%s", err->message);
    bool is_cut_short = status == S3R_ERR_INTERRUPTED && s3r_interrupted();
    return is_cut_short ? s3r_interrupt_exit_code() : (int)status;
}

static int run_verb(s3r_terminal *terminal, const s3r_verb *verb, char **args,
                    size_t arg_count)
{
    s3r_error err = {S3R_OK, ""};
    s3r_option globals[16];
    s3r_command command = {.verb = verb, .terminal = terminal};
    s3r_string_list positionals = {0};
    void *options = calloc(1, verb->options_size + 1);
    s3r_option_set sets[] = {
        {verb->options, verb->option_count, options},
        {globals, select_globals(verb, globals), &command.global},
    };
    s3r_status status =
        options ? s3r_options_parse(sets, 2, args, arg_count, &positionals, &err)
                : s3r_cli_fail(&err, S3R_ERR_RESOURCE, "no memory");
    command.options = options;
    command.positionals = positionals.items;
    command.positional_count = positionals.count;
    if (status == S3R_OK && command.global.is_help) {
        s3r_help_print_verb(stdout, verb);
    } else if (status == S3R_OK) {
        s3r_terminal_init(terminal, command.global.is_quiet);
        status = check_positionals(&command, &err);
        if (status == S3R_OK)
            status = verb->run(&command, &err);
    }
    int code = report(terminal, status, &err);
    if (options)
        s3r_options_release(sets, 2, &positionals);
    free(options);
    return code;
}

/* A file must not get the number of a stream that the caller has closed: messages would
 * be written into it.  What is written to stdout still fails, as it should. */
static void reserve_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
}

int main(int argc, char **argv)
{
    reserve_streams();
    s3r_terminal terminal;
    s3r_terminal_init(&terminal, false);
    s3r_interrupt_install();
    if (argc < 2) {
        s3r_help_print_overview(stderr);
        return S3R_ERR_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return finish(&terminal, print_help(&terminal, 0, NULL));
    if (strcmp(name, "help") == 0)
        return finish(&terminal, print_help(&terminal, argc - 2, argv + 2));
    if (strcmp(name, "--version") == 0) {
        printf("s3r %s\n", s3r_version());
        return finish(&terminal, S3R_OK);
    }
    int used = 0;
    const s3r_verb *verb = find_verb(argc - 1, argv + 1, &used);
    bool asks_help =
        argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    if (!verb && asks_help)
        return finish(&terminal, print_help(&terminal, 1, argv + 1));
    if (!verb)
        return finish(&terminal, unknown_verb(&terminal, name, argv[2]));
    return finish(&terminal,
                  run_verb(&terminal, verb, argv + 1 + used, (size_t)(argc - 1 - used)));
}
