/*
 * Sentences of text files and manifests, one after another.
 */
#ifndef S3R_API_LM_TEXTS_H
#define S3R_API_LM_TEXTS_H

#include "s3r/lm.h"

/* Gets one sentence, NUL-terminated; an error needs no place. */
typedef s3r_status (*s3r_sentence_fn)(void *context, const char *sentence,
                                      s3r_error *err);

/* Reads paths as s3r_lm_build says, and calls `take` for each sentence.  Utterances
 * without text are left out.  Errors name file and line. */
s3r_status s3r_lm_texts_read(const char *const *paths, size_t count,
                             const s3r_lm_text_options *options, s3r_sentence_fn take,
                             void *context, s3r_error *err);

#endif
