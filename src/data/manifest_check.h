/*
 * What is wrong with the utterances of manifests, one problem a line and reason.
 */
#ifndef S3R_DATA_MANIFEST_CHECK_H
#define S3R_DATA_MANIFEST_CHECK_H

#include "data/audio_facts.h"
#include "text/vocabulary.h"

typedef enum s3r_problem {
    S3R_PROBLEM_UNREADABLE,
    S3R_PROBLEM_BEYOND_END,
    S3R_PROBLEM_NO_TEXT,
    S3R_PROBLEM_TOO_SHORT, /* for its text */
    S3R_PROBLEM_TOO_LONG,  /* for its text */
    S3R_PROBLEM_VOCABULARY,
    S3R_PROBLEM_SAME_TEXT,  /* in another manifest */
    S3R_PROBLEM_SAME_AUDIO, /* in another manifest, or again in this one */
    S3R_PROBLEM_COUNT
} s3r_problem;

/* "unreadable", "beyond-end", "no-text", "too-short", "too-long", "vocabulary",
 * "same-text", "same-audio". */
const char *s3r_problem_name(s3r_problem problem);

/* Valid during the call only; another status than S3R_OK ends the check with it. */
typedef s3r_status (*s3r_problem_fn)(void *context, size_t manifest,
                                     const s3r_utterance *utterance, s3r_problem problem,
                                     const char *message);

typedef struct s3r_check_options {
    const s3r_vocabulary *vocabulary; /* NULL: characters are not checked */
    double frame_s;                   /* of the network, for a vocabulary; 0.02 */
    double max_rate, min_rate;        /* characters a second */
    bool is_ignored[S3R_PROBLEM_COUNT];
    bool believes_headers; /* audio is not decoded */
    s3r_facts_progress_fn progress;
    void *progress_context;
} s3r_check_options;

/* Calls problem for each that is found, in the order of the manifests, and counts the
 * utterances that have any.  S3R_ERR_RESOURCE, S3R_ERR_INTERRUPTED. */
s3r_status s3r_manifest_check(const s3r_manifest *manifests, size_t manifest_count,
                              s3r_pool *pool, const s3r_check_options *options,
                              s3r_problem_fn problem, void *context, size_t *failed_count,
                              s3r_error *err);

#endif
