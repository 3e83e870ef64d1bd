/*
 * From a layout to manifests: read, measure, clean, split, write.
 */
#ifndef S3R_DATA_PREPARE_H
#define S3R_DATA_PREPARE_H

#include "data/audio_facts.h"
#include "data/corpus.h"

typedef enum s3r_split_mode {
    S3R_SPLIT_LAYOUT, /* as the layout says; what it does not split is "all" */
    S3R_SPLIT_TEXT    /* 80/10/10, one text is on one side only (text_split.h) */
} s3r_split_mode;

typedef struct s3r_prepare_options {
    const char *layouts;  /* names parted by commas */
    const char *source;   /* NULL where the layouts need none */
    const char *language; /* wanted; NULL = all */
    const char *folder;   /* gets SPLIT.jsonl and dropped.tsv */
    s3r_split_mode split;
    bool is_cleaned;     /* duplicates and outliers go; always with a split by text */
    bool is_by_language; /* LANGUAGE/SPLIT.jsonl */
    bool is_decoded;     /* every file is decoded, so that damaged ones are found */
    double max_rate;     /* characters a second; faster clips are dropped */
    double min_seconds, max_seconds; /* max 0 = any */
    s3r_facts_progress_fn progress;  /* NULL = none */
    void *progress_context;
} s3r_prepare_options;

/* Clips of one language in one split. */
typedef struct s3r_prepare_row {
    const char *language, *split; /* "" = not known */
    size_t clips, words;
    double seconds;
} s3r_prepare_row;

/* What was made.  Rows are in the order of languages, splits train, dev, test first. */
typedef struct s3r_prepare_report {
    s3r_prepare_row *rows;
    size_t row_count;
    s3r_corpus corpus;           /* owns the strings; its items are what was written */
    size_t other_length;         /* items whose audio is not as long as the layout says */
    const char *other_length_id; /* the first of them */
} s3r_prepare_report;

/*
 * S3R_ERR_USAGE: an unknown layout, a source that is missing or not wanted; S3R_ERR_DATA:
 * what the layout says, or nothing is left (the reasons); S3R_ERR_RUNTIME,
 * S3R_ERR_RESOURCE.  Release the report in any case.
 */
s3r_status s3r_prepare(s3r_prepare_report *report, s3r_pool *pool,
                       const s3r_prepare_options *options, s3r_error *err);
void s3r_prepare_report_release(s3r_prepare_report *report);

#endif
