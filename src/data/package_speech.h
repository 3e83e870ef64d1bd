/*
 * The recipe that turns pairs of Debian's packages into a corpus for benchmarks: which
 * pairs are left out, what the text becomes, and which split a pair is in.  docs/data.md
 * has the numbers that come out.
 *
 * Left out, each counted by reason: no text; a placeholder (%1); digits; a note in
 * brackets instead of words; audio that does not open, below 0.4 s or above 20 s; less
 * than 2 or more than 26 characters a second (the text is not what is said); audio that
 * the language has already, byte by byte.
 *
 * The text is in lower case, words of letters and numbers with apostrophes inside.  The
 * split is that of text_split.h, of the text with its quotation marks: no text is in two
 * splits.
 */
#ifndef S3R_DATA_PACKAGE_SPEECH_H
#define S3R_DATA_PACKAGE_SPEECH_H

#include "data/corpus.h"
#include "data/string_map.h"

typedef struct s3r_package_speech {
    s3r_corpus *corpus;
    const char *source;   /* "tuxpaint" */
    s3r_string_map known; /* audio by language and SHA-256 */
} s3r_package_speech;

typedef struct s3r_speech_pair {
    const char *path; /* of the audio */
    const char *id;
    const char *language, *speaker; /* BCP-47 */
    const char *text;               /* as the package has it; NULL = none */
    const char *split_text;         /* decides the split instead of text; NULL = text */
} s3r_speech_pair;

/* Adds the pair to the corpus or counts why not.  The corpus must outlive the state; its
 * arena holds what is known.  S3R_ERR_DATA: text that is not UTF-8; S3R_ERR_RESOURCE. */
s3r_status s3r_package_speech_add(s3r_package_speech *speech, const s3r_speech_pair *pair,
                                  s3r_error *err);
void s3r_package_speech_release(s3r_package_speech *speech); /* not the corpus */

#endif
