/*
 * The system's monotonic clock (POSIX).
 */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"

#include <time.h>

double s3r_clock_seconds(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
