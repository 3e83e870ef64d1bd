/*
 * From text to labels, the other direction of decoding.
 */
#ifndef S3R_TEXT_VOCABULARY_ENCODE_H
#define S3R_TEXT_VOCABULARY_ENCODE_H

#include "base/memory.h"
#include "text/vocabulary.h"

/*
 * The labels of a text.  Words are what white space separates; the delimiter is put
 * between them (not at the ends; without a delimiter nothing is), and inside a word the
 * longest label that matches is taken.  Text and labels are compared in NFC.  When the
 * labels have one case only, the text is brought to it.
 *
 * In a phoneme vocabulary labels are separated by white space and taken as they are
 * written; a "|" between words is left out when there is no such label.
 *
 * *labels lies in the arena.  S3R_ERR_DATA: not UTF-8; or characters (phones) without a
 * label, which the message lists with their code points.  S3R_ERR_RESOURCE.  Thread-safe
 * for different arenas.
 */
s3r_status s3r_vocabulary_encode(const s3r_vocabulary *vocabulary, const char *text,
                                 s3r_arena *arena, uint32_t **labels, size_t *count,
                                 s3r_error *err);

/* The whole vocabulary but its path as a JSON object (new reference; NULL without
 * memory), and back.  from_json trusts nothing: S3R_ERR_MODEL names what is wrong; label
 * names the file in messages and becomes the path.  *out is empty after a failure. */
json_t *s3r_vocabulary_to_json(const s3r_vocabulary *vocabulary);
s3r_status s3r_vocabulary_from_json(s3r_vocabulary *out, const json_t *object,
                                    const char *label, s3r_error *err);

#endif
