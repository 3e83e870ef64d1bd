/*
 * What a verb of the program is.  A verb lives in cmd_NAME.c, which defines
 * `const s3r_verb s3r_verb_NAME`, and has one line in verb_list.h.
 */
#ifndef S3R_CLI_VERB_H
#define S3R_CLI_VERB_H

#include "cli_error.h"
#include "option_table.h"
#include "terminal.h"

/* Options that every verb has (--json only where `has_json`). */
typedef struct s3r_global_options {
    size_t threads; /* 0 = all processors */
    int cpu;        /* enum s3r_cpu_choice */
    int weights;    /* enum s3r_weights_memory */
    bool is_quiet;
    bool is_json;
    bool is_help;
} s3r_global_options;

/* The names of --cpu in this order: s3r_cpu_choice_names[choice]. */
enum s3r_cpu_choice {
    S3R_CPU_CHOICE_AUTO,
    S3R_CPU_CHOICE_PORTABLE,
    S3R_CPU_CHOICE_AVX2,
    S3R_CPU_CHOICE_AVX512,
    S3R_CPU_CHOICE_AVX512VNNI,
    S3R_CPU_CHOICE_AVX512BF16
};
extern const char *const s3r_cpu_choice_names[];

struct s3r_verb;

/* One parsed command line. */
typedef struct s3r_command {
    const struct s3r_verb *verb;
    s3r_global_options global;
    const void *options; /* the verb's own struct */
    const char *const *positionals;
    size_t positional_count;
    s3r_terminal *terminal;
} s3r_command;

typedef struct s3r_positional {
    const char *name;   /* "AUDIO" */
    const char *values; /* "bash|zsh|fish" for completion; NULL = a file */
    const char *help;
} s3r_positional;

#define S3R_MAX_POSITIONAL_KINDS 4

typedef struct s3r_verb {
    const char *name;
    const char *summary;     /* one line, no full stop */
    const char *description; /* paragraphs separated by an empty line; no line breaks in
                                them.  NULL = the summary says it all */
    const char *usage;       /* "MODEL AUDIO..."; NULL without positionals */
    s3r_positional positionals[S3R_MAX_POSITIONAL_KINDS];
    size_t min_positionals, max_positionals; /* max SIZE_MAX = any number */
    const s3r_option *options;
    size_t option_count;
    size_t options_size;        /* sizeof of the struct that the options fill */
    const char *const *example; /* command lines, NULL-terminated; NULL = none */
    bool has_json;
    bool is_hidden;
    /* The status is the exit code; on failure err holds the message to print. */
    s3r_status (*run)(const s3r_command *command, s3r_error *err);
} s3r_verb;

/* All verbs in the order of the help text. */
extern const s3r_verb *const s3r_verbs[];
extern const size_t s3r_verb_count;

/* The verb of that name; NULL when there is none. */
const s3r_verb *s3r_verb_find(const char *name);

/*
 * A family is the verbs of two words that share the first: "data prepare", "data check".
 * s3r_verb_in_family walks its visible members: the first at or behind *index, which
 * moves behind it; NULL at the end.
 */
const s3r_verb *s3r_verb_in_family(const char *word, size_t word_length, size_t *index);
/* Bytes of the first word of the name, and the second word ("" without one). */
size_t s3r_verb_first_word(const s3r_verb *verb);
const char *s3r_verb_second_word(const s3r_verb *verb);
/* True for the first visible member of a family. */
bool s3r_verb_starts_family(const s3r_verb *verb);

extern const s3r_option s3r_global_option_table[];
extern const size_t s3r_global_option_count;

/* True when the global option belongs to the verb (verb NULL: to some verb). */
bool s3r_verb_has_global(const s3r_verb *verb, const s3r_option *option);

#endif
