/*
 * Confidence against truth: how often words of confidence c are right, and the
 * temperature of the output probabilities that brings the two together.
 *
 * A temperature T turns probabilities p into p^(1/T), normalised again: above 1 a model
 * becomes less sure of itself.  It changes no best label, so the text stays.  (Guo et
 * al. 2017, "On calibration of modern neural networks")
 */
#ifndef S3R_TASKS_CALIBRATION_H
#define S3R_TASKS_CALIBRATION_H

#include "base/error.h"

/* The probability that exp(best) becomes at a temperature > 0.
 *   log_probs  [count] natural logarithm, finite or -infinity; best is the largest */
float s3r_tempered_probability(const float *log_probs, size_t count, float best,
                               double temperature);

/* The grid 2^(-2) to 2^3 in steps of 2^(1/8), and one more that the caller chooses. */
#define S3R_TEMPERATURE_GRID  41u
#define S3R_TEMPERATURE_ONE   16u /* where 1 is */
#define S3R_TEMPERATURE_GIVEN S3R_TEMPERATURE_GRID
#define S3R_TEMPERATURE_COUNT (S3R_TEMPERATURE_GRID + 1u)
#define S3R_CALIBRATION_BINS  10u /* of equal width: 0 to 0.1, ... */

typedef struct s3r_confidence_bin {
    size_t words, right;
    double confidence; /* summed */
} s3r_confidence_bin;

/* Zero it and set `given` to begin. */
typedef struct s3r_confidence_tally {
    double given; /* a temperature */
    size_t words, right;
    double loss[S3R_TEMPERATURE_COUNT]; /* summed, nats */
    s3r_confidence_bin bins[S3R_TEMPERATURE_COUNT][S3R_CALIBRATION_BINS];
} s3r_confidence_tally;

double s3r_confidence_temperature(const s3r_confidence_tally *tally, size_t index);

/* One word with its confidence at each temperature. */
void s3r_confidence_add(s3r_confidence_tally *tally,
                        const float confidence[S3R_TEMPERATURE_COUNT], bool is_right);

/* The temperature of the grid with the least loss, the one nearest to 1 of equals; 1
 * without words. */
size_t s3r_confidence_fit(const s3r_confidence_tally *tally);

/* Over bins: the mean, weighted by words, of |share of right words - mean confidence|. */
double s3r_confidence_error(const s3r_confidence_tally *tally, size_t index);
double s3r_confidence_mean(const s3r_confidence_tally *tally, size_t index);
/* Normalised cross entropy as NIST defines it: 1 is perfect, 0 what knowing only the
 * share of right words gives, below 0 worse than that.  0 when all words are right or all
 * wrong. */
double s3r_confidence_entropy(const s3r_confidence_tally *tally, size_t index);

#endif
