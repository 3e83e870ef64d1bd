/*
 * What the verbs of data share: a bar over files that Ctrl-C can end.
 */
#ifndef S3R_CLI_DATA_RUN_H
#define S3R_CLI_DATA_RUN_H

#include "session.h"

typedef struct s3r_file_bar {
    s3r_progress progress;
    s3r_terminal *terminal;
    const char *label;
    bool has_started;
} s3r_file_bar;

/* An s3r_data_progress_fn whose context is a bar with terminal and label set.  Answers
 * false after Ctrl-C; call s3r_interrupt_defer before. */
bool s3r_file_bar_update(void *context, size_t done, size_t total);
void s3r_file_bar_end(s3r_file_bar *bar);

#endif
