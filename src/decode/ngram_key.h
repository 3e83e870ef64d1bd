/*
 * Hashes of words and n-grams, as KenLM makes them: an n-gram's key is built from its
 * last word backwards, so the key of "a b c" continues that of "b c".
 * (spec 3.5; MurmurHash64A is Austin Appleby's, in the public domain)
 */
#ifndef S3R_DECODE_NGRAM_KEY_H
#define S3R_DECODE_NGRAM_KEY_H

#include <string.h>

#include "base/compiler.h"

#define S3R_LM_MAX_ORDER 8u
/* The ids of these words are the same in every model. */
#define S3R_WORD_UNKNOWN 0u
#define S3R_NO_WORD      UINT32_MAX

S3R_ALWAYS_INLINE uint64_t s3r_ngram_key_extend(uint64_t key, uint32_t word)
{
    return (key * 8978948897894561157u) ^ ((1 + (uint64_t)word) * 17894857484156487943u);
}

/* The key of words[0 .. count), oldest first. */
S3R_ALWAYS_INLINE uint64_t s3r_ngram_key(const uint32_t *words, size_t count)
{
    uint64_t key = words[count - 1];
    for (size_t i = count - 1; i-- > 0;)
        key = s3r_ngram_key_extend(key, words[i]);
    return key;
}

static inline uint64_t s3r_word_hash(const char *bytes, size_t size)
{
    const uint64_t m = 0xc6a4a7935bd1e995u;
    uint64_t hash = size * m;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t k;
        memcpy(&k, bytes, 8);
        k *= m;
        k ^= k >> 47;
        hash = (hash ^ (k * m)) * m;
    }
    if (size > 0) {
        for (size_t i = 0; i < size; i++)
            hash ^= (uint64_t)(unsigned char)bytes[i] << (8 * i);
        hash *= m;
    }
    hash ^= hash >> 47;
    hash *= m;
    return hash ^ (hash >> 47);
}

#endif
