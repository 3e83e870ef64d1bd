/*
 * The text that a language model is estimated from, as numbers of words.
 */
#ifndef S3R_DECODE_LM_TEXT_H
#define S3R_DECODE_LM_TEXT_H

#include "decode/ngrams.h"

/* Between the words of a text of characters, as in vocabularies of letters. */
#define S3R_LM_DELIMITER "|"

/* Zeroed before use; words begins with the special ones (s3r_ngrams_init). */
typedef struct s3r_lm_text {
    bool has_characters;
    s3r_word_table *words;
    uint32_t *tokens; /* for each sentence <s>, its words, </s> */
    size_t count, capacity;
    size_t sentences;
} s3r_lm_text;

void s3r_lm_text_release(s3r_lm_text *text);

/*
 * Adds one sentence: words are parted by space, tab and CR; with has_characters each
 * character of a word is one, with S3R_LM_DELIMITER between words.  S3R_ERR_DATA (without
 * the place): not UTF-8, a reserved word (<s>, </s>, <unk>); S3R_ERR_RESOURCE.
 */
s3r_status s3r_lm_text_add(s3r_lm_text *text, const char *line, s3r_error *err);

#endif
