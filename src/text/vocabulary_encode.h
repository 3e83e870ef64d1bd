/*
 * From text to labels, the other direction of decoding.
 */
#ifndef S3R_TEXT_VOCABULARY_ENCODE_H
#define S3R_TEXT_VOCABULARY_ENCODE_H

#include "base/memory.h"
#include "text/vocabulary.h"

/*
 * The labels of a text: words are separated by the delimiter (none at the ends), inside a
 * word the longest label that matches is taken; in a phoneme vocabulary labels are
 * separated by spaces.  The text is in NFC; it is lower- or upper-cased as the labels are
 * when only that case exists.  *labels lies in the arena.
 *
 * S3R_ERR_DATA lists the characters (labels) that the vocabulary lacks, with their code
 * points; S3R_ERR_RESOURCE.  Thread-safe for different arenas.
 */
s3r_status s3r_vocabulary_encode(const s3r_vocabulary *vocabulary, const char *text,
                                 s3r_arena *arena, uint32_t **labels, size_t *count,
                                 s3r_error *err);

/* The whole vocabulary as a JSON object (new reference; NULL without memory), and back.
 * S3R_ERR_MODEL names what is wrong; label names the file in messages. */
json_t *s3r_vocabulary_to_json(const s3r_vocabulary *vocabulary);
s3r_status s3r_vocabulary_from_json(s3r_vocabulary *out, const json_t *object,
                                    const char *label, s3r_error *err);

#endif
