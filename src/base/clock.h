/*
 * How much time has passed.
 */
#ifndef S3R_BASE_CLOCK_H
#define S3R_BASE_CLOCK_H

/* Seconds since some moment that stays.  Never goes back, whatever is done to the time of
 * day. */
double s3r_clock_seconds(void);

#endif
