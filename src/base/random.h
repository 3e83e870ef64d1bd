/*
 * Random numbers: a counter-based generator (Philox 4x32, Salmon et al. 2011) and, on top
 * of it, a sequential stream and a cheap hash for one random number a matrix element.
 *
 * A counter-based number is a pure function of (key, counter).  What is drawn for an
 * utterance can therefore depend on the utterance alone, never on its neighbours in the
 * batch, on the threads or on what was drawn before.
 */
#ifndef S3R_BASE_RANDOM_H
#define S3R_BASE_RANDOM_H

#include "base/compiler.h"

/* The ten-round Philox 4x32 block of this counter under this key. */
void s3r_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* 64 random bits for (key, a, b): one block. */
uint64_t s3r_random_at(uint64_t key, uint64_t a, uint64_t b);

/* 32 random bits for lane `index` of a vector whose 64-bit key is given in halves; the
 * key must be random itself (s3r_random_at).  Plain 32-bit arithmetic, so that a compiler
 * makes vector code of it. */
S3R_ALWAYS_INLINE uint32_t s3r_hash_lane(uint32_t key_low, uint32_t key_high,
                                         uint32_t index)
{
    uint32_t bits = index * 0x9e3779b1u + key_low;
    bits ^= bits >> 16;
    bits *= 0x7feb352du;
    bits ^= bits >> 15;
    bits += key_high;
    bits *= 0x846ca68bu;
    bits ^= bits >> 16;
    bits *= 0x9e3779b1u;
    bits ^= bits >> 15;
    return bits;
}

/*
 * A sequential stream.  The three numbers are its whole state: store them to resume, set
 * position to go anywhere.  Not thread-safe; streams of one seed are independent.
 */
typedef struct s3r_random {
    uint64_t seed, stream, position;
} s3r_random;

void s3r_random_init(s3r_random *random, uint64_t seed, uint64_t stream);
uint64_t s3r_random_bits(s3r_random *random);
/* In [0, 1), a multiple of 2^-53. */
double s3r_random_uniform(s3r_random *random);
/* Mean 0, variance 1. */
double s3r_random_normal(s3r_random *random);
/* In [0, bound), each equally likely; bound > 0. */
uint64_t s3r_random_below(s3r_random *random, uint64_t bound);
/* Puts the items in random order. */
void s3r_random_shuffle(s3r_random *random, size_t *items, size_t count);

#endif
