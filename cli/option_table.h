/*
 * Declarative options.  A verb lists its options once; the same table parses the command
 * line and makes the help text, the man page and the completions.
 *
 * Accepted forms: --name=VALUE, --name VALUE, -n VALUE, -nVALUE, -n=VALUE, bundled short
 * flags (-qh), "--" (all that follows is positional), "-" (positional).  Options and
 * positionals may be mixed; the last of two equal options counts.
 */
#ifndef S3R_CLI_OPTION_TABLE_H
#define S3R_CLI_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include <s3r/status.h>

typedef enum s3r_option_type {
    S3R_OPTION_FLAG,   /* bool */
    S3R_OPTION_STRING, /* const char *, NULL when absent */
    S3R_OPTION_SIZE,   /* size_t; K, M and G multiply by 1024 */
    S3R_OPTION_DOUBLE, /* double, finite */
    S3R_OPTION_ENUM,   /* int, index into `values` */
    S3R_OPTION_LIST    /* s3r_string_list; the option may be repeated */
} s3r_option_type;

typedef struct s3r_string_list {
    const char **items; /* the strings are those of argv */
    size_t count;
} s3r_string_list;

typedef struct s3r_option {
    const char *name; /* long name without "--" */
    char letter;      /* short name; 0 = none */
    s3r_option_type type;
    bool is_once;          /* a STRING that may not come twice: both would be wanted */
    size_t offset;         /* where the value goes: offsetof(struct, member) */
    const char *argument;  /* "FILE"; NULL for flags and enums */
    const char *values;    /* enums: "auto|portable|avx2" */
    const char *suggested; /* of another type: values that completion offers, so too */
    const char *fallback;  /* default as the user would type it; NULL = 0, NULL, false */
    const char *environment; /* variable that replaces the default; NULL = none */
    const char *alias;       /* another long name, not shown anywhere; NULL = none */
    const char *help;        /* one or two sentences without the default */
} s3r_option;

/* A table together with the struct that receives its values. */
typedef struct s3r_option_set {
    const s3r_option *options;
    size_t count;
    void *target; /* zeroed by the caller */
} s3r_option_set;

/*
 * Parses arg_count arguments (without program and verb) into the sets; defaults and
 * environment variables are applied first.  positionals->items is allocated.
 * S3R_ERR_USAGE names the option, what was expected and what was found, and suggests the
 * nearest name for an unknown one.  Call s3r_options_release in any case.
 */
s3r_status s3r_options_parse(const s3r_option_set *sets, size_t set_count,
                             char *const *args, size_t arg_count,
                             s3r_string_list *positionals, s3r_error *err);
void s3r_options_release(const s3r_option_set *sets, size_t set_count,
                         s3r_string_list *positionals);

/* The next value of "a|b|c": its length, and *values moves behind it; 0 at the end. */
size_t s3r_option_next_value(const char **values, const char **value);

#endif
