/*
 * Our own file of a language model, in memory or on disk (docs/formats.md): a header,
 * then sections at multiples of 64 bytes.  Numbers are little-endian.
 */
#ifndef S3R_DECODE_LM_IMAGE_H
#define S3R_DECODE_LM_IMAGE_H

#include "decode/language_model.h"

#define S3R_LM_MAGIC      "s3r lm\r\n"
#define S3R_LM_VERSION    1u
#define S3R_LM_BYTE_ORDER 0x01020304u
#define S3R_LM_CHARACTERS 1u /* flag: has_characters */
#define S3R_LM_ALIGNMENT  ((size_t)64)

/* Sections: words, their offsets, the table word -> id, unigrams, then orders 2 to 8. */
enum {
    S3R_LM_SECTION_BYTES,
    S3R_LM_SECTION_OFFSETS,
    S3R_LM_SECTION_VOCABULARY,
    S3R_LM_SECTION_UNIGRAMS,
    S3R_LM_SECTION_NGRAMS,
    S3R_LM_SECTION_COUNT = S3R_LM_SECTION_NGRAMS + S3R_LM_MAX_ORDER - 1
};

typedef struct s3r_lm_section {
    uint64_t offset, size_bytes;
    uint64_t buckets; /* of a table; else 0 */
    uint32_t crc, zero;
} s3r_lm_section;

typedef struct s3r_lm_header {
    char magic[8];
    uint32_t version, byte_order;
    uint32_t order, flags;
    uint64_t word_count, file_bytes;
    uint32_t begin_word, end_word;
    uint64_t counts[S3R_LM_MAX_ORDER];
    s3r_lm_section sections[S3R_LM_SECTION_COUNT];
    uint32_t zero, crc; /* crc of all before it */
} s3r_lm_header;

#define S3R_LM_VOCABULARY_STRIDE 16u /* hash, id, zero */
#define S3R_LM_MIDDLE_STRIDE     16u /* key, probability, back-off */
#define S3R_LM_LONGEST_STRIDE    12u /* key, probability */

/* CRC-32 (that of gzip) of any size. */
uint32_t s3r_lm_crc(const void *bytes, size_t size);

/* One entry of a table on its way: value has stride - 8 bytes. */
typedef struct s3r_table_entry {
    uint64_t key;
    uint32_t value[2];
    uint32_t index; /* where it came from, for messages */
} s3r_table_entry;

/* What an image is made of. */
typedef struct s3r_lm_parts {
    size_t order;
    uint32_t flags, begin_word, end_word;
    size_t word_count, word_byte_count;
    const char *word_bytes;
    const uint64_t *word_offsets; /* [word_count] */
    const float *unigrams;        /* [word_count, 2] */
    s3r_table_entry *vocabulary;  /* [word_count] in any order; sorted in place */
    s3r_table_entry *ngrams[S3R_LM_MAX_ORDER - 1]; /* [counts[order - 1]] the same */
    uint64_t counts[S3R_LM_MAX_ORDER];
} s3r_lm_parts;

/*
 * Lays the parts out, with checksums, in a new block (s3r_free).  A key that is there
 * twice: S3R_ERR_DATA, and *duplicate_order (0 = vocabulary) and *duplicates say which
 * entries; S3R_ERR_RESOURCE.
 */
s3r_status s3r_lm_image_make(unsigned char **image, size_t *image_bytes,
                             const s3r_lm_parts *parts, size_t *duplicate_order,
                             uint32_t duplicates[2], s3r_error *err);

/* Points lm at the image after checking its header.  S3R_ERR_DATA. */
s3r_status s3r_lm_attach_image(s3r_lm *lm, const unsigned char *bytes, size_t size,
                               s3r_error *err);
/* The same for a KenLM binary; reads its words. */
s3r_status s3r_lm_attach_kenlm(s3r_lm *lm, const unsigned char *bytes, size_t size,
                               s3r_error *err);
bool s3r_lm_is_kenlm(const unsigned char *bytes, size_t size);
/* An image of an attached KenLM binary. */
s3r_status s3r_lm_image_from_kenlm(unsigned char **image, size_t *image_bytes,
                                   const s3r_lm *lm, s3r_error *err);

/* An image of a list of n-grams, which is completed first: every n-gram's beginning and
 * end become n-grams too, with the probability that the model gives them. S3R_ERR_DATA
 * names an n-gram that is there twice. */
s3r_status s3r_lm_image_from_ngrams(unsigned char **image, size_t *image_bytes,
                                    s3r_ngrams *ngrams, s3r_error *err);

#endif
