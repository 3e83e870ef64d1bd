/*
 * Data: corpora to manifests, and what can be said of manifests (docs/data.md).
 *
 * A manifest is a file of JSON lines, one utterance a line.  Everything here may be
 * called with a context of its own by any thread; one call at a time a context.
 */
#ifndef S3R_DATA_H
#define S3R_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3r/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called now and then with files done and to do.  Returning false interrupts the call:
 * S3R_ERR_INTERRUPTED. */
typedef bool (*s3r_data_progress_fn)(void *context, size_t done, size_t total);

/* ---- prepare ---- */

/* A layout that data may have: "librispeech". */
typedef struct s3r_data_layout_info {
    const char *name, *summary;
    bool needs_source; /* else it finds the data itself */
} s3r_data_layout_info;

/* The index-th layout; false past the last, out is then untouched.  Thread-safe. */
S3R_API bool s3r_data_layout(size_t index, s3r_data_layout_info *out);

typedef enum s3r_data_split_mode {
    S3R_DATA_SPLIT_LAYOUT, /* as the layout says; what it does not split is "all" */
    S3R_DATA_SPLIT_TEXT    /* 80/10/10 by a hash of language and text: none in two */
} s3r_data_split_mode;

typedef struct s3r_prepare_data_options {
    size_t struct_size;   /* set by _init */
    const char *layouts;  /* names parted by commas */
    const char *source;   /* folder or file; NULL where the layouts need none */
    const char *language; /* wanted; NULL = all */
    const char *folder;   /* gets SPLIT.jsonl and dropped.tsv; made when missing */
    s3r_data_split_mode split;
    bool is_cleaned;     /* repeated audio and outliers go; always with a split by text */
    bool is_by_language; /* LANGUAGE/SPLIT.jsonl */
    bool is_decoded;     /* decode every file; default false: headers are believed */
    double max_rate;     /* characters a second, when cleaned; default 26 */
    double min_seconds;  /* when cleaned; default 0.4 */
    double max_seconds;  /* default 0 = any */
    s3r_data_progress_fn progress; /* NULL = none */
    void *progress_context;
} s3r_prepare_data_options;

S3R_API void s3r_prepare_data_options_init(s3r_prepare_data_options *options);

/* One language of one split, in order; strings are valid during the call. */
typedef struct s3r_data_row {
    const char *language, *split; /* "" when not known */
    size_t clips, words;
    double seconds;
} s3r_data_row;

/* Called when all is written, for each row and for each reason to leave something out.
 * Any of the functions may be NULL. */
typedef struct s3r_prepare_data_result {
    void (*row)(void *context, const s3r_data_row *row);
    void (*dropped)(void *context, const char *reason, size_t count);
    void *context;
    /* Utterances that stay although their audio is longer or shorter, by more than a
     * frame, than the layout's table says; not called when there are none. */
    void (*other_length)(void *context, size_t count, const char *first_id);
} s3r_prepare_data_result;

/*
 * Reads layouts, measures the audio and writes a manifest for each split.  S3R_ERR_USAGE:
 * an unknown layout, a source that is missing; S3R_ERR_DATA: data unlike its layout
 * (file, line, expected, found), nothing that stays; S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_data_prepare(s3r_context *context,
                                    const s3r_prepare_data_options *options,
                                    const s3r_prepare_data_result *result,
                                    s3r_error *err);

/* ---- check ---- */

typedef struct s3r_data_problem {
    const char *manifest; /* path */
    size_t line;
    const char *id, *audio_path;
    const char *reason; /* as in docs/data.md: "unreadable" */
    const char *message;
} s3r_data_problem;

/* Valid during the call only; another status than S3R_OK ends the check with it. */
typedef s3r_status (*s3r_data_problem_fn)(void *context, const s3r_data_problem *problem);

typedef struct s3r_check_data_options {
    size_t struct_size;            /* set by _init */
    const s3r_model *model;        /* gives vocabulary and frames; NULL */
    const char *vocabulary_folder; /* gives the vocabulary; NULL */
    const char *language;          /* of a multilingual vocabulary; NULL */
    double max_rate, min_rate;     /* characters a second; default 26 and 1; 0 = any */
    const char *ignored;           /* reasons parted by commas; NULL = none */
    bool believes_headers;         /* do not decode; default false */
    s3r_data_progress_fn progress; /* NULL = none */
    void *progress_context;
} s3r_check_data_options;

S3R_API void s3r_check_data_options_init(s3r_check_data_options *options);

/*
 * Reports every problem of the utterances of all manifests, in their order; what is in
 * two of them is one, too.  *clip_count and *failed_count receive all utterances and
 * those with problems.  S3R_ERR_PARTIAL when there are any; else what makes the check
 * impossible: S3R_ERR_DATA (a manifest), S3R_ERR_MODEL (the vocabulary), S3R_ERR_USAGE
 * (an unknown reason), S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_data_check(s3r_context *context, const char *const *paths,
                                  size_t path_count,
                                  const s3r_check_data_options *options,
                                  s3r_data_problem_fn problem, void *problem_context,
                                  size_t *clip_count, size_t *failed_count,
                                  s3r_error *err);

/* ---- stats ---- */

#define S3R_DATA_BINS 10

typedef struct s3r_data_stats {
    size_t clips, clips_with_text;
    size_t clips_unreadable; /* of unknown duration; not in the figures that need one */
    double seconds, min_seconds, median_seconds, max_seconds;
    size_t speakers, clips_with_speaker;
    size_t words, distinct_words, characters;
    double min_rate, median_rate, max_rate; /* characters a second */
    double bin_edges[S3R_DATA_BINS];        /* seconds from which a bin counts */
    size_t bins[S3R_DATA_BINS];
    size_t character_count;
    const int32_t *character; /* [character_count] code points in order */
    const size_t *uses;       /* [character_count] */
    void *storage;            /* private */
} s3r_data_stats;

/* Durations that the manifest does not say are measured.  Release *out after success. */
S3R_API s3r_status s3r_data_stats_make(s3r_context *context, const char *path,
                                       s3r_data_stats *out, s3r_error *err);
S3R_API void s3r_data_stats_release(s3r_data_stats *stats);

/* ---- split ---- */

typedef struct s3r_split_data_options {
    size_t struct_size; /* set by _init */
    double minutes;     /* > 0 */
    uint64_t seed;
    const char *out;  /* gets the utterances that are drawn */
    const char *rest; /* gets the others; NULL */
} s3r_split_data_options;

S3R_API void s3r_split_data_options_init(s3r_split_data_options *options);

/*
 * Draws utterances until they last so long.  What is drawn depends on the seed and on ids
 * and texts, not on the order in the file; of two draws with one seed the longer has all
 * of the shorter.  S3R_ERR_DATA: there is less.
 */
S3R_API s3r_status s3r_data_split(s3r_context *context, const char *path,
                                  const s3r_split_data_options *options,
                                  size_t *clip_count, double *seconds, s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
