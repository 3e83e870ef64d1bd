/*
 * What calls of the public interface check alike in their options.
 */
#ifndef S3R_API_OPTIONS_CHECK_H
#define S3R_API_OPTIONS_CHECK_H

#include "base/error.h"

/* The struct was initialised by this version's _init: found is its struct_size.  what
 * names it: "model options".  S3R_ERR_USAGE. */
s3r_status s3r_options_check_size(const char *what, size_t expected, size_t found,
                                  s3r_error *err);

/* Seconds of windows, of their context and of batches.  S3R_ERR_USAGE. */
s3r_status s3r_options_check_windows(double window_s, double context_s, double batch_s,
                                     s3r_error *err);

/* A temperature of probabilities: above 0, at most 1000.  S3R_ERR_USAGE. */
s3r_status s3r_options_check_temperature(double temperature, s3r_error *err);

#endif
