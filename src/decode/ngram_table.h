/*
 * Hash tables of n-grams as they lie in files: entries of a 64-bit key and a value, found
 * by probing neighbours.
 *
 * Ours are in the order of their keys: an entry stands at the place that the upper half
 * of its key says, or behind entries with smaller keys.  A search ends at the first
 * greater key, so a miss costs no more than a hit, and tables can be fuller than usual.
 * KenLM's place is the key modulo the number of buckets; a search ends at a free one.
 * Key 0 is a free entry in both.
 */
#ifndef S3R_DECODE_NGRAM_TABLE_H
#define S3R_DECODE_NGRAM_TABLE_H

#include "decode/ngram_key.h"

typedef struct s3r_ngram_table {
    const unsigned char *entries;
    size_t stride;    /* bytes of an entry: the key, then the value */
    uint64_t buckets; /* places that a key can say; ours fewer than 2^32, never 0 */
    uint64_t slots;   /* entries; ours have some more than buckets */
    bool is_modulo;   /* KenLM's */
} s3r_ngram_table;

S3R_ALWAYS_INLINE uint64_t s3r_table_key(const s3r_ngram_table *table, uint64_t slot)
{
    uint64_t key;
    memcpy(&key, table->entries + slot * table->stride, sizeof key);
    return key;
}

S3R_ALWAYS_INLINE uint64_t s3r_table_place(const s3r_ngram_table *table, uint64_t key)
{
    return table->is_modulo ? key % table->buckets : ((key >> 32) * table->buckets) >> 32;
}

S3R_ALWAYS_INLINE void s3r_table_prefetch(const s3r_ngram_table *table, uint64_t key)
{
    S3R_PREFETCH(table->entries + s3r_table_place(table, key) * table->stride);
}

/* The value of the key; NULL when it is not there.  Ends for any bytes. */
S3R_ALWAYS_INLINE const unsigned char *s3r_table_find(const s3r_ngram_table *table,
                                                      uint64_t key)
{
    uint64_t at = s3r_table_place(table, key);
    key += key == 0;
    for (uint64_t steps = 0; steps < table->slots; steps++, at++) {
        if (at >= table->slots) {
            if (!table->is_modulo)
                return NULL;
            at = 0;
        }
        uint64_t found = s3r_table_key(table, at);
        if (found == key)
            return table->entries + at * table->stride + sizeof key;
        if (found == 0 || (found > key && !table->is_modulo))
            return NULL;
    }
    return NULL;
}

#endif
