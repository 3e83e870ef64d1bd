/*
 * Making texts comparable before they are scored: reference and hypothesis get the same
 * treatment, and what people write in more than one way becomes one.
 */
#ifndef S3R_TEXT_TEXT_NORMALIZE_H
#define S3R_TEXT_TEXT_NORMALIZE_H

#include "base/error.h"

/* Each does what those before it do, and more. */
typedef enum s3r_normalization {
    S3R_NORMALIZE_NONE, /* nothing: the bytes as they are */
    S3R_NORMALIZE_NFC,  /* Unicode NFC; white space becomes one space, none at the ends */
    S3R_NORMALIZE_CASE, /* Unicode case folding: "ß" becomes "ss" */
    S3R_NORMALIZE_BASIC /* punctuation and symbols become spaces, but an apostrophe
                           between letters or digits stays, as "'"; invisible format
                           characters vanish (but joiners stay) */
} s3r_normalization;

/* The name that users type, "none", "nfc", "case", "basic"; NULL past the last. */
const char *s3r_normalization_name(size_t index);

/* The text, treated, in a new string (s3r_free).  S3R_ERR_DATA: a byte that is not UTF-8
 * (not with S3R_NORMALIZE_NONE).  S3R_ERR_RESOURCE.  Thread-safe. */
s3r_status s3r_text_make_comparable(char **out, const char *text,
                                    s3r_normalization normalization, s3r_error *err);

#endif
