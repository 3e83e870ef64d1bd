/*
 * Signal handling.  The two flags are the program's only mutable globals: a handler can
 * reach nothing else.
 */
#define _POSIX_C_SOURCE 200809L
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t is_deferred;
static volatile sig_atomic_t pending_signal;

static void on_signal(int number)
{
    if (!is_deferred || pending_signal)
        _exit(128 + number);
    pending_signal = number;
}

void s3r_interrupt_install(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A reader of stdout that goes away is a failed write with a message, not the end. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL); /* so is a file that may not grow */
}

void s3r_interrupt_defer(void)
{
    is_deferred = 1;
}

bool s3r_interrupted(void)
{
    return pending_signal != 0;
}

int s3r_interrupt_exit_code(void)
{
    return pending_signal ? 128 + pending_signal : 0;
}
