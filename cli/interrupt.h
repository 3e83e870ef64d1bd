/*
 * Ctrl-C and SIGTERM: exit code 130 or 143.
 *
 * By default a signal ends the program at once (files are written atomically, so none is
 * left half written).  A verb that has something to finish calls s3r_interrupt_defer();
 * the first signal then only sets a flag that the verb must look at, the second ends.
 *
 * SIGPIPE and SIGXFSZ are ignored: writing to a closed pipe, or beyond the limit of file
 * sizes, fails like writing to a full disk.
 */
#ifndef S3R_CLI_INTERRUPT_H
#define S3R_CLI_INTERRUPT_H

#include <stdbool.h>

void s3r_interrupt_install(void);
void s3r_interrupt_defer(void);
/* True after a deferred signal. */
bool s3r_interrupted(void);
/* 130 or 143 after a deferred signal, else 0. */
int s3r_interrupt_exit_code(void);

#endif
