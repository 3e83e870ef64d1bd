/*
 * All n-grams of a text in order, found by sorting the places where they end.
 *
 * Places are sorted by the last word, then by the one before, and so on: the n-grams of
 * every order are then runs of neighbours.  What lies before a sentence counts as <s>.
 */
#ifndef S3R_DECODE_SUFFIX_SORT_H
#define S3R_DECODE_SUFFIX_SORT_H

#include "decode/lm_text.h"

typedef struct s3r_suffixes {
    uint32_t *place; /* [count] index of the last word in the tokens, sorted */
    uint8_t *shared; /* [count] last words shared with the place before, at most order */
    size_t count;
} s3r_suffixes;

/* S3R_ERR_RESOURCE. */
s3r_status s3r_suffixes_sort(s3r_suffixes *out, const s3r_lm_text *text, size_t order,
                             s3r_error *err);
void s3r_suffixes_release(s3r_suffixes *suffixes);

/* Whether the n-gram that ends at the place lies in its sentence, <s> included. */
static inline bool s3r_ngram_exists(const uint32_t *tokens, uint32_t place, size_t order)
{
    for (size_t i = 0; i + 1 < order; i++)
        if (tokens[place - i] == S3R_WORD_BEGIN)
            return false;
    return true;
}

#endif
