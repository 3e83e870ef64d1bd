/*
 * From text to labels, the other direction of decoding.
 */
#ifndef S3R_TEXT_VOCABULARY_ENCODE_H
#define S3R_TEXT_VOCABULARY_ENCODE_H

#include "base/memory.h"
#include "text/vocabulary.h"

/*
 * The labels of a text.  Words are what white space separates; the delimiter is put
 * between them (not at the ends; without a delimiter nothing is), and inside a word the
 * longest label that matches is taken.  Text and labels are compared in NFC.  When the
 * labels have one case only, the text is brought to it.
 *
 * In a phoneme vocabulary labels are separated by white space and taken as they are
 * written; a "|" between words is left out when there is no such label.
 *
 * *labels lies in the arena.  S3R_ERR_DATA: not UTF-8; or characters (phones) without a
 * label, which the message lists with their code points.  S3R_ERR_RESOURCE.  Thread-safe
 * for different arenas.
 */
s3r_status s3r_vocabulary_encode(const s3r_vocabulary *vocabulary, const char *text,
                                 s3r_arena *arena, uint32_t **labels, size_t *count,
                                 s3r_error *err);

/* The text in the form in which it is compared with labels: NFC, and their case when they
 * have only one.  *out lies in the arena.  S3R_ERR_DATA, S3R_ERR_RESOURCE as above. */
s3r_status s3r_vocabulary_fold(const s3r_vocabulary *vocabulary, const char *text,
                               s3r_arena *arena, char **out, s3r_error *err);

/* A run of characters without a label, in an encoded text: any sound. */
#define S3R_STAR_LABEL (UINT32_MAX - 1)

/* What to do with characters (phones) that have no label. */
typedef enum s3r_missing_policy {
    S3R_MISSING_REFUSE, /* as s3r_vocabulary_encode */
    S3R_MISSING_SKIP,   /* as if they were not there */
    S3R_MISSING_STAR    /* a run of them within a word is one S3R_STAR_LABEL */
} s3r_missing_policy;

typedef struct s3r_encoded_word {
    const char *text; /* as it was written */
    size_t first_label, label_count;
} s3r_encoded_word;

/* Lies in the arena. */
typedef struct s3r_encoded_text {
    uint32_t *labels;
    size_t count;
    s3r_encoded_word *words;
    size_t word_count;
    size_t missing_count; /* different ones without a label, as far as they are listed */
    const char *missing;  /* the first of them, as messages name them; "" */
} s3r_encoded_text;

/*
 * As s3r_vocabulary_encode, with the words of the text.  Punctuation without a label that
 * nobody says is passed over, whatever the policy (s3r_character_is_silent).  Words are
 * what white space separates, but for what is all such punctuation; of phonemes what "|"
 * separates, and without any the whole text is one.  A word of which nothing has a label
 * has no labels and, with a delimiter, no second one beside it.
 */
s3r_status s3r_vocabulary_encode_words(const s3r_vocabulary *vocabulary, const char *text,
                                       s3r_missing_policy policy, s3r_arena *arena,
                                       s3r_encoded_text *out, s3r_error *err);

/* The whole vocabulary but its path as a JSON object (new reference; NULL without
 * memory), and back.  from_json trusts nothing: S3R_ERR_MODEL names what is wrong; label
 * names the file in messages and becomes the path.  *out is empty after a failure. */
json_t *s3r_vocabulary_to_json(const s3r_vocabulary *vocabulary);
s3r_status s3r_vocabulary_from_json(s3r_vocabulary *out, const json_t *object,
                                    const char *label, s3r_error *err);

#endif
