/*
 * Messages and the progress bar on stderr.
 */
#define _DEFAULT_SOURCE /* ioctl's window size */
#include "terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "interrupt.h"

#define DEFAULT_COLUMNS 80u
#define MAX_COLUMNS     120u
#define BAR_COLUMNS     24u
#define REDRAW_SECONDS  0.1

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void s3r_terminal_init(s3r_terminal *terminal, bool is_quiet)
{
    const char *kind = getenv("TERM"), *no_color = getenv("NO_COLOR");
    struct winsize size;
    *terminal = (s3r_terminal){.is_quiet = is_quiet, .columns = DEFAULT_COLUMNS};
    terminal->is_interactive = isatty(STDERR_FILENO) && (!kind || strcmp(kind, "dumb"));
    terminal->has_color = terminal->is_interactive && !(no_color && *no_color);
    if (terminal->is_interactive && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 &&
        size.ws_col > 0)
        terminal->columns = size.ws_col < MAX_COLUMNS ? size.ws_col : MAX_COLUMNS;
}

static void clear_bar(s3r_terminal *terminal)
{
    if (terminal->has_bar)
        fputs("\r\033[K", stderr);
    terminal->has_bar = false;
}

/* Names of files and tensors are other people's: no control character of theirs reaches
 * the terminal. */
static void print_clean(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            fprintf(stderr, "\\x%02X", c);
        else
            fputc(c, stderr);
    }
}

static void print(s3r_terminal *terminal, const char *color, const char *kind,
                  const char *format, va_list args)
{
    clear_bar(terminal);
    if (terminal->has_color)
        fprintf(stderr, "\033[%sms3r:\033[0m %s", color, kind);
    else
        fprintf(stderr, "s3r: %s", kind);
    char text[S3R_ERROR_MESSAGE_BYTES];
    vsnprintf(text, sizeof text, format, args);
    print_clean(text);
    fputc('\n', stderr);
}

void s3r_print_error(s3r_terminal *terminal, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print(terminal, "1;31", "", format, args);
    va_end(args);
}

void s3r_print_warning(s3r_terminal *terminal, const char *format, ...)
{
    va_list args;
    if (terminal->is_quiet)
        return;
    va_start(args, format);
    print(terminal, "1;33", "warning: ", format, args);
    va_end(args);
}

void s3r_print_note(s3r_terminal *terminal, const char *format, ...)
{
    va_list args;
    if (terminal->is_quiet)
        return;
    va_start(args, format);
    print(terminal, "1", "", format, args);
    va_end(args);
}

/* Bytes of the first `columns` characters of a UTF-8 text. */
static size_t prefix_bytes(const char *text, size_t columns)
{
    size_t bytes = 0;
    for (; text[bytes] != '\0'; bytes++) {
        bool starts_character = ((unsigned char)text[bytes] & 0xc0) != 0x80;
        if (starts_character && columns-- == 0)
            break;
    }
    return bytes;
}

static void time_left_text(char *text, size_t text_bytes, double fraction,
                           double elapsed_s)
{
    double left_s = fraction > 0 ? elapsed_s * (1 - fraction) / fraction : -1;
    unsigned seconds = (unsigned)(left_s + 0.5);
    /* Too early to tell, or longer than a working week. */
    if (elapsed_s < 1 || left_s < 0 || left_s > 5 * 86400.0)
        snprintf(text, text_bytes, "-:-- left");
    else if (seconds >= 3600)
        snprintf(text, text_bytes, "%u:%02u:%02u left", seconds / 3600, seconds / 60 % 60,
                 seconds % 60);
    else
        snprintf(text, text_bytes, "%u:%02u left", seconds / 60, seconds % 60);
}

void s3r_progress_text(char *text, size_t text_bytes, const char *label, double fraction,
                       double elapsed_s, unsigned columns)
{
    char bar[BAR_COLUMNS + 1], left[32], tail[96];
    fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    size_t filled = (size_t)(fraction * BAR_COLUMNS);
    memset(bar, '#', filled);
    memset(bar + filled, '-', BAR_COLUMNS - filled);
    bar[BAR_COLUMNS] = '\0';
    time_left_text(left, sizeof left, fraction, elapsed_s);

    snprintf(tail, sizeof tail, "  [%s] %3.0f%%  %s", bar, 100 * fraction, left);
    if (strlen(tail) + 10 > columns) /* narrow: without the bar */
        snprintf(tail, sizeof tail, "  %3.0f%%", 100 * fraction);
    size_t room = columns > strlen(tail) ? columns - strlen(tail) - 1 : 0;
    snprintf(text, text_bytes, "%.*s%s", (int)prefix_bytes(label, room), label, tail);
}

void s3r_progress_start(s3r_progress *progress, s3r_terminal *terminal, const char *label,
                        double total)
{
    *progress = (s3r_progress){terminal, label, total, now_s(), -1};
}

void s3r_progress_update(s3r_progress *progress, double done)
{
    s3r_terminal *terminal = progress->terminal;
    char text[4 * MAX_COLUMNS + 128];
    double now = now_s();
    if (!terminal->is_interactive || terminal->is_quiet)
        return;
    if (progress->drawn_s >= 0 && now - progress->drawn_s < REDRAW_SECONDS)
        return;
    progress->drawn_s = now;
    s3r_progress_text(text, sizeof text, progress->label, done / progress->total,
                      now - progress->start_s, terminal->columns);
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
    terminal->has_bar = true;
}

void s3r_progress_end(s3r_progress *progress)
{
    clear_bar(progress->terminal);
}

bool s3r_progress_take(void *progress, double done_s, double total_s)
{
    s3r_progress *bar = progress;
    if (total_s > 0) {
        bar->total = total_s;
        s3r_progress_update(bar, done_s);
    }
    return !s3r_interrupted();
}
