/*
 * The loops of selection with AVX2.  Keys have no sign bit, so signed comparison does.
 */
#if defined(__x86_64__)
#include "route/mask_kernels.h"

#include <immintrin.h>

#define LANES 8u

static __m256i load_keys(const float *scores)
{
    __m256i keys = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)scores),
                                    _mm256_set1_epi32(S3R_KEY_BITS_MASK));
    __m256i is_nan = _mm256_cmpgt_epi32(keys, _mm256_set1_epi32(S3R_KEY_MAX));
    return _mm256_andnot_si256(is_nan, keys);
}

static unsigned to_bits(__m256i truth)
{
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(truth));
}

static size_t collect(const float *scores, size_t count, uint32_t low, uint32_t width,
                      uint32_t *out, size_t *below)
{
    size_t found = 0, i = 0, steps = 0;
    __m256i first = _mm256_set1_epi32((int)low),
            last = _mm256_set1_epi32((int)(low + width)), under = _mm256_setzero_si256();
    for (; i + LANES <= count; i += LANES, steps++) {
        __m256i keys = load_keys(scores + i);
        __m256i is_under = _mm256_cmpgt_epi32(first, keys);
        under = _mm256_sub_epi32(under, is_under);
        unsigned outside =
            to_bits(_mm256_or_si256(is_under, _mm256_cmpgt_epi32(keys, last)));
        if (outside == 0xff)
            continue;
        uint32_t lane[LANES];
        _mm256_storeu_si256((__m256i *)lane, keys);
        for (size_t j = 0; j < LANES; j++) {
            out[found] = lane[j];
            found += ~outside >> j & 1;
        }
    }
    uint32_t sums[LANES];
    _mm256_storeu_si256((__m256i *)sums, under);
    for (size_t j = 0; j < LANES; j++)
        *below += sums[j];
    return found + s3r_mask_kernels_portable.collect(scores + i, count - i, low, width,
                                                     out + found, below);
}

static void keep(const float *scores, size_t words, uint32_t threshold, uint64_t *bits)
{
    __m256i limit = _mm256_set1_epi32((int)threshold);
    for (size_t word = 0; word < words; word++) {
        uint64_t gathered = 0;
        for (size_t i = 0; i < 64; i += LANES) {
            __m256i keys = load_keys(scores + word * 64 + i);
            gathered |= (uint64_t)to_bits(_mm256_cmpgt_epi32(keys, limit)) << i;
        }
        bits[word] = gathered;
    }
}

const s3r_mask_kernels s3r_mask_kernels_avx2 = {collect, keep};
#else
typedef int s3r_no_mask_kernels_avx2;
#endif
