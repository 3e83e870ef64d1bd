/*
 * Text as Unicode knows it: normal form, case, white space, characters one by one.
 */
#ifndef S3R_TEXT_UNICODE_TEXT_H
#define S3R_TEXT_UNICODE_TEXT_H

#include "base/memory.h"

typedef enum s3r_text_case {
    S3R_CASE_KEEP,
    S3R_CASE_LOWER,
    S3R_CASE_UPPER
} s3r_text_case;

/* Reads the character at *at and moves behind it; 0 at the end of the string.  A byte
 * that is no UTF-8 counts as one character of value -1. */
int32_t s3r_character_next(const char **at);
/* Writes a valid code point as UTF-8 (at most 4 bytes, no NUL); returns how many. */
size_t s3r_character_write(char *to, int32_t character);

/* White space: Unicode's separators and the control characters that separate. */
bool s3r_character_is_space(int32_t character);
bool s3r_character_is_digit(int32_t character);  /* decimal digits of any script */
bool s3r_character_is_letter(int32_t character); /* letters and marks: L*, M* */

/* Punctuation that nobody says: dashes, quotes, brackets, stops, and characters without a
 * form.  Not what stands for a word ("%", "&", "@") nor a symbol ("+", "€"). */
bool s3r_character_is_silent(int32_t character);

/* Moves behind the next character as a reader sees it (extended grapheme cluster) and
 * returns the columns that it takes on a screen, 0 to 2; at the end *at stays. */
size_t s3r_grapheme_next(const char **at);

bool s3r_text_is_ascii(const char *text);

/* Bytes at the beginning of text that are UTF-8 without a zero byte; size when all are.
 */
size_t s3r_utf8_prefix(const char *text, size_t size);
/* Where the first byte of text that is not UTF-8 is; SIZE_MAX when all of it is. */
size_t s3r_text_find_wrong_byte(const char *text);

/*
 * The text in NFC after a change of case, in the arena.  Case changes by Unicode's simple
 * one-to-one mapping: no language's own rules (Turkish dotless i), "ß" becomes "ẞ".
 * S3R_ERR_DATA: which byte is not UTF-8.  S3R_ERR_RESOURCE.
 */
s3r_status s3r_text_normalize(char **out, s3r_arena *arena, const char *text,
                              s3r_text_case text_case, s3r_error *err);

#endif
