/*
 * Decoding masks with AVX-512: a step of 32 columns at once.  The 32 probabilities are
 * one permutation of the table; the states lie in two registers; the words that states
 * take in are spread over them by one expansion each.
 */
#if defined(__x86_64__)
#include "route/mask_decode.h"

#include <immintrin.h>

#define HALF 16u

/* The 16 highest bits of 32 weights. */
S3R_ALWAYS_INLINE __m512i load_tops(const uint8_t *weights, size_t element_bytes)
{
    if (element_bytes == sizeof(uint16_t))
        return _mm512_loadu_si512(weights);
    __m256i low =
        _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_loadu_si512(weights), 16));
    __m256i high =
        _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_loadu_si512(weights + 64), 16));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* One step of 16 states; the kept connections. */
S3R_ALWAYS_INLINE __mmask16 decode_half(__m512i *state, __m256i kept_places,
                                        const uint8_t **words)
{
    const __m512i scale = _mm512_set1_epi32((int)S3R_CODER_SCALE);
    __m512i kept = _mm512_cvtepu16_epi32(kept_places);
    __m512i place =
        _mm512_and_si512(*state, _mm512_set1_epi32((int)(S3R_CODER_SCALE - 1)));
    __mmask16 has_it = _mm512_cmplt_epu32_mask(place, kept);
    __mmask16 has_not = _mm512_knot(has_it);
    __m512i size = _mm512_mask_sub_epi32(kept, has_not, scale, kept);
    __m512i rest = _mm512_mask_sub_epi32(place, has_not, place, kept);
    __m512i x = _mm512_mullo_epi32(size, _mm512_srli_epi32(*state, S3R_CODER_SCALE_BITS));
    x = _mm512_add_epi32(x, rest);
    __mmask16 is_low =
        _mm512_cmplt_epu32_mask(x, _mm512_set1_epi32((int)S3R_CODER_LOWEST));
    __m512i taken = _mm512_maskz_expand_epi32(
        is_low,
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)*words)));
    *words += sizeof(uint16_t) * (unsigned)_mm_popcnt_u32(is_low);
    *state =
        _mm512_mask_or_epi32(x, is_low, _mm512_slli_epi32(x, S3R_CODER_WORD_BITS), taken);
    return has_it;
}

/* As many whole steps as have words enough; returns the columns. */
S3R_ALWAYS_INLINE size_t decode_steps(s3r_mask_decoder *decoder,
                                      const s3r_class_lookup *lookup,
                                      const uint8_t *weights, size_t element_bytes,
                                      size_t cols, uint64_t *bits)
{
    const __m512i table = _mm512_loadu_si512(lookup->kept);
    const __m512i magnitude = _mm512_set1_epi16(0x7fff);
    const __m512i base = _mm512_set1_epi16((short)lookup->base);
    const __m512i last = _mm512_set1_epi16(S3R_CODER_LAST);
    const __m128i shift = _mm_cvtsi32_si128((int)lookup->shift);
    __m512i low = _mm512_loadu_si512(decoder->state);
    __m512i high = _mm512_loadu_si512(decoder->state + HALF);
    const uint8_t *words = decoder->words;
    size_t col = 0;
    for (; col + S3R_CODER_LANES <= cols &&
           (size_t)(decoder->end - words) >= S3R_CODER_STEP_BYTES;
         col += S3R_CODER_LANES) {
        __m512i scale = _mm512_srl_epi16(
            _mm512_and_si512(load_tops(weights + col * element_bytes, element_bytes),
                             magnitude),
            shift);
        __m512i class = _mm512_min_epu16(_mm512_subs_epu16(scale, base), last);
        __m512i kept = _mm512_permutexvar_epi16(class, table);
        uint64_t first = decode_half(&low, _mm512_castsi512_si256(kept), &words);
        uint64_t second = decode_half(&high, _mm512_extracti64x4_epi64(kept, 1), &words);
        bits[col / 64] |= (first | second << HALF) << col % 64;
    }
    _mm512_storeu_si512(decoder->state, low);
    _mm512_storeu_si512(decoder->state + HALF, high);
    decoder->words = words;
    return col;
}

void s3r_decode_row_avx512(s3r_mask_decoder *decoder, const s3r_class_lookup *lookup,
                           const uint8_t *weights, size_t cols, uint64_t *bits)
{
    size_t done = 0;
    memset(bits, 0, s3r_mask_stride(cols) * sizeof *bits);
    if (lookup->element_bytes == sizeof(uint16_t))
        done = decode_steps(decoder, lookup, weights, sizeof(uint16_t), cols, bits);
    else if (lookup->element_bytes == sizeof(uint32_t))
        done = decode_steps(decoder, lookup, weights, sizeof(uint32_t), cols, bits);
    s3r_decode_columns(decoder, lookup, weights, done, cols, bits);
}
#else
typedef int s3r_no_mask_decode_avx512;
#endif
