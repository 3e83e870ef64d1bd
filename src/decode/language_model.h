/*
 * An n-gram language model that can be asked.
 *
 * Three kinds of files are opened: our own, which is mapped and ready at once; KenLM's
 * probing binaries, likewise; ARPA files, which are compiled in memory first.
 *
 * Values are log10.  The probability of a word is that of the longest n-gram that ends
 * with it and is in the model, plus the back-offs of the longer contexts (spec 3.5).  A
 * state is the longest context that can still matter, so equal states have equal futures.
 */
#ifndef S3R_DECODE_LANGUAGE_MODEL_H
#define S3R_DECODE_LANGUAGE_MODEL_H

#include "base/file.h"
#include "decode/ngram_table.h"
#include "decode/ngrams.h"

typedef enum s3r_lm_format { S3R_LM_OWN, S3R_LM_KENLM, S3R_LM_ARPA } s3r_lm_format;

/* Read it freely; only the functions below write it. */
typedef struct s3r_lm {
    char *path;
    s3r_lm_format format;
    size_t order;
    bool has_characters; /* its words are characters, "|" between words */
    uint32_t word_count; /* ids are below it */
    uint32_t begin_word, end_word;
    uint64_t counts[S3R_LM_MAX_ORDER]; /* n-grams by order - 1 */
    s3r_ngram_table vocabulary;
    const unsigned char *unigrams;                /* [word_count] of two floats */
    s3r_ngram_table tables[S3R_LM_MAX_ORDER - 1]; /* by order - 2 */
    const char *word_bytes; /* NULL: words have numbers only (some KenLM files) */
    size_t word_byte_count;
    const unsigned char *word_offsets; /* [word_count] of uint64_t */
    /* private */
    s3r_file_map map;
    unsigned char *image; /* of an ARPA file, in the layout of our own */
    size_t image_bytes;
    uint64_t *kenlm_offsets;
} s3r_lm;

typedef struct s3r_lm_state {
    uint32_t words[S3R_LM_MAX_ORDER - 1]; /* [length] the last word first */
    float backoff[S3R_LM_MAX_ORDER - 1];  /* [length] of the context that long */
    uint32_t length;
} s3r_lm_state;

/*
 * Opens a model.  What is read of a binary file is its header, and of KenLM's the words:
 * sizes, versions and (ours) the header's checksum are checked, so that a cut file is
 * refused; s3r_lm_check reads the rest.  No content makes a query fail or leave the file.
 *
 * S3R_ERR_DATA: unreadable, damaged, another version, a KenLM file of another type than
 * probing, what s3r_arpa_open refuses, an n-gram twice; S3R_ERR_RESOURCE.
 */
s3r_status s3r_lm_open(s3r_lm *out, const char *path, s3r_error *err);
/* A binary model from bytes that outlive it; label names them. */
s3r_status s3r_lm_from_bytes(s3r_lm *out, const unsigned char *bytes, size_t size,
                             const char *label, s3r_error *err);
/* A model from its list; label names it. */
s3r_status s3r_lm_from_ngrams(s3r_lm *out, s3r_ngrams *ngrams, const char *label,
                              s3r_error *err);
void s3r_lm_close(s3r_lm *lm); /* a zeroed one is allowed */

/* Reads all of our own file and compares its checksums; other formats have none.
 * S3R_ERR_DATA names the part that is damaged. */
s3r_status s3r_lm_check(const s3r_lm *lm, s3r_error *err);

/* Writes the model as our own file, atomically.  S3R_ERR_DATA: a KenLM file without its
 * words, or damaged; S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_lm_save(const s3r_lm *lm, const char *path, s3r_error *err);

/* ---- queries: thread-safe, and never fail ---- */

/* The number of a word; S3R_WORD_UNKNOWN when the model does not have it. */
uint32_t s3r_lm_find(const s3r_lm *lm, const char *word, size_t size);
/* The word of a number below word_count; NULL when the file does not have it. */
const char *s3r_lm_word(const s3r_lm *lm, uint32_t id);

/* The state at the beginning of a sentence, and that without any context. */
s3r_lm_state s3r_lm_begin(const s3r_lm *lm);

/* log10 p(word | state), and the state behind the word; to may be from's storage. */
float s3r_lm_word_score(const s3r_lm *lm, const s3r_lm_state *from, uint32_t word,
                        s3r_lm_state *to);

#endif
