/*
 * Corpora as people have them: a layout reader turns a folder of somebody's making into
 * utterances, each with the split that the layout says.
 *
 * A new layout is a file layout_NAME.c and a line in the table of layout_table.c.
 */
#ifndef S3R_DATA_CORPUS_H
#define S3R_DATA_CORPUS_H

#include "data/manifest.h"

typedef struct s3r_corpus_item {
    s3r_utterance utterance; /* audio_path absolute or relative to the working folder */
    const char *split;   /* "train", "dev", "test", a layout's own name; "" = not split */
    const char *source;  /* a short name of where it is from: "tuxpaint" */
    double told_samples; /* length as the layout's table tells it; 0 = it does not */
} s3r_corpus_item;

/* How often something was left out, and why. */
typedef struct s3r_drop_count {
    const char *reason; /* "digits in the text" */
    size_t count;
    struct s3r_drop_count *next;
} s3r_drop_count;

typedef struct s3r_corpus {
    s3r_corpus_item *items;
    size_t count, capacity;
    s3r_arena owned;
    size_t dropped;                  /* the sum over dropped_reasons */
    s3r_drop_count *dropped_reasons; /* in the order of their first appearance */
} s3r_corpus;

typedef struct s3r_corpus_request {
    const char *source;      /* folder or file that the user named; NULL where the layout
                                finds its own (Debian packages) */
    const char *language;    /* wanted, BCP-47; NULL = all or unknown */
    const char *work_folder; /* may be written: unpacked packages */
} s3r_corpus_request;

typedef struct s3r_layout {
    const char *name;    /* "librispeech" */
    const char *summary; /* for the help text */
    bool needs_source;
    /* Adds all utterances.  S3R_ERR_DATA names file, line, expected and found. */
    s3r_status (*read)(s3r_corpus *corpus, const s3r_corpus_request *request,
                       s3r_error *err);
} s3r_layout;

/* The layout of that name, or NULL; all of them by index, NULL past the last. */
const s3r_layout *s3r_layout_find(const char *name);
const s3r_layout *s3r_layout_at(size_t index);

/* Whether a language is the wanted one: equal, or the wanted one with more subtags
 * (wanted "es": "es-MX" too).  Everything is wanted when wanted is NULL, and what has no
 * language is not known to be another. */
bool s3r_language_matches(const char *wanted, const char *language);

void s3r_corpus_init(s3r_corpus *corpus);
void s3r_corpus_release(s3r_corpus *corpus);
/* Copies the item's strings; text becomes NFC and is trimmed.  S3R_ERR_DATA: text that is
 * not UTF-8; S3R_ERR_RESOURCE. */
s3r_status s3r_corpus_add(s3r_corpus *corpus, const s3r_corpus_item *item,
                          s3r_error *err);
/* Counts something that was left out, by reason ("digits in the text"). */
s3r_status s3r_corpus_drop(s3r_corpus *corpus, const char *reason, s3r_error *err);

#endif
