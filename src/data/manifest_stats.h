/*
 * What is in a manifest, in numbers.
 */
#ifndef S3R_DATA_MANIFEST_STATS_H
#define S3R_DATA_MANIFEST_STATS_H

#include "data/manifest.h"

#define S3R_DURATION_BINS 10u

/* A character of the texts and how often it is there. */
typedef struct s3r_character_count {
    int32_t character;
    size_t count;
} s3r_character_count;

typedef struct s3r_manifest_stats {
    size_t clips;
    size_t clips_with_text;
    size_t unmeasured; /* clips whose duration is not known; they count nowhere below */
    double seconds, least_s, median_s, greatest_s;
    size_t speakers, clips_with_speaker;
    size_t words, distinct_words, characters;
    double rate_least, rate_median, rate_greatest; /* characters a second */
    size_t bins[S3R_DURATION_BINS]; /* durations from s3r_duration_edges[i] up */
    s3r_character_count *inventory; /* by code point */
    size_t inventory_count;
} s3r_manifest_stats;

/* Lower edges of the bins in seconds: 0, 0.5, 1, 2, 3, 5, 10, 15, 20, 30. */
extern const double s3r_duration_edges[S3R_DURATION_BINS];

/* durations [count] in seconds, negative when not known.  S3R_ERR_RESOURCE. */
s3r_status s3r_manifest_stats_make(s3r_manifest_stats *out, const s3r_manifest *manifest,
                                   const double *durations, s3r_error *err);
void s3r_manifest_stats_release(s3r_manifest_stats *stats);

#endif
