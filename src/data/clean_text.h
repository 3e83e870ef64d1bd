/*
 * Text of corpora in one form: UTF-8 in NFC without white space at the ends.
 */
#ifndef S3R_DATA_CLEAN_TEXT_H
#define S3R_DATA_CLEAN_TEXT_H

#include "base/compiler.h"
#include "base/error.h"

/* A new string (s3r_free) in NFC, trimmed of white space as Unicode knows it.
 * S3R_ERR_DATA names the first byte that is not UTF-8; S3R_ERR_RESOURCE. */
s3r_status s3r_text_clean(char **out, const char *text, s3r_error *err);

/* Says that text is not UTF-8 at byte `at`: S3R_ERR_DATA. */
s3r_status s3r_fail_utf8(s3r_error *err, const char *text, size_t at);

/* Words (parted by white space) and characters (code points) of a UTF-8 text. */
size_t s3r_text_words(const char *text);
size_t s3r_text_characters(const char *text);

#endif
