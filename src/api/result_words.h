/*
 * The words of a result, from its labels.
 */
#ifndef S3R_API_RESULT_WORDS_H
#define S3R_API_RESULT_WORDS_H

#include "s3r/transcribe.h"
#include "text/vocabulary.h"

typedef struct s3r_words {
    s3r_word *items;
    size_t count;
    s3r_word_list spans; /* holds the texts */
} s3r_words;

/*
 * Words of labels in order of time, whatever decoder found them: ids, frames and
 * confidences are looked at.  Release *out in any case.  S3R_ERR_RESOURCE.  Thread-safe.
 */
s3r_status s3r_words_make(s3r_words *out, const s3r_vocabulary *vocabulary,
                          const s3r_label *labels, size_t label_count, s3r_error *err);
/* The words of a list on the same labels; it must outlive *out. */
s3r_status s3r_words_of_list(s3r_words *out, const s3r_word_list *list,
                             const s3r_label *labels, s3r_error *err);
void s3r_words_release(s3r_words *words); /* a zeroed one is allowed */

/* A word is as certain as its least certain label; 1 without labels. */
float s3r_word_confidence(const s3r_label *labels, size_t label_count);

#endif
