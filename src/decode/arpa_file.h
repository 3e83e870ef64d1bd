/*
 * N-gram models as ARPA files: the text format that all tools of the field exchange.
 *
 *     \data\
 *     ngram 1=COUNT ...
 *     \1-grams:
 *     LOG10PROB <tab> WORDS [<tab> BACKOFF]
 *     ...
 *     \end\
 *
 * A back-off that is missing is 0.  (spec 3.5)
 */
#ifndef S3R_DECODE_ARPA_FILE_H
#define S3R_DECODE_ARPA_FILE_H

#include "decode/ngrams.h"
#include "text/line_stream.h"

/*
 * Reads an ARPA file, plain or gzip.  Fields are parted by tabs or spaces; lines before
 * \data\ are comments.  "<UNK>" counts as "<unk>", which is -100 when the file lacks it.
 *
 * S3R_ERR_DATA names file, line, expected and found: no \data\, orders that are missing
 * or beyond S3R_LM_MAX_ORDER, more or fewer n-grams than announced, numbers that are not
 * finite, a probability above 1, a word twice or unknown, no <s> or </s>, no \end\.
 * N-grams of order 2 and more that are there twice are left for whoever sorts them.
 * S3R_ERR_RESOURCE.  *out is empty after a failure.
 */
s3r_status s3r_arpa_open(s3r_ngrams *out, const char *path, s3r_error *err);
s3r_status s3r_arpa_parse(s3r_ngrams *out, const char *bytes, size_t size,
                          const char *label, s3r_error *err);

/* Writes one, atomically, as gzip when the name ends in ".gz".  Values are rounded to
 * 1e-7.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_arpa_save(const s3r_ngrams *ngrams, const char *path, s3r_error *err);

#endif
