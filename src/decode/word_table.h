/*
 * Words and their numbers: each word that is added gets the next one.  The table owns the
 * words, one after another with a NUL behind each.
 */
#ifndef S3R_DECODE_WORD_TABLE_H
#define S3R_DECODE_WORD_TABLE_H

#include "base/error.h"
#include "decode/ngram_key.h"

typedef struct s3r_word_slot {
    uint64_t hash;
    uint32_t id; /* S3R_NO_WORD = free */
} s3r_word_slot;

/* Zeroed before use. */
typedef struct s3r_word_table {
    size_t count;
    char *bytes; /* all words */
    size_t byte_count, byte_capacity;
    uint64_t *offsets; /* [count] where each word begins */
    size_t capacity;   /* of offsets */
    s3r_word_slot *slots;
    size_t slot_count; /* a power of two */
} s3r_word_table;

void s3r_word_table_release(s3r_word_table *table);

/* The number of a word; S3R_NO_WORD when it is not there.  Thread-safe. */
uint32_t s3r_word_table_find(const s3r_word_table *table, const char *bytes, size_t size);

/* The same, and adds it when it is not there.  S3R_ERR_RESOURCE. */
s3r_status s3r_word_table_add(s3r_word_table *table, uint32_t *id, const char *bytes,
                              size_t size, s3r_error *err);

/* No word will be added or searched any more: gives back the memory for it.  What cannot
 * be given back is kept. */
void s3r_word_table_freeze(s3r_word_table *table);

/* The word with this number, valid until the next addition. */
static inline const char *s3r_word_table_word(const s3r_word_table *table, uint32_t id)
{
    return table->bytes + table->offsets[id];
}

#endif
