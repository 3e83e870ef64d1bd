/*
 * Inside the vocabulary: the two readers fill an empty s3r_vocabulary but for `printed`
 * and, when nothing names it, the blank; vocabulary.c does the rest.
 */
#ifndef S3R_TEXT_VOCABULARY_READ_H
#define S3R_TEXT_VOCABULARY_READ_H

#include "text/vocabulary.h"

/* folder/vocab.json and its side files.  blank_id: the padding label or S3R_NO_LABEL. */
s3r_status s3r_vocabulary_read_hf(s3r_vocabulary *vocabulary, const char *folder,
                                  const char *target_language, s3r_error *err);
/* A dict.*.txt. */
s3r_status s3r_vocabulary_read_fairseq(s3r_vocabulary *vocabulary, const char *path,
                                       s3r_error *err);
/* Sets labels, is_special (all false) and count of an empty vocabulary; labels NULL. */
s3r_status s3r_vocabulary_reserve(s3r_vocabulary *vocabulary, size_t count,
                                  s3r_error *err);
/* Fills `printed`, the last step: everything else is set. */
s3r_status s3r_vocabulary_set_printed(s3r_vocabulary *vocabulary, s3r_error *err);

#endif
