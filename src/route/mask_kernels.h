/*
 * The two inner loops of selection for each CPU level.  They compute integers, so every
 * level gives the same.
 *
 * The key of a score is the bits of |score| as an integer, which order like the number;
 * NaN has key 0.
 */
#ifndef S3R_ROUTE_MASK_KERNELS_H
#define S3R_ROUTE_MASK_KERNELS_H

#include <string.h>

#include "base/compiler.h"
#include "base/cpu_level.h"

/* Scores that are looked at together; collect may write so many keys too many. */
#define S3R_MASK_BLOCK    16u
#define S3R_KEY_MAX       0x7f800000u /* infinity */
#define S3R_KEY_BITS_MASK 0x7fffffffu

typedef struct s3r_mask_kernels {
    /* Writes the keys within [low, low + width] to out[count + S3R_MASK_BLOCK] in order
     * and returns how many; adds the number of those below to *below. */
    size_t (*collect)(const float *scores, size_t count, uint32_t low, uint32_t width,
                      uint32_t *out, size_t *below);
    /* Bit i of words 0 .. words - 1: key of scores[i] > threshold. */
    void (*keep)(const float *scores, size_t words, uint32_t threshold, uint64_t *bits);
} s3r_mask_kernels;

/* The caller has checked that the machine has the level. */
const s3r_mask_kernels *s3r_mask_kernels_get(s3r_cpu_level level);

extern const s3r_mask_kernels s3r_mask_kernels_portable;
#if defined(__x86_64__)
extern const s3r_mask_kernels s3r_mask_kernels_avx2, s3r_mask_kernels_avx512;
#endif

static inline uint32_t s3r_score_key(float score)
{
    uint32_t key;
    memcpy(&key, &score, sizeof key);
    key &= S3R_KEY_BITS_MASK;
    return key > S3R_KEY_MAX ? 0 : key;
}

#endif
