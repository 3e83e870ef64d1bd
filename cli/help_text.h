/*
 * Help text, made from the verb and option tables.
 */
#ifndef S3R_CLI_HELP_TEXT_H
#define S3R_CLI_HELP_TEXT_H

#include <stdio.h>

#include "verb.h"

/* The program's overview: all verbs. */
void s3r_help_print_overview(FILE *out);
/* The verbs of a family ("data"); false when there is none. */
bool s3r_help_print_family(FILE *out, const char *word);
/* One verb with its arguments, options and examples. */
void s3r_help_print_verb(FILE *out, const s3r_verb *verb);

/* "-t, --threads N" into text. */
void s3r_option_label(const s3r_option *option, char *text, size_t text_bytes);
/* "Help. (default: 4, or $S3R_X)" into text. */
void s3r_option_help(const s3r_option *option, char *text, size_t text_bytes);

/* What the exit codes mean, for help and man page. */
typedef struct s3r_exit_code {
    int code;
    const char *meaning;
} s3r_exit_code;
extern const s3r_exit_code s3r_exit_codes[];
extern const size_t s3r_exit_code_count;

#endif
