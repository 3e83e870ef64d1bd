/*
 * The portable loops of selection, written for the compiler to vectorise, and the choice
 * of the level.
 */
#include "route/mask_kernels.h"

#define WORD_BITS 64u

static size_t collect(const float *scores, size_t count, uint32_t low, uint32_t width,
                      uint32_t *out, size_t *below)
{
    size_t found = 0, under = 0, i = 0;
    for (; i + S3R_MASK_BLOCK <= count; i += S3R_MASK_BLOCK) {
        uint32_t keys[S3R_MASK_BLOCK], has = 0, smaller = 0;
        for (size_t j = 0; j < S3R_MASK_BLOCK; j++) {
            keys[j] = s3r_score_key(scores[i + j]);
            smaller += keys[j] < low;
            has |= (uint32_t)(keys[j] - low <= width);
        }
        under += smaller;
        if (!has)
            continue;
        for (size_t j = 0; j < S3R_MASK_BLOCK; j++) {
            out[found] = keys[j];
            found += keys[j] - low <= width;
        }
    }
    for (; i < count; i++) {
        uint32_t key = s3r_score_key(scores[i]);
        under += key < low;
        out[found] = key;
        found += key - low <= width;
    }
    *below += under;
    return found;
}

/* 8 truth bytes to 8 bits: the multiplication moves one bit of each to the top byte. */
static uint64_t gather_bits(const uint8_t truth[8])
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < 8; i++)
        bytes |= (uint64_t)truth[i] << (8 * i);
    return (bytes * 0x0102040810204080u) >> 56;
}

static void keep(const float *scores, size_t words, uint32_t threshold, uint64_t *bits)
{
    for (size_t word = 0; word < words; word++, scores += WORD_BITS) {
        uint8_t truth[WORD_BITS];
        for (size_t i = 0; i < WORD_BITS; i++)
            truth[i] = s3r_score_key(scores[i]) > threshold;
        uint64_t gathered = 0;
        for (size_t i = 0; i < WORD_BITS; i += 8)
            gathered |= gather_bits(truth + i) << i;
        bits[word] = gathered;
    }
}

const s3r_mask_kernels s3r_mask_kernels_portable = {collect, keep};

const s3r_mask_kernels *s3r_mask_kernels_get(s3r_cpu_level level)
{
#if defined(__x86_64__)
    switch (level) {
    case S3R_CPU_AVX512BF16:
    case S3R_CPU_AVX512VNNI:
    case S3R_CPU_AVX512:
        return &s3r_mask_kernels_avx512;
    case S3R_CPU_AVX2:
        return &s3r_mask_kernels_avx2;
    case S3R_CPU_PORTABLE:
        break;
    }
#else
    (void)level;
#endif
    return &s3r_mask_kernels_portable;
}
