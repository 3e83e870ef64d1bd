/*
 * Checks of options.
 */
#include "api/options_check.h"

s3r_status s3r_options_check_size(const char *what, size_t expected, size_t found,
                                  s3r_error *err)
{
    if (found == expected)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "%s: expected a struct of %zu bytes, found %zu (not initialised?)",
                    what, expected, found);
}

s3r_status s3r_options_check_windows(double window_s, double context_s, double batch_s,
                                     s3r_error *err)
{
    if (window_s >= 1 && context_s >= 0 && batch_s > 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "expected window >= 1 s, context >= 0 s, batch > 0 s; found %g, %g, "
                    "%g",
                    window_s, context_s, batch_s);
}

s3r_status s3r_options_check_temperature(double temperature, s3r_error *err)
{
    if (temperature > 0 && temperature <= 1000)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "expected a temperature above 0 and at most 1000, found %g",
                    temperature);
}
