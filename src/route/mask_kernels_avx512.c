/*
 * The loops of selection with AVX-512.  Keys are packed in a register and stored whole:
 * a packing store is slow on some machines.
 */
#if defined(__x86_64__)
#include "route/mask_kernels.h"

#include <immintrin.h>

#define LANES 16u

static __m512i load_keys(const float *scores)
{
    __m512i keys = _mm512_and_si512(_mm512_loadu_si512(scores),
                                    _mm512_set1_epi32(S3R_KEY_BITS_MASK));
    __mmask16 is_number = _mm512_cmple_epu32_mask(keys, _mm512_set1_epi32(S3R_KEY_MAX));
    return _mm512_maskz_mov_epi32(is_number, keys);
}

static unsigned count_bits(unsigned bits)
{
    return (unsigned)_mm_popcnt_u32(bits);
}

static size_t collect(const float *scores, size_t count, uint32_t low, uint32_t width,
                      uint32_t *out, size_t *below)
{
    size_t found = 0, i = 0, under = 0;
    __m512i first = _mm512_set1_epi32((int)low), span = _mm512_set1_epi32((int)width);
    for (; i + LANES <= count; i += LANES) {
        __m512i keys = load_keys(scores + i);
        __mmask16 is_within =
            _mm512_cmple_epu32_mask(_mm512_sub_epi32(keys, first), span);
        under += count_bits(_mm512_cmplt_epu32_mask(keys, first));
        /* Always: a branch would be taken half of the time. */
        _mm512_storeu_si512(out + found, _mm512_maskz_compress_epi32(is_within, keys));
        found += count_bits(is_within);
    }
    *below += under;
    return found + s3r_mask_kernels_portable.collect(scores + i, count - i, low, width,
                                                     out + found, below);
}

static void keep(const float *scores, size_t words, uint32_t threshold, uint64_t *bits)
{
    __m512i limit = _mm512_set1_epi32((int)threshold);
    for (size_t word = 0; word < words; word++) {
        uint64_t gathered = 0;
        for (size_t i = 0; i < 64; i += LANES) {
            __m512i keys = load_keys(scores + word * 64 + i);
            gathered |= (uint64_t)_mm512_cmpgt_epu32_mask(keys, limit) << i;
        }
        bits[word] = gathered;
    }
}

const s3r_mask_kernels s3r_mask_kernels_avx512 = {collect, keep};
#else
typedef int s3r_no_mask_kernels_avx512;
#endif
