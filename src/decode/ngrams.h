/*
 * An n-gram model as a list: what an ARPA file says, and what is estimated from text.
 */
#ifndef S3R_DECODE_NGRAMS_H
#define S3R_DECODE_NGRAMS_H

#include "decode/word_table.h"

#define S3R_WORD_BEGIN                                                                   \
    1u                  /* "<s>"; here always, in a model that is queried not always     \
                         */
#define S3R_WORD_END 2u /* "</s>" */

/* The n-grams of one order.  Those of order 1 are the words in the order of their ids. */
typedef struct s3r_ngram_list {
    size_t count, capacity;
    uint32_t *words; /* [count, order] oldest first */
    float *prob;     /* [count] log10 */
    float *backoff;  /* [count] log10; zeros for the highest order */
} s3r_ngram_list;

/* Words 0, 1 and 2 are "<unk>", "<s>" and "</s>".  Zeroed before use. */
typedef struct s3r_ngrams {
    size_t order;
    bool has_characters; /* its words are single characters, "|" between words */
    s3r_word_table words;
    s3r_ngram_list lists[S3R_LM_MAX_ORDER]; /* by order - 1 */
} s3r_ngrams;

/* Begins a model with its three special words (without n-grams).  S3R_ERR_RESOURCE. */
s3r_status s3r_ngrams_init(s3r_ngrams *ngrams, size_t order, s3r_error *err);
void s3r_ngrams_release(s3r_ngrams *ngrams); /* a zeroed one is allowed */

/* Room for `more` n-grams of that order beyond the count.  S3R_ERR_RESOURCE. */
s3r_status s3r_ngrams_reserve(s3r_ngrams *ngrams, size_t order, size_t more,
                              s3r_error *err);

/* "the cat sat" for messages, cut when it is long. */
void s3r_ngrams_name(const s3r_ngrams *ngrams, const uint32_t *words, size_t order,
                     char *text, size_t text_bytes);

#endif
