/*
 * Text as speech recognisers are trained on it: words with single spaces between them,
 * without punctuation.
 */
#ifndef S3R_TEXT_PLAIN_TEXT_H
#define S3R_TEXT_PLAIN_TEXT_H

#include "text/unicode_text.h"

typedef struct s3r_plain_text_options {
    s3r_text_case text_case;
    bool keeps_hyphens; /* inside words ("porte-clés"); otherwise they part words */
    bool keeps_symbols; /* category S* ("+", "€"); otherwise they part words */
    bool keeps_quotes;  /* apostrophes everywhere, not only inside words */
} s3r_plain_text_options;

/*
 * The plain form of a text, in the arena.  Letters, marks and numbers stay; so does an
 * apostrophe (U+0027, or U+2019 that becomes it) inside a word: "l'eau".  Everything else
 * parts words.  Joiners inside words (U+200C, U+200D) stay, other format characters (soft
 * hyphen) vanish.  The result is in NFC and may be empty.  S3R_ERR_DATA: not UTF-8;
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_text_make_plain(char **out, s3r_arena *arena, const char *text,
                               const s3r_plain_text_options *options, s3r_error *err);

#endif
