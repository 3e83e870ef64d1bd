/*
 * Texts as phones, by the program espeak-ng (GPL-3: it is run, not linked).
 */
#ifndef S3R_DATA_PHONES_H
#define S3R_DATA_PHONES_H

#include "base/memory.h"

/*
 * The phones of each text, parted by single spaces, in the arena.
 *
 *   phones  [count] receives the strings; "" where espeak-ng says nothing
 *   texts   [count] plain text, one line each, without punctuation
 *   voice   of espeak-ng: a language as "fr", "pt-BR", "en-gb"
 *
 * IPA; what espeak-ng writes as one unit is one phone: diphthongs, affricates, a vowel
 * with its length mark, a tone digit with its vowel.  Stress marks and espeak-ng's own
 * signs go.  Words in another language keep the phones of that language.
 *
 * S3R_ERR_RUNTIME: no espeak-ng (the message says what to install), or it failed;
 * S3R_ERR_USAGE: it has no such voice; S3R_ERR_DATA: it read most texts in another
 * language, so the voice cannot read their script; S3R_ERR_RESOURCE.
 */
s3r_status s3r_phones_make(const char **phones, s3r_arena *arena,
                           const char *const *texts, size_t count, const char *voice,
                           s3r_error *err);

#endif
