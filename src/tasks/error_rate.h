/*
 * Word, character and phone error rates, summed over a corpus. (spec 2.7, 9.11)
 *
 * The counts are those of NIST's sclite: an alignment with the least cost, where a
 * substitution costs 4 and an insertion or deletion 3.  These costs align what people
 * would align; the number of errors is then now and then one more than the plain edit
 * distance, never less.
 */
#ifndef S3R_TASKS_ERROR_RATE_H
#define S3R_TASKS_ERROR_RATE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/random.h"

typedef enum s3r_token_unit {
    S3R_UNIT_WORD,      /* between white space */
    S3R_UNIT_CHARACTER, /* code points of the text, one space between words counted */
    S3R_UNIT_PHONE      /* between white space, "|" left out: labels printed apart */
} s3r_token_unit;

typedef struct s3r_error_counts {
    size_t substitutions, deletions, insertions;
    size_t reference; /* tokens of the reference */
} s3r_error_counts;

/*
 * Adds the counts of one pair; texts are UTF-8, a byte that is not is a character of its
 * own.  Memory grows with the sum of the lengths, time with their product.
 * S3R_ERR_RESOURCE (also beyond 2^28 tokens); counts are then as before.  Thread-safe.
 */
s3r_status s3r_error_counts_add(s3r_error_counts *counts, const char *reference,
                                const char *hypothesis, s3r_token_unit unit,
                                s3r_error *err);

/*
 * Which words of the hypothesis are right in the alignment that s3r_error_counts_add
 * counts.
 *
 *   is_right  [words of the hypothesis]
 *
 * Memory and time grow with the product of the lengths: S3R_ERR_RESOURCE beyond 2^28
 * pairs.  Thread-safe.
 */
s3r_status s3r_error_right_words(bool *is_right, const char *reference,
                                 const char *hypothesis, s3r_error *err);

/* Errors a reference token; 0 for an empty pair, 1 a insertion for an empty reference. */
double s3r_error_rate(const s3r_error_counts *counts);

typedef struct s3r_interval {
    double low, high;
} s3r_interval;

/* The sum of both; reference tokens too. */
void s3r_error_counts_sum(s3r_error_counts *counts, const s3r_error_counts *more);

/*
 * The central 95 % of the corpus error rate under resampling of utterances (percentile
 * bootstrap), the same for one seed.  Without resamples or items both ends are the rate.
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_error_interval(s3r_interval *out, const s3r_error_counts *items,
                              size_t count, size_t resamples, uint64_t seed,
                              s3r_error *err);

#endif
