/*
 * What people see on stderr: messages, and a progress bar.
 *
 * Results go to stdout and are none of this file's business.  A bar is drawn only when
 * stderr is a terminal and --quiet was not given; colour only without NO_COLOR.
 */
#ifndef S3R_CLI_TERMINAL_H
#define S3R_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

#include "cli_error.h"

typedef struct s3r_terminal {
    bool is_interactive; /* stderr is a terminal that can move its cursor */
    bool has_color;
    bool is_quiet;
    bool has_bar; /* a bar stands on the current line */
    unsigned columns;
} s3r_terminal;

void s3r_terminal_init(s3r_terminal *terminal, bool is_quiet);

/* "s3r: ..." on stderr: errors always, warnings and notes unless quiet. */
void s3r_print_error(s3r_terminal *terminal, const char *format, ...)
    S3R_CLI_PRINTF(2, 3);
void s3r_print_warning(s3r_terminal *terminal, const char *format, ...)
    S3R_CLI_PRINTF(2, 3);
void s3r_print_note(s3r_terminal *terminal, const char *format, ...) S3R_CLI_PRINTF(2, 3);

typedef struct s3r_progress {
    s3r_terminal *terminal;
    const char *label; /* UTF-8; must live as long as the bar */
    double total;
    double start_s;
    double drawn_s; /* when it was drawn last */
} s3r_progress;

/* total > 0 in any unit (bytes, seconds of audio, files). */
void s3r_progress_start(s3r_progress *progress, s3r_terminal *terminal, const char *label,
                        double total);
/* Draws at most ten times a second, so it may be called often. */
void s3r_progress_update(s3r_progress *progress, double done);
/* Removes the bar. */
void s3r_progress_end(s3r_progress *progress);
/* The progress callback of the library's runs, whose context is an s3r_progress: seconds
 * of audio that are done, of so many (0: not known). False after an interrupt. */
bool s3r_progress_take(void *progress, double done_s, double total_s);

/*
 * The bar as text, for example "model.safetensors  [####----]  50%  0:12 left", at most
 * columns - 1 characters wide and never cut inside a UTF-8 sequence.
 */
void s3r_progress_text(char *text, size_t text_bytes, const char *label, double fraction,
                       double elapsed_s, unsigned columns);

#endif
